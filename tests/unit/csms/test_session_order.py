"""The order of what comes in, whether it is taken in the read that brings it or waits for its turn."""

import asyncio
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from csms.frames import OCPP16
from csms.limits import Rate
from storage.events import ChargerThrottled

BOOT16 = {"chargePointVendor": "V", "chargePointModel": "M", "firmwareVersion": "1.0"}


async def test_frames_are_served_in_the_order_they_came(make_world: Any) -> None:
    world = await make_world()
    for number in range(200):
        world.socket.say(2, str(number), "Heartbeat", {})
    heard = [(await world.socket.hear())[1] for _ in range(200)]
    assert heard == [str(number) for number in range(200)]


@given(
    st.lists(
        st.tuples(st.sampled_from(["Heartbeat", "BootNotification", "?"]), st.integers(0, 6)), max_size=30
    )
)
@settings(max_examples=60)
def test_however_messages_fall_into_a_sessions_work_they_keep_their_order(
    opened_world: Any, messages: list[tuple[str, int]]
) -> None:
    """Some are taken in the read that brings them, others wait for their turn."""

    async def run() -> None:
        async with opened_world(OCPP16) as world:
            for number, (action, rounds) in enumerate(messages):
                world.socket.say(2, str(number), action, BOOT16 if action == "BootNotification" else {})
                for _ in range(rounds):
                    await asyncio.sleep(0)
            expected = [str(number) for number in range(len(messages))]
            assert [(await world.socket.hear())[1] for _ in messages] == expected
            assert [json.loads(text)[1] for text in world.store.journal("in")] == expected

    asyncio.run(run())


async def test_an_idle_session_takes_a_message_in_the_read_that_brings_it(make_world: Any) -> None:
    world = await make_world()
    await world.socket.ask(2, "boot", "BootNotification", BOOT16)
    await asyncio.sleep(0)
    world.socket.say(2, "1", "Heartbeat", {})
    assert world.socket.unread == 0
    world.socket.say(2, "2", "Heartbeat", {})
    assert world.socket.unread == 1
    assert [(await world.socket.hear())[1] for _ in "12"] == ["1", "2"]


async def test_a_message_in_hand_counts_against_the_rate(make_world: Any) -> None:
    world = await make_world(rate=Rate(1, 3), monotonic=lambda: 0.0)
    for number in range(5):
        await world.socket.ask(2, str(number), "Heartbeat", {})
    assert [event.what for event in world.store.facts(ChargerThrottled)] == ["messages"]
