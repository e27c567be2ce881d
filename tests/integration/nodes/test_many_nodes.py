"""Nodes that die, freeze, leave or lose the database: chargers go on, nothing acknowledged is lost."""

import asyncio
import contextlib
import signal
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from csms.session import GOING, SUPERSEDED
from storage.events import EventKind

pytestmark = pytest.mark.integration

STATUS = {"connectorId": 1, "errorCode": "NoError", "status": "Available"}
BOOT = {"chargePointVendor": "V", "chargePointModel": "M", "firmwareVersion": "1.0"}
FOR_EVER = 600.0
"""A lease that nobody renews within a test."""


# Which node.


async def test_a_command_reaches_the_node_that_holds_the_socket_and_no_other(town: Any) -> None:
    first, second = await town.start("a"), await town.start("b")
    async with town.charger(first, "CP-1") as one, town.charger(second, "CP-2") as two:
        await one.boot()
        await two.boot()
        for charger_id, peer, here, there in (("CP-1", one, first, second), ("CP-2", two, second, first)):
            route = await town.route(charger_id)
            assert route.node_id == here.node_id
            there.order(charger_id, route.session_epoch)
            assert (await there.word())["error"] == "NotConnectedHere"
            here.order(charger_id, route.session_epoch)
            call = await peer.hear()
            assert call[2] == "Reset"
            await peer.say(3, call[1], {"status": "Accepted"})
            assert (await here.word())["answer"] == "Accepted"


async def test_the_newest_socket_wins_over_nodes_and_the_old_one_is_closed(town: Any) -> None:
    first, second = await town.start("a", lease_s=1.0), await town.start("b", lease_s=1.0)
    async with town.charger(first) as old, town.charger(second) as new:
        await new.boot("2.0")
        assert await old.rest() == []
        assert old.socket.close_code == SUPERSEDED
        assert (await town.route()).node_id == "b"
        assert (await new.ask(2, "1", "Heartbeat", {}))[:2] == [3, "1"]
        assert (await town.twin()).connectivity.online, "the old one's end takes nobody offline"


async def test_what_an_old_socket_says_later_is_kept_and_believed_only_where_it_is_no_lie(town: Any) -> None:
    """The old node has not noticed yet: its lease is good for long."""
    first, second = await town.start("a", lease_s=FOR_EVER), await town.start("b")
    start = {"connectorId": 1, "idTag": "T", "meterStart": 0, "timestamp": "2026-11-20T11:59:00Z"}
    async with town.charger(first) as old, town.charger(second) as new:
        await new.boot("2.0")
        await old.boot("1.0")
        await old.ask(2, "1", "StartTransaction", start)
        twin = await town.twin()
        assert twin.firmware.version == "2.0", "what runs is for the newest socket to say"
        assert list(twin.operation.transactions) == ["1"], "a session that began is a session"
    await town.until_route(None)
    assert not (await town.twin()).connectivity.online


# A node that dies.


@dataclass
class Persistent:
    """A charger that reports, and comes back wherever it can. It knows what was acknowledged."""

    town: Any
    charger_id: str
    nodes: Sequence[Any]
    acknowledged: set[str] = field(default_factory=set)
    asked: int = 0
    home: str = ""

    async def live(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            for node in self.nodes:
                with contextlib.suppress(OSError, InvalidHandshake, ConnectionClosed, TimeoutError):
                    await self._at(node, stop)
            await asyncio.sleep(0.05)

    async def _at(self, node: Any, stop: asyncio.Event) -> None:
        async with self.town.charger(node, self.charger_id) as peer:
            while not stop.is_set():
                self.asked += 1
                message_id = f"{self.charger_id} {self.asked}"
                answer = await peer.ask(2, message_id, "StatusNotification", STATUS)
                assert answer[:2] == [3, message_id]
                self.acknowledged.add(message_id)
                self.home = node.node_id
                await asyncio.sleep(0.01)


async def colony(town: Any, nodes: Sequence[Any], count: int) -> list[Persistent]:
    names = [f"P-{number}" for number in range(count)]
    await town.register(*names)
    return [Persistent(town, name, nodes) for name in names]


async def until_all(chargers: Sequence[Persistent], node: Any, more: int = 5) -> None:
    """Until every charger had some more acknowledged by this node."""
    goals = {each.charger_id: len(each.acknowledged) + more for each in chargers}

    async def there() -> bool:
        return all(
            each.home == node.node_id and len(each.acknowledged) >= goals[each.charger_id]
            for each in chargers
        )

    await until(there)


async def nothing_lost(town: Any, chargers: Sequence[Persistent]) -> None:
    for each in chargers:
        assert each.acknowledged <= await town.journaled(each.charger_id)


async def test_a_killed_node_loses_nothing_and_its_leases_run_out(town: Any) -> None:
    first, second = await town.start("a", lease_s=2.0), await town.start("b", lease_s=2.0)
    chargers = await colony(town, (first, second), 12)
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as lives, town.charger(first, "CP-2") as loyal:
        for each in chargers:
            lives.create_task(each.live(stop))
        await loyal.boot()
        await until_all(chargers, first)
        first.signal(signal.SIGKILL)
        await until_all(chargers, second)
        await town.until_route(None, "CP-2")

        async def known() -> bool:
            return not (await town.twin("CP-2")).connectivity.online

        await until(known)
        (closed,) = await town.bodies(EventKind.CONNECTION_CLOSED, "CP-2")
        assert closed == {"code": 1006, "reason": "its node is gone"}
        assert {(await town.route(each.charger_id)).node_id for each in chargers} == {"b"}
        stop.set()
    await nothing_lost(town, chargers)


# A node that freezes.


async def test_a_node_that_thaws_lets_go_of_what_moved_and_keeps_the_rest(town: Any) -> None:
    first, second = await town.start("a", lease_s=1.0), await town.start("b", lease_s=FOR_EVER)
    async with town.charger(first) as old, town.charger(first, "CP-2") as loyal:
        await old.boot("1.0")
        await loyal.boot()
        epoch = (await town.route()).session_epoch
        first.signal(signal.SIGSTOP)
        async with town.charger(second) as new:
            await new.boot("2.0")
            await old.say(2, "late", "Heartbeat", {})
            await old.say(2, "late boot", "BootNotification", BOOT)
            first.order("CP-1", epoch)
            await town.until_route(None, "CP-2")  # its leases have run out, it does not know
            first.signal(signal.SIGCONT)

            assert await old.rest() == [], "neither answered nor commanded by the node it left"
            assert old.socket.close_code == SUPERSEDED
            assert (await first.word())["error"] == "NotConnectedHere"
            assert await town.bodies(EventKind.COMMAND_SENT) == []
            route = await town.route()
            assert (route.node_id, route.session_epoch) == ("b", epoch + 1)

            async def stored() -> bool:
                return "late boot" in await town.journaled("CP-1")

            await until(stored)
            assert (await town.twin()).firmware.version == "2.0", "its late writes are fenced"
            assert (await town.twin()).connectivity.online
            assert (await new.ask(2, "1", "Heartbeat", {}))[:2] == [3, "1"]

            assert (await loyal.ask(2, "2", "StatusNotification", STATUS))[:2] == [3, "2"]
            await town.until_route(first, "CP-2")


# A node that leaves.


async def test_a_node_that_leaves_hands_over_at_a_pace_and_finishes_what_it_began(town: Any) -> None:
    first, second = await town.start("a", drain_per_s=10.0, drain_s=10.0), await town.start("b")
    names = [f"P-{number}" for number in range(10)]
    await town.register(*names)
    async with AsyncExitStack() as stack:
        peers = {
            name: await stack.enter_async_context(town.charger(first, name)) for name in ("CP-1", *names)
        }
        for peer in peers.values():
            await peer.boot()
        first.order("CP-1", (await town.route()).session_epoch)
        busy = peers.pop("CP-1")
        call = await busy.hear()
        first.signal(signal.SIGTERM)
        assert await first.word() == {"leaving": True}
        # Its door is shut, or says that it leaves, while it is being shut.
        with pytest.raises((ConnectionError, InvalidHandshake)):
            async with town.charger(first, "CP-2"):
                pass

        served = {name: asyncio.create_task(until_closed(peer)) for name, peer in peers.items()}
        await asyncio.wait(served.values(), return_when=asyncio.FIRST_COMPLETED)
        still_served = [name for name, task in served.items() if not task.done()]
        assert still_served, "not all at once"
        assert (await busy.ask(2, "1", "Heartbeat", {}))[:2] == [3, "1"]
        await busy.say(3, call[1], {"status": "Accepted"})
        assert (await first.word())["answer"] == "Accepted", "a command in flight finishes"

        answered = {name: await task for name, task in served.items()}
        assert await busy.rest() == []
        assert {peer.socket.close_code for peer in (busy, *peers.values())} == {GOING}
        assert await first.ended() == 0
        for name, ids in answered.items():
            assert ids <= await town.journaled(name)
            assert await town.routes.resolve(name) is None, "the leases are given back"
            assert not (await town.twin(name)).connectivity.online
        async with town.charger(second, names[0]) as moved:
            await moved.boot()


async def until_closed(peer: Any) -> set[str]:
    """Ask until the node closes the socket; what was acknowledged."""
    acknowledged: set[str] = set()
    with contextlib.suppress(ConnectionClosed):
        while True:
            message_id = f"m{len(acknowledged)}"
            answer = await peer.ask(2, message_id, "Heartbeat", {})
            acknowledged.add(answer[1])
            await asyncio.sleep(0.01)
    return acknowledged


# A database that goes away.


async def test_while_the_database_is_away_sockets_wait_and_go_on_by_themselves(town: Any) -> None:
    line = await town.line()
    node = await town.start("a", line.through, lease_s=1.0)
    async with town.charger(node) as peer:
        await peer.boot()
        epoch = (await town.route()).session_epoch
        await line.cut()
        await peer.say(2, "1", "StatusNotification", STATUS)
        await peer.say(2, "2", "Heartbeat", {})
        await town.until_route(None)  # nobody renews: for the others this charger is away
        node.order("CP-1", epoch, within=60)
        assert await town.bodies(EventKind.CONNECTOR_STATUS_CHANGED) == []
        await line.up()
        heard = [await peer.hear() for _ in range(3)]
        assert [frame[:2] for frame in heard if frame[0] == 3] == [[3, "1"], [3, "2"]]
        (call,) = [frame for frame in heard if frame[0] == 2]
        await peer.say(3, call[1], {"status": "Accepted"})
        assert (await node.word())["answer"] == "Accepted"
        route = await town.route()
        assert (route.node_id, route.session_epoch) == ("a", epoch), "the same socket, the same epoch"
        assert "1.1" in (await town.twin()).operation.connectors


async def test_a_node_cut_off_from_the_database_does_not_speak_for_a_charger_that_moved(town: Any) -> None:
    line = await town.line()
    cut_off, other = await town.start("a", line.through, lease_s=1.0), await town.start("b")
    async with town.charger(cut_off) as old, town.charger(cut_off, "CP-2") as witness:
        await old.boot("1.0")
        await witness.boot()  # its lease began later: once it ran out, so has the other's
        epoch = (await town.route()).session_epoch
        await line.cut()
        await old.say(2, "1", "StatusNotification", {**STATUS, "status": "Charging"})
        async with town.charger(other) as new:
            await new.boot("2.0")
            await town.until_route(None, "CP-2")
            cut_off.order("CP-1", epoch, within=60)
            await line.up()
            assert await old.rest() == []
            assert old.socket.close_code == SUPERSEDED
            assert (await cut_off.word()).get("error") in ("NotConnectedHere", "ConnectionLost")
            assert (await town.route()).node_id == "b"

            async def stored() -> bool:
                return "1" in await town.journaled("CP-1")

            await until(stored)
            twin = await town.twin()
            assert twin.firmware.version == "2.0"
            assert twin.connectivity.online
            assert twin.operation.connectors["1.1"].vendor_status == "Charging", "true, and told only once"


async def test_a_charger_that_connects_while_the_database_is_away_is_told_to_come_back(town: Any) -> None:
    line = await town.line()
    node = await town.start("a", line.through)
    await line.cut()
    with pytest.raises(InvalidHandshake, match="503"):
        async with town.charger(node):
            pass
    await line.up()
    async with town.charger(node) as peer:
        assert (await peer.boot())[2]["status"] == "Accepted"


async def test_a_new_life_of_a_node_never_answers_for_the_one_before(town: Any) -> None:
    first = await town.start("a", lease_s=FOR_EVER)
    async with town.charger(first) as peer:
        await peer.boot()
        before = await town.route()
        first.signal(signal.SIGKILL)
        await first.ended()
        again = await town.start("a", boot_id="another")
        again.order("CP-1", before.session_epoch)
        assert (await again.word())["error"] == "NotConnectedHere"
    async with town.charger(again) as back:
        await back.boot()
        now = await town.route()
        assert (now.boot_id, now.session_epoch) == ("another", before.session_epoch + 1)


async def until(condition: Any) -> None:
    async with asyncio.timeout(30):
        while not await condition():  # noqa: ASYNC110 - the condition lies in another process
            await asyncio.sleep(0.05)
