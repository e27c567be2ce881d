"""The record of a charging session: what was told of it, and what became of it (F81).

A record is history. Who may be updated is decided by the twin's open transactions, never by this.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class SessionState(StrEnum):
    """What we hold a session to be."""

    OPEN = "open"
    SUSPECT = "suspect"
    """Still open, and there is reason to doubt it: ``doubt`` says which."""
    RECOVERED = "recovered"
    """Open: it was in doubt, and was heard of again."""
    ENDED = "ended"
    """Its end was told."""
    ABANDONED = "abandoned"
    """Its end was never told; ``stop_reason`` says why we hold it to be over."""


OPEN_STATES = frozenset({SessionState.OPEN, SessionState.SUSPECT, SessionState.RECOVERED})


class StopCause(StrEnum):
    """Who or what ended a session, whatever the version calls it (F89)."""

    USER = "user"
    EV = "ev"
    CHARGER = "charger"
    POWER = "power"
    REMOTE = "remote"
    ERROR = "error"
    UNKNOWN = "unknown"


# OCPP 2.0.1 and 2.1 ReasonEnumType; the dialect of 1.6 speaks these words as well.
_CAUSES = {
    StopCause.USER: ("Local", "LocalOutOfCredit", "MasterPass"),
    StopCause.EV: ("EVDisconnected", "StoppedByEV", "SOCLimitReached", "Timeout"),
    StopCause.CHARGER: ("ImmediateReset", "Reboot", "EnergyLimitReached", "TimeLimitReached"),
    StopCause.POWER: ("PowerLoss", "PowerQuality"),
    StopCause.REMOTE: ("Remote",),
    StopCause.ERROR: (
        "DeAuthorized",
        "EmergencyStop",
        "GroundFault",
        "OvercurrentFault",
        "ReqEnergyTransferRejected",
    ),
}
_CAUSE_OF = {word: cause for cause, known in _CAUSES.items() for word in known}


def stop_cause(reason: str | None) -> StopCause:
    """The cause behind a reason in 2.x words; a word of no version is unknown, never guessed."""
    return _CAUSE_OF.get(reason or "", StopCause.UNKNOWN)


ABNORMAL_STOPS = frozenset(
    {"Reboot", "ImmediateReset", "PowerLoss", "GroundFault", "OvercurrentFault", "EmergencyStop", "Other"}
)
"""Reasons that count against a charger's health (an abnormal stop)."""


@dataclass(frozen=True, slots=True)
class SessionCause:
    """An event that made the record what it is, by its place in the store."""

    sequence: int
    what: str


@dataclass(frozen=True, slots=True)
class ChargingSession:
    """One session of one charger, by (charger, transaction id). Energy in Wh; times aware UTC."""

    charger_id: str
    transaction_id: str
    state: SessionState
    heard_at: datetime
    """Server time of the latest word of it."""
    heard_observed_at: datetime
    """The charger's time of that word, never in our future: what is older is no sign of life."""
    evse_id: int = 0
    connector_id: int = 0
    started_at: datetime | None = None
    """By the charger's clock; None: its start was never told."""
    started_received_at: datetime | None = None
    ended_at: datetime | None = None
    ended_received_at: datetime | None = None
    meter_start_wh: float | None = None
    meter_stop_wh: float | None = None
    register_wh: float | None = None
    """The latest reading that named it."""
    register_at: datetime | None = None
    id_token_hash: str | None = None
    stop_reason: str | None = None
    stop_cause: StopCause | None = None
    doubt: str | None = None
    doubt_since: datetime | None = None
    doubted_at: datetime | None = None
    """When there was reason to doubt it last: what is older takes no doubt away. ``doubt_since`` stays."""
    free_since: datetime | None = None
    """Server time since which its connector says Available."""
    asked: int = 0
    """How often its charger was asked about it in this doubt."""
    asked_at: datetime | None = None
    stuck_since: datetime | None = None
    discrepancies: tuple[str, ...] = ()
    """Where readings contradict each other (F87), one sentence each."""
    causes: tuple[SessionCause, ...] = ()
    """The first events that concern it, in order, and the latest; readings are left out."""

    @property
    def open(self) -> bool:
        """Whether it goes on, as far as the record knows."""
        return self.state in OPEN_STATES

    @property
    def energy_wh(self) -> float | None:
        """Delivered so far; None while no two readings are known."""
        latest = self.meter_stop_wh if self.meter_stop_wh is not None else self.register_wh
        if latest is None or self.meter_start_wh is None:
            return None
        return latest - self.meter_start_wh
