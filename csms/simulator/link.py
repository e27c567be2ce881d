"""OCPP-J over one socket, from the charger's side: one call outstanding, answers by message id."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import orjson
from websockets.exceptions import ConnectionClosed

from csms.simulator.errors import CallRefused, LinkLost
from csms.simulator.faults import Afflictions
from csms.simulator.gate import Gate
from csms.simulator.ledger import ChargerLedger
from csms.simulator.wire import Message, Payload

_CALL, _RESULT, _ERROR = 2, 3, 4


class Socket(Protocol):
    """What is needed of a WebSocket."""

    async def recv(self) -> str | bytes:
        """The next frame; raises ConnectionClosed."""

    async def send(self, message: str) -> None:
        """Send a text frame; raises ConnectionClosed."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a call of the server: a payload, or a CALLERROR code; ``then`` runs once it left."""

    payload: Payload
    error: tuple[str, str] | None = None
    then: Callable[[], None] | None = None


Answerer = Callable[[str, Payload], Reply]


@dataclass(frozen=True, slots=True)
class Weather:
    """What happens to the frames of one charger."""

    faults: Afflictions
    gate: Gate
    rng: random.Random


class _Pending(NamedTuple):
    action: str
    answered: asyncio.Future[Payload]


class Link:
    """One open socket. Message ids are the run's prefix and the charger's running number."""

    def __init__(
        self,
        socket: Socket,
        answerer: Answerer,
        account: ChargerLedger,
        weather: Weather,
        timeout_s: float,
    ) -> None:
        self._socket = socket
        self._answerer = answerer
        self._account = account
        self._weather = weather
        self._timeout_s = timeout_s
        self._turn = asyncio.Lock()
        self._pending: dict[str, _Pending] = {}
        self._serving: asyncio.Task[Any] | None = None
        self._left = False

    async def serve(self) -> None:
        """Read frames until the socket ends or is left, then raise LinkLost."""
        self._serving = asyncio.current_task()
        try:
            while not self._left:
                await self._receive(await self._socket.recv())
        except ConnectionClosed as error:
            raise LinkLost(f"The socket closed: {error}") from error
        except asyncio.CancelledError:
            if not self._left:
                raise
        raise LinkLost("The charger left this socket.")

    def give_up(self) -> None:
        """The charger leaves this socket: ``serve`` raises LinkLost."""
        self._left = True
        if self._serving:
            self._serving.cancel()

    async def call(self, message: Message, number: int) -> Payload:
        """Call the server and wait for its answer, behind calls that wait already.

        Raises:
            CallRefused: a CALLERROR came back.
            LinkLost: the socket ended, or nothing came in time.
        """
        async with self._turn:
            return await self._call(message, number)

    async def _call(self, message: Message, number: int) -> Payload:
        message_id = f"{self._account.id_prefix}{number}"
        answered: asyncio.Future[Payload] = asyncio.get_running_loop().create_future()
        self._pending[message_id] = _Pending(message.action, answered)
        try:
            await self._leave([_CALL, message_id, message.action, message.payload], message.action)
            self._account.message_sent(message.action)
            async with asyncio.timeout(self._timeout_s):
                result = await answered
        except TimeoutError as error:
            raise LinkLost(f"No answer to {message.action} within {self._timeout_s:g} s.") from error
        except CallRefused:
            self._account.message_refused(message.action)
            raise
        finally:
            del self._pending[message_id]
        self._account.message_acknowledged(message.action, number)
        return result

    async def _leave(self, frame: list[Any], action: str | None = None) -> None:
        faults, gate = self._weather.faults, self._weather.gate
        if gate.shut:
            await gate.passed()
        if faults.delay_s:
            await asyncio.sleep(faults.delay_s)
        if faults.losses and faults.lost(action, self._weather.rng):
            self._account.counts["frame_lost"] += 1
            return
        text = orjson.dumps(frame).decode()
        copies = 2 if action and faults.duplicated(action) else 1
        try:
            for _ in range(copies):
                await self._socket.send(text)
        except ConnectionClosed as error:
            raise LinkLost(f"The socket closed: {error}") from error

    async def _receive(self, text: str | bytes) -> None:
        try:
            kind, message_id, *rest = orjson.loads(text)
        except (orjson.JSONDecodeError, ValueError, TypeError):
            self._account.note("unreadable_frame")
            return
        if kind == _CALL and len(rest) == 2:
            await self._answer(message_id, rest[0], rest[1])
        elif message_id in self._pending:
            _settle(self._pending[message_id], kind, rest)

    async def _answer(self, message_id: str, action: str, payload: Payload) -> None:
        reply = self._answerer(action, payload)
        try:
            if reply.error:
                await self._leave([_ERROR, message_id, *reply.error, {}])
            else:
                await self._leave([_RESULT, message_id, reply.payload])
        finally:
            # What was decided is done, also when the answer is lost on its way.
            if reply.then:
                reply.then()


def _settle(pending: _Pending, kind: int, rest: list[Any]) -> None:
    if pending.answered.done():
        return
    if kind == _RESULT and rest:
        pending.answered.set_result(rest[0])
    elif kind == _ERROR:
        code, description = (*rest, "", "")[:2]
        pending.answered.set_exception(CallRefused(pending.action, str(code), str(description)))
