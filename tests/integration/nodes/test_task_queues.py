"""Two real csms roles: Temporal takes a command to the one that holds the charger's socket."""

import asyncio
import base64
import json
import os
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from temporalio import workflow
from temporalio.client import Client, WorkflowFailureError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from activities.dispatch import DispatchActivities
from activities.facts import RouteFacts
from activities.orders import PutBackInput
from api import bootstrap
from api.codec import read_key
from api.embedded.engine import free_ports
from api.settings import Settings
from api.stack import prepared_engines, role_environment
from api.supervisor import RoleProcess, Supervisor
from csms.frames import OCPP16
from csms.secrets import hash_secret
from storage.charger import Charger, ChargerCredential, OutOfService, Site
from storage.clock import system_clock
from storage.twin import Lifecycle
from workflows.options import on_node

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

PASSWORD = "a-password-of-a-charger"
QUEUE = "the-test-itself"


@workflow.defn
class OnOneNode:
    """Puts a charger back by way of one node."""

    @workflow.run
    async def run(self, charger_id: str, route: RouteFacts) -> bool:
        given = PutBackInput(charger_id, route.session_epoch)
        return await on_node(DispatchActivities.put_back_charger, given, route)


@dataclass
class Pair:
    """Two nodes, and what is needed to reach them."""

    settings: Settings
    supervisor: Supervisor
    stores: Any
    client: Client
    ports: dict[str, int]

    async def route(self) -> RouteFacts:
        route = await self.stores.routes.resolve("CP-1")
        return RouteFacts(route.node_id, route.boot_id, route.session_epoch)

    async def taken_out(self) -> None:
        out = OutOfService("CP-1", "site-1", (), system_clock(), "a test")
        await self.stores.out_of_service.add(out)

    def put_back(self, route: RouteFacts) -> "asyncio.Task[bool]":
        work = self.client.execute_workflow(
            OnOneNode.run, args=["CP-1", route], id=f"test-{uuid.uuid4()}", task_queue=QUEUE
        )
        return asyncio.ensure_future(work)

    @asynccontextmanager
    async def charger(self, node: str) -> AsyncIterator[ClientConnection]:
        pair = base64.b64encode(f"CP-1:{PASSWORD}".encode()).decode()
        async with connect(
            f"ws://127.0.0.1:{self.ports[node]}/ocpp/CP-1",
            subprotocols=[Subprotocol(OCPP16)],
            additional_headers={"Authorization": f"Basic {pair}"},
        ) as socket:
            boot = {"chargePointVendor": "V", "chargePointModel": "M"}
            await socket.send(json.dumps([2, "boot", "BootNotification", boot]))
            assert (await hear(socket))[2]["status"] == "Accepted"
            yield socket


async def hear(socket: ClientConnection) -> Any:
    return json.loads(await asyncio.wait_for(socket.recv(), 30))


@pytest.fixture
async def pair(tmp_path: Any) -> AsyncIterator[Pair]:
    ports = dict(zip(("a", "b"), free_ports(2), strict=True))
    settings = Settings(data_dir=tmp_path, postgres_port=0, s3_port=0, temporal_port=0, temporal_ui_port=0)
    async with prepared_engines(settings, durable=False) as engines, Supervisor(tmp_path) as supervisor:
        ready = engines.settings
        for node, port in ports.items():
            tls, internal = free_ports(2)
            places = {"csms_port": port, "csms_tls_port": tls, "csms_internal_port": internal}
            own = ready.model_copy(update={"node_id": node, "csms_lease_s": 3.0, **places})
            argv = (sys.executable, "-m", "api.cli.main", "csms")
            environment = role_environment(own, os.environ)
            await supervisor.start(RoleProcess(node, environment, argv=argv, ready=_listening(port)))
        client = await bootstrap.connect_temporal(ready)
        async with bootstrap.open_stores(ready) as stores, _desk(client):
            await _register(stores, read_key(ready.charger_pepper_path))
            yield Pair(ready, supervisor, stores, client, ports)


def _listening(port: int) -> Any:
    async def ready() -> bool:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()
        return True

    return ready


def _desk(client: Client) -> Worker:
    runner = UnsandboxedWorkflowRunner()
    return Worker(client, task_queue=QUEUE, workflows=[OnOneNode], workflow_runner=runner)


async def _register(stores: Any, pepper: bytes) -> None:
    now = system_clock()
    await stores.chargers.put_site(Site("site-1", "Site", "Europe/Berlin"))
    credential = ChargerCredential("CP-1", hash_secret(pepper, PASSWORD), now)
    charger = Charger("CP-1", "site-1", "V", "M", Lifecycle.ACTIVE, registered_at=now)
    await stores.chargers.register(charger, credential)


async def test_a_command_follows_the_charger_from_node_to_node(pair: Pair) -> None:
    await pair.taken_out()
    async with pair.charger("a"):
        before = await pair.route()
        assert before.node_id == "a"
        async with pair.charger("b") as moved:
            now = await pair.route()
            assert now.node_id == "b"
            with pytest.raises(WorkflowFailureError) as refused:
                await pair.put_back(before)
            assert "NotConnectedHere" in _causes(refused.value)
            work = pair.put_back(now)
            call = await hear(moved)
            assert call[2:] == ["ChangeAvailability", {"connectorId": 0, "type": "Operative"}]
            await moved.send(json.dumps([3, call[1], {"status": "Accepted"}]))
            assert await work
            assert await pair.stores.out_of_service.get("CP-1") is None


async def test_a_node_that_is_told_to_stop_finishes_the_command_it_has(pair: Pair) -> None:
    await pair.taken_out()
    async with pair.charger("a") as held:
        work = pair.put_back(await pair.route())
        call = await hear(held)
        stopping = asyncio.ensure_future(pair.supervisor.stop("a"))
        refused = asyncio.ensure_future(_refused(pair.ports["a"]))
        await asyncio.wait_for(refused, 30)
        await held.send(json.dumps([3, call[1], {"status": "Accepted"}]))
        assert await work, "it takes nobody in any more, and is not in a hurry with those it has"
        await asyncio.wait_for(stopping, 60)
        await asyncio.wait_for(held.wait_closed(), 30)
        assert held.close_code == 1012
    assert await pair.stores.routes.resolve("CP-1") is None
    async with pair.charger("b"):
        assert (await pair.route()).node_id == "b"


async def _refused(port: int) -> None:
    """Until nobody listens there."""
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            return
        writer.close()
        await asyncio.sleep(0.05)


def _causes(error: BaseException | None) -> str:
    found = []
    while error is not None:
        found.append(f"{getattr(error, 'type', '')} {error}")
        error = getattr(error, "cause", None)
    return " ".join(found)
