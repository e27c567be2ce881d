"""Several nodes as processes of their own over one database, which can be taken away."""

import asyncio
import base64
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from csms.frames import OCPP16
from csms.secrets import hash_secret
from storage.charger import Charger, ChargerCredential, Route, Site
from storage.clock import system_clock
from storage.events import EventKind
from storage.postgres.chargers import PostgresChargerStore
from storage.postgres.engine import create_engine
from storage.postgres.events import PostgresEventStore
from storage.postgres.routes import PostgresRouteStore
from storage.postgres.tables import frame
from storage.twin import Lifecycle, TwinState

PEPPER = b"p" * 32
PATIENCE_S = 30.0

Condition = Callable[[], Coroutine[Any, Any, bool]]


def password_of(charger_id: str) -> str:
    """No two chargers may have the same one."""
    return f"a-password-of-{charger_id}"


async def until(condition: Condition) -> None:
    """Wait for something that happens in another process."""
    async with asyncio.timeout(PATIENCE_S):
        while not await condition():  # noqa: ASYNC110 - the condition lies in other processes
            await asyncio.sleep(0.05)


@dataclass
class Peer:
    """The charger's end of a socket."""

    socket: ClientConnection

    async def say(self, *words: Any) -> None:
        await self.socket.send(json.dumps(words))

    async def hear(self) -> Any:
        return json.loads(await asyncio.wait_for(self.socket.recv(), PATIENCE_S))

    async def ask(self, *words: Any) -> Any:
        await self.say(*words)
        return await self.hear()

    async def boot(self, version: str = "1.0") -> Any:
        payload = {"chargePointVendor": "V", "chargePointModel": "M", "firmwareVersion": version}
        return await self.ask(2, f"boot {version}", "BootNotification", payload)

    async def rest(self) -> list[Any]:
        """Everything that still comes until the node closes the socket."""
        heard: list[Any] = []
        with contextlib.suppress(ConnectionClosed):
            while True:
                heard.append(await self.hear())
        return heard


@dataclass
class NodeProcess:
    """One node."""

    node_id: str
    process: asyncio.subprocess.Process
    port: int = 0
    _orders: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def word(self) -> dict[str, Any]:
        """The next line it says."""
        assert self.process.stdout
        line = await asyncio.wait_for(self.process.stdout.readline(), PATIENCE_S)
        assert line, f"{self.node_id} ended"
        word: dict[str, Any] = json.loads(line)
        return word

    def order(self, charger_id: str, epoch: int, **more: Any) -> None:
        """Tell it to send a Reset; ``word`` has what became of it."""
        assert self.process.stdin
        self.process.stdin.write(json.dumps({"send": charger_id, "epoch": epoch, **more}).encode() + b"\n")

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.process.pid, number)

    async def ended(self) -> int:
        return await asyncio.wait_for(self.process.wait(), PATIENCE_S)


@dataclass
class Line:
    """The cable between a node and the database."""

    url: str
    port: int = 0
    _server: asyncio.Server | None = None
    _ends: set[asyncio.StreamWriter] = field(default_factory=set)
    _flows: set[asyncio.Task[None]] = field(default_factory=set)

    async def up(self) -> None:
        self._server = await asyncio.start_server(self._through, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """Every connection ends, and no new one is taken."""
        if self._server:
            self._server.close()
        for end in self._ends:
            end.transport.abort()
        self._ends.clear()

    @property
    def through(self) -> str:
        """The database's address by this cable."""
        parts = urlsplit(self.url)
        place = parts.netloc.rpartition("@")[0] + f"@127.0.0.1:{self.port}"
        return parts._replace(netloc=place).geturl()

    async def _through(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        parts = urlsplit(self.url)
        back, forth = await asyncio.open_connection(parts.hostname, parts.port)
        if not (self._server and self._server.is_serving()):  # cut while it was being laid
            writer.transport.abort()
            forth.transport.abort()
            return
        self._ends |= {writer, forth}
        for source, target in ((reader, forth), (back, writer)):
            flow = asyncio.create_task(_flow(source, target))
            self._flows.add(flow)
            flow.add_done_callback(self._flows.discard)


async def _flow(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
    target.close()


class Town:
    """One database, its chargers, and the nodes that serve them."""

    def __init__(self, url: str, engine: AsyncEngine, stack: AsyncExitStack) -> None:
        self.url = url
        self.chargers = PostgresChargerStore(engine)
        self.events = PostgresEventStore(engine)
        self.routes = PostgresRouteStore(engine)
        self._engine = engine
        self._stack = stack

    async def register(self, *charger_ids: str) -> None:
        now = system_clock()
        for charger_id in charger_ids:
            charger = Charger(charger_id, "site-1", "V", "M", Lifecycle.ACTIVE, registered_at=now)
            await self.chargers.register(
                charger, ChargerCredential(charger_id, hash_secret(PEPPER, password_of(charger_id)), now)
            )

    async def start(self, node_id: str, database_url: str | None = None, **options: Any) -> NodeProcess:
        given = {"node_id": node_id, "boot_id": f"{node_id}-boot", "database_url": database_url or self.url}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.support.csms_node", json.dumps({**given, **options}),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        self._stack.push_async_callback(_put_down, process)
        node = NodeProcess(node_id, process)
        node.port = (await node.word())["port"]
        return node

    async def line(self) -> Line:
        line = Line(self.url)
        await line.up()
        self._stack.push_async_callback(line.cut)
        return line

    @asynccontextmanager
    async def charger(self, node: NodeProcess, charger_id: str = "CP-1") -> AsyncIterator[Peer]:
        pair = base64.b64encode(f"{charger_id}:{password_of(charger_id)}".encode()).decode()
        async with connect(
            f"ws://127.0.0.1:{node.port}/ocpp/{charger_id}",
            subprotocols=[Subprotocol(OCPP16)],
            additional_headers={"Authorization": f"Basic {pair}"},
            compression=None,
            ping_interval=None,
            close_timeout=1,
        ) as socket:
            yield Peer(socket)

    async def route(self, charger_id: str = "CP-1") -> Route:
        route = await self.routes.resolve(charger_id)
        assert route is not None
        return route

    async def until_route(self, node: NodeProcess | None, charger_id: str = "CP-1") -> None:
        """Wait until the charger's live route is at this node, or at none."""

        async def there() -> bool:
            route = await self.routes.resolve(charger_id)
            return (route.node_id if route else None) == (node.node_id if node else None)

        await until(there)

    async def twin(self, charger_id: str = "CP-1") -> TwinState:
        return (await self.chargers.get(charger_id)).twin

    async def bodies(self, kind: EventKind, charger_id: str = "CP-1") -> list[dict[str, Any]]:
        timeline = await self.events.timeline(charger_id)
        return [event.body for event in reversed(timeline) if event.kind is kind]

    async def journaled(self, charger_id: str) -> set[str]:
        """The message ids of everything that this charger asked and that is on record."""
        query = select(frame.c.text).where(frame.c.charger_id == charger_id, frame.c.direction == "in")
        async with self._engine.connect() as connection:
            return {json.loads(text)[1] for text in (await connection.execute(query)).scalars()}


async def _put_down(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()
    await process.wait()


@pytest.fixture
async def town(database: str) -> AsyncIterator[Town]:
    """A database with the chargers CP-1 and CP-2."""
    engine = create_engine(database)
    async with AsyncExitStack() as stack:
        town = Town(database, engine, stack)
        await town.chargers.put_site(Site("site-1", "Site", "Europe/Berlin"))
        await town.register("CP-1", "CP-2")
        yield town
    await engine.dispose()
