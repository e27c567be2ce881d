# long-file: one socket from its first frame to its last; the paths share its state
"""One charger's session: its frames in order, every one answered, nothing answered before it is stored.

The core knows no WebSocket; ``csms.gateway`` gives it a transport. Rules: OCPP-J 1.6 section 4,
OCPP 2.0.1 and 2.1 Part 4 section 4.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

import structlog

from csms import frames, schemas
from csms.access import GetLocalListVersion
from csms.answers import joined
from csms.clocks import ClockWatch
from csms.commands import (
    AnswerStatus,
    ChangeAvailability,
    Command,
    CommandAnswer,
    GetInstalledCertificateIds,
    GetVariables,
    VariableAttribute,
)
from csms.dialect import Calling, Dialect
from csms.errors import CallFailed, NotAccepted, NotConnectedHere
from csms.frames import (
    OCPP21,
    Call,
    CallError,
    CallResult,
    CallResultError,
    Fault,
    Frame,
    Malformed,
    Payload,
    Send,
    error_code,
)
from csms.inbound import Inbound, SessionTools
from csms.journal import SessionJournal
from csms.lease import Lease, unbounded_lease
from csms.limits import TokenBucket
from csms.monitoring import GetReport
from csms.outbound import Outbound
from csms.portions import Room, is_list, portions, smaller
from csms.ports import LastLook
from csms.quirks.quirk import Adaptation
from csms.registration import Registration, Standing
from csms.transport import Transport, TransportClosed
from storage.charger import SelfReport
from storage.errors import EngineUnavailable, InvalidInput
from storage.events import ChargerThrottled, CommandAnswered, FrameRejected, VariablesReported
from storage.findings import Finding
from storage.reports import CertificatesListed, LocalListTold

log = structlog.get_logger(__name__)

SUPERSEDED = 4001
"""Our close code (RFC 6455 leaves 4000-4999 to applications): a newer socket of this charger is there."""

GOING = 1012
"""RFC 6455's registry: service restart."""

_BACKLOG = 64
_BACKLOG_CHARS = 1024 * 1024
"""Frames of one charger that may wait for their turn, and how long together; more wait in its socket."""

_CHARS_PER_MESSAGE = 4096
"""A message longer than this counts for several against the charger's rate."""

_AGAIN_S = 1.0
"""Until a report is asked for again that came too early."""

_ANSWERS = (CallResult, CallError)

_LISTED = (AnswerStatus.ACCEPTED, AnswerStatus.NOT_FOUND)

# CALLERROR codes that say: I cannot do this at all. They are answers, not failures.
_INCAPABLE = frozenset({"NotImplemented", "NotSupported"})


@dataclass(slots=True)
class _Received:
    frame: Frame
    raw: str | bytes
    at: datetime
    answered: CommandAnswered | None = None


class Session:
    """One authenticated socket of one charger."""

    def __init__(
        self,
        journal: SessionJournal,
        dialect: Dialect,
        transport: Transport,
        tools: SessionTools,
        quirks: Adaptation,
        lease: Lease | None = None,
    ) -> None:
        self.journal = journal
        self.charger_id = journal.charger_id
        """Whose session it is."""
        self.session_epoch = journal.session_epoch
        """The fencing number of this socket."""
        self.dialect = dialect
        self.lease = lease or unbounded_lease()
        """While it is in doubt whether this node still speaks for the charger, nothing goes out."""
        self.security_extension: bool | None = None
        """Whether a 1.6 charger has the security extension; None: it has not shown yet."""
        self.on_boot: Callable[[], None] = lambda: None
        """Called after a BootNotification was stored and accepted, or parked for a new certificate."""
        self.heard_at = journal.now()
        """When the charger last sent something on this socket, or opened it."""
        self.reread_due = False
        """It came back, and what is desired of it was not read since (``csms.rereading``)."""
        self._transport = transport
        self._tools = tools
        self._inbound = Inbound(journal, dialect, quirks, tools, self._reply)
        self._outbound = Outbound(journal, self.lease, self._send_text, tools.new_message_id)
        self._backlog: list[_Received] = []
        # Short, and mostly empty: an empty deque of each idle socket costs twelve times as much.
        self._backlog_chars = 0
        self._allowance = TokenBucket(tools.rate, tools.monotonic)
        self._throttled = False
        self._worker: asyncio.Task[None] | None = None
        self._in_hand: tuple[_Received, str] | None = None
        """A request that waits for its commit without a task of its own, and its answer."""
        self._freed: asyncio.Event | None = None
        """Set when nothing is in hand any more; there only while somebody waits for that."""
        self._replies: set[asyncio.Task[None]] = set()
        self._listening = False
        """``run`` has nothing to do but to wait for the next message."""
        self._retired = False
        self._leaving = False

    def watch_clock(self, *, suspicious: bool) -> None:
        """What earlier sessions found: an episode is told once, however often it reconnects."""
        now = self._tools.clock()
        self._inbound.clock = ClockWatch(self.journal.clock_drift_s, now, suspicious=suspicious)

    def booted_before(self, at: datetime | None, version: str | None) -> None:
        """Its last boot, on an earlier socket; a charger that only reconnects does not boot again."""
        if at is not None:
            self._inbound.versions.booted(at, version)

    @property
    def version_unread(self) -> bool:
        """Whether its last boot told no firmware version, and nothing has since."""
        return self._inbound.versions.unread

    def judged_by(self, ask: Callable[[], Awaitable[Registration]], *, confined: bool = False) -> None:
        """Who says, at every boot, whether this charger is accepted; ``confined``: see ``Standing``."""
        self._inbound.standing = Standing(ask, confined=confined)

    @property
    def confined(self) -> bool:
        """Whether the charger is here for a new certificate and nothing else."""
        return self._inbound.standing.confined

    @property
    def told(self) -> SelfReport | None:
        """Who it said it is, in the newest BootNotification of this socket."""
        return self._inbound.told

    @property
    def takes_signed_update(self) -> bool:
        """Whether a signed update can be sent; where a 1.6 charger has not shown, it is worth the try."""
        return self.dialect.always_signed or self.security_extension is not False

    async def run(self) -> TransportClosed:
        """Serve the socket until it closes; returns how it closed, after all that came in is stored."""
        try:
            while True:
                self._listening = True
                raw = await self._transport.receive()
                self._listening = False
                if not self._retired:
                    await self._take(raw)
                    wait_s = self._allowance.take(_cost(raw))
                    if wait_s or self._throttled:
                        await self._throttle(wait_s)
        except TransportClosed as closed:
            return closed
        finally:
            self._outbound.lost()
            self.lease.lose()  # nobody is there to be answered; what came in is stored all the same
            await self._worked_off()

    def take_now(self, raw: str) -> bool:
        """Take a message in the very read that brought it, if nothing stands before it; else ``run`` does."""
        cost = _cost(raw)
        idle = self._listening and not self._retired and not self._throttled and not self._busy
        if not idle or not self._allowance.covers(cost):
            return False
        at = self._tools.clock()
        frame = frames.parse(raw, self.dialect.name)
        if not isinstance(frame, Call) or not self._at_once(frame, raw, at):
            return False
        self.heard_at = at
        self._tools.metrics.frames_in.inc()
        self._allowance.take(cost)
        return True

    async def close(self, code: int, reason: str) -> None:
        """Close the socket; ``run`` then ends."""
        await self._transport.close(code, reason)

    async def hand_over(self, patience_s: float) -> None:
        """Close at the end of this node: no new command, the one in flight finishes first."""
        self._leaving = True
        await self._outbound.idle(patience_s)
        await self.close(GOING, "the node is restarting")

    def retire(self) -> bool:
        """A newer socket speaks for this charger: what still comes here counts no more, nor goes out.

        Returns whether that is news.
        """
        news, self._retired = not self._retired, True
        self.lease.lose()
        self._outbound.lost()
        return news

    async def note(self, finding: Finding) -> None:
        """Put what we found out among its events."""
        await self.journal.put([], [self.journal.event(finding, self._tools.clock())])

    async def settled(self) -> None:
        """Wait until every frame received so far is stored."""
        await self._worked_off()
        await self.journal.stored()

    async def send(
        self, command: Command, deadline_s: float, last_look: LastLook | None = None
    ) -> CommandAnswer:
        """Send a command and wait for its answer; ``last_look``: see ``csms.ports.CommandSender``.

        Raises:
            CommandTimeout, CallFailed, Unsupported: see ``csms.ports.CommandSender``.
            NotConnectedHere: a newer socket has taken over, nothing was sent.
            NotAccepted: the charger's registration does not allow it yet, nothing was sent.
            InvalidInput: the command does not fit into this version's message, nothing was sent.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + deadline_s
        await self._speaks_here(deadline_s)
        self._admit(command)
        answers: list[CommandAnswer] = []
        for part in await self._parts(command):
            answers.append(await self._send_portion(part, end, last_look, first=not answers))
        return joined(answers)

    async def _parts(self, command: Command) -> list[Command]:
        """As the version has it, and as much in each call as the charger takes."""
        found: list[Command] = []
        for part in self.dialect.parts(command):
            room = await self._tools.room(self.charger_id, part) if is_list(part) else Room()
            found += portions(part, room, self._length) if room != Room() else [part]
        return found

    def _length(self, command: Command) -> int:
        """Of the whole message, in bytes."""
        calling = Calling(self.security_extension)
        return len(frames.call(str(UUID(int=0)), *self.dialect.to_call(command, calling)).encode())

    async def _send_portion(
        self, command: Command, end: float, last_look: LastLook | None, *, first: bool
    ) -> CommandAnswer:
        """One part; in halves, if it proves too much for a charger that had not told how much it takes."""
        loop = asyncio.get_running_loop()
        if isinstance(command, GetReport) and not first:
            return await self._send_report(command, end)
        try:
            return await self._send_part(command, max(end - loop.time(), 0), last_look)
        except CallFailed as error:
            both = smaller(command, error.code)
            if not both:
                raise
        return joined([await self._send_portion(half, end, last_look, first=first) for half in both])

    async def _send_report(self, command: GetReport, end: float) -> CommandAnswer:
        """A later part of a report, under its own id; refused while an earlier one comes (B08.FR.16)."""
        loop = asyncio.get_running_loop()
        command = replace(command, request_id=self._tools.new_request_id())
        while True:
            answer = await self._send_part(command, max(end - loop.time(), 0))
            if answer.status is not AnswerStatus.REJECTED or loop.time() + _AGAIN_S >= end:
                return answer
            await asyncio.sleep(_AGAIN_S)

    def _admit(self, command: Command) -> None:
        if not self._inbound.standing.may_hear(command):
            raise NotAccepted(self.charger_id, type(command).__name__)
        self._inbound.standing.expect(command)

    async def _send_part(
        self, command: Command, deadline_s: float, last_look: LastLook | None = None
    ) -> CommandAnswer:
        calling = Calling(self.security_extension, self._tools.new_request_id)
        action, payload = self.dialect.to_call(command, calling)
        self._check(action, payload)
        versions, asked_after = self._inbound.versions, self._inbound.versions.booted_at
        if asked_after is not None and action == "GetBaseReport":
            versions.asked_for_report(int(payload["requestId"]))
        try:
            request_id = getattr(command, "request_id", None)
            back = isinstance(command, ChangeAvailability) and command.whole_back
            answered = await self._outbound.call(
                action, payload, deadline_s, request_id, last_look, whole_back=back
            )
            answer = self._understood(command, action, answered)
        except CallFailed as error:
            if error.code not in _INCAPABLE:
                raise
            answer = CommandAnswer(AnswerStatus.NOT_IMPLEMENTED, error.description)
        await self._learn(command, action, answer, asked_after)
        return answer

    async def _speaks_here(self, deadline_s: float) -> None:
        """Nothing is recorded or sent for a charger that another node may hold by now."""
        if self.lease.good and not self._leaving:
            return
        try:
            async with asyncio.timeout(deadline_s):
                held = not self._leaving and await self.lease.held()
        except TimeoutError:
            held = False
        if not held:
            raise NotConnectedHere(self.charger_id, self.session_epoch)

    def _check(self, action: str, payload: Payload) -> None:
        violation = schemas.check_request(self.dialect.name, action, payload)
        if violation is not None:
            raise InvalidInput(
                f"{action} for {self.charger_id} would not be a valid {self.dialect.name} message.",
                [violation.detail],
            )

    def _understood(self, command: Command, action: str, payload: Payload) -> CommandAnswer:
        try:
            return self.dialect.from_answer(command, action, payload)
        except (ValueError, KeyError, TypeError) as error:
            code = error_code(Fault.PROPERTY, self.dialect.name)
            # Without the cause, which quotes the answer as it came.
            detail = f"unreadable answer: {type(error).__name__}: {self.journal.words(str(error))}"
            raise CallFailed(self.charger_id, action, code, detail) from None

    async def _learn(
        self, command: Command, action: str, answer: CommandAnswer, asked_after: datetime | None
    ) -> None:
        """Keep what an answer tells beyond itself: variables, and what the charger can do."""
        shown = self.dialect.security_answer(command, action, answer)
        if shown is not None:
            self.security_extension = shown
        told = _told(command, answer)
        if told is None:
            return
        version = None
        if isinstance(told, VariablesReported):
            version = self._inbound.version_answered(told.values, asked_after)
        now = self._tools.clock()
        await self.journal.put([], [self.journal.event(each, now) for each in (told, version) if each])

    # What comes in.

    @property
    def _busy(self) -> bool:
        """Whether something that came in earlier is not stored yet."""
        return self._in_hand is not None or self._worker is not None or bool(self._backlog)

    async def _take(self, raw: str | bytes) -> None:
        at = self.heard_at = self._tools.clock()
        self._tools.metrics.frames_in.inc()
        frame = frames.parse(raw, self.dialect.name)
        if isinstance(frame, Call) and self._at_once(frame, raw, at):
            return
        if len(self._backlog) >= _BACKLOG or self._backlog_chars > _BACKLOG_CHARS:
            await self._worked_off()
        self._backlog_chars += len(raw)
        self._backlog.append(_Received(frame, raw, at, self._hand_over(frame)))
        self._set_to_work()

    def _set_to_work(self) -> None:
        if self._worker is None and self._in_hand is None and self._backlog:
            self._worker = asyncio.create_task(self._work(), name=f"session {self.charger_id}")

    async def _throttle(self, wait_s: float) -> None:
        """Over its rate a charger is read more slowly: its messages wait in its own socket, none is lost."""
        if not wait_s:
            self._throttled = self._throttled and not self._allowance.full
            return
        if not self._throttled:
            self._throttled = True
            rate = self._tools.rate.per_s
            log.warning("a charger is throttled", charger_id=self.charger_id, allowed_per_s=rate)
            self._tools.metrics.throttled.labels("messages").inc()
            event = self.journal.event(ChargerThrottled("messages", rate), self._tools.clock())
            await self.journal.put([], [event])
        await self._transport.pause(wait_s)

    def _at_once(self, call: Call, raw: str | bytes, at: datetime) -> bool:
        """Take a request that need not wait for its turn and only for its commit; False: it has to queue."""
        if self._busy:
            return False
        self._notice_security(call)
        answer = self._inbound.serve_at_once(call, str(raw), at, self._stored)
        if answer is not None:
            self._in_hand = (_Received(call, raw, at), answer)
        return answer is not None

    def _stored(self, error: Exception | None) -> None:
        """What was taken at once is committed, or cannot be: then the long way tells its charger."""
        if self._in_hand is None:
            return
        (received, answer), self._in_hand = self._in_hand, None
        if error is None:
            self._acknowledge(received, answer)
        else:
            self._backlog.insert(0, received)
            self._backlog_chars += len(received.raw)
        self._set_to_work()
        freed, self._freed = self._freed, None
        if freed is not None:
            freed.set()

    def _acknowledge(self, received: _Received, answer: str) -> None:
        call: Call = received.frame  # type: ignore[assignment]  # ``_at_once`` takes nothing else
        text = self._inbound.timely(answer, call, received.at)
        # Where the lease is in doubt, or the peer reads slowly, the answer waits in a task of its own.
        if self.lease.good and self._transport.post(text):
            self._tools.metrics.frames_out.inc()
        else:
            reply = asyncio.create_task(self._reply(text))
            self._replies.add(reply)
            reply.add_done_callback(self._replies.discard)

    def _hand_over(self, frame: Frame) -> CommandAnswered | None:
        """Give an answer to whoever waits for it, at once; its record takes its turn like any frame."""
        if isinstance(frame, _ANSWERS):
            return self._outbound.answered(frame)
        if isinstance(frame, Malformed) and not frame.answerable:
            call = self._outbound.waiting_for(frame.message_id)
            if call is not None and not call.answer.done():
                code = error_code(frame.fault, self.dialect.name)
                call.answer.set_exception(CallFailed(self.charger_id, call.action, code, frame.detail))
        return None

    async def _work(self) -> None:
        """Frames in the order they came; an idle session has no task for this."""
        try:
            while self._backlog:
                received = self._backlog.pop(0)
                self._backlog_chars -= len(received.raw)
                await self._handled(received)
        except EngineUnavailable:
            # Only at shutdown: these frames get no answer, so their charger will send them again.
            self._backlog.clear()
            self._backlog_chars = 0
            await self.close(GOING, "the node is stopping")
        finally:
            self._worker = None

    async def _handled(self, received: _Received) -> None:
        """One frame that cannot be handled must not hold up the next; its charger is told."""
        try:
            await self._handle(received)
        except EngineUnavailable:
            raise
        except Exception:
            log.exception("a frame could not be stored", charger_id=self.charger_id)
            if isinstance(received.frame, Call):
                code = error_code(Fault.INTERNAL, self.dialect.name)
                await self._reply(frames.call_error(received.frame.message_id, code, "could not be stored"))

    async def _handle(self, received: _Received) -> None:
        match received.frame:
            case Call() as call:
                await self._serve(call, str(received.raw), received.at)
            case Send() as send:
                await self._inbound.take(send, str(received.raw), received.at)
            case CallResult() | CallError() as answer:
                await self._record_answer(answer, received)
            case CallResultError() as refused:
                await self._inbound.refused(refused, str(received.raw), received.at)
            case Malformed() as malformed:
                await self._inbound.malformed(malformed, received.raw, received.at)

    async def _serve(self, call: Call, raw: str, at: datetime) -> None:
        self._notice_security(call)
        served = await self._inbound.serve(call, raw, at)
        standing = self._inbound.standing
        if served and call.action == "BootNotification" and (standing.accepted or standing.confined):
            self.on_boot()

    def _notice_security(self, call: Call) -> None:
        if self.dialect.shows_security(call.action):
            self.security_extension = True

    async def _record_answer(self, answer: CallResult | CallError, received: _Received) -> None:
        events = [self.journal.event(received.answered, received.at)] if received.answered else []
        fault = self._answer_fault(answer, received.answered)
        if fault:
            code = error_code(Fault.FORMAT, self.dialect.name)
            action = received.answered.action if received.answered else None
            events.append(self.journal.event(FrameRejected(code, fault, action), received.at))
        frame = self.journal.frame("in", received.at, str(received.raw))
        await (await self.journal.put([frame], events))
        if fault and isinstance(answer, CallResult) and self.dialect.name == OCPP21:
            await self._reply(frames.call_result_error(answer.message_id, Fault.FORMAT, fault))

    def _answer_fault(self, answer: CallResult | CallError, answered: CommandAnswered | None) -> str:
        """What is wrong with an answer. It counts all the same if its dialect can read it."""
        if answered is None:
            return "an answer to no call of this session"
        if isinstance(answer, CallError):
            return ""
        violation = schemas.check_answer(self.dialect.name, answered.action, answer.payload)
        return violation.detail if violation else ""

    # What goes out.

    async def _send_text(self, text: str) -> None:
        """Raises TransportClosed, also where the charger speaks to another socket now."""
        if not self.lease.good and not await self.lease.held():
            raise TransportClosed(SUPERSEDED, "a newer connection of this charger was authenticated")
        self._tools.metrics.frames_out.inc()
        await self._transport.send(text)

    async def _reply(self, text: str) -> None:
        """Send an answer; a charger that is gone will ask again."""
        try:
            await self._send_text(text)
        except TransportClosed:
            log.debug("answer could not be delivered", charger_id=self.charger_id)

    async def _worked_off(self) -> None:
        while self._in_hand is not None or self._worker is not None:
            if self._worker is not None:
                await asyncio.wait({self._worker})
            else:
                self._freed = self._freed or asyncio.Event()
                await self._freed.wait()


def _cost(raw: str | bytes) -> float:
    return 1 + len(raw) / _CHARS_PER_MESSAGE


def _told(
    command: Command, answer: CommandAnswer
) -> VariablesReported | CertificatesListed | LocalListTold | None:
    """The fact that an answer is, if it is one."""
    match command:
        case GetVariables(attribute=VariableAttribute.ACTUAL) if answer.values:
            return VariablesReported(dict(answer.values), "answer")
        case GetInstalledCertificateIds() if answer.status in _LISTED:
            return CertificatesListed(command.uses, answer.certificates)
        case GetLocalListVersion() if answer.list_version is not None:
            return LocalListTold(answer.list_version)
    return None
