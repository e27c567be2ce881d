"""A command that was on its way when its charger went to another node: the node it left does not say it.

The lease of the node that was left is good all the while, so that only the store can tell.
"""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from csms.commands import Reset, ResetKind
from csms.errors import NotConnectedHere
from csms.lease import SURE_S
from csms.options import Sources
from csms.session import SUPERSEDED
from storage.clock import system_clock
from storage.errors import EngineUnavailable
from storage.postgres.routes import PostgresRouteStore

pytestmark = pytest.mark.integration


class Silent(PostgresRouteStore):
    """The real routes, which can be out of reach for one node."""

    away = False

    async def renew(self, *given: Any) -> Sequence[str]:
        if self.away:
            raise EngineUnavailable("the test cut the line")
        return await super().renew(*given)


@dataclass
class Seconds:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.requirement("X1")
@pytest.mark.parametrize("silent", [False, True], ids=["asked-long-ago", "could-not-ask"])
async def test_a_command_whose_record_waited_while_its_charger_moved_is_not_sent(
    place: Any, silent: bool
) -> None:
    seconds, routes = Seconds(), Silent(place.engine)
    left = await place.start_node(
        "left", routes=routes, lease_s=600.0, sources=Sources(system_clock, seconds)
    )
    other = await place.start_node("other")
    async with place.charger(left) as old:
        await old.boot()
        epoch = (await place.routes.resolve("CP-1")).session_epoch
        routes.away, seconds.now, place.ingest.away = silent, SURE_S, 10_000
        sending = asyncio.create_task(left.send("CP-1", epoch, Reset(ResetKind.ON_IDLE), deadline_s=30))
        await place.ingest.until_refused()  # its record waits; the store was asked before, if it could be
        async with place.charger(other) as new:
            await moved(place, "other")
            routes.away, seconds.now, place.ingest.away = False, 2 * SURE_S, 0
            with pytest.raises(NotConnectedHere):
                await sending
            with pytest.raises(ConnectionClosed):
                await old.hear()
            assert old.socket.close_code == SUPERSEDED
            assert (await new.boot("2.0"))[2]["status"] == "Accepted"


async def test_a_command_is_not_sent_while_nobody_can_say_whose_charger_it_is(place: Any) -> None:
    seconds, routes = Seconds(), Silent(place.engine)
    node = await place.start_node(routes=routes, lease_s=600.0, sources=Sources(system_clock, seconds))
    async with place.charger(node) as peer:
        await peer.boot()
        epoch = (await place.routes.resolve("CP-1")).session_epoch
        routes.away, seconds.now = True, SURE_S
        with pytest.raises(NotConnectedHere):
            await node.send("CP-1", epoch, Reset(ResetKind.ON_IDLE), deadline_s=10)
        assert (await peer.ask(2, "1", "Heartbeat", {}))[:2] == [3, "1"], "the next that it hears"


async def test_a_text_is_written_before_anything_is_waited_for(place: Any) -> None:
    """The lease is looked at in front of it, so nothing may come between: not even a wait that is short."""
    node = await place.start_node()
    async with place.charger(node) as peer:
        await peer.boot()
        transport = node._registry.current("CP-1")._transport
        with pytest.raises(StopIteration):
            transport.send('[3,"x",{}]').send(None)
        assert await peer.hear() == [3, "x", {}]


@pytest.mark.requirement("X1")
async def test_a_command_whose_last_look_waited_while_its_charger_moved_is_not_sent(place: Any) -> None:
    seconds = Seconds()
    left = await place.start_node("left", lease_s=600.0, sources=Sources(system_clock, seconds))
    other = await place.start_node("other")
    async with AsyncExitStack() as later, place.charger(left) as old:
        await old.boot()
        epoch = (await place.routes.resolve("CP-1")).session_epoch

        async def look() -> None:
            await later.enter_async_context(place.charger(other))
            await moved(place, "other")
            seconds.now += SURE_S

        with pytest.raises(NotConnectedHere):
            await left.send("CP-1", epoch, Reset(ResetKind.ON_IDLE), deadline_s=30, last_look=look)
        with pytest.raises(ConnectionClosed):
            await old.hear()
        assert old.socket.close_code == SUPERSEDED


@pytest.mark.requirement("X1")
async def test_a_last_look_that_waited_long_is_taken_again(place: Any) -> None:
    seconds, looks = Seconds(), []
    node = await place.start_node(lease_s=600.0, sources=Sources(system_clock, seconds))
    async with place.charger(node) as peer:
        await peer.boot()
        epoch = (await place.routes.resolve("CP-1")).session_epoch

        async def look() -> None:
            looks.append(seconds.now)
            seconds.now += SURE_S if len(looks) == 1 else 0

        reset = Reset(ResetKind.ON_IDLE)
        sending = asyncio.create_task(node.send("CP-1", epoch, reset, deadline_s=30, last_look=look))
        frame = await peer.hear()
        await peer.say(3, frame[1], {"status": "Accepted"})
        await sending
        assert looks == [0.0, SURE_S], "what was seen before the wait counts no more"


async def moved(place: Any, node_id: str) -> None:
    """Wait until the charger's route is at that node."""
    async with asyncio.timeout(10):
        while (await place.routes.resolve("CP-1")).node_id != node_id:  # noqa: ASYNC110 - in the database
            await asyncio.sleep(0.01)
