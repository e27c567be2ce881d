"""One socket and the queue behind it, without a network."""

import asyncio
import itertools
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from websockets.exceptions import ConnectionClosedError

from csms.simulator.concurrency import cancel
from csms.simulator.errors import CallRefused, LinkLost
from csms.simulator.faults import Afflictions
from csms.simulator.gate import Gate
from csms.simulator.ledger import ChargerLedger
from csms.simulator.link import Link, Reply, Weather
from csms.simulator.outbox import Outbox, Outgoing
from csms.simulator.wire import Message

HELLO = Message("Hello", {"x": 1})


class FakeSocket:
    """Two queues: what arrives, what left."""

    def __init__(self) -> None:
        self.arriving: asyncio.Queue[Any] = asyncio.Queue()
        self.left: asyncio.Queue[list[Any]] = asyncio.Queue()
        self.closed = False

    async def recv(self) -> str | bytes:
        frame = await self.arriving.get()
        if frame is None:
            raise ConnectionClosedError(None, None)
        return frame if isinstance(frame, str | bytes) else orjson.dumps(frame)

    async def send(self, message: str) -> None:
        if self.closed:
            raise ConnectionClosedError(None, None)
        self.left.put_nowait(orjson.loads(message))


def calm() -> Weather:
    return Weather(Afflictions(), Gate(), random.Random(1))


def account() -> ChargerLedger:
    return ChargerLedger("C1", "a", "p", "1.0", "run-", lambda: datetime.now(UTC))


def answerer(action: str, payload: dict[str, Any]) -> Reply:
    if action == "Bad":
        return Reply({}, error=("NotImplemented", "no"))
    return Reply({"echo": payload})


@asynccontextmanager
async def linked(timeout_s: float = 5) -> AsyncIterator[tuple[FakeSocket, Link, ChargerLedger]]:
    socket, book = FakeSocket(), account()
    link = Link(socket, answerer, book, calm(), timeout_s)
    task = asyncio.create_task(link.serve())
    yield socket, link, book
    await cancel(task)


async def test_a_call_waits_for_the_answer_with_its_id() -> None:
    async with linked() as (socket, link, book):
        call = asyncio.create_task(link.call(HELLO, 7))
        assert await socket.left.get() == [2, "run-7", "Hello", {"x": 1}]
        for noise in (b"not json", [], [3], {"a": 1}, [3, "other", {}], [5, "run-7", "x", "", {}]):
            socket.arriving.put_nowait(noise)
        socket.arriving.put_nowait([3, "run-7", {"ok": True}])
        assert await call == {"ok": True}
        assert book.acknowledged == {"Hello": 1}
        assert book.acknowledged_numbers.text() == "7"


async def test_one_call_at_a_time_while_the_servers_calls_are_answered() -> None:
    async with linked() as (socket, link, _):
        first = asyncio.create_task(link.call(HELLO, 1))
        second = asyncio.create_task(link.call(HELLO, 2))
        await socket.left.get()
        socket.arriving.put_nowait([2, "s1", "Good", {"a": 1}])
        socket.arriving.put_nowait([2, "s2", "Bad", {}])
        assert await socket.left.get() == [3, "s1", {"echo": {"a": 1}}]
        assert await socket.left.get() == [4, "s2", "NotImplemented", "no", {}]
        assert socket.left.empty()
        socket.arriving.put_nowait([3, "run-1", {}])
        assert (await socket.left.get())[1] == "run-2"
        socket.arriving.put_nowait([3, "run-2", {}])
        assert await asyncio.gather(first, second) == [{}, {}]


async def test_a_callerror_is_raised_and_not_acknowledged() -> None:
    async with linked() as (socket, link, book):
        call = asyncio.create_task(link.call(HELLO, 1))
        await socket.left.get()
        socket.arriving.put_nowait([4, "run-1", "InternalError"])
        with pytest.raises(CallRefused, match=r"Hello.*InternalError"):
            await call
        assert not book.acknowledged
        assert book.refused == {"Hello": 1}


async def test_silence_and_a_closed_socket_lose_the_link() -> None:
    async with linked(timeout_s=0.01) as (_, link, book):
        with pytest.raises(LinkLost, match="No answer to Hello"):
            await link.call(HELLO, 1)
        assert book.sent == {"Hello": 1}
    socket = FakeSocket()
    socket.closed = True
    with pytest.raises(LinkLost):
        await Link(socket, answerer, account(), calm(), 1).call(HELLO, 1)
    socket.arriving.put_nowait(None)
    with pytest.raises(LinkLost):
        await Link(socket, answerer, account(), calm(), 1).serve()


@pytest.mark.parametrize(("same_id", "ids"), [(True, ["run-1", "run-1"]), (False, ["run-1", "run-2"])])
async def test_what_was_not_answered_is_sent_again(same_id: bool, ids: list[str]) -> None:
    numbers = itertools.count(1)
    outbox = Outbox(lambda: next(numbers), same_id=same_id)
    outbox.put(Outgoing(lambda: HELLO, durable=True))
    seen = []
    for answered in (False, True):
        async with linked() as (socket, link, _):
            draining = asyncio.create_task(outbox.drain(link))
            seen.append((await socket.left.get())[1])
            if answered:
                socket.arriving.put_nowait([3, seen[-1], {}])
                assert await outbox.flushed(5)
            await cancel(draining)
    assert seen == ids


async def test_a_power_cut_keeps_what_is_durable_and_a_lost_connection_only_drops_questions() -> None:
    answers: list[Any] = []
    outbox = Outbox(lambda: 1, same_id=False)
    outbox.put(Outgoing(lambda: Message("Ask", {}), asks=True, on_answer=answers.append))
    outbox.put(Outgoing(lambda: Message("Status", {})))
    outbox.put(Outgoing(lambda: Message("Session", {}), durable=True))
    outbox.connection_lost()
    assert answers == [None]
    outbox.power_lost()
    async with linked() as (socket, link, _):
        draining = asyncio.create_task(outbox.drain(link))
        assert (await socket.left.get())[2] == "Session"
        socket.arriving.put_nowait([3, "run-1", {}])
        assert await outbox.flushed(5)
        assert socket.left.empty()
        await cancel(draining)
