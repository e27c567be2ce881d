"""What a charger sends, one frame at a time: validate, read, store, and only then answer."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TypeVar

import structlog

from csms import frames, schemas
from csms.clocks import ClockWatch
from csms.commands import Command
from csms.dialect import Answering, Dialect, Observed, Reading
from csms.frames import Call, CallResultError, Fault, Malformed, Payload, Send, error_code
from csms.ingest import Done, Ingest
from csms.journal import SessionJournal, bounded_key
from csms.leniency import Mended, mend
from csms.limits import Rate
from csms.metrics import CsmsMetrics
from csms.portions import Room
from csms.quirks.quirk import Adaptation
from csms.redaction import printable
from csms.registration import Registrar, Registration, Standing, by_lifecycle
from csms.timestamps import parse_instant
from csms.versions import VersionWatch
from storage.charger import SelfReport
from storage.clock import Clock
from storage.errors import EngineUnavailable
from storage.events import (
    NO_RESTART,
    ChargerBooted,
    DeviationTolerated,
    EventRecord,
    FrameRejected,
    VariablesReported,
)
from storage.findings import FirmwareVersionRead
from storage.ports import TransactionIds
from storage.reports import CertificateStatusRequested

log = structlog.get_logger(__name__)

STALE_ANSWER = timedelta(seconds=1)
"""An answer that waited longer for its commit tells the time anew: chargers set their clocks by it."""
_RETRY_S = 0.5
_WAITING = frozenset({"BootNotification", "GetCertificateStatus"})
"""Requests whose answer needs more than the request."""
_STATUS_DEADLINE_S = 20.0
"""A charger waits 30 s for an answer; one without the certificate's status is better than none."""

T = TypeVar("T")
CertificateStatus = tuple[str, str | None]
"""``Accepted`` with the OCSP response (DER in base64), or ``Failed`` and None (M06)."""


async def no_certificate_status(_: CertificateStatusRequested) -> CertificateStatus:
    """The answer of a node without an OCSP client."""
    return "Failed", None


async def unlimited(_charger_id: str, _command: Command) -> Room:
    """What fits into one message of a charger that nobody knows anything of."""
    return Room()


_OF_THE_PAYLOAD = frozenset({Fault.FORMAT, Fault.OCCURRENCE, Fault.PROPERTY, Fault.TYPE})
_TOLD = 100
"""Deviations that one session tells of; a charger can invent any number of them."""
_NOTE_CHARS = 300


@dataclass(frozen=True, slots=True)
class SessionTools:
    """What all sessions of a node share."""

    ingest: Ingest
    transactions: TransactionIds
    clock: Clock
    new_message_id: Callable[[], str]
    """uuid4: an id is never used twice for a charger, over any connection."""
    new_request_id: Callable[[], int]
    hash_token: Callable[[str], str]
    heartbeat_interval_s: int
    metrics: CsmsMetrics
    rate: Rate = field(default_factory=lambda: Rate(0, 0))
    """How much one charger may send, in messages; a long one counts for several."""
    monotonic: Callable[[], float] = time.monotonic
    certificate_status: Callable[[CertificateStatusRequested], Awaitable[CertificateStatus]] = (
        no_certificate_status
    )
    registrar: Registrar = by_lifecycle
    room: Callable[[str, Command], Awaitable[Room]] = unlimited
    """How much of a command fits into one message of that charger."""


async def accepted() -> Registration:
    """A session that nobody judges."""
    return Registration.ACCEPTED


class Inbound:
    """The receiving side of one session."""

    def __init__(
        self,
        journal: SessionJournal,
        dialect: Dialect,
        quirks: Adaptation,
        tools: SessionTools,
        reply: Callable[[str], Awaitable[None]],
    ) -> None:
        self.standing = Standing(accepted)
        self.told: SelfReport | None = None
        """Who the charger said it is, in its newest BootNotification here."""
        self._journal = journal
        self._dialect = dialect
        self._quirks = quirks
        self._told: set[tuple[str, str]] = set()
        self._tools = tools
        self._reply = reply
        self.clock = ClockWatch(journal.clock_drift_s, tools.clock())
        self._reading = Reading(lambda text: parse_instant(text, quirks.time_fixes), tools.hash_token)
        self.versions = VersionWatch(dialect.version_names)

    def serve_at_once(self, call: Call, raw: str, at: datetime, done: Done) -> str | None:
        """Take an ordinary request without waiting: nearly every message of a fleet goes this way.

        Returns the answer, to be sent when ``done`` hears that all is stored. None: nothing was done,
        ``serve`` is needed.
        """
        if call.action in _WAITING or not self.standing.accepted or not self._tools.ingest.at_ease:
            return None
        if self._broken_rule(call):
            return None
        try:
            if self._dialect.start_key(call.action, call.payload, self._reading) is not None:
                return None
            events = self._events(call, at, None)
            answer = self._answer(call, self._answering_now())
        except Exception:  # noqa: BLE001 - ``serve`` meets it again, and says so
            return None
        received = self._journal.frame("in", at, raw, answer)
        return answer if self._journal.offer([received], events, done) else None

    def timely(self, answer: str, call: Call, at: datetime) -> str:
        """The answer of ``serve_at_once``, made anew if the time in it is wrong by now."""
        return self._answer(call, self._answering_now()) if self._is_stale(at) else answer

    def _is_stale(self, at: datetime) -> bool:
        return self._tools.clock() - at > STALE_ANSWER

    def _answering_now(self) -> Answering:
        return Answering(self._tools.clock(), self._tools.heartbeat_interval_s, None)

    async def serve(self, call: Call, raw: str, at: datetime) -> bool:
        """Store what a request tells and answer it; whether it was accepted.

        Raises:
            EngineUnavailable: the node stops before it could be stored; the charger gets no answer.
        """
        violation, deviations = await self._violation(call), []
        if violation is not None:
            mended = self._mended(call, violation)
            if mended is None:
                await self.reject(violation.fault, violation.detail, raw, at, call)
                return False
            call, deviations = replace(call, payload=mended.payload), self._deviations(call, mended, at)
        try:
            transaction_id = await self._transaction_id(call)
            events = [*self._events(call, at, transaction_id), *deviations]
            answering = await self._answering(call, events, transaction_id)
            text = self._answer(call, answering)
            await (await self._journal.put([self._journal.frame("in", at, raw, text)], events))
        except EngineUnavailable:
            raise
        except Exception:
            log.exception(
                "a request could not be processed", charger_id=self._journal.charger_id, action=call.action
            )
            await self.reject(Fault.INTERNAL, "the central system could not process it", raw, at, call)
            return False
        self._keep_self_report(events)
        if self._is_stale(at):
            text = self._answer(call, replace(answering, now=self._tools.clock()))
        await self._reply(text)
        return True

    def _keep_self_report(self, events: list[EventRecord]) -> None:
        for record in events:
            if isinstance(record.event, ChargerBooted):
                booted = record.event
                self.told = SelfReport(booted.vendor, booted.model, booted.firmware_version)

    async def take(self, send: Send, raw: str, at: datetime) -> None:
        """OCPP 2.1: store a message that wants no answer."""
        violation = await self._violation(send)
        if violation is not None:
            await self.reject(violation.fault, violation.detail, raw, at, send)
            return
        await (await self._journal.put([self._journal.frame("in", at, raw)], self._events(send, at, None)))

    async def refused(self, frame: CallResultError, raw: str, at: datetime) -> None:
        """OCPP 2.1: the charger could not read an answer of ours; kept for people to see."""
        detail = f"the charger refused our answer: {frame.description}"[:500]
        await self._store_rejected(FrameRejected(frame.code[:50], detail), raw, at)

    async def malformed(self, frame: Malformed, raw: str | bytes, at: datetime) -> None:
        """Answer and record what is no message."""
        await self.reject(frame.fault, frame.detail, raw, at, frame)

    async def reject(
        self, fault: Fault, detail: str, raw: str | bytes, at: datetime, frame: Call | Send | Malformed
    ) -> None:
        """Record a frame that broke a rule; a CALLERROR goes back where one may."""
        code = error_code(fault, self._dialect.name)
        action = None if isinstance(frame, Malformed) else frame.action[:50]
        self._tools.metrics.rejected.labels(fault.value).inc()
        event = FrameRejected(code, detail[:500], action)
        if isinstance(frame, Send) or (isinstance(frame, Malformed) and not frame.answerable):
            await self._store_rejected(event, raw, at)
            return
        text = frames.call_error(frame.message_id, code, detail)
        await self._store_rejected(event, raw, at, text)
        await self._reply(text)

    async def _store_rejected(
        self, event: FrameRejected, raw: str | bytes, at: datetime, answer: str | None = None
    ) -> None:
        received = self._journal.frame("in", at, printable(raw), answer)
        await (await self._journal.put([received], [self._journal.event(event, at)]))

    async def _violation(self, request: Call | Send) -> schemas.Violation | None:
        refusal = await self._patiently(lambda: self.standing.refusal(request.action))
        if refusal is not None:
            return schemas.Violation(Fault.SECURITY, refusal)
        return self._broken_rule(request)

    def _broken_rule(self, request: Call | Send) -> schemas.Violation | None:
        known = schemas.knows(self._dialect.name, request.action)
        if known and request.action not in self._dialect.messages:
            return schemas.Violation(Fault.NOT_SUPPORTED, "known, but not supported here")
        if known and isinstance(request, Send) != schemas.is_send(request.action):
            return schemas.Violation(Fault.MESSAGE_TYPE, "a SEND that is a CALL, or the other way round")
        return schemas.check_request(self._dialect.name, request.action, request.payload)

    def _mended(self, call: Call, violation: schemas.Violation) -> Mended | None:
        """The request without its flaws, if those are all that is wrong with it."""
        if violation.fault not in _OF_THE_PAYLOAD:
            return None
        return mend(self._dialect.name, call.action, call.payload)

    def _deviations(self, call: Call, mended: Mended, at: datetime) -> list[EventRecord]:
        """What to record of a message that was mended: what this session has not told yet."""
        self._tools.metrics.tolerated.inc()
        fresh = [note for note in mended.notes if (call.action, note) not in self._told]
        fresh = fresh[: max(0, _TOLD - len(self._told))]
        self._told.update((call.action, note) for note in fresh)
        return [
            self._journal.event(DeviationTolerated(call.action, note[:_NOTE_CHARS]), at) for note in fresh
        ]

    async def _transaction_id(self, call: Call) -> int | None:
        key = bounded_key(self._dialect.start_key(call.action, call.payload, self._reading))
        if key is None:
            return None
        return await self._patiently(lambda: self._tools.transactions.allot(self._journal.charger_id, key))

    async def _patiently(self, ask: Callable[[], Awaitable[T]]) -> T:
        """While the store is away a charger waits, as for any commit; only a node that stops gives up."""
        while True:
            try:
                return await ask()
            except EngineUnavailable:
                if self._tools.ingest.closing:
                    raise
                await asyncio.sleep(_RETRY_S)

    def _events(self, request: Call | Send, at: datetime, transaction_id: int | None) -> list[EventRecord]:
        reading = self._reading
        if transaction_id is not None:
            reading = replace(reading, transaction_id=transaction_id)
        observed: tuple[Observed, ...] = self._dialect.to_events(request.action, request.payload, reading)
        drifts = [drift for each in observed if (drift := self.clock.judge(each, at)) is not None]
        events = [self._journal.seen(each, at) for each in self._quirks.apply(observed)]
        return [*events, *(self._journal.event(drift, at) for drift in drifts), *self._versions(events, at)]

    def _versions(self, events: list[EventRecord], at: datetime) -> list[EventRecord]:
        """Where a boot told no version: what a report that was asked for since says of it."""
        for record in events:
            if isinstance(record.event, ChargerBooted):
                version, restarted = record.event.firmware_version, record.event.reason not in NO_RESTART
                self.versions.booted(record.received_at, version, restarted=restarted)
            elif isinstance(record.event, VariablesReported) and self.versions.booted_at is not None:
                report = record.event
                told = self._named(self.versions.reported(report.values, report.request_id))
                return [self._journal.event(told, at)] if told else []
        return []

    def version_answered(
        self, values: Mapping[str, str], asked_after: datetime | None
    ) -> FirmwareVersionRead | None:
        """The version in an answer to what was asked after that boot."""
        return self._named(self.versions.answered(values, asked_after))

    def _named(self, read: FirmwareVersionRead | None) -> FirmwareVersionRead | None:
        plain = self._quirks.plain_version(read.version) if read else None
        return replace(read, version=plain) if read and plain else None

    async def _answering(
        self, call: Call, events: list[EventRecord], transaction_id: int | None
    ) -> Answering:
        """What the answer needs; a boot is judged and an OCSP responder asked only here, once."""
        answering = Answering(self._tools.clock(), self._tools.heartbeat_interval_s, transaction_id)
        if call.action == "BootNotification":
            return replace(answering, registration=await self._patiently(self.standing.at_boot))
        for record in events:
            if isinstance(record.event, CertificateStatusRequested):
                return replace(answering, certificate_status=await self._certificate_status(record.event))
        return answering

    async def _certificate_status(self, asked: CertificateStatusRequested) -> CertificateStatus:
        try:
            async with asyncio.timeout(_STATUS_DEADLINE_S):
                return await self._tools.certificate_status(asked)
        except TimeoutError:
            return "Failed", None

    def _answer(self, call: Call, answering: Answering) -> str:
        payload: Payload = self._dialect.answer(call.action, call.payload, answering)
        return frames.call_result(call.message_id, payload)
