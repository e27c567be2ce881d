"""From a person's request over Temporal and a socket to a charger, and its log back into the store."""

import asyncio
import base64
import hashlib
import json
from collections.abc import Iterator
from typing import Any

import asyncpg
import httpx2
import pytest
from temporalio.api.common.v1 import Payload
from temporalio.client import WorkflowHistory

from csms.simulator.pace import SessionPattern
from storage.access import Role
from storage.events import EventKind
from storage.ids import command_workflow_id, log_workflow_id
from tests.integration.operator.conftest import Place

pytestmark = pytest.mark.integration

BUSY = SessionPattern(busy_share=0.95)


async def command(http: httpx2.AsyncClient, charger_id: str, **body: Any) -> httpx2.Response:
    return await http.post(f"/api/v1/chargers/{charger_id}/commands", json=body)


async def test_commands_reach_chargers_of_every_generation(place: Place) -> None:
    async with place.fleet("larkspur", "jetty", "estuary"), place.http(Role.OPERATOR) as http:
        for name in ("larkspur", "jetty", "estuary"):
            answer = await command(http, place.named(name), command="trigger", message="Heartbeat")
            assert answer.status_code == 200, answer.text
            assert answer.json()["answer"]["status"] == "Accepted"
        variables = await command(
            http, place.named("jetty"), command="get-variables", names=["SecurityCtrlr.SecurityProfile"]
        )
        assert variables.json()["answer"]["returned"]["values"] == [["SecurityCtrlr.SecurityProfile", "1"]]
        lacking = await command(http, place.named("jetty"), command="get-report", criteria=["Problem"])
        away = await command(http, place.named("nobody"), command="reset")
        async with place.http() as admin:
            audit = (await admin.get("/api/v1/audit", params={"limit": 500})).json()["items"]
    assert (lacking.status_code, lacking.json()["type"]) == (409, "/problems/charger-incapable")
    assert away.status_code == 404
    sent = [row for row in audit if row["action"] == "charger.command"]
    assert [row["detail"]["answer"] for row in sent] == ["Accepted"] * 4 + ["NotImplemented"]
    assert {row["actor"] for row in sent} == {"operator@test"}


@pytest.mark.requirement("X1", "X2")
async def test_a_restart_waits_for_no_session_and_leaves_one_charger_of_the_site(place: Place) -> None:
    async with place.fleet("jetty", "dunlin") as task, place.http(Role.OPERATOR) as http:
        first, second = await asyncio.gather(
            command(http, place.named("jetty"), command="reset"),
            command(http, place.named("dunlin"), command="reset"),
        )
        # Either goes first; the other one's site cannot spare it until the first is back.
        assert sorted((first.status_code, second.status_code)) == [200, 409]
        refused = first if first.status_code == 409 else second
        assert refused.json()["type"] == "/problems/charger-held"
        gone = place.named("jetty") if first.status_code == 200 else place.named("dunlin")

        async def given_back() -> bool:
            return await place.stores.leases.get(gone) is None

        await until(given_back)
        again = place.named("dunlin") if gone == place.named("jetty") else place.named("jetty")
        assert (await command(http, again, command="reset")).status_code == 200
        await until(lambda: _booted_twice(place, again))
    assert (await task).totals()["sessions_cut"] == 0


@pytest.mark.requirement("F36", "S43")
async def test_a_new_password_is_in_force_and_nowhere_to_be_read(place: Place) -> None:
    names = [place.named(name) for name in ("larkspur", "jetty")]  # 1.6 and 2.0.1
    async with place.fleet("larkspur", "jetty"), place.http(Role.SECURITY) as http:
        before = {name: await place.stores.chargers.credential(name) for name in names}
        for name in names:
            answer = await command(http, name, command="rotate-password")
            assert answer.status_code == 200, answer.text
            assert "the old one is dead" in answer.json()["reason"]
        for name in names:
            now, old = await place.stores.chargers.credential(name), before[name]
            assert now is not None
            assert old is not None
            assert (now.secret_hmac == old.secret_hmac, now.pending) == (False, None)
        # Each comes back with the new one: its node lets nobody in by the old one any more.
        async with place.http(Role.OPERATOR) as operator:
            for name in names:
                assert (await command(operator, name, command="reset", kind="Immediate")).status_code == 200
                await until(lambda name=name: _booted_twice(place, name))

                async def given_back(name: str = name) -> bool:
                    return await place.stores.leases.get(name) is None

                await until(given_back)
        kept = (await http.get(f"/api/v1/chargers/{names[0]}/commands")).json()["items"]
    assert [row["parameters"] for row in kept if row["command"] == "rotate-password"] == [{}]


async def _booted_twice(place: Place, charger_id: str) -> bool:
    rows = await place.stores.events.timeline(charger_id, limit=500)
    return sum(row.kind is EventKind.CHARGER_BOOTED for row in rows) >= 2


async def until(condition: Any) -> None:
    """Wait for something that nothing announces."""
    async with asyncio.timeout(60):
        while not await condition():  # noqa: ASYNC110 - as said
            await asyncio.sleep(0.05)


@pytest.mark.requirement("X1")
async def test_no_session_is_cut_by_hand(place: Place) -> None:
    async with place.fleet("jetty", sessions=BUSY) as task, place.http() as http:
        await place.until(place.named("jetty"), lambda view: bool(view.twin.operation.transactions))
        for body in (
            {"command": "reset", "kind": "Immediate"},
            {"command": "change-availability", "operative": False},
            {"command": "data-transfer", "vendor_id": "acme"},
        ):
            answer = await command(http, place.named("jetty"), **body)
            assert (answer.status_code, answer.json()["type"]) == (409, "/problems/charger-busy"), answer.text
            assert "No session is ever cut" in answer.json()["detail"]
    assert (await task).totals()["sessions_cut"] == 0


@pytest.mark.requirement("F77", "S43")
@pytest.mark.parametrize("kind", ["diagnostics", "security"])
@pytest.mark.parametrize("name", ["larkspur", "bramble", "jetty"])
async def test_a_log_comes_back_whole_however_the_charger_uploads(
    place: Place, database: str, name: str, kind: str
) -> None:
    charger = place.named(name)
    async with place.fleet(name), place.http(Role.SECURITY) as http:
        asked = await http.post(f"/api/v1/chargers/{charger}/logs", json={"kind": kind})
        assert asked.status_code == 202, asked.text
        at = asked.headers["location"]
        found: dict[str, Any] = {}

        async def ended() -> bool:
            found.update((await http.get(at)).json())
            return found["state"] not in ("requested", "asked")

        await until(ended)
        assert found["state"] == "uploaded", found
        content = await http.get(f"{at}/content")
        timeline = (await http.get(f"/api/v1/chargers/{charger}/timeline", params={"limit": 200})).json()
        await until(lambda: _over(place, log_workflow_id(charger, found["log_id"])))
    upload = found["upload"]
    assert hashlib.sha256(content.content).hexdigest() == upload["sha256"]
    assert len(content.content) == upload["length"] > 0
    lines = [json.loads(line) for line in content.content.splitlines()]
    assert any("security" in str(line) for line in lines)
    told = [row for row in timeline["items"] if row["kind"] == "log_uploaded"]
    assert [row["body"]["sha256"] for row in told] == [upload["sha256"]]
    assert [row["body"]["log"] for row in told] == [kind]
    await _no_ticket_anywhere(place, database, charger, found["log_id"])


async def _over(place: Place, workflow_id: str) -> bool:
    described = await place.client.get_workflow_handle(workflow_id).describe()
    return described.close_time is not None


async def _no_ticket_anywhere(place: Place, database: str, charger: str, log_id: int) -> None:
    """The address of the upload is in no frame, no event, no audit entry and no history."""
    connection = await asyncpg.connect(database.replace("+asyncpg", ""))
    try:
        frames = await connection.fetch("SELECT text FROM frame WHERE direction = 'out'")
        rows = await connection.fetch(
            "SELECT body::text AS t FROM event UNION ALL SELECT detail::text FROM audit"
        )
        hashes = await connection.fetchval("SELECT count(*) FROM upload_ticket")
        still_good = await connection.fetchval("SELECT count(*) FROM upload_ticket WHERE NOT revoked")
    finally:
        await connection.close()
    asked = [row["text"] for row in frames if "GetLog" in row["text"] or "GetDiagnostics" in row["text"]]
    assert len(asked) == 1
    assert "/u/" not in asked[0]
    assert not any("/u/" in row["t"] for row in rows)
    assert (hashes, still_good) == (1, 0)
    decoded = await _decoded(place, log_workflow_id(charger, log_id))
    assert charger in decoded, "it was decoded"
    assert "/u/" not in decoded


async def _decoded(place: Place, workflow_id: str) -> str:
    """Everything of a history, as whoever has the key reads it."""
    history = await _history(place, workflow_id)
    codec = place.client.data_converter.payload_codec
    assert codec is not None
    payloads = [
        Payload(
            metadata={name: base64.b64decode(value) for name, value in found["metadata"].items()},
            data=base64.b64decode(found.get("data", "")),
        )
        for found in _payloads(json.loads(history.to_json()))
    ]
    return " ".join(payload.data.decode() for payload in await codec.decode(payloads))


def _payloads(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict) and "encoding" in value.get("metadata", {}):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _payloads(inner)


async def _history(place: Place, workflow_id: str) -> WorkflowHistory:
    return await place.client.get_workflow_handle(workflow_id).fetch_history()


async def test_a_charger_that_is_away_is_said_so(place: Place) -> None:
    async with place.fleet("jetty"):
        pass
    await place.until(place.named("jetty"), lambda view: not view.twin.connectivity.online)
    async with place.http() as http:
        answer = await command(http, place.named("jetty"), command="trigger", message="Heartbeat")
        assert (answer.status_code, answer.json()["type"]) == (409, "/problems/charger-offline")
        asked = (await http.post(f"/api/v1/chargers/{place.named('jetty')}/logs", json={})).json()

        async def ended() -> bool:
            found = (await http.get(f"/api/v1/chargers/{place.named('jetty')}/logs/{asked['log_id']}")).json()
            return bool(found["state"] == "offline")

        await until(ended)


async def test_what_people_send_is_encrypted_on_its_way(place: Place) -> None:
    async with place.fleet("jetty"), place.http() as http:
        answer = await command(
            http, place.named("jetty"), command="customer-information", identifier="CUSTOMER-4711"
        )
    command_id = answer.headers["location"].rsplit("/", 1)[1]
    history = await _history(place, command_workflow_id(command_id))
    assert "CUSTOMER-4711" not in history.to_json()
    record = await place.stores.commands.get(command_id)
    assert "CUSTOMER-4711" not in str(record)
