import asyncio
import http.client
from typing import Any

import pytest

from storage.errors import EngineUnavailable

pytestmark = pytest.mark.integration


async def ask(port: int, path: str) -> tuple[int, str, str]:
    def get() -> tuple[int, str, str]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.getheader("Content-Type", ""), response.read().decode()

    return await asyncio.to_thread(get)


async def test_metrics_and_readiness_are_on_a_port_of_their_own(place: Any) -> None:
    node = await place.start_node(internal_port=0)
    async with place.charger(node) as peer:
        await peer.boot()
        status, kind, text = await ask(node.internal_port, "/metrics")
    assert status == 200
    assert kind.startswith("text/plain; version=")
    assert 'ampwave_csms_connections{dialect="ocpp1.6"} 1.0' in text
    assert "CP-1" not in text
    assert (await ask(node.internal_port, "/livez"))[0] == 200
    assert (await ask(node.internal_port, "/ocpp/CP-1"))[0] == 404
    assert (await ask(node.ports[0], "/metrics"))[0] == 404, "never where chargers are"


async def test_readiness_names_what_does_not_answer(place: Any) -> None:
    away = False

    async def database() -> None:
        if away:
            raise EngineUnavailable("the database is away")

    async def broken() -> None:
        if away:
            raise RuntimeError("secret inside")

    node = await place.start_node(internal_port=0, readiness={"database": database, "temporal": broken})
    assert await ask(node.internal_port, "/readyz") == (
        200,
        "text/plain; charset=utf-8",
        "database: ok\ntemporal: ok\n",
    )
    away = True
    status, _, text = await ask(node.internal_port, "/readyz")
    assert (status, text) == (503, "database: the database is away\ntemporal: failed: RuntimeError\n")
