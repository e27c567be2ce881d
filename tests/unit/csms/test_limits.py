import asyncio
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from csms.limits import Arrival, Arrivals, Doorway, Rate, TokenBucket
from storage.events import ChargerThrottled, HeartbeatReceived


@dataclass
class Monotonic:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_passes_and_then_the_rate_counts() -> None:
    clock = Monotonic()
    bucket = TokenBucket(Rate(per_s=10, burst=3), clock)
    assert [bucket.take() for _ in range(3)] == [0, 0, 0]
    assert bucket.take() == pytest.approx(0.1)
    assert bucket.take() == pytest.approx(0.2)
    clock.now = 0.5
    assert bucket.full
    assert bucket.take(13) == pytest.approx(1.0), "a long message counts for several"


def test_no_rate_is_no_limit() -> None:
    bucket = TokenBucket(Rate(0, 0), Monotonic())
    assert bucket.take(1000) == 0
    assert bucket.try_take()


@settings(max_examples=50)
@given(st.lists(st.floats(0, 2), max_size=60), st.floats(0.5, 20), st.integers(1, 20))
def test_never_more_than_the_burst_and_the_rate_allow(pauses: list[float], per_s: float, burst: int) -> None:
    clock = Monotonic()
    bucket = TokenBucket(Rate(per_s, burst), clock)
    passed = 0
    for pause in pauses:
        clock.now += pause
        passed += bucket.try_take()
    assert passed <= burst + per_s * clock.now + 1e-6


def test_an_episode_of_too_many_sockets_is_told_once_and_ends_with_quiet() -> None:
    clock = Monotonic()
    arrivals = Arrivals(Rate(per_s=1, burst=2), clock)
    assert [arrivals.admit("A") for _ in range(4)] == [
        Arrival.WELCOME, Arrival.WELCOME, Arrival.TOO_OFTEN, Arrival.STILL_TOO_OFTEN,
    ]  # fmt: skip
    assert arrivals.admit("B") is Arrival.WELCOME, "nobody else is held up"
    clock.now = 1.0
    assert arrivals.admit("A") is Arrival.WELCOME, "it is never locked out"
    assert arrivals.admit("A") is Arrival.STILL_TOO_OFTEN
    clock.now = 10.0
    assert [arrivals.admit("A") for _ in range(3)][-1] is Arrival.TOO_OFTEN


def test_arrivals_are_forgotten_rather_than_kept_for_ever() -> None:
    arrivals = Arrivals(Rate(per_s=1, burst=1), Monotonic(), max_keys=2)
    assert arrivals.admit("A") is Arrival.WELCOME
    assert arrivals.admit("A") is Arrival.TOO_OFTEN
    for key in ("B", "C"):
        arrivals.admit(key)
    assert arrivals.admit("A") is Arrival.WELCOME


def test_the_door_counts_each_address() -> None:
    door = Doorway(2)
    assert [door.enter("a"), door.enter("a"), door.enter("a"), door.enter("b")] == [True, True, False, True]
    door.leave("a")
    assert door.enter("a")
    assert all(Doorway(0).enter("a") for _ in range(5))


# What a session makes of its rate.


async def test_a_flood_is_read_more_slowly_loses_nothing_and_is_told_once(make_world: Any) -> None:
    world = await make_world(rate=Rate(per_s=100_000, burst=5), monotonic=Monotonic())
    for number in range(60):
        world.socket.say(2, str(number), "Heartbeat", {})
    assert [(await world.socket.hear())[1] for _ in range(60)] == [str(number) for number in range(60)]
    await world.session.settled()
    assert len(world.store.facts(HeartbeatReceived)) == 60
    assert world.store.facts(ChargerThrottled) == [ChargerThrottled("messages", 100_000)]


async def test_a_flood_waits_in_its_own_socket(make_world: Any) -> None:
    clock = Monotonic()
    world = await make_world(rate=Rate(per_s=0.001, burst=3.5), monotonic=clock)
    for number in range(20):
        world.socket.say(2, str(number), "Heartbeat", {})
    heard = [(await world.socket.hear())[1] for _ in range(4)]
    assert heard == ["0", "1", "2", "3"], "the one that ran into debt is answered as well"
    for _ in range(20):
        await asyncio.sleep(0)
    assert world.socket.unheard == 0


async def test_long_frames_wait_in_the_socket_rather_than_in_memory(make_world: Any) -> None:
    world = await make_world()
    world.store.gate = asyncio.Event()
    for number in range(10):
        world.socket.say(2, str(number), "DataTransfer", {"vendorId": "V", "data": "x" * 400_000})
    await asyncio.wait_for(world.store.committing.wait(), 5)
    for _ in range(20):
        await asyncio.sleep(0)
    assert world.socket.unread >= 5
    world.store.gate.set()
    assert [(await world.socket.hear())[1] for _ in range(10)] == [str(number) for number in range(10)]
