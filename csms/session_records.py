"""Session records after a batch of events: a pure fold (F81-F85, F87, F89).

Whatever order the facts of a session come in, they meet in one record: the earliest start, the earliest
end, the latest reading. A boot opens nothing. Doubt ends no session: only an end that was told does,
or an abandonment that was decided on evidence and is an event of its own.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from csms.meters import register_wh
from storage.charging import ChargingSession, SessionCause, SessionState, StopCause, stop_cause
from storage.codec import decode_event
from storage.events import (
    NO_RESTART,
    ChargerBooted,
    ConnectorStatus,
    ConnectorStatusChanged,
    EventKind,
    MeterValuesSampled,
    StoredEvent,
    TransactionEnded,
    TransactionStarted,
    TransactionUpdated,
)
from storage.findings import SessionAbandoned, SessionFinding, SessionQuestioned, SessionStuck
from storage.incident import IncidentChange, IncidentKind
from storage.watching import SessionChange, Sessions

NO_IDENTITY = "-1"
"""What a 1.6 charger that started offline puts for the id it was never given, for every such session."""
KEPT_CAUSES = 40
KEPT_DISCREPANCIES = 10
BACKWARDS_WH = 1.0
"""A register may be rounded by so much from one reading to the next."""
APART_WH, APART_SHARE = 50.0, 0.01
"""How far the stop's reading and the last register before it may be apart: the larger of both."""


def fold(known: Sessions, events: Sequence[StoredEvent]) -> SessionChange:
    """The records that these events change, and the incidents that they open or close."""
    book = _Book(known)
    for event in events:
        handle = _HANDLERS.get(event.kind)
        if handle is not None:
            handle(book, event, decode_event(event.kind, event.body))
    return SessionChange({key: book.sessions[key] for key in book.changed}, tuple(book.incidents))


class _Book:
    """The records while a batch is folded in."""

    def __init__(self, known: Sessions) -> None:
        self.sessions = dict(known)
        self.changed: dict[tuple[str, str], None] = {}
        self.incidents: list[IncidentChange] = []
        self._of: defaultdict[str, list[str]] = defaultdict(list)
        for charger_id, transaction_id in known:
            self._of[charger_id].append(transaction_id)

    def open(self, charger_id: str) -> list[ChargingSession]:
        """The charger's open sessions."""
        found = [self.sessions[charger_id, name] for name in self._of[charger_id]]
        return [session for session in found if session.open]

    def get(self, event: StoredEvent, transaction_id: str) -> ChargingSession:
        """The record, or a new one: a session whose start was never told is one all the same."""
        known = self.sessions.get((event.charger_id, transaction_id))
        if known is not None:
            return known
        at = moment(event)
        return ChargingSession(event.charger_id, transaction_id, SessionState.OPEN, event.received_at, at)

    def put(self, session: ChargingSession) -> None:
        key = (session.charger_id, session.transaction_id)
        before = self.sessions.get(key)
        if before == session:
            return
        if before is None:
            self._of[session.charger_id].append(session.transaction_id)
        self.sessions[key] = session
        self.changed[key] = None

    def incident(self, kind: IncidentKind, session: ChargingSession, at: datetime, summary: str = "") -> None:
        """Open one, or close it where there is nothing to say."""
        subject = f"session/{session.charger_id}/{session.transaction_id}"
        self.incidents.append(IncidentChange(kind, subject, at, summary, close=not summary))


def moment(event: StoredEvent) -> datetime:
    """When it happened: the charger's time, but never in our future."""
    return min(event.observed_at, event.received_at)


def _noted(session: ChargingSession, event: StoredEvent, what: str) -> ChargingSession:
    cause = SessionCause(event.sequence, what)
    kept = session.causes if len(session.causes) < KEPT_CAUSES else session.causes[:-1]
    return replace(session, causes=(*kept, cause))


def _heard(book: _Book, session: ChargingSession, event: StoredEvent) -> ChargingSession:
    """A word of it. In doubt, or held to be over, it is one again: unknown counts as charging."""
    at = moment(event)
    session = replace(
        session,
        heard_at=max(session.heard_at, event.received_at),
        heard_observed_at=max(session.heard_observed_at, at),
    )
    if session.state is SessionState.ABANDONED:
        session = replace(session, ended_received_at=None, stop_reason=None, stop_cause=None)
        if session.doubt_since is not None and at < session.doubt_since:
            return _doubted(session, event, "a message from before came after it was held to be over")
        return _recovered(book, session, event)
    doubted_at = session.doubted_at or session.doubt_since
    if session.state is SessionState.SUSPECT and doubted_at and at >= doubted_at:
        return _recovered(book, session, event)
    return session


def _doubted(session: ChargingSession, event: StoredEvent, doubt: str) -> ChargingSession:
    if session.state is SessionState.SUSPECT:
        # A charger that restarts again and again does not begin the doubt anew: it would never be settled.
        return _noted(replace(session, doubted_at=event.received_at), event, doubt)
    suspect = replace(
        session,
        state=SessionState.SUSPECT,
        doubt=doubt,
        doubt_since=event.received_at,
        doubted_at=event.received_at,
        asked=0,
        asked_at=None,
    )
    return _noted(suspect, event, doubt)


def _recovered(book: _Book, session: ChargingSession, event: StoredEvent) -> ChargingSession:
    alive = replace(
        _settled(book, session, event), state=SessionState.RECOVERED, doubt=None, doubt_since=None, asked=0
    )
    return _noted(alive, event, "heard of again")


def _settled(book: _Book, session: ChargingSession, event: StoredEvent) -> ChargingSession:
    """Nobody needs to look at it any more."""
    if session.stuck_since is None:
        return session
    book.incident(IncidentKind.SESSION_STUCK, session, event.received_at)
    return replace(session, stuck_since=None)


# What was told.


def _started(book: _Book, event: StoredEvent, told: TransactionStarted) -> None:
    before = book.get(event, told.transaction_id)
    at = moment(event)
    first = before.started_at is None or at < before.started_at
    session = replace(
        before,
        evse_id=before.evse_id or told.evse_id,
        connector_id=before.connector_id or told.connector_id,
        started_at=at if first else before.started_at,
        started_received_at=before.started_received_at or event.received_at,
        meter_start_wh=_or(told.meter_wh, before.meter_start_wh) if first else before.meter_start_wh,
        id_token_hash=before.id_token_hash or told.id_token_hash,
    )
    session = _noted(_heard(book, session, event), event, "started")
    book.put(_reconciled(book, session, event))
    _displace(book, session, event)


def _displace(book: _Book, newcomer: ChargingSession, event: StoredEvent) -> None:
    """An EVSE holds one session at a time: of two open ones the older is in doubt, not over."""
    if not newcomer.open or not newcomer.evse_id:
        return
    for other in book.open(event.charger_id):
        same = other.transaction_id == newcomer.transaction_id
        if same or other.evse_id != newcomer.evse_id or other.state is SessionState.SUSPECT:
            continue
        older = other if _began(other) <= _began(newcomer) else newcomer
        book.put(_doubted(older, event, "another session began on its EVSE"))


def _began(session: ChargingSession) -> datetime:
    return session.started_at or session.heard_observed_at


def _updated(book: _Book, event: StoredEvent, told: TransactionUpdated) -> None:
    session = book.get(event, told.transaction_id)
    new = not session.causes
    session = replace(session, evse_id=session.evse_id or told.evse_id or 0)
    session = _read(_heard(book, session, event), event, told.meter_wh)
    book.put(_reconciled(book, _noted(session, event, "first heard of") if new else session, event))


def _metered(book: _Book, event: StoredEvent, told: MeterValuesSampled) -> None:
    if told.transaction_id is None or told.transaction_id == NO_IDENTITY:
        return
    session = book.get(event, told.transaction_id)
    new = not session.causes
    session = replace(session, evse_id=session.evse_id or told.evse_id)
    session = _read(_heard(book, session, event), event, register_wh(told.samples))
    book.put(_reconciled(book, _noted(session, event, "first heard of") if new else session, event))


def _ended(book: _Book, event: StoredEvent, told: TransactionEnded) -> None:
    if told.transaction_id == NO_IDENTITY:
        _ended_without_identity(book, event, told)
        return
    session = book.get(event, told.transaction_id)
    book.put(_reconciled(book, _with_end(book, session, event, told), event))


def _with_end(
    book: _Book, session: ChargingSession, event: StoredEvent, told: TransactionEnded
) -> ChargingSession:
    """Of several ends the earliest counts, whichever came first (F83)."""
    at, reason = moment(event), told.reason or "Local"
    session = _noted(_settled(book, session, event), event, f"ended: {reason}")
    session = replace(
        session,
        heard_at=max(session.heard_at, event.received_at),
        heard_observed_at=max(session.heard_observed_at, at),
        doubt=None,
        doubt_since=None,
        free_since=None,
    )
    ended = session.state is SessionState.ENDED
    if ended and (session.ended_at, session.stop_reason or "") <= (at, reason):
        return session
    return replace(
        session,
        state=SessionState.ENDED,
        ended_at=at,
        ended_received_at=session.ended_received_at if ended else event.received_at,
        meter_stop_wh=_or(told.meter_wh, session.meter_stop_wh),
        stop_reason=reason,
        stop_cause=stop_cause(reason),
    )


def _ended_without_identity(book: _Book, event: StoredEvent, told: TransactionEnded) -> None:
    """A stop that does not say of what: a record of its own, and whatever is open is in doubt."""
    name = f"{NO_IDENTITY}:{moment(event):%Y%m%dT%H%M%S}"
    book.put(_with_end(book, book.get(event, name), event, told))
    for session in book.open(event.charger_id):
        if _began(session) <= moment(event) and session.state is not SessionState.SUSPECT:
            book.put(_doubted(session, event, "a stop came that does not say of which session"))


def _connector(book: _Book, event: StoredEvent, told: ConnectorStatusChanged) -> None:
    free = told.status is ConnectorStatus.AVAILABLE
    for session in book.open(event.charger_id):
        here = session.evse_id == told.evse_id and session.connector_id in (0, told.connector_id)
        if told.evse_id and here:
            since = (session.free_since or event.received_at) if free else None
            book.put(replace(session, free_since=since))


def _booted(book: _Book, event: StoredEvent, told: ChargerBooted) -> None:
    """Opens nothing; what was open is in doubt until the charger says more (F85)."""
    if told.reason in NO_RESTART:
        return
    for session in book.open(event.charger_id):
        book.put(_doubted(session, event, "its charger restarted"))


# What we found.


def _questioned(book: _Book, event: StoredEvent, found: SessionQuestioned) -> None:
    session = book.get(event, found.transaction_id)
    session = replace(session, asked=session.asked + 1, asked_at=event.received_at)
    session = _noted(session, event, f"asked: {found.finding.value}")
    if found.finding is SessionFinding.ONGOING and session.open:
        session = replace(session, heard_at=event.received_at)
        session = _recovered(book, session, event)
    book.put(session)


def _abandoned(book: _Book, event: StoredEvent, found: SessionAbandoned) -> None:
    session = book.get(event, found.transaction_id)
    if not session.open or (found.as_of is not None and session.heard_at > found.as_of):
        return
    session = _noted(_settled(book, session, event), event, "abandoned")
    book.put(
        replace(
            session,
            state=SessionState.ABANDONED,
            ended_received_at=event.received_at,
            stop_reason=found.reason,
            stop_cause=StopCause.UNKNOWN,
            doubt=None,
            doubt_since=event.received_at,
        )
    )


def _stuck(book: _Book, event: StoredEvent, found: SessionStuck) -> None:
    session = book.get(event, found.transaction_id)
    if not session.open or session.stuck_since is not None:
        return
    book.put(_noted(replace(session, stuck_since=event.received_at), event, "stuck"))
    summary = f"Session {session.transaction_id} of {session.charger_id} is stuck: {found.reason}"
    book.incident(IncidentKind.SESSION_STUCK, session, event.received_at, summary)


# Energy (F87).


def _or(value: float | None, otherwise: float | None) -> float | None:
    return otherwise if value is None else value


def _read(session: ChargingSession, event: StoredEvent, register: float | None) -> ChargingSession:
    """A reading that names the session; the latest by the charger's clock stands."""
    if register is None:
        return session
    at, known = moment(event), session.register_wh
    later = session.register_at is None or at >= session.register_at
    earlier, now = (known, register) if later else (register, known)
    if earlier is not None and now is not None and now < earlier - BACKWARDS_WH:
        session = _contradicted(session, f"the register went back from {earlier:.0f} to {now:.0f} Wh")
    return replace(session, register_wh=register, register_at=at) if later else session


def _contradicted(session: ChargingSession, sentence: str) -> ChargingSession:
    if sentence in session.discrepancies or len(session.discrepancies) >= KEPT_DISCREPANCIES:
        return session
    return replace(session, discrepancies=(*session.discrepancies, sentence))


def _reconciled(book: _Book, session: ChargingSession, event: StoredEvent) -> ChargingSession:
    """Readings against each other, as they come; the first contradiction opens an incident."""
    for sentence in _contradictions(session):
        session = _contradicted(session, sentence)
    before = book.sessions.get((session.charger_id, session.transaction_id))
    if session.discrepancies and not (before and before.discrepancies):
        summary = f"Session {session.transaction_id} of {session.charger_id}: {session.discrepancies[0]}"
        book.incident(IncidentKind.ENERGY_DISCREPANCY, session, event.received_at, summary)
    return session


def _contradictions(session: ChargingSession) -> list[str]:
    start, stop, register = session.meter_start_wh, session.meter_stop_wh, session.register_wh
    found = []
    if start is not None and stop is not None and stop < start - BACKWARDS_WH:
        found.append(f"it stopped at {stop:.0f} Wh, below its start at {start:.0f} Wh")
    if start is not None and register is not None and register < start - BACKWARDS_WH:
        found.append(f"the register read {register:.0f} Wh, below its start at {start:.0f} Wh")
    if stop is not None and register is not None and session.register_at and session.ended_at:
        allowed = max(APART_WH, APART_SHARE * abs(stop - (start or 0.0)))
        if session.register_at <= session.ended_at and register - stop > allowed:
            found.append(f"it stopped at {stop:.0f} Wh, after the register had read {register:.0f} Wh")
    return found


_HANDLERS: dict[EventKind, Callable[[_Book, StoredEvent, Any], None]] = {
    EventKind.TRANSACTION_STARTED: _started,
    EventKind.TRANSACTION_UPDATED: _updated,
    EventKind.METER_VALUES_SAMPLED: _metered,
    EventKind.TRANSACTION_ENDED: _ended,
    EventKind.CONNECTOR_STATUS_CHANGED: _connector,
    EventKind.CHARGER_BOOTED: _booted,
    EventKind.SESSION_QUESTIONED: _questioned,
    EventKind.SESSION_ABANDONED: _abandoned,
    EventKind.SESSION_STUCK: _stuck,
}
"""Other kinds concern no session."""

CONCERNS = frozenset(_HANDLERS)
"""The kinds that a projection of session records has to read."""
