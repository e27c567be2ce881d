"""Hostile and broken peers on real sockets: nobody is locked out, nobody else is held up, nothing is lost."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus

from csms.frames import MAX_MESSAGE_ID
from csms.limits import Rate
from csms.session import SUPERSEDED
from storage.events import EventKind

pytestmark = pytest.mark.integration

STATUS = {"connectorId": 1, "errorCode": "NoError", "status": "Available"}
HEARTBEAT = json.dumps([2, "h" * MAX_MESSAGE_ID, "Heartbeat", {}])
"""With the longest id there is: its answer repeats it, and fills the way back all the sooner."""


def counted(node: Any, name: str, **labels: str) -> float:
    return float(node.metrics.registry.get_sample_value(f"ampwave_csms_{name}", labels) or 0)


def small_socket(node: Any) -> socket.socket:
    """A client's socket that takes little before its peer must wait."""
    mine = socket.socket()
    mine.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    mine.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        mine.connect(("127.0.0.1", node.ports[0]))
    return mine


@asynccontextmanager
async def deaf_charger(place: Any, node: Any, charger_id: str = "CP-1") -> AsyncIterator[Any]:
    """One that booted and from then on reads nothing."""
    loop, mine = asyncio.get_running_loop(), small_socket(node)
    await loop.sock_sendall(mine, b"")  # connected
    async with place.charger(node, charger_id, sock=mine, ping_interval=None, close_timeout=0) as peer:
        await peer.boot()
        peer.socket.transport.pause_reading()
        yield peer
        peer.socket.transport.abort()


async def shout(peer: Any, count: int) -> None:
    """Ask and ask and never listen; ends when the node has had enough."""
    with contextlib.suppress(ConnectionClosed, ConnectionError):
        for _ in range(count):
            await peer.socket.send(HEARTBEAT)


async def next_ping(peer: Any) -> int:
    """Wait for the node's next ping; the client has answered it when this returns."""
    arrived = asyncio.get_running_loop().create_future()
    received = peer.socket.data_received

    def data_received(data: bytes) -> None:
        received(data)
        if not arrived.done():
            arrived.set_result(1)

    peer.socket.data_received = data_received
    try:
        return await arrived
    finally:
        peer.socket.data_received = received


async def until_stuck(node: Any) -> None:
    """Until the node's answers to a deaf charger wait in its write buffer: it sends no more of them."""
    quiet, before = 0, -1.0
    async with asyncio.timeout(30):
        while quiet < 20:
            await asyncio.sleep(0.02)
            now = counted(node, "frames_total", direction="out")
            quiet, before = (quiet + 1 if now == before else 0), now


async def test_a_half_open_socket_ends_in_bounded_time(place: Any) -> None:
    node = await place.start_node(ping_interval_s=0.1, ping_timeout_s=0.2)
    async with deaf_charger(place, node):
        (closed,) = await place.wait_for(EventKind.CONNECTION_CLOSED)
        assert closed == {"code": 1006, "reason": "nothing was heard from it for 0.3 s"}
        assert counted(node, "cut_off_total", why="silent") == 1


async def test_a_charger_that_answers_pings_stays(place: Any) -> None:
    node = await place.start_node(ping_interval_s=0.1, ping_timeout_s=0.4)
    async with place.charger(node, ping_interval=None) as peer:
        await peer.boot()
        pinged = 0
        async with asyncio.timeout(30):
            while pinged < 10:  # a second of saying nothing but pongs, where half of it ends a silent socket
                pinged += await next_ping(peer)
        assert (await peer.ask(2, "1", "Heartbeat", {}))[:2] == [3, "1"]


async def test_a_peer_that_does_not_read_is_cut_off_and_holds_up_nobody(place: Any) -> None:
    await place.register("CP-2")
    node = await place.start_node(stall_s=0.3, rate=Rate(0, 0))
    async with deaf_charger(place, node) as deaf, place.charger(node, "CP-2") as other:
        shouting = asyncio.create_task(shout(deaf, 15_000))
        answers = 0
        while not counted(node, "cut_off_total", why="stalled"):
            assert (await other.ask(2, str(answers), "Heartbeat", {}))[:2] == [3, str(answers)]
            answers += 1
        (closed,) = await place.wait_for(EventKind.CONNECTION_CLOSED)
        assert closed["reason"] == "it did not read what it was sent for 0.3 s"
        await asyncio.wait_for(shouting, 10)


async def test_a_charger_comes_back_at_once_while_its_old_socket_is_stuck(place: Any) -> None:
    """The old one's answers wait for a peer that does not read, with no end in sight."""
    node = await place.start_node(stall_s=600, ping_interval_s=600, rate=Rate(0, 0))
    async with deaf_charger(place, node) as deaf:
        shouting = asyncio.create_task(shout(deaf, 15_000))
        await until_stuck(node)
        async with place.charger(node) as back:
            assert (await back.boot())[2]["status"] == "Accepted"
            assert counted(node, "cut_off_total", why="unread") == 1, "else it was not stuck"
        await asyncio.wait_for(shouting, 10)


async def test_pings_of_a_peer_that_does_not_read_do_not_fill_the_memory(place: Any) -> None:
    node = await place.start_node(stall_s=600)
    async with deaf_charger(place, node) as deaf:
        with contextlib.suppress(ConnectionClosed, ConnectionError):
            for number in range(50_000):
                await deaf.socket.ping(number.to_bytes(125, "big"))
        (closed,) = await place.wait_for(EventKind.CONNECTION_CLOSED)
        assert closed["reason"] == "more than 262144 bytes unread by the charger"


async def test_a_flood_is_slowed_down_loses_nothing_and_slows_nobody_else(place: Any) -> None:
    await place.register("CP-2")
    node = await place.start_node(rate=Rate(per_s=20, burst=10))
    async with place.charger(node) as loud, place.charger(node, "CP-2") as quiet:
        for number in range(60):
            await loud.say(2, str(number), "StatusNotification", STATUS)
        assert (await quiet.ask(2, "1", "Heartbeat", {}))[:2] == [3, "1"]
        heard = [(await loud.hear())[1] for _ in range(60)]
        assert heard == [str(number) for number in range(60)]
        assert len(await place.bodies(EventKind.CONNECTOR_STATUS_CHANGED)) == 60
        throttled = await place.wait_for(EventKind.CHARGER_THROTTLED)
        assert throttled == [{"what": "messages", "allowed_per_s": 20.0}]
        assert counted(node, "throttled_total", what="messages") == 1
        assert (await place.twin("CP-2")).connectivity.online


async def test_a_charger_that_opens_sockets_in_a_loop_is_told_to_wait_and_keeps_its_socket(
    place: Any,
) -> None:
    node = await place.start_node(arrivals=Rate(per_s=0.001, burst=5))
    for _ in range(4):
        async with place.charger(node) as peer:
            await peer.boot()
    async with place.charger(node) as last:
        for _ in range(3):
            with pytest.raises(InvalidStatus) as refused:
                async with place.charger(node):
                    pass
            assert refused.value.response.status_code == 429
            assert refused.value.response.headers["Retry-After"] == "60"
        assert (await last.boot())[2]["status"] == "Accepted"
    throttled = await place.wait_for(EventKind.CHARGER_THROTTLED)
    assert [each["what"] for each in throttled] == ["connections"]
    assert (await place.twin()).security.auth_failures == 0, "its credentials were right"


async def test_strangers_do_not_use_up_a_chargers_arrivals(place: Any) -> None:
    node = await place.start_node(arrivals=Rate(per_s=0.001, burst=1))
    for _ in range(5):
        with pytest.raises(InvalidStatus):
            async with place.charger(node, password="guess"):
                pass
    async with place.charger(node) as peer:
        assert (await peer.boot())[2]["status"] == "Accepted"


async def test_a_crowd_at_the_door_of_one_address_is_turned_away_and_makes_room(place: Any) -> None:
    node = await place.start_node(unproved_per_address=3, open_timeout_s=600)
    crowd = [await asyncio.open_connection("127.0.0.1", node.ports[0]) for _ in range(4)]
    assert await asyncio.wait_for(crowd[3][0].read(), 10) == b""
    with pytest.raises((ConnectionError, InvalidMessage)):
        async with place.charger(node):
            pass
    assert counted(node, "cut_off_total", why="crowded") == 2
    for _, writer in crowd:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
    async with asyncio.timeout(10):
        while True:
            with contextlib.suppress(ConnectionError, InvalidMessage):
                async with place.charger(node) as peer:
                    assert (await peer.boot())[2]["status"] == "Accepted"
                    break


async def test_those_who_are_through_the_door_do_not_count(place: Any) -> None:
    await place.register("CP-2")
    node = await place.start_node(unproved_per_address=1)
    async with place.charger(node) as one, place.charger(node, "CP-2") as two:
        for peer in (one, two):
            assert (await peer.boot())[2]["status"] == "Accepted"


async def test_while_the_store_is_away_only_the_newest_socket_of_a_charger_waits(place: Any) -> None:
    node = await place.start_node()
    async with place.charger(node) as first:
        await first.boot()
        place.ingest.away = 1_000_000
        await first.say(2, "1", "StatusNotification", STATUS)
        await place.ingest.until_refused()
        async with place.charger(node) as second, place.charger(node) as third:
            assert (await first.closed())[0] == SUPERSEDED
            assert (await second.closed())[0] == SUPERSEDED
            place.ingest.away = 0
            assert (await third.boot())[2]["status"] == "Accepted"
    assert "1.1" in (await place.twin()).operation.connectors


async def test_a_charger_that_gave_up_waiting_leaves_nothing_behind(place: Any) -> None:
    node = await place.start_node()
    async with place.charger(node) as first:
        await first.boot()
        place.ingest.away = 1_000_000
        await first.say(2, "1", "StatusNotification", STATUS)
        await place.ingest.until_refused()
        async with place.charger(node):
            pass
        epoch = (await place.routes.resolve("CP-1")).session_epoch
        place.ingest.away = 0
        await place.wait_for(EventKind.CONNECTION_CLOSED)
    async with place.charger(node) as back:
        await back.boot()
        assert (await place.routes.resolve("CP-1")).session_epoch == epoch + 1


async def test_long_frames_of_many_kinds_do_not_end_the_socket_and_too_long_ones_do(place: Any) -> None:
    node = await place.start_node()
    async with place.charger(node) as peer:
        await peer.socket.send("[" * 100_000)
        assert (await peer.hear())[:3] == [4, "-1", "FormationViolation"]
        await peer.socket.send(json.dumps([2, "i" * 300, "Heartbeat", {}]))
        assert (await peer.hear())[:3] == [4, "-1", "FormationViolation"]
        await peer.socket.send(b"\x00" * 1000)
        assert (await peer.hear())[:3] == [4, "-1", "FormationViolation"]
        await peer.socket.send([HEARTBEAT[:5], HEARTBEAT[5:]])
        assert (await peer.hear())[:2] == [3, "h" * MAX_MESSAGE_ID], "in fragments"
        with contextlib.suppress(ConnectionClosed, ConnectionError):
            await peer.socket.send("x" * (512 * 1024 + 1))
        assert (await peer.closed())[0] == 1009
