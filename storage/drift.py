"""Drift: a charger is not what it said it would be. One pure judgement over twin, desire and schema.

A value drifts when the charger acknowledged it, told us something else *after* that, and stayed so for
longer than a grace period while it was online. What it refused, what was not delivered yet and what is
unknown is no drift.

pending ── grace, online ──▶ open ──▶ closed
   └────────────────────────────────────▲   converged, or desired otherwise
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from storage.desired import Ack, AckStatus, DesiredSection
from storage.twin import TwinState
from storage.twin_schema import DESIRED_ONLY, VARIABLES, Severity, severity_of


class DriftState(StrEnum):
    """Where one drift stands."""

    PENDING = "pending"
    """Seen, and not long enough yet."""
    OPEN = "open"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Drift:
    """One value that left what is desired. At most one that is not closed for each charger and path."""

    charger_id: str
    path: str
    severity: Severity
    desired: Any
    reported: Any
    desired_version: int
    state: DriftState
    first_seen: datetime
    judged_at: datetime
    differing_s: float = 0.0
    """How long it differed while the charger was online."""
    opened_at: datetime | None = None
    closed_at: datetime | None = None
    suspicion: str = ""
    """Why it may be an intrusion (F34); empty: it need not be."""
    reason: str = ""
    """How it ended; of one that is open, how it came about, where that is known."""
    drift_id: int | None = None
    """Its number in the store."""


@dataclass(frozen=True, slots=True)
class DriftFacts:
    """What a judgement of one charger rests on."""

    twin: TwinState
    desired: tuple[DesiredSection, ...]
    known: tuple[Drift, ...] = ()
    """Those that are not closed."""
    connected: bool = False
    """It has a live route now."""


@dataclass(frozen=True, slots=True)
class DriftVerdict:
    """What is to be written down."""

    drifts: tuple[Drift, ...] = ()
    """New and changed ones."""
    acks: Mapping[str, Mapping[str, Ack]] = field(default_factory=dict)
    """Answers by section and path, for values that are there though nobody delivered them."""


_UNKNOWN = object()
_BOOLEANS = frozenset({"true", "false"})


def judge(facts: DriftFacts, grace: timedelta, now: datetime) -> DriftVerdict:
    """The drifts of one charger as they are now."""
    known = {drift.path: drift for drift in facts.known}
    drifts: list[Drift] = []
    acks: dict[str, dict[str, Ack]] = {}
    wanted: set[str] = set()
    for section in facts.desired:
        if section.section in DESIRED_ONLY:  # no charger tells of it, so none can leave it
            continue
        for path, value in section.values.items():
            wanted.add(path)
            reported = reported_value(facts.twin, path)
            ack = section.acks.get(path)
            if same(value, reported) and (ack is None or ack.status is not AckStatus.ACCEPTED):
                there = Ack(AckStatus.ACCEPTED, section.version, now, "it reports this value")
                acks.setdefault(section.section, {})[path] = there
            drift = _judge_value(_Value(section, path, value, reported), known.get(path), facts, now)
            if drift is not None:
                drifts.append(_matured(drift, facts, grace, now))
    drifts += [
        _closed(drift, "nothing is desired of it any more", now)
        for path, drift in known.items()
        if path not in wanted
    ]
    return DriftVerdict(tuple(drift for drift in drifts if drift != known.get(drift.path)), acks)


@dataclass(frozen=True, slots=True)
class _Value:
    section: DesiredSection
    path: str
    desired: Any
    reported: Any

    @property
    def ack(self) -> Ack | None:
        return self.section.acks.get(self.path)


def _judge_value(value: _Value, known: Drift | None, facts: DriftFacts, now: datetime) -> Drift | None:
    """The drift of one value after this look, before its age is judged; None: there is none."""
    if same(value.desired, value.reported):
        return known and _closed(known, "converged", now)
    if value.ack is None or value.ack.status is not AckStatus.ACCEPTED:
        status = value.ack.status.value if value.ack else "not acknowledged"
        return known and _closed(known, f"desired otherwise since, and that is {status}", now)
    told = told_at(facts.twin, value.path)
    if value.reported is _UNKNOWN or told is None or told < value.ack.at:
        return known
    if known is None:
        return Drift(
            charger_id=facts.twin.charger_id,
            path=value.path,
            severity=severity_of(value.path),
            desired=value.desired,
            reported=value.reported,
            desired_version=value.section.version,
            state=DriftState.PENDING,
            first_seen=now,
            judged_at=now,
            suspicion=_suspicion(value),
        )
    return replace(
        known,
        desired=value.desired,
        reported=value.reported,
        desired_version=value.section.version,
        suspicion=_suspicion(value),
    )


def _matured(drift: Drift, facts: DriftFacts, grace: timedelta, now: datetime) -> Drift:
    """Add the time that it was online since the last look; open it when that is enough."""
    if drift.state is not DriftState.PENDING:
        return drift
    drift = replace(
        drift, differing_s=drift.differing_s + _online_s(facts, drift.judged_at, now), judged_at=now
    )
    if drift.differing_s < grace.total_seconds():
        return drift
    return replace(drift, state=DriftState.OPEN, opened_at=now)


def _online_s(facts: DriftFacts, since: datetime, now: datetime) -> float:
    """Seconds from ``since`` to ``now`` in which the charger is known to have been connected."""
    link = facts.twin.connectivity
    if not facts.connected or link is None or link.since is None or not link.online:
        return 0.0
    return max(0.0, (now - max(since, link.since)).total_seconds())


def _closed(drift: Drift, reason: str, now: datetime) -> Drift:
    return replace(drift, state=DriftState.CLOSED, closed_at=now, judged_at=now, reason=reason)


def reported_value(twin: TwinState, path: str) -> Any:
    """What the charger says of a path that can be desired; a value of its own when that is unknown."""
    section_name, _, rest = path.partition(".")
    section = getattr(twin, section_name, None)
    if section is None:
        return _UNKNOWN
    if path.startswith(f"{VARIABLES}."):
        return section.values.get(path[len(VARIABLES) + 1 :], _UNKNOWN)
    value = getattr(section, rest, None)
    return _UNKNOWN if value is None else value


def told_at(twin: TwinState, path: str) -> datetime | None:
    """When the charger last told what a path is."""
    if path.startswith("configuration."):
        return twin.configuration.read_at if twin.configuration else None
    if path == "firmware.version":
        return twin.firmware.booted_at if twin.firmware else None
    if path == "security.roots":
        return twin.security.roots_at if twin.security else None
    return twin.security.last_auth_ok_at if twin.security else None


def same(desired: Any, reported: Any) -> bool:
    """Whether a reported value is what is desired: lists as sets, True and true alike."""
    if isinstance(desired, list | tuple) and isinstance(reported, list | tuple):
        return set(desired) == set(reported)
    if isinstance(desired, str) and isinstance(reported, str):
        folded = desired.strip().casefold()
        return desired == reported or (folded in _BOOLEANS and folded == reported.strip().casefold())
    return bool(desired == reported)


def _suspicion(value: _Value) -> str:
    """What looks like somebody's doing rather than a fault (F34)."""
    match value.path:
        case "firmware.version":
            return f"it runs {value.reported}, which nobody rolled out to it"
        case "security.profile" if value.reported < value.desired:
            return f"its security profile went down from {value.desired} to {value.reported}"
        case "security.roots" if set(value.reported) - set(value.desired):
            return "it trusts a root certificate that nobody gave it"
        case path if path.startswith(f"{VARIABLES}.") and severity_of(path) is Severity.CRITICAL:
            return "what decides whom it trusts or talks to was changed"
    return ""


def worst(drifts: Sequence[Drift]) -> Severity | None:
    """The gravest severity among open ones."""
    order = list(Severity)
    found = [drift.severity for drift in drifts if drift.state is DriftState.OPEN]
    return min(found, key=order.index, default=None)
