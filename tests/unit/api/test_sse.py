"""The event stream: everything once, in order, from any point on; bounded, and closed with its reader."""

import asyncio
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import orjson
import pytest

from api.errors import TooManyStreams
from api.ports import ApiLimits
from api.sse import StreamBounds, StreamSeats, event_stream
from storage.access import Role
from storage.errors import EngineUnavailable
from storage.events import EventKind, StoredEvent
from tests.support.house import NOW, House, plan_json
from tests.support.memory import MemoryEvents

LONG = StreamBounds(life=60.0, keep_alive=60.0)
ONCE = StreamBounds(life=0.0, keep_alive=60.0)


def event(sequence: int, charger_id: str = "A") -> StoredEvent:
    return StoredEvent(sequence, charger_id, EventKind.HEARTBEAT_RECEIVED, {}, NOW, NOW)


def ids(text: str) -> list[int]:
    return [int(found) for found in re.findall(r"^id: (\d+)\nevent:", text, re.MULTILINE)]


async def take(stream: AsyncGenerator[bytes, None], count: int) -> str:
    """Read until so many events arrived."""
    text = ""
    while len(ids(text)) < count:
        text += (await anext(stream)).decode()
    return text


async def test_a_stream_starts_after_the_given_event_and_then_follows() -> None:
    store = MemoryEvents()
    for sequence in (1, 2, 3):
        store.add(event(sequence))
    async with aclosing(event_stream(store, 1, lambda _: True, LONG)) as stream:
        backlog = await take(stream, 2)
        store.add(event(4))
        later = await take(stream, 1)

    assert ids(backlog + later) == [2, 3, 4]


async def test_an_event_on_the_wire_is_whole() -> None:
    store = MemoryEvents()
    store.add(event(7))
    text = b"".join([part async for part in event_stream(store, 0, lambda _: True, ONCE)]).decode()

    data = orjson.loads(re.findall(r"^data: (.*)$", text, re.MULTILINE)[0])
    assert text.startswith("retry: ")
    assert "event: heartbeat_received\n" in text
    assert (data["sequence"], data["charger_id"]) == (7, "A")
    assert data["received_at"] == "2026-11-20T12:00:00Z"


async def test_what_is_not_wanted_is_left_out_and_silence_still_moves_the_reader_on() -> None:
    store = MemoryEvents()
    for sequence, charger in ((1, "A"), (2, "B"), (3, "A"), (4, "B")):
        store.add(event(sequence, charger))
    bounds = StreamBounds(life=60.0, keep_alive=0.0)
    text = ""
    async with aclosing(event_stream(store, 0, lambda e: e.charger_id == "A", bounds)) as stream:
        async for part in stream:
            text += part.decode()
            if "keep-alive" in text:
                break

    assert ids(text) == [1, 3]
    assert ": keep-alive\nid: 4\n\n" in text


async def test_more_than_a_batch_arrives_without_gaps() -> None:
    store = MemoryEvents()
    store.all = [event(sequence) for sequence in range(1, 1302)]
    text = b"".join([part async for part in event_stream(store, 0, lambda _: True, ONCE)]).decode()

    assert ids(text) == list(range(1, 1302))


async def test_a_closed_stream_listens_no_longer() -> None:
    store = MemoryEvents()
    stream = event_stream(store, 0, lambda _: True, LONG)
    store.add(event(1))
    await take(stream, 1)
    assert store.listeners == 1
    await stream.aclose()

    assert store.listeners == 0


async def test_a_cancelled_reader_listens_no_longer() -> None:
    store = MemoryEvents()
    store.add(event(1))
    started = asyncio.Event()

    async def read() -> None:
        async with aclosing(event_stream(store, 0, lambda _: True, LONG)) as stream:
            await take(stream, 1)
            started.set()
            await anext(stream)

    task = asyncio.create_task(read())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert store.listeners == 0


async def test_a_stream_ends_when_its_engine_is_away_and_the_reader_resumes() -> None:
    class Away(MemoryEvents):
        async def after(self, sequence: int, *, limit: int = 500) -> Any:
            raise EngineUnavailable("PostgreSQL does not answer.")

    parts = [part async for part in event_stream(Away(), 0, lambda _: True, LONG)]

    assert parts == [b"retry: 2000\n\n"]


async def test_a_store_that_stops_waking_ends_the_stream() -> None:
    class Ended(MemoryEvents):
        @asynccontextmanager
        async def changes(self) -> Any:
            async def none() -> Any:
                return
                yield

            yield none()

    parts = [part async for part in event_stream(Ended(), 0, lambda _: True, LONG)]

    assert parts == [b"retry: 2000\n\n"]


class Count:
    value = 0.0

    def inc(self, amount: float = 1) -> None:
        self.value += amount

    def dec(self, amount: float = 1) -> None:
        self.value -= amount


async def endless() -> AsyncGenerator[bytes, None]:
    while True:
        yield b"x"


async def test_a_seat_is_taken_while_a_stream_runs_and_free_after() -> None:
    gauge = Count()
    seats = StreamSeats(1, gauge)
    first = seats.seated(endless())
    await anext(first)

    with pytest.raises(TooManyStreams):
        seats.seated(endless())
    assert gauge.value == 1
    await first.aclose()
    assert gauge.value == 0
    await anext(seats.seated(endless()))


def short() -> House:
    return House(limits=ApiLimits(stream_seconds=0.0))


@pytest.mark.requirement("F105")
async def test_over_http_a_resumed_stream_replays_and_ends_in_time() -> None:
    house = short()
    for sequence in (1, 2, 3):
        house.add_event("A", EventKind.HEARTBEAT_RECEIVED, sequence)
    async with house.client(Role.VIEWER) as client:
        fresh = await client.get("/api/v1/events")
        resumed = await client.get("/api/v1/events", headers={"Last-Event-ID": "1"})
        wrong = await client.get("/api/v1/events", headers={"Last-Event-ID": "x"})

    assert resumed.headers["content-type"].startswith("text/event-stream")
    assert resumed.headers["x-accel-buffering"] == "no"
    assert (ids(fresh.text), ids(resumed.text)) == ([], [2, 3])
    assert wrong.status_code == 422
    assert house.app.state.metrics.streams._value.get() == 0


async def test_over_http_a_stream_is_narrowed_to_a_charger_or_a_campaign() -> None:
    house = short()
    house.add_site()
    for number in range(4):
        house.add_charger(f"CP-{number}")
    artifact = house.add_artifact("1.1.0", counter=2)
    targets = {"charger_ids": ["CP-0", "CP-1", "CP-2", "CP-3"]}
    async with house.client(Role.RELEASE_MANAGER) as client:
        body = (await client.post("/api/v1/campaigns", json=plan_json(artifact, targets=targets))).json()
        for sequence, charger in enumerate(("CP-0", "ELSE", "CP-1"), start=1):
            house.add_event(charger, EventKind.HEARTBEAT_RECEIVED, sequence)
        resume = {"Last-Event-ID": "0"}
        one = await client.get("/api/v1/events", params={"charger_id": "ELSE"}, headers=resume)
        params = {"campaign_id": body["campaign_id"]}
        campaign = await client.get("/api/v1/events", params=params, headers=resume)
        both = await client.get("/api/v1/events", params={**params, "charger_id": "ELSE"}, headers=resume)
        missing = await client.get("/api/v1/events", params={"campaign_id": "none"})

    assert (ids(one.text), ids(campaign.text), ids(both.text)) == ([2], [1, 3], [])
    assert missing.status_code == 404


async def test_without_a_free_seat_a_reader_is_told_to_come_back() -> None:
    house = House(limits=ApiLimits(streams=0))
    async with house.client(Role.VIEWER) as client:
        answer = await client.get("/api/v1/events")

    assert answer.status_code == 503
    assert answer.json()["type"] == "/problems/too-many-streams"
    assert "retry-after" in answer.headers
