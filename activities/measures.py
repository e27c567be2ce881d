"""Which counts of a health hour make which signal of a gate: hits and what they are hits of.

More is worse in each. What one charger can do a hundred times in an hour (boots, faults) counts once per
charger, so that one broken charger does not speak for a release.
"""

from collections.abc import Callable
from dataclasses import dataclass

from storage.health import HealthHour

SKEW_S = 30.0


@dataclass(frozen=True, slots=True)
class Span:
    """Counts of one charger over a span of time, and how long it was."""

    hour: HealthHour
    """Summed."""
    hours: int
    heard_hours: int
    """Hours in which anything at all was heard."""
    faulted: bool = False
    """A connector is faulted at its end: it may be so since the hour of the proof, which is not counted."""
    unavailable: bool = False
    """The same for one that is out of service."""


Pair = tuple[int, int]
"""Hits, exposure."""


def pairs(span: Span) -> dict[str, Pair]:
    """Every signal of one charger over a span."""
    return {name: read(span) for name, read in MEASURES.items()}


def _attempts(span: Span) -> Pair:
    return span.hour.attempts_failed, span.hour.attempts_failed + span.hour.attempts_ok


def _stops(span: Span) -> Pair:
    return span.hour.abnormal_stops, span.hour.stops


def _unheard(span: Span) -> Pair:
    return max(0, span.hours - span.heard_hours), span.hours


def _probes(span: Span) -> Pair:
    return span.hour.probes - span.hour.probes_answered, span.hour.probes


def _errors(span: Span) -> Pair:
    return min(span.hour.errors, span.hour.messages), span.hour.messages


def _drained(span: Span) -> Pair:
    return max(0, span.hour.open_at_boot - span.hour.closed_after_boot), span.hour.open_at_boot


def _skewed(span: Span) -> Pair:
    skew = span.hour.skew_min_s
    return (0, 0) if skew is None else (int(skew > SKEW_S), 1)


def _per_hour(counter: str) -> Callable[[Span], Pair]:
    """So many in each hour, at most one an hour counted."""
    return lambda span: (min(getattr(span.hour, counter), span.hours), span.hours)


def _any(counter: str, still: str = "") -> Callable[[Span], Pair]:
    """Whether it happened to the charger at all, or is so ``still``; of chargers that were heard."""

    def read(span: Span) -> Pair:
        happened = getattr(span.hour, counter) > 0 or bool(still and getattr(span, still))
        return (int(happened), 1) if span.heard_hours else (0, 0)

    return read


MEASURES: dict[str, Callable[[Span], Pair]] = {
    "session_failures": _attempts,
    "abnormal_stops": _stops,
    "unheard": _unheard,
    "faults": _any("went_faulted", still="faulted"),
    "unavailable": _any("went_unavailable", still="unavailable"),
    "boots": _per_hour("boots"),
    "boot_loops": _any("boot_loops"),
    "reconnects": _per_hour("connects"),
    "silences": _any("silences"),
    "probes": _probes,
    "protocol_errors": _errors,
    "clock": _skewed,
    "meter_backwards": _any("meter_backwards"),
    "lost_stops": _drained,
    "lower_profile": _any("profile_drops"),
}
SHARED = frozenset({"unheard", "reconnects", "probes"})
"""A site's router or fuse moves these for all its chargers: sites are the units, not chargers (R42)."""
