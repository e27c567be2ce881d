"""Whom the rounds ping, whom they leave alone, and whom they cut off; on a clock that is handed in."""

import asyncio
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from websockets.protocol import State
from websockets.server import ServerProtocol

from csms.limits import Doorway
from csms.rounds import Rounds
from csms.websocket import SILENT, ChargerConnection, SocketLimits

INTERVAL, SILENCE = 30.0, 60.0
PING = b"\x89\x04ping"


class Wire(asyncio.Transport):
    """The server's end of a socket, in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.reading = True
        self.closing = False

    def write(self, data: Any) -> None:
        self.written.append(bytes(data))

    def is_reading(self) -> bool:
        return self.reading

    def is_closing(self) -> bool:
        return self.closing

    def abort(self) -> None:
        self.closing = True

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """As it likes."""


@dataclass
class Peer:
    """A connection on such a wire, and the rounds that come to it."""

    rounds: Rounds
    connection: ChargerConnection
    wire: Wire = field(default_factory=Wire)
    cut: list[str] = field(default_factory=list)

    def at(self, now: float) -> "Peer":
        """What the rounds do by then, a second at a time."""
        while self.now < now:
            self.now = min(self.now + 1.0, now)
            self.rounds.walk(self.now)
        return self

    def hears(self, data: bytes = b"\x8a\x84\x00\x00\x00\x00ping") -> None:
        """Something comes in: a masked pong."""
        self.connection.data_received(data)
        self.connection._heard_at = self.now

    @property
    def pings(self) -> int:
        return self.wire.written.count(PING)

    now: float = 0.0


async def _serve(_: Any) -> None:
    """Nothing is served here."""


@pytest.fixture
async def peer() -> Peer:
    rounds, cut = Rounds(INTERVAL), list[str]()
    connection = ChargerConnection(
        ServerProtocol(state=State.OPEN),
        SimpleNamespace(handler=_serve, handler_tasks=set()),
        limits=SocketLimits(INTERVAL, SILENCE),
        door=Doorway(0),
        rounds=rounds,
        on_cut=cut.append,
    )
    found = Peer(rounds, connection, cut=cut)
    connection.connection_made(found.wire)
    connection.forget_handshake()
    rounds.enter(connection, 0.0)
    connection._heard_at = connection._pinged_at = connection._asked_at = 0.0
    return found


async def test_a_quiet_peer_is_pinged_and_its_pong_keeps_it(peer: Peer) -> None:
    for turn in range(1, 20):
        assert peer.at(turn * 31.0).pings == turn
        peer.hears()
    assert peer.cut == []
    assert not peer.connection.pending_pings, "no waiter is left behind"


async def test_a_peer_that_says_nothing_is_pinged_once_and_cut_off(peer: Peer) -> None:
    assert peer.at(59.0).pings == 1
    assert peer.cut == []
    peer.at(62.0)
    assert (peer.cut, peer.wire.closing) == ([SILENT], True)
    assert len(peer.rounds) == 0, "nobody comes back to it"


async def test_who_is_heard_is_not_pinged_and_never_gets_less_time_to_answer(peer: Peer) -> None:
    for second in range(20, 401, 20):
        peer.at(second).hears()
    assert peer.pings == 0
    peer.at(431.0)
    assert peer.pings == 1, "after the interval, counted from its last word"
    assert peer.at(459.0).cut == []
    assert peer.at(462.0).cut == [SILENT]


async def test_after_a_pause_of_this_process_it_is_asked_before_it_counts_as_silent(peer: Peer) -> None:
    peer.now = 500.0
    assert (peer.at(501.0).pings, peer.cut) == (1, [])
    peer.hears()
    assert peer.at(530.0).cut == []
    peer.now = 900.0
    assert (peer.at(925.0).pings, peer.cut) == (2, [])
    assert peer.at(932.0).cut == [SILENT]


async def test_while_we_do_not_read_the_silence_is_ours(peer: Peer) -> None:
    peer.wire.reading = False
    peer.at(600.0)
    assert peer.cut == []
    assert peer.pings == 20, "it sees that we live"
    peer.wire.reading = True
    assert peer.at(655.0).cut == []
    assert peer.at(665.0).cut == [SILENT]


async def test_who_does_not_read_is_not_sent_more_pings(peer: Peer) -> None:
    peer.connection.pause_writing()
    assert peer.at(50.0).pings == 0
    assert peer.at(62.0).cut == [SILENT]
    peer.connection.resume_writing()


async def test_before_the_handshake_is_over_there_are_no_pings(peer: Peer) -> None:
    peer.connection.protocol.state = State.CONNECTING
    assert peer.at(59.0).wire.written == []


async def test_a_closed_socket_leaves_the_rounds(peer: Peer) -> None:
    peer.connection.connection_lost(None)
    assert len(peer.rounds) == 0


async def test_a_socket_that_cannot_be_looked_at_does_not_end_the_rounds(peer: Peer) -> None:
    class Broken:
        def look(self, now: float) -> float | None:
            raise RuntimeError(str(now))

    peer.rounds.enter(Broken(), -1.0)
    assert peer.at(31.0).pings == 1
    assert len(peer.rounds) == 2


async def test_a_crowd_that_is_due_at_once_is_taken_in_portions() -> None:
    class Quick:
        def look(self, now: float) -> float | None:
            return now + INTERVAL

    rounds = Rounds(INTERVAL)
    for _ in range(120):
        rounds.enter(Quick(), 0.0)
    assert [rounds.walk(INTERVAL) for _ in range(4)] == [50, 50, 20, 0]
