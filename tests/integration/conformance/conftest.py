"""A csms node over a real database, seen from both ends: strict stations, and what our side knows."""

import asyncio
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import select

from activities.facts import SIGHTED, sighting_in
from csms.client_certificates import ClientCertificates
from csms.commands import Command, CommandAnswer, UpdateFirmware
from csms.gateway import Gateway
from csms.options import GatewayOptions, GatewayStores, Sources
from csms.ports import PasswordChange
from csms.registration import Registrar, by_lifecycle
from csms.secrets import hash_secret
from csms.tls import ServerTls
from storage.charger import Charger, ChargerCredential
from storage.clock import system_clock
from storage.events import EventKind
from storage.postgres.tables import frame
from storage.postgres.transaction_ids import PostgresTransactionIds
from storage.twin import Lifecycle, TwinState, busy_reason
from tests.integration.conformance.station import CHARGER, PASSWORD, SERIAL, connected
from tests.integration.conformance.wire import Framing
from tests.integration.csms.conftest import PEPPER, Site1, basic, place
from workflows.attest import Attempt, Judgement, judge

__all__ = ["place"]


@dataclass
class Csms:
    """Our side: one node, its command path, and what is known afterwards."""

    place: Site1
    node: Gateway = field(init=False)
    since: datetime = field(default_factory=system_clock)

    def __post_init__(self) -> None:
        self._framings: dict[str, Framing] = {}

    async def start(
        self,
        node_id: str = "node-1",
        tls: ServerTls | None = None,
        certificates: ClientCertificates | None = None,
        registrar: Registrar = by_lifecycle,
    ) -> None:
        """Start a node, which is the one of this test from here on; plain port first, then TLS."""
        options = GatewayOptions(
            node_id,
            f"{node_id}-boot",
            PEPPER,
            port=0,
            tls_port=0 if tls else None,
            probe_delay_s=600,
            drain_per_s=10_000,
        )
        place = self.place
        ids = PostgresTransactionIds(place.engine)
        stores = GatewayStores(place.chargers, place.ingest, place.routes, ids)
        sources = Sources(system_clock, registrar=registrar)
        self.node = Gateway(options, stores, sources, tls=tls, certificates=certificates)
        await self.node.start()
        place.nodes.append(self.node)

    def station(
        self,
        version: str,
        password: str | bytes | None = PASSWORD,
        headers: dict[str, str] | None = None,
        **options: Any,
    ) -> AbstractAsyncContextManager[Any]:
        """A strict station that connects; ids of our calls count over all its connections."""
        framing = self._framings.setdefault(version, Framing(version))
        scheme, port = "wss" if "ssl" in options else "ws", self.node.ports[-1 if "ssl" in options else 0]
        if headers is None:
            headers = {} if password is None else basic(CHARGER, password)
        return connected(f"{scheme}://127.0.0.1:{port}/ocpp/{CHARGER}", framing, headers, **options)

    # What we ask.

    async def send(self, command: Command) -> CommandAnswer:
        """Send a command by the route to the charger, as an activity does; then its answer is on record."""
        route = await self.place.routes.resolve(CHARGER)
        assert route is not None
        answer = await self.node.send(CHARGER, route.session_epoch, command, deadline_s=15)
        await self.node.settle(CHARGER, route.session_epoch)
        return answer

    def sending(self, command: Command) -> "asyncio.Task[CommandAnswer]":
        """The same, not waited for."""
        return asyncio.create_task(self.send(command))

    async def change_password(self) -> PasswordChange:
        """Give the charger a new password."""
        route = await self.place.routes.resolve(CHARGER)
        assert route is not None
        return await self.node.change_password(CHARGER, route.session_epoch, deadline_s=15)

    # What we know.

    async def twin(self) -> TwinState:
        """The charger's twin."""
        return await self.place.twin(CHARGER)

    async def busy(self) -> str | None:
        """Why the charger must be left alone, as the rollout sees it."""
        return busy_reason((await self.twin()).operation, system_clock())

    async def connectors(self) -> dict[str, str]:
        """The state of every connector; 1.6 also speaks of the charge point as a whole, ``0.0``."""
        operation = (await self.twin()).operation
        assert operation is not None
        return {key: state.status.value for key, state in operation.connectors.items()}

    async def events(self, kind: EventKind) -> list[dict[str, Any]]:
        """The stored events of one kind, oldest first."""
        return await self.place.bodies(kind, CHARGER)

    async def arrived(self, kind: EventKind, count: int = 1) -> list[dict[str, Any]]:
        """The same, once there are so many."""
        return await self.place.wait_for(kind, count, CHARGER)

    async def trail(self) -> list[tuple[str, int | None]]:
        """The firmware statuses that were stored, with their request ids."""
        reported = await self.events(EventKind.FIRMWARE_STATUS_REPORTED)
        return [(body["status"], body["request_id"]) for body in reported]

    async def answered(self, action: str) -> list[str]:
        """The stored answers to one action."""
        return [
            body["status"]
            for body in await self.events(EventKind.COMMAND_ANSWERED)
            if body["action"] == action
        ]

    async def journal(self) -> list[str]:
        """The text of every frame in the journal."""
        async with self.place.engine.connect() as connection:
            return list((await connection.execute(select(frame.c.text))).scalars())

    async def judged(self, command: UpdateFirmware, to_version: str = "2.0") -> Judgement | None:
        """What the rollout makes of an update, from the stored events alone."""
        kinds = tuple(kind.value for kind in SIGHTED)
        stored = await self.place.events.since(CHARGER, self.since, kinds)
        found = [sighting_in(each.sequence, each.received_at, each.kind.value, each.body) for each in stored]
        attempt = Attempt(to_version, self.since, command.request_id)
        return judge(attempt, [sighting for sighting in found if sighting is not None])


@pytest.fixture
async def csms(place: Site1) -> Csms:
    """One node, and one charger registered with it."""
    now = system_clock()
    credential = ChargerCredential(CHARGER, hash_secret(PEPPER, PASSWORD), now)
    charger = Charger(CHARGER, "site-1", "V", "M", Lifecycle.ACTIVE, registered_at=now, serial_number=SERIAL)
    await place.chargers.register(charger, credential)
    csms = Csms(place)
    await csms.start()
    return csms
