"""What a gate demands of the health of updated chargers; part of a plan, so people approve it with it."""

from dataclasses import dataclass
from enum import StrEnum


class SignalRole(StrEnum):
    """What a signal may do to a verdict."""

    PRIMARY = "primary"
    """Harm aborts, and the wave proceeds only when harm is excluded as the policy demands."""
    GUARD = "guard"
    """Harm aborts; the wave does not wait for it."""
    SHADOW = "shadow"
    """Computed and shown; it never decides (R46)."""


class SegmentRule(StrEnum):
    """What one bad model does, if the fleet as a whole is well (R47)."""

    STOP = "stop"
    """The campaign aborts."""
    EXCLUDE = "exclude"
    """The remaining chargers of that model leave the campaign; the others go on."""


@dataclass(frozen=True, slots=True)
class SignalLimit:
    """One signal in a policy."""

    signal: str
    """A name of ``workflows.gate.signals``."""
    threshold: float
    """The least harm that matters in practice, in the unit of the signal (R45)."""
    role: SignalRole = SignalRole.GUARD
    weight: float = 1.0
    """Its share of the permitted false stops, relative to the others'. Shadows have none."""


@dataclass(frozen=True, slots=True)
class HealthPolicy:
    """How the updated are compared with chargers that are not updated yet."""

    signals: tuple[SignalLimit, ...] = ()
    name: str = "own"
    false_stop: float = 0.05
    """The chance that a good campaign is stopped by health: over all looks, signals, segments and waves."""
    growth: float = 2.0
    """A look is paid for only when the hours lived since the update have grown so many fold (R40)."""
    first_hours: float = 24.0
    """Charger-hours of the updated before the first look is paid for."""
    min_hours: float = 24.0
    """Hours that each updated charger must have lived on average before a wave may proceed."""
    min_chargers: int = 3
    """In each arm; fewer hold (R36)."""
    min_exposure: int = 20
    """Of each primary signal (sessions, say) and arm before a wave may proceed."""
    coverage: float = 0.5
    """The least share of chargers of each arm that were heard; below it there is no verdict (R44)."""
    confidence: float = 0.95
    """Of the upper bound."""
    proceed_below: float = 2.0
    """A wave proceeds when no harm was shown, each primary estimate is below its threshold, and its upper
    bound below so many times that; 1: the bound excludes the threshold itself."""
    segments: SegmentRule = SegmentRule.STOP
    look_seconds: float = 3600.0
    """How often a gate looks while it gathers evidence; looks that are not paid for are free."""
    max_wait_seconds: float = 7 * 86400.0
    """After holding so long for more evidence a person is asked."""
