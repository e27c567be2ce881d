"""Sockets between chargers and nodes, and the node's side of them (``csms.ports.CommandSender``).

In order on each socket; slow, cut at any moment, repeated by chargers that got no answer. A frame counts
when its transaction is committed; only then is it answered.
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

from csms.commands import Command, CommandAnswer
from csms.errors import CommandTimeout, ConnectionLost, NotConnectedHere
from csms.ports import LastLook
from storage.charger import SelfReport
from storage.events import ChargerBooted, ConnectionClosed, ConnectionOpened, Event, EventRecord
from storage.findings import FirmwareVersionRead
from tests.safety.clockwork import SimulatedLoop
from tests.safety.processes import Process
from tests.safety.station import Station
from tests.safety.stores import LEASE, Books

LONGEST_BACKOFF_S = 240.0
"""Chargers that find nobody try again after pauses that double up to this."""


@dataclass(slots=True)
class Noise:
    """How bad the network is."""

    rng: random.Random
    count: Callable[[str], None]
    lose_command: float = 0.0
    lose_answer: float = 0.0
    repeat: float = 0.0
    slow_commit: float = 0.0
    version_late: float = 0.0


class Socket:
    """One authenticated connection."""

    def __init__(self, hall: "Hall", node: "NodeEnd", station: Station, epoch: int) -> None:
        self.hall, self.node, self.station, self.epoch = hall, node, station, epoch
        self.open = True
        self.told: SelfReport | None = None
        self._arrives = 0.0
        self._pending = 0
        self._settled = asyncio.Event()
        self._settled.set()
        self._commits: asyncio.Queue[tuple[Event, datetime, str]] = asyncio.Queue()
        hall.works.append(hall.loop.create_task(self._commit_all()))

    # --- from the charger ------------------------------------------------------------------------

    def up(self, event: Event, observed_at: datetime, key: str) -> None:
        """A frame leaves the charger."""
        self._at(lambda: self._arrived(event, observed_at, key))
        if self.hall.noise.repeat and self.hall.rng.random() < self.hall.noise.repeat:
            self.hall.noise.count("message repeated")
            self._at(lambda: self._arrived(event, observed_at, key))

    def _at(self, act: Callable[[], None]) -> None:
        """In order: never before what was sent before."""
        loop = self.hall.loop
        self._arrives = max(self._arrives + 1e-6, loop.time() + self.hall.rng.uniform(0.005, 0.3))
        loop.call_at(self._arrives, act)

    def _arrived(self, event: Event, observed_at: datetime, key: str) -> None:
        if self.open and self.node.process.alive:
            self._pending += 1
            self._settled.clear()
            self._commits.put_nowait((event, observed_at, key))

    async def _commit_all(self) -> None:
        """The node's ingest: one transaction after another, the answer after each."""
        hall = self.hall
        while True:
            event, observed_at, key = await self._commits.get()
            pause = hall.rng.uniform(0.002, 0.02)
            if hall.noise.slow_commit and hall.rng.random() < hall.noise.slow_commit:
                hall.noise.count("commit slow")
                pause = hall.rng.uniform(0.5, 5.0)
            await asyncio.sleep(pause)
            await self.node.process.go_on()
            received = hall.loop.instant()
            record = EventRecord(self.station.name, event, observed_at, received, self.epoch, key)
            hall.books.ingest.apply(record)
            if isinstance(event, ChargerBooted):
                self.told = SelfReport(event.vendor, event.model, event.firmware_version)
                if event.firmware_version is None:
                    hall.loop.create_task(self._read_version(received))
            self._pending -= 1
            if not self._pending:
                self._settled.set()
            self._at_station(key)

    async def _read_version(self, booted_at: datetime) -> None:
        """The node asks for what the boot did not tell."""
        await asyncio.sleep(self.hall.rng.uniform(0.2, 3.0))
        if self.open and self.station.powered and self.node.process.alive:
            found = FirmwareVersionRead(self.station.version, booted_at, "FirmwareVersion", True)
            now = self.hall.loop.instant()
            record = EventRecord(self.station.name, found, now, now, self.epoch)
            self.hall.books.ingest.apply(record)

    def _at_station(self, key: str) -> None:
        if self.open:
            self.hall.loop.call_later(0.01, self.station.arrived, key)

    async def settled(self) -> None:
        """Every frame that came so far is committed."""
        while self._pending:
            await self._settled.wait()

    # --- its end ---------------------------------------------------------------------------------

    def broken(self) -> None:
        """It ends, at both ends; the node writes that down if it lives."""
        if not self.open:
            return
        self.open = False
        if self.station.line is self:
            self.station.disconnected()
        if self.node.sockets.get(self.station.name) is self:
            del self.node.sockets[self.station.name]
        self.hall.loop.create_task(self._write_end())

    async def _write_end(self) -> None:
        await asyncio.sleep(self.hall.rng.uniform(0.01, 1.0))
        await self.node.process.go_on()
        await self.settled()
        if await self.hall.books.routes.release(self.station.name, self.epoch):
            now = self.hall.loop.instant()
            ended = EventRecord(self.station.name, ConnectionClosed(1006, "gone"), now, now, self.epoch)
            self.hall.books.ingest.apply(ended)


@dataclass
class NodeEnd:
    """One node's sockets, and ``CommandSender`` over them."""

    hall: "Hall"
    node_id: str
    process: Process
    boot_id: str
    sockets: dict[str, Socket] = field(default_factory=dict)

    def _held(self, charger_id: str, epoch: int) -> Socket:
        socket = self.sockets.get(charger_id)
        if socket is None or socket.epoch != epoch or not socket.open:
            raise NotConnectedHere(charger_id, epoch)
        return socket

    async def settle(self, charger_id: str, session_epoch: int) -> None:
        await self.process.go_on()
        await self._held(charger_id, session_epoch).settled()
        await self.process.go_on()

    def supports_signed_update(self, charger_id: str, session_epoch: int) -> bool:
        self._held(charger_id, session_epoch)
        return True

    def told(self, charger_id: str, session_epoch: int) -> SelfReport | None:
        return self._held(charger_id, session_epoch).told

    async def send(
        self,
        charger_id: str,
        session_epoch: int,
        command: Command,
        *,
        deadline_s: float,
        last_look: LastLook | None = None,
    ) -> CommandAnswer:
        hall, noise = self.hall, self.hall.noise
        await self.process.go_on()
        socket = self._held(charger_id, session_epoch)
        route = await hall.books.routes.resolve(charger_id)
        if route is None or route.session_epoch != session_epoch:
            raise NotConnectedHere(charger_id, session_epoch)
        await asyncio.sleep(hall.rng.uniform(0.001, 0.01))
        await self.process.go_on()
        self._held(charger_id, session_epoch)
        if last_look is not None:
            await last_look()
        action = type(command).__name__
        hall.left(self, socket.station, command)
        if noise.lose_command and hall.rng.random() < noise.lose_command:
            noise.count("command lost")
            await self._in_vain(deadline_s)
            raise CommandTimeout(charger_id, action, deadline_s)
        answer: asyncio.Future[CommandAnswer] = hall.loop.create_future()
        hall.loop.call_later(hall.rng.uniform(0.005, 0.3), self._reach, socket, command, answer)
        try:
            async with asyncio.timeout(deadline_s):
                told = await answer
        except TimeoutError:
            await self.process.go_on()
            kind = CommandTimeout(charger_id, action, deadline_s)
            raise (ConnectionLost(charger_id, action) if not socket.open else kind) from None
        await self.process.go_on()
        return told

    async def _in_vain(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self.process.go_on()

    def _reach(self, socket: Socket, command: Command, answer: "asyncio.Future[CommandAnswer]") -> None:
        hall, station = self.hall, socket.station
        if not socket.open or not station.powered or station.line is not socket:
            return
        try:
            told: CommandAnswer | Exception = station.obey(command)
        except Exception as error:  # noqa: BLE001 - what the charger says is an answer, too
            told = error
        if hall.noise.lose_answer and hall.rng.random() < hall.noise.lose_answer:
            hall.noise.count("answer lost")
            return

        def arrive() -> None:
            if answer.done() or not socket.open:
                return
            if isinstance(told, Exception):
                answer.set_exception(told)
            else:
                answer.set_result(told)

        socket._at(arrive)


class Hall:
    """All nodes, and who is connected where."""

    def __init__(self, loop: SimulatedLoop, rng: random.Random, books: Books, noise: Noise) -> None:
        self.loop, self.rng, self.books, self.noise = loop, rng, books, noise
        self.nodes: dict[str, NodeEnd] = {}
        self.works: list[asyncio.Task[None]] = []
        self._booted: set[str] = set()
        """Who has restarted, and could not say so yet: whoever finds nobody for long does so when it does."""
        self.left: Callable[[NodeEnd, Station, Command], None] = lambda _node, _station, _command: None
        self.works.append(loop.create_task(self._renew()))

    def add(self, node_id: str, process: Process) -> NodeEnd:
        """A node begins, or begins anew."""
        node = NodeEnd(self, node_id, process, f"boot-{process.boot}")
        self.nodes[node_id] = node
        process.on_death.append(lambda: self._fell(node))
        return node

    def _fell(self, node: NodeEnd) -> None:
        """Its sockets are closed by its machine; nobody is left to write that down."""
        for socket in list(node.sockets.values()):
            socket.open = False
            if socket.station.line is socket:
                socket.station.disconnected()
                self.dial(socket.station)
        node.sockets.clear()

    async def _renew(self) -> None:
        """Nodes keep the routes of their sockets alive; chargers prove that they live."""
        while True:
            await asyncio.sleep(30.0)
            for node in self.nodes.values():
                if node.process.alive and node.process.frozen_until <= self.loop.time():
                    for name, socket in list(node.sockets.items()):
                        if self.books.routes.renew(name, socket.epoch):
                            self._heard(name)
                        else:
                            socket.broken()  # It has another by now.

    def _heard(self, name: str) -> None:
        view = self.books.chargers.rows[name]
        self.books.chargers.rows[name] = replace(view, last_message_at=self.loop.instant())

    def dial(self, station: Station, *, restarted: bool = False) -> None:
        """It tries to connect, after a while, until it is; ``restarted``: it says first that it booted."""
        if restarted:
            self._booted.add(station.name)
        self.loop.create_task(self._dial(station, restarted))

    async def _dial(self, station: Station, restarted: bool) -> None:
        pause = max(self.rng.uniform(0.1, 20.0), station.nature.offline_until - self.loop.time())
        await asyncio.sleep(pause)
        tries = 0
        while station.powered and not station.dead and station.line is None:
            alive = [
                node
                for node in self.nodes.values()
                if node.process.alive and node.process.frozen_until <= self.loop.time()
            ]
            if alive:
                node = self.rng.choice(alive)
                in_vain = tries > 0 and station.name in self._booted
                await self._connect(node, station, restarted or in_vain)
                return
            await asyncio.sleep(min(self.rng.uniform(1.0, 5.0) * 2**tries, LONGEST_BACKOFF_S))
            tries += 1

    async def _connect(self, node: NodeEnd, station: Station, restarted: bool) -> None:
        name = station.name
        self._booted.discard(name)
        route = await self.books.routes.claim(name, node.node_id, node.boot_id, station.dialect, LEASE)
        for other in self.nodes.values():  # Newest authenticated socket wins.
            old = other.sockets.pop(name, None)
            if old is not None:
                old.open = False
        socket = Socket(self, node, station, route.session_epoch)
        node.sockets[name] = socket
        now = self.loop.instant()
        opened = ConnectionOpened(station.dialect, 2, "192.0.2.1", node.node_id)
        self.books.ingest.apply(EventRecord(name, opened, now, now, socket.epoch))
        station.connected(socket, restarted=restarted)
