"""A csms node on real sockets over a real database, and chargers to connect to it."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from csms.frames import OCPP16
from csms.gateway import Gateway
from csms.options import GatewayOptions, GatewayStores, Sources
from csms.projection import project
from csms.secrets import hash_secret
from storage.charger import Charger, ChargerCredential, Site
from storage.clock import system_clock
from storage.errors import EngineUnavailable
from storage.events import EventKind, EventRecord, FrameRecord, StoredEvent
from storage.ports import IngestStore, Projector
from storage.postgres.chargers import PostgresChargerStore
from storage.postgres.engine import create_engine
from storage.postgres.events import PostgresEventStore
from storage.postgres.ingest import PostgresIngestStore
from storage.postgres.routes import PostgresRouteStore
from storage.postgres.transaction_ids import PostgresTransactionIds
from storage.postgres.twins import PostgresTwinStore
from storage.twin import Lifecycle, TwinState

PEPPER = b"p" * 32
PASSWORD = "a-password-of-a-charger"


@dataclass
class Peer:
    """The charger's end of a socket."""

    socket: ClientConnection

    async def say(self, *frame: Any) -> None:
        await self.socket.send(json.dumps(frame))

    async def hear(self) -> Any:
        return json.loads(await asyncio.wait_for(self.socket.recv(), 10))

    async def ask(self, *frame: Any) -> Any:
        await self.say(*frame)
        return await self.hear()

    async def boot(self, version: str = "1.0") -> Any:
        payload = {"chargePointVendor": "V", "chargePointModel": "M", "firmwareVersion": version}
        return await self.ask(2, f"boot {version}", "BootNotification", payload)

    async def closed(self) -> tuple[int | None, str | None]:
        """Wait for the node to close; the code and reason."""
        await asyncio.wait_for(self.socket.wait_closed(), 10)
        return self.socket.close_code, self.socket.close_reason


@dataclass
class FlakyIngest:
    """The real store, which goes away for as many commits as it is told."""

    store: IngestStore
    away: int = 0
    refused: int = 0
    refusing: asyncio.Event = field(default_factory=asyncio.Event)

    async def commit(
        self, frames: Sequence[FrameRecord], events: Sequence[EventRecord], project: Projector
    ) -> Sequence[StoredEvent]:
        if self.away:
            self.away -= 1
            self.refused += 1
            self.refusing.set()
            raise EngineUnavailable("the test pulled the plug")
        return await self.store.commit(frames, events, project)

    async def until_refused(self) -> None:
        await asyncio.wait_for(self.refusing.wait(), 10)


@dataclass
class Site1:
    """The database as the tests see it, and nodes over it."""

    engine: AsyncEngine
    nodes: list[Gateway] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.chargers = PostgresChargerStore(self.engine)
        self.events = PostgresEventStore(self.engine)
        self.routes = PostgresRouteStore(self.engine)
        self.ingest = FlakyIngest(PostgresIngestStore(self.engine))

    async def register(
        self, charger_id: str, password: str | bytes | None = PASSWORD, **charger_fields: Any
    ) -> None:
        now, password = system_clock(), own_password(charger_id, password)
        credential = ChargerCredential(charger_id, hash_secret(PEPPER, password), now) if password else None
        charger = Charger(
            charger_id, "site-1", "V", "M", Lifecycle.ACTIVE, registered_at=now, **charger_fields
        )
        await self.chargers.register(charger, credential)

    async def start_node(
        self, node_id: str = "node-1", tls: Any = None, certificates: Any = None, **options: Any
    ) -> Gateway:
        readiness, newcomers = options.pop("readiness", {}), options.pop("newcomers", None)
        routes, sources = options.pop("routes", self.routes), options.pop("sources", Sources(system_clock))
        chosen = GatewayOptions(node_id, f"{node_id}-boot", PEPPER, port=None if tls else 0)
        quick = {"drain_per_s": 10_000, "probe_delay_s": 600, "tls_port": 0 if tls else None}
        chosen = replace(chosen, **{**quick, **options})
        ids = PostgresTransactionIds(self.engine)
        twins = PostgresTwinStore(self.engine, project)
        stores = GatewayStores(self.chargers, self.ingest, routes, ids, readiness, twins.desired_variables)
        node = Gateway(chosen, stores, sources, tls=tls, certificates=certificates, newcomers=newcomers)
        await node.start()
        self.nodes.append(node)
        return node

    async def twin(self, charger_id: str = "CP-1") -> TwinState:
        return (await self.chargers.get(charger_id)).twin

    async def bodies(self, kind: EventKind, charger_id: str = "CP-1") -> list[dict[str, Any]]:
        """The stored events of one kind, oldest first."""
        timeline = await self.events.timeline(charger_id)
        return [event.body for event in reversed(timeline) if event.kind is kind]

    async def wait_for(
        self, kind: EventKind, count: int = 1, charger_id: str = "CP-1"
    ) -> list[dict[str, Any]]:
        """The stored events of one kind, once there are so many."""
        async with asyncio.timeout(10), self.events.changes() as changes:
            while len(found := await self.bodies(kind, charger_id)) < count:
                await anext(changes)
        return found

    @asynccontextmanager
    async def charger(
        self,
        node: Gateway,
        charger_id: str = "CP-1",
        subprotocols: Sequence[str] = (OCPP16,),
        password: str | bytes | None = PASSWORD,
        **options: Any,
    ) -> AsyncIterator[Peer]:
        scheme, password = "wss" if "ssl" in options else "ws", own_password(charger_id, password)
        port = node.ports[-1] if "ssl" in options else node.ports[0]
        async with connect(
            f"{scheme}://127.0.0.1:{port}/ocpp/{charger_id}",
            subprotocols=[Subprotocol(name) for name in subprotocols] or None,
            additional_headers={} if password is None else basic(charger_id, password),
            compression=None,
            **options,
        ) as socket:
            yield Peer(socket)


def own_password(charger_id: str, password: str | bytes | None) -> str | bytes | None:
    """No two chargers may have the same password: the usual one becomes each one's own."""
    return f"{PASSWORD}-of-{charger_id}"[:40] if password == PASSWORD else password


def basic(user: str, password: str | bytes) -> dict[str, str]:
    secret = password.encode() if isinstance(password, str) else password
    return {"Authorization": "Basic " + base64.b64encode(user.encode() + b":" + secret).decode()}


@pytest.fixture
async def place(database: str) -> AsyncIterator[Site1]:
    """A database with one registered charger, ``CP-1``."""
    engine = create_engine(database)
    place = Site1(engine)
    await place.chargers.put_site(Site("site-1", "Site", "Europe/Berlin"))
    await place.register("CP-1")
    yield place
    for node in place.nodes:
        await node.stop()
    await engine.dispose()
