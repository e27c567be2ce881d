"""Our calls to one charger: one outstanding at a time, monotonic deadlines, late answers kept.

The other direction stays free: nothing here waits for a call of the charger's, or makes one wait.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from csms import frames
from csms.errors import CallFailed, CommandTimeout, ConnectionLost
from csms.frames import CallError, CallResult, Payload
from csms.journal import SessionJournal
from csms.lease import Lease
from csms.ports import LastLook
from csms.transport import TransportClosed
from storage.events import CommandAnswered, CommandSent

_CODE, _STATUS = 50, 60
"""Characters of what should be a word of the standard; a charger may send anything."""

REMEMBERED_CALLS = 32
"""How many unanswered calls are remembered, so that an answer that comes late is known as such."""


@dataclass(slots=True, eq=False)
class OpenCall:
    """A call that may still be answered."""

    action: str
    message_id: str
    request_id: int | None
    whole_back: bool
    answer: asyncio.Future[CallResult | CallError] = field(repr=False)


class Outbound:
    """The calling side of one session."""

    def __init__(
        self,
        journal: SessionJournal,
        lease: Lease,
        send: Callable[[str], Awaitable[None]],
        new_message_id: Callable[[], str],
    ) -> None:
        self._journal = journal
        self._lease = lease
        self._send = send
        self._new_message_id = new_message_id
        self._turn = asyncio.Lock()
        self._open: OpenCall | None = None
        self._unanswered: dict[str, OpenCall] = {}
        self._lost = False

    async def call(
        self,
        action: str,
        payload: Payload,
        deadline_s: float,
        request_id: int | None = None,
        last_look: LastLook | None = None,
        *,
        whole_back: bool = False,
    ) -> Payload:
        """Call the charger and wait for its answer; waiting for the turn counts towards the deadline.

        ``whole_back``: see ``CommandAnswered``.

        Raises:
            CommandTimeout: no answer in time (ConnectionLost: the socket closed first).
            CallFailed: a CALLERROR.
        """
        try:
            async with asyncio.timeout(deadline_s), self._turn:
                answer = await self._exchange(action, payload, request_id, last_look, whole_back=whole_back)
        except TimeoutError:
            raise CommandTimeout(self._journal.charger_id, action, deadline_s) from None
        except TransportClosed:
            raise ConnectionLost(self._journal.charger_id, action) from None
        if isinstance(answer, CallError):
            words = self._journal.words
            code, description = words(answer.code, _CODE), words(answer.description)
            raise CallFailed(self._journal.charger_id, action, code, description)
        return answer.payload

    async def _exchange(
        self,
        action: str,
        payload: Payload,
        request_id: int | None,
        last_look: LastLook | None,
        *,
        whole_back: bool,
    ) -> CallResult | CallError:
        if self._lost:
            raise ConnectionLost(self._journal.charger_id, action)
        message_id = self._new_message_id()
        await self._record(action, message_id, payload, request_id)
        await self._looked(last_look)
        if self._lost:  # while it was stored, or looked at
            raise ConnectionLost(self._journal.charger_id, action)
        answer = asyncio.get_running_loop().create_future()
        call = OpenCall(action, message_id, request_id, whole_back, answer)
        self._open = call
        try:
            await self._send(frames.call(message_id, action, payload))
            return await call.answer
        finally:
            self._open = None
            if call.answer.done() and not call.answer.cancelled():
                call.answer.exception()  # looked at, also where sending failed and nobody waits for it
            if not call.answer.done() or call.answer.cancelled():
                self._remember(call)

    async def _looked(self, last_look: LastLook | None) -> None:
        """Look once the node may speak; where it may not any more after the look, that one was too early."""
        while last_look is not None and await self._lease.held():
            await last_look()
            if self._lease.good:
                return

    async def _record(self, action: str, message_id: str, payload: Payload, request_id: int | None) -> None:
        # Stored before it leaves: nothing is ever sent that no record tells of.
        now = self._journal.now()
        text = frames.call(message_id, action, payload)
        sent = CommandSent(action, message_id, request_id)
        stored = await self._journal.put(
            [self._journal.frame("out", now, text)], [self._journal.event(sent, now)]
        )
        # A deadline that passes here gives up the call, not the record: others wait for its commit too.
        await asyncio.shield(stored)

    def _remember(self, call: OpenCall) -> None:
        self._unanswered[call.message_id] = call
        while len(self._unanswered) > REMEMBERED_CALLS:
            del self._unanswered[next(iter(self._unanswered))]

    def waiting_for(self, message_id: str | None) -> OpenCall | None:
        """The outstanding call of that message id, if it is the one."""
        return self._open if self._open and self._open.message_id == message_id else None

    def answered(self, frame: CallResult | CallError) -> CommandAnswered | None:
        """Hand an answer to whoever waits; what to record of it, or None if it answers no call of ours."""
        call = self.waiting_for(frame.message_id)
        if call is not None:
            if not call.answer.done():
                call.answer.set_result(frame)
            return self._record_of(call, frame, late=False)
        call = self._unanswered.pop(frame.message_id, None)
        return None if call is None else self._record_of(call, frame, late=True)

    async def idle(self, patience_s: float) -> None:
        """Wait until no call is outstanding, for at most so long."""
        try:
            async with asyncio.timeout(patience_s), self._turn:
                return
        except TimeoutError:
            return

    def lost(self) -> None:
        """The socket is gone: whoever waits learns it now, not at the deadline."""
        self._lost = True
        if self._open is not None and not self._open.answer.done():
            self._open.answer.set_exception(ConnectionLost(self._journal.charger_id, self._open.action))

    def _record_of(self, call: OpenCall, frame: CallResult | CallError, *, late: bool) -> CommandAnswered:
        if isinstance(frame, CallError):
            status, detail = f"CallError:{frame.code}", frame.description or None
        else:
            status = _status_in(frame.payload)
            info = frame.payload.get("statusInfo")
            detail = str(info.get("reasonCode", "")) if isinstance(info, dict) else None
        status, detail = self._journal.words(status, _STATUS), detail and self._journal.words(detail)
        return CommandAnswered(
            call.action, call.message_id, status, call.request_id, late, detail, call.whole_back or None
        )


def _status_in(payload: Payload) -> str:
    """The status that stands in an answer: its own, or the first of its parts' that is not Accepted."""
    if isinstance(payload.get("status"), str):
        return str(payload["status"])
    parts = [part for value in payload.values() if isinstance(value, list) for part in value]
    words = [part.get("attributeStatus", part.get("status")) for part in parts if isinstance(part, dict)]
    return next((word for word in words if isinstance(word, str) and word != "Accepted"), "Accepted")
