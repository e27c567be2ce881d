"""A session's world in memory: a store that keeps everything, a socket pair, a clock that obeys."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from csms.dialect import Dialect
from csms.frames import OCPP16
from csms.gateway import DIALECTS
from csms.inbound import SessionTools
from csms.ingest import Ingest, IngestOptions
from csms.journal import SessionJournal
from csms.lease import Lease
from csms.metrics import CsmsMetrics
from csms.projection import project
from csms.quirks.catalogue import CATALOGUE
from csms.quirks.quirk import Adaptation
from csms.secrets import hash_secret
from csms.session import Session
from csms.transport import TransportClosed
from storage.errors import EngineUnavailable
from storage.events import Event, EventRecord, FrameRecord, StoredEvent
from storage.ports import Projector
from storage.twin import TwinState

START = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@dataclass
class ManualClock:
    """A clock that only moves when told."""

    now: datetime = START

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@dataclass
class KeepingStore:
    """Keeps what is committed; ``away`` refuses so often, ``gate`` waits, ``poison`` refuses one charger."""

    frames: list[FrameRecord] = field(default_factory=list)
    events: list[EventRecord] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)
    twins: dict[str, TwinState] = field(default_factory=dict)
    keys: set[tuple[str, str]] = field(default_factory=set)
    away: int = 0
    poison: str | None = None
    gate: asyncio.Event | None = None
    committing: asyncio.Event = field(default_factory=asyncio.Event)

    async def commit(
        self, frames: Sequence[FrameRecord], events: Sequence[EventRecord], project: Projector
    ) -> Sequence[StoredEvent]:
        self.committing.set()
        if self.gate is not None:
            await self.gate.wait()
        if self.away:
            self.away -= 1
            raise EngineUnavailable("the store is away")
        if self.poison and any(record.charger_id == self.poison for record in (*frames, *events)):
            raise ValueError("this cannot be stored")
        self.batches.append(len(frames) + len(events))
        self.frames.extend(frames)
        for event in events:
            self._keep(event, project)
        return ()

    def _keep(self, event: EventRecord, project: Projector) -> None:
        if event.dedupe_key is not None:
            if (event.charger_id, event.dedupe_key) in self.keys:
                return
            self.keys.add((event.charger_id, event.dedupe_key))
        self.events.append(event)
        before = self.twins.get(event.charger_id, TwinState(event.charger_id))
        self.twins[event.charger_id] = project(before, event)

    def facts(self, kind: type[Any]) -> list[Any]:
        """The events of one kind, in order."""
        return [record.event for record in self.events if isinstance(record.event, kind)]

    def journal(self, direction: str) -> list[str]:
        """The texts of the frames in one direction."""
        answers = [frame.answer for frame in self.frames if frame.answer is not None]
        return [frame.text for frame in self.frames if frame.direction == direction] + (
            answers if direction == "out" else []
        )


@dataclass
class KeepingIds:
    """Transaction ids as the port wants them: the same key, the same id."""

    ids: dict[tuple[str, str], int] = field(default_factory=dict)
    away: bool = False

    async def allot(self, charger_id: str, start_key: str) -> int:
        if self.away:
            raise EngineUnavailable("the store is away")
        return self.ids.setdefault((charger_id, start_key), len(self.ids) + 1)


class SocketPair:
    """Both ends of one socket: the session holds this object, the test speaks as the charger."""

    def __init__(self) -> None:
        self._to_node: asyncio.Queue[str | bytes | TransportClosed] = asyncio.Queue()
        self._to_charger: asyncio.Queue[str] = asyncio.Queue()
        self.closed: TransportClosed | None = None
        self.take: Callable[[str], bool] | None = None
        """As a WebSocket does, it offers a message that nothing stands before."""
        self._ended = asyncio.Event()

    async def receive(self) -> str | bytes:
        got = await self._to_node.get()
        if isinstance(got, TransportClosed):
            self.closed = got
            raise got
        return got

    async def send(self, text: str) -> None:
        if self.closed:
            raise self.closed
        await self._to_charger.put(text)

    async def pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._ended.wait(), seconds)
        except TimeoutError:
            return

    def post(self, text: str) -> bool:
        if self.closed is None:
            self._to_charger.put_nowait(text)
        return self.closed is None

    async def close(self, code: int, reason: str) -> None:
        self.hang_up(code, reason)

    def hang_up(self, code: int = 1001, reason: str = "") -> None:
        self.closed = self.closed or TransportClosed(code, reason)
        self._ended.set()
        self._to_node.put_nowait(self.closed)

    def say(self, *frame: Any) -> None:
        """A frame from the charger."""
        self.say_raw(json.dumps(frame))

    def say_raw(self, raw: str | bytes) -> None:
        offered = self.take and isinstance(raw, str) and not self.unread
        if not (offered and self.take(raw)):
            self._to_node.put_nowait(raw)

    async def hear(self) -> Any:
        """The next frame to the charger."""
        return json.loads(await asyncio.wait_for(self._to_charger.get(), 5))

    async def ask(self, *frame: Any) -> Any:
        self.say(*frame)
        return await self.hear()

    @property
    def unread(self) -> int:
        """Frames of the charger that the session has not taken yet."""
        return self._to_node.qsize()

    @property
    def unheard(self) -> int:
        return self._to_charger.qsize()


@dataclass
class World:
    """One session under test and everything around it."""

    session: Session
    socket: SocketPair
    store: KeepingStore
    ids: KeepingIds
    ingest: Ingest
    clock: ManualClock
    running: asyncio.Task[TransportClosed]

    @property
    def twin(self) -> TwinState:
        return self.store.twins.get(self.session.charger_id, TwinState(self.session.charger_id))

    async def hung_up(self) -> TransportClosed:
        self.socket.hang_up()
        return await asyncio.wait_for(self.running, 5)


def make_session(
    dialect: Dialect,
    socket: SocketPair,
    ingest: Ingest,
    ids: KeepingIds,
    clock: ManualClock,
    *,
    lease: Lease | None = None,
    **changes: Any,
) -> Session:
    """``changes``: fields of SessionTools."""
    numbers = itertools.count(1)
    tools = SessionTools(
        ingest,
        ids,
        clock,
        lambda: f"m{next(numbers)}",
        lambda: 77,
        lambda token: hash_secret(b"pepper", token).hex(),
        60,
        CsmsMetrics(),
    )
    journal = SessionJournal("CP-1", 1, ingest, clock)
    return Session(journal, dialect, socket, replace(tools, **changes), Adaptation(CATALOGUE), lease)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def store() -> KeepingStore:
    return KeepingStore()


FAST = IngestOptions(interval_s=0, pause_s=0, first_backoff_s=0.001, max_backoff_s=0.001)


@pytest.fixture
async def ingest(store: KeepingStore) -> AsyncIterator[Ingest]:
    ingest = Ingest(store, project, FAST, CsmsMetrics())
    ingest.start()
    yield ingest
    await ingest.stop(5)


MakeWorld = Callable[[str], Awaitable[World]]


@asynccontextmanager
async def open_world(
    dialect: str, store: KeepingStore, clock: ManualClock, **tools: Any
) -> AsyncIterator[World]:
    """A session in a dialect, closed at the end."""
    ingest = Ingest(store, project, FAST, CsmsMetrics())
    ingest.start()
    socket, ids = SocketPair(), KeepingIds()
    session = make_session(DIALECTS[dialect], socket, ingest, ids, clock, **tools)
    socket.take = session.take_now
    running = asyncio.create_task(session.run())
    try:
        yield World(session, socket, store, ids, ingest, clock, running)
    finally:
        socket.hang_up()
        await ingest.stop(0.1)
        await asyncio.wait({running}, timeout=5)


OpenWorld = Callable[..., AbstractAsyncContextManager[World]]


@pytest.fixture(scope="session")
def opened_world() -> OpenWorld:
    """For tests that open many worlds, each in a loop of its own."""

    def opened(dialect: str, **tools: Any) -> AbstractAsyncContextManager[World]:
        return open_world(dialect, KeepingStore(), ManualClock(), **tools)

    return opened


@pytest.fixture
async def make_world(store: KeepingStore, clock: ManualClock) -> AsyncIterator[MakeWorld]:
    """Opens a session in a dialect, and closes it at the end of the test."""
    async with AsyncExitStack() as stack:

        async def make(dialect: str = OCPP16, **tools: Any) -> World:
            return await stack.enter_async_context(open_world(dialect, store, clock, **tools))

        yield make


@pytest.fixture
def record(clock: ManualClock) -> Callable[..., EventRecord]:
    """An event in its envelope, received now unless told otherwise."""

    def make(
        event: Event, observed_at: datetime | None = None, received_at: datetime | None = None
    ) -> EventRecord:
        received = received_at or clock.now
        return EventRecord("CP-1", event, observed_at or received, received, 1)

    return make
