"""What health hours say of a charger, signal by signal, in words. Pure; no gate decides by it yet.

*Unknown* is an answer of its own: too little was heard, or nothing happened that could tell. It is never
fine (F104). Thresholds are proposals, to be tuned on a fleet.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from storage.health import ChargerSignals, FleetSignals, HealthHour


class SignalState(StrEnum):
    """What a signal says."""

    FINE = "fine"
    BAD = "bad"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Signal:
    """One signal of one charger over the window."""

    name: str
    state: SignalState
    says: str


@dataclass(frozen=True, slots=True)
class SignalRule:
    """What counts as bad."""

    coverage: float = 0.2
    """Of the window's minutes the charger must have been heard in; a heartbeat may be minutes apart."""
    return_s: float = 1800.0
    times_baseline: float = 3.0
    reconnects: int = 4
    """In one hour; below, none is a storm whatever the baseline."""
    probe_share: float = 2 / 3
    skew_s: float = 30.0
    messages: int = 50
    """Below, a share of errors means nothing."""
    errors_per_100: float = 1.0
    """Above the baseline."""
    attempts: int = 5
    attempt_share: float = 0.7
    abnormal_share: float = 0.3
    ghost_gaps: float = 3.0
    peer_attempts: int = 3


@dataclass(frozen=True, slots=True)
class _View:
    """One charger with what its numbers are to be compared with."""

    charger: ChargerSignals
    hours: float
    baseline_hours: float
    hour: timedelta
    until: datetime
    rule: SignalRule

    @property
    def now(self) -> HealthHour:
        return self.charger.window

    @property
    def before(self) -> HealthHour:
        return self.charger.baseline

    def heard(self) -> bool:
        """Whether enough was heard to believe that nothing bad was told."""
        return self.charger.heard_minutes >= self.rule.coverage * self.hours * 60

    def usual(self, counter: str) -> float:
        """How many to expect in the window, by the hours of the baseline in which it was heard.

        Not by the minutes: one that says something every five minutes is there all the time.
        """
        known_hours = self.charger.baseline_heard_hours
        return getattr(self.before, counter) / known_hours * self.hours if known_hours else 0.0


def signals(
    fleet: FleetSignals, charger: ChargerSignals, rule: SignalRule | None = None
) -> tuple[Signal, ...]:
    """Every signal of one charger, in a fixed order."""
    view = _View(
        charger,
        (fleet.until - fleet.since) / fleet.hour,
        (fleet.since - fleet.baseline_since) / fleet.hour,
        fleet.hour,
        fleet.until,
        rule or SignalRule(),
    )
    return tuple(Signal(name, *read(view)) for name, read in _SIGNALS.items())


def coverage(fleet: FleetSignals, charger: ChargerSignals) -> float:
    """The share of the window's minutes in which the charger was heard."""
    minutes = (fleet.until - fleet.since) * 60 / fleet.hour
    return min(1.0, charger.heard_minutes / minutes) if minutes else 0.0


_Said = tuple[SignalState, str]


def _none_told(view: _View, count: int, bad: str, fine: str) -> _Said:
    """For what is bad if it happened at all, and fine only if it would have been heard."""
    if count:
        return SignalState.BAD, bad
    if view.heard():
        return SignalState.FINE, fine
    return SignalState.UNKNOWN, f"heard in {view.charger.heard_minutes} of {view.hours * 60:.0f} minutes"


def _return(view: _View) -> _Said:
    rule, charger = view.rule, view.charger
    if charger.awaiting_return_since is not None:
        away_s = (view.until - charger.awaiting_return_since).total_seconds()
        late = away_s > rule.return_s
        return (SignalState.BAD if late else SignalState.UNKNOWN), f"away for {max(away_s, 0):.0f} s"
    longest = view.now.return_max_s
    if longest is None:
        return SignalState.UNKNOWN, "it did not have to come back"
    state = SignalState.BAD if longest > rule.return_s else SignalState.FINE
    return state, f"back after {longest:.0f} s"


def _boots(view: _View) -> _Said:
    usual = view.usual("boots")
    many = view.now.boots >= 3 and view.now.boots > view.rule.times_baseline * max(usual, 0.5)
    bad = view.now.boot_loops > 0 or many
    told = f"{view.now.boots} boots, {view.now.boot_loops} in a loop; usual {usual:.1f}"
    return _none_told(view, int(bad), told, told)


def _reconnects(view: _View) -> _Said:
    usual = view.usual("connects") / max(view.hours, 1.0)
    most = view.charger.most_connects
    storm = most >= view.rule.reconnects and most > view.rule.times_baseline * usual
    told = f"{most} connections in one hour at most; usual {usual:.1f}"
    return _none_told(view, int(storm), told, told)


def _silence(view: _View) -> _Said:
    bad = f"silent {view.now.silences} times" + (", and still" if view.charger.silent else "")
    return _none_told(view, view.now.silences + view.charger.silent, bad, "it was heard")


def _probes(view: _View) -> _Said:
    if not view.now.probes:
        return SignalState.UNKNOWN, "it was not probed"
    share = view.now.probes_answered / view.now.probes
    state = SignalState.FINE if share >= view.rule.probe_share else SignalState.BAD
    return state, f"{view.now.probes_answered} of {view.now.probes} answered within 10 s"


def _connectors(view: _View) -> _Said:
    count = view.now.went_faulted + view.now.went_unavailable
    told = f"{view.now.went_faulted} became faulted, {view.now.went_unavailable} unavailable"
    return _none_told(view, count, told, told)


def _errors(view: _View) -> _Said:
    if view.now.messages < view.rule.messages:
        return SignalState.UNKNOWN, f"only {view.now.messages} messages"
    share = 100 * view.now.errors / view.now.messages
    usual = 100 * view.before.errors / view.before.messages if view.before.messages else 0.0
    state = SignalState.BAD if share > usual + view.rule.errors_per_100 else SignalState.FINE
    return state, f"{share:.1f} errors per 100 messages; usual {usual:.1f}"


def _clock(view: _View) -> _Said:
    skew = view.now.skew_min_s
    if skew is None:
        return SignalState.UNKNOWN, "nothing came with a time of its own"
    return (SignalState.BAD if skew > view.rule.skew_s else SignalState.FINE), f"off by {skew:.1f} s"


def _attempts(view: _View) -> _Said:
    known = view.now.attempts_ok + view.now.attempts_failed
    told = f"energy within 5 minutes in {view.now.attempts_ok} of {known} sessions"
    if known < view.rule.attempts:
        return SignalState.UNKNOWN, told
    ok = view.now.attempts_ok / known >= view.rule.attempt_share
    return (SignalState.FINE if ok else SignalState.BAD), told


def _stops(view: _View) -> _Said:
    told = f"{view.now.abnormal_stops} of {view.now.stops} stops were abnormal"
    if view.now.stops < view.rule.attempts:
        return SignalState.UNKNOWN, told
    bad = view.now.abnormal_stops / view.now.stops > view.rule.abnormal_share
    return (SignalState.BAD if bad else SignalState.FINE), told


def _ghost(view: _View) -> _Said:
    """No session for three times the usual gap while its neighbours are used."""
    charger, known_hours = view.charger, view.charger.baseline_heard_hours
    if view.before.attempts < 2 or not charger.last_session_at:
        return SignalState.UNKNOWN, "too few sessions to know what is usual"
    usual_h = known_hours / view.before.attempts
    gap_h = (view.until - charger.last_session_at) / view.hour
    told = f"last session {gap_h:.0f} h ago, usual gap {usual_h:.0f} h"
    if gap_h <= view.rule.ghost_gaps * usual_h:
        return SignalState.FINE, told
    if charger.peer_attempts < view.rule.peer_attempts:
        return SignalState.UNKNOWN, f"{told}; its neighbours are hardly used either"
    return SignalState.BAD, f"{told}; its neighbours had {charger.peer_attempts} sessions"


def _meter(view: _View) -> _Said:
    count = view.now.meter_backwards
    return _none_told(view, count, f"the register went back {count} times", "the register only went up")


def _drained(view: _View) -> _Said:
    if not view.now.open_at_boot:
        return SignalState.UNKNOWN, "no session was open at a restart"
    lost = view.now.open_at_boot - view.now.closed_after_boot
    told = f"{view.now.closed_after_boot} of {view.now.open_at_boot} sessions open at a restart were closed"
    return (SignalState.BAD if lost > 0 else SignalState.FINE), told


def _profile(view: _View) -> _Said:
    count = view.now.profile_drops
    return _none_told(view, count, f"{count} connections with a lower security profile", "never lower")


_SIGNALS: dict[str, Callable[[_View], _Said]] = {
    "return_after_update": _return,
    "boots": _boots,
    "reconnects": _reconnects,
    "application_silence": _silence,
    "probes": _probes,
    "connector_regression": _connectors,
    "security_profile": _profile,
    "protocol_errors": _errors,
    "clock": _clock,
    "first_attempt": _attempts,
    "abnormal_stops": _stops,
    "ghost": _ghost,
    "meter": _meter,
    "queue_drained": _drained,
}
