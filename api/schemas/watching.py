"""Sessions, health signals and incidents at the door."""

from datetime import datetime
from typing import Any

from pydantic import Field

from api.schemas.chargers import EventReply
from api.schemas.common import Body, Reply, Sentence
from storage.charging import ChargingSession, SessionState, StopCause
from storage.health import ChargerSignals, FleetSignals, HealthHour
from storage.incident import IncidentKind
from storage.watching import TimelineEntry
from workflows.health_signals import SignalState, coverage, signals
from workflows.soak import SoakRule, departures


class CauseReply(Reply):
    """An event that made a session's record what it is."""

    sequence: int
    what: str


class SessionReply(Reply):
    """One charging session. Energy in Wh. `at` is by the charger's clock, `received_at` by ours."""

    charger_id: str
    transaction_id: str
    state: SessionState
    evse_id: int = Field(description="0: not known.")
    connector_id: int = Field(description="0: not known.")
    started_at: datetime | None = Field(description="null: its start was never told.")
    started_received_at: datetime | None
    ended_at: datetime | None
    ended_received_at: datetime | None
    heard_at: datetime
    meter_start_wh: float | None
    meter_stop_wh: float | None
    register_wh: float | None = Field(description="The latest reading that named the session.")
    energy_wh: float | None
    id_token_hash: str | None = Field(description="Keyed hash of the card or app that authorised it.")
    stop_reason: str | None = Field(description="In OCPP 2.x words; of an abandoned session why.")
    stop_cause: StopCause | None
    doubt: str | None
    doubt_since: datetime | None
    asked: int
    stuck_since: datetime | None
    discrepancies: tuple[str, ...]
    causes: tuple[CauseReply, ...]

    @classmethod
    def of(cls, session: ChargingSession) -> "SessionReply":
        """The reply for a record."""
        return cls.model_validate(session)


class EntryReply(Reply):
    """An event or a frame, in the order in which they came."""

    at: datetime
    concerns: bool = Field(description="Whether it names this session.")
    event: EventReply | None = None
    direction: str | None = Field(default=None, description="`in` from the charger, `out` to it.")
    frame: str | None = Field(default=None, description="As journaled: secrets are redacted.")
    answer: str | None = Field(default=None, description="What we answered to it, likewise.")


class SessionTimelineReply(Reply):
    """A session and everything that passed while it went on."""

    session: SessionReply
    since: datetime
    until: datetime
    items: tuple[EntryReply, ...]
    next_cursor: str | None = Field(
        default=None, description="Pass it on as `cursor`; null on the last page."
    )


def entry_reply(entry: TimelineEntry, session: ChargingSession) -> EntryReply:
    """One line of a session's timeline."""
    if entry.event is None:
        return EntryReply(
            at=entry.at,
            # In 1.6 a start names its session in our answer alone.
            concerns=_names(f"{entry.text} {entry.answer or ''}", session.transaction_id),
            direction=entry.direction,
            frame=entry.text,
            answer=entry.answer,
        )
    caused = {cause.sequence for cause in session.causes}
    named = entry.event.body.get("transaction_id") == session.transaction_id
    return EntryReply(
        at=entry.at, concerns=named or entry.event.sequence in caused, event=EventReply.of(entry.event)
    )


def _names(frame: str, transaction_id: str) -> bool:
    # 1.6 writes the id as a number, 2.x as a string.
    wanted = f'"transactionId":{transaction_id}', f'"transactionId":"{transaction_id}"'
    text = frame.replace(" ", "")
    return any(f"{word}{end}" in text for word in wanted for end in ",}")


class SignalReply(Reply):
    """One signal."""

    name: str
    state: SignalState = Field(description="`unknown`: too little was heard, or nothing could tell.")
    says: str


class ChargerHealthReply(Reply):
    """The signals of one charger, and the counters behind them."""

    charger_id: str
    online: bool
    silent: bool
    coverage: float = Field(description="Share of the window's minutes in which it was heard.")
    heard_minutes: int
    baseline_heard_minutes: int
    heard_hours: int = Field(description="Hours of the window in which anything was heard.")
    baseline_heard_hours: int = Field(description="The same of the baseline: what its counters belong to.")
    departures: tuple[str, ...] = Field(
        description="How it departs from its own baseline, beyond chance and by much; empty: it does not."
    )
    signals: tuple[SignalReply, ...]
    window: dict[str, Any]
    baseline: dict[str, Any]
    most_connects_in_an_hour: int
    last_session_at: datetime | None
    peer_attempts: int
    awaiting_return_since: datetime | None


class WatermarkReply(Reply):
    """How far the projection had read."""

    sequence: int
    through: datetime | None = Field(description="Everything of before is counted; null: it never ran.")


class HealthReply(Reply):
    """Signals of any set of chargers, read at one instant."""

    since: datetime
    until: datetime
    baseline_since: datetime
    watermark: WatermarkReply
    complete: bool = Field(description="Whether everything of the window was counted when it was read.")
    chargers: tuple[ChargerHealthReply, ...]

    @classmethod
    def of(cls, fleet: FleetSignals) -> "HealthReply":
        """The reply for what was read."""
        through = fleet.watermark.through
        return cls(
            since=fleet.since,
            until=fleet.until,
            baseline_since=fleet.baseline_since,
            watermark=WatermarkReply(sequence=fleet.watermark.sequence, through=through),
            complete=through is not None and through >= fleet.until,
            chargers=tuple(_health(fleet, each) for each in fleet.chargers),
        )


def _health(fleet: FleetSignals, charger: ChargerSignals) -> ChargerHealthReply:
    return ChargerHealthReply(
        charger_id=charger.charger_id,
        online=charger.online,
        silent=charger.silent,
        coverage=round(coverage(fleet, charger), 3),
        heard_minutes=charger.heard_minutes,
        baseline_heard_minutes=charger.baseline_heard_minutes,
        heard_hours=charger.heard_hours,
        baseline_heard_hours=charger.baseline_heard_hours,
        departures=departures(fleet, charger, SoakRule()),
        signals=tuple(SignalReply.model_validate(each) for each in signals(fleet, charger)),
        window=_counters(charger.window),
        baseline=_counters(charger.baseline),
        most_connects_in_an_hour=charger.most_connects,
        last_session_at=charger.last_session_at,
        peer_attempts=charger.peer_attempts,
        awaiting_return_since=charger.awaiting_return_since,
    )


def _counters(hour: HealthHour) -> dict[str, Any]:
    return {name: getattr(hour, name) for name in hour.__dataclass_fields__ if name != "heard"}


class IncidentReply(Reply):
    """What a person should know of; one for each subject and kind while it lasts."""

    incident_id: int
    kind: IncidentKind
    subject: str
    summary: str
    opened_at: datetime
    closed_at: datetime | None
    closed_by: str | None = Field(description="Who closed it by hand; null: it is open, or ended by itself.")
    close_reason: str | None
    detail: dict[str, Any]


class CloseBody(Body):
    """Why an incident is over."""

    reason: Sentence
