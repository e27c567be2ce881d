import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from csms.commands import Reset, ResetKind
from csms.errors import ConnectionLost, NotConnectedHere
from csms.lease import SURE_S, Lease
from storage.events import CommandSent, HeartbeatReceived

RESET = Reset(ResetKind.ON_IDLE)


@dataclass
class Monotonic:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Held:
    """A lease of 30 s and the hand on its clock."""

    monotonic: Monotonic = field(default_factory=Monotonic)
    asked: int = 0
    asking: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.lease = Lease(0.0, 30.0, self.monotonic, self._ask)

    def _ask(self) -> None:
        self.asked += 1
        self.asking.set()

    async def until_asked(self) -> None:
        await asyncio.wait_for(self.asking.wait(), 5)


@pytest.fixture
def held() -> Held:
    return Held()


async def test_while_it_is_good_nobody_waits_or_asks(held: Held) -> None:
    held.monotonic.now = 29.9
    assert await held.lease.held()
    assert held.asked == 0


async def test_one_that_ran_out_is_asked_for_and_waited_for(held: Held) -> None:
    held.monotonic.now = 30.0
    assert not held.lease.good
    waiting = [asyncio.create_task(held.lease.held()) for _ in range(3)]
    await asyncio.sleep(0)
    assert held.asked == 3
    held.lease.extend(30.0)
    assert await asyncio.gather(*waiting) == [True, True, True]


async def test_a_renewal_that_came_too_late_to_count_is_no_renewal(held: Held) -> None:
    held.monotonic.now = 100.0
    waiting = asyncio.create_task(held.lease.held())
    await asyncio.sleep(0)
    held.lease.extend(30.0)
    for _ in range(3):
        await asyncio.sleep(0)
    assert not waiting.done()
    held.lease.extend(100.0)
    assert await waiting


async def test_one_that_was_lost_never_comes_back(held: Held) -> None:
    held.monotonic.now = 30.0
    waiting = asyncio.create_task(held.lease.held())
    await asyncio.sleep(0)
    held.lease.lose()
    assert not await waiting
    held.lease.extend(1000.0)
    assert not held.lease.good
    assert not await held.lease.held()


async def test_who_gives_up_waiting_does_not_take_the_others_with_him(held: Held) -> None:
    held.monotonic.now = 30.0
    impatient, patient = (asyncio.create_task(held.lease.held()) for _ in range(2))
    await asyncio.sleep(0)
    impatient.cancel()
    await asyncio.wait({impatient})
    held.lease.extend(30.0)
    assert await patient


async def test_a_command_may_rest_on_what_the_store_said_a_moment_ago_and_no_longer(held: Held) -> None:
    assert held.lease.sure
    held.monotonic.now = SURE_S
    assert held.lease.good
    assert not held.lease.sure
    held.lease.extend(SURE_S)
    assert held.lease.sure
    held.lease.lose()
    assert not held.lease.sure


# What a session makes of it.


async def test_an_answer_waits_for_the_renewal_and_its_facts_do_not(make_world: Any, held: Held) -> None:
    world = await make_world(lease=held.lease)
    held.monotonic.now = 31.0
    world.socket.say(2, "1", "Heartbeat", {})
    await held.until_asked()
    assert world.store.facts(HeartbeatReceived), "what a charger tells is kept, whoever holds its route"
    assert world.socket.unheard == 0
    held.lease.extend(31.0)
    assert (await world.socket.hear())[:2] == [3, "1"]


async def test_a_charger_that_moved_on_is_not_answered_by_the_node_it_left(
    make_world: Any, held: Held
) -> None:
    world = await make_world(lease=held.lease)
    held.monotonic.now = 31.0
    world.socket.say(2, "1", "Heartbeat", {})
    await held.until_asked()
    world.session.retire()
    await asyncio.wait_for(world.session.settled(), 5)
    assert world.store.facts(HeartbeatReceived)
    assert world.socket.unheard == 0


async def test_a_command_waits_for_the_renewal_before_it_is_recorded(make_world: Any, held: Held) -> None:
    world = await make_world(lease=held.lease)
    held.monotonic.now = 31.0
    sending = asyncio.create_task(world.session.send(RESET, 5))
    await held.until_asked()
    assert world.store.facts(CommandSent) == []
    held.lease.extend(31.0)
    assert (await world.socket.hear())[2] == "Reset"
    world.socket.say(3, "m1", {"status": "Accepted"})
    await sending


@pytest.mark.parametrize("lost", [True, False])
async def test_a_command_is_refused_where_the_lease_is_lost_or_stays_in_doubt(
    make_world: Any, held: Held, lost: bool
) -> None:
    world = await make_world(lease=held.lease)
    held.monotonic.now = 31.0
    sending = asyncio.create_task(world.session.send(RESET, 0.05))
    await held.until_asked()
    if lost:
        world.session.retire()
    with pytest.raises(NotConnectedHere):
        await sending
    assert world.store.facts(CommandSent) == []
    assert world.socket.unheard == 0


async def test_a_command_whose_record_took_until_the_charger_moved_on_is_not_sent(make_world: Any) -> None:
    world = await make_world()
    world.store.gate = asyncio.Event()
    sending = asyncio.create_task(world.session.send(RESET, 5))
    await asyncio.wait_for(world.store.committing.wait(), 5)
    world.session.retire()
    world.store.gate.set()
    with pytest.raises(Exception, match="disconnected before"):
        await sending
    assert world.socket.unheard == 0


@pytest.mark.requirement("X1")
async def test_a_look_during_which_the_lease_ran_out_is_taken_again(make_world: Any, held: Held) -> None:
    world = await make_world(lease=held.lease)
    looks: list[float] = []

    async def look() -> None:
        looks.append(held.monotonic.now)
        if len(looks) == 1:
            held.monotonic.now = 31.0

    sending = asyncio.create_task(world.session.send(RESET, 5, look))
    await held.until_asked()
    assert world.socket.unheard == 0
    held.monotonic.now = 40.0
    held.lease.extend(40.0)
    assert (await world.socket.hear())[2] == "Reset"
    assert looks == [0.0, 40.0], "what was seen before the wait counts no more"
    world.socket.say(3, "m1", {"status": "Accepted"})
    await sending


async def test_a_command_is_not_sent_once_the_lease_ends_under_the_last_look(
    make_world: Any, held: Held
) -> None:
    world = await make_world(lease=held.lease)

    async def look() -> None:
        held.lease.lose()

    with pytest.raises(ConnectionLost):
        await world.session.send(RESET, 5, look)
    assert world.socket.unheard == 0


@pytest.mark.requirement("X1")
async def test_a_command_that_was_given_up_does_not_make_settling_blind(make_world: Any) -> None:
    world = await make_world()
    world.store.gate = asyncio.Event()
    world.socket.say(2, "1", "Heartbeat", {})
    await asyncio.wait_for(world.store.committing.wait(), 5)
    with pytest.raises(Exception, match="did not answer"):
        await world.session.send(RESET, 0.01)
    settling = asyncio.create_task(world.session.journal.stored())
    for _ in range(5):
        await asyncio.sleep(0)
    assert not settling.done()
    world.store.gate.set()
    await asyncio.wait_for(settling, 5)
    assert world.store.facts(HeartbeatReceived)
