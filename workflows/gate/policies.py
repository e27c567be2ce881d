"""The shipped policies, and what makes a policy impossible, in sentences, all at once."""

from math import inf, isfinite

from storage.health_policy import HealthPolicy, SegmentRule, SignalLimit, SignalRole
from workflows.gate.signals import SIGNALS

PRIMARY, GUARD, SHADOW = SignalRole.PRIMARY, SignalRole.GUARD, SignalRole.SHADOW


def _signals(points: float) -> tuple[SignalLimit, ...]:
    """All signals; ``points`` is the harm to sessions that matters. The primary ones weigh about half."""
    return (
        SignalLimit("session_failures", points, PRIMARY, 4.0),
        SignalLimit("unheard", points, PRIMARY, 3.0),
        SignalLimit("faults", 0.05, GUARD, 2.0),
        SignalLimit("boot_loops", 0.02, GUARD, 2.0),
        SignalLimit("abnormal_stops", 0.05, GUARD),
        SignalLimit("unavailable", 0.05, GUARD),
        SignalLimit("boots", 0.02, GUARD),
        SignalLimit("reconnects", 0.05, GUARD),
        SignalLimit("silences", 0.05, GUARD),
        SignalLimit("protocol_errors", 0.01, GUARD),
        SignalLimit("lower_profile", 0.01, GUARD),
        SignalLimit("meter_backwards", 0.02, GUARD),
        SignalLimit("lost_stops", 0.05, GUARD),
        SignalLimit("clock", 0.05, SHADOW),
        SignalLimit("probes", 0.10, SHADOW),
    )


POLICIES: dict[str, HealthPolicy] = {
    "cautious": HealthPolicy(
        _signals(0.02),
        "cautious",
        min_hours=72.0,
        min_exposure=200,
        proceed_below=1.0,
        max_wait_seconds=21 * 86400.0,
    ),
    "balanced": HealthPolicy(_signals(0.03), "balanced", min_hours=24.0, min_exposure=100),
    "fast": HealthPolicy(
        _signals(0.03),
        "fast",
        first_hours=8.0,
        min_hours=4.0,
        min_exposure=30,
        proceed_below=4.0,
        look_seconds=900.0,
        segments=SegmentRule.EXCLUDE,
        max_wait_seconds=2 * 86400.0,
    ),
}
"""By name. A plan may give its own."""


def problems_of(policy: HealthPolicy) -> list[str]:
    """Everything that is wrong with a policy."""
    rules = {
        "gate.health.false_stop must be above 0 and at most 0.5": 0 < policy.false_stop <= 0.5,
        "gate.health.growth must be from 1.1 to 100": 1.1 <= policy.growth <= 100,
        "gate.health.first_hours must be above 0": policy.first_hours > 0 and isfinite(policy.first_hours),
        "gate.health.min_hours must not be negative": policy.min_hours >= 0 and isfinite(policy.min_hours),
        "gate.health.min_chargers must be at least 1": 1 <= policy.min_chargers < inf,
        "gate.health.min_exposure must be at least 1": 1 <= policy.min_exposure < inf,
        "gate.health.coverage must be above 0 and at most 1": 0 < policy.coverage <= 1,
        "gate.health.confidence must be from 0.5 to below 1": 0.5 <= policy.confidence < 1,
        "gate.health.proceed_below must be from 1 to 100": 1 <= policy.proceed_below <= 100,
        "gate.health.look_seconds must be above 0": 0 < policy.look_seconds < inf,
        "gate.health.max_wait_seconds must be at least look_seconds": policy.look_seconds
        <= policy.max_wait_seconds
        < inf,
        "gate.health.max_wait_seconds must be at least min_hours": policy.max_wait_seconds
        >= policy.min_hours * 3600,
    }
    return [rule for rule, holds in rules.items() if not holds] + _signal_problems(policy)


def _signal_problems(policy: HealthPolicy) -> list[str]:
    found, names = [], [limit.signal for limit in policy.signals]
    if not any(limit.role is PRIMARY for limit in policy.signals):
        found.append(
            "gate.health.signals needs at least one primary signal: a gate without any would never open"
        )
    twice = sorted({name for name in names if names.count(name) > 1})
    found += [f"gate.health.signals names {name} more than once" for name in twice]
    return found + [problem for limit in policy.signals for problem in _limit_problems(limit)]


def _limit_problems(limit: SignalLimit) -> list[str]:
    where = f"gate.health.signals {limit.signal!r}"
    rules = {
        f"{where} is not a signal; there are {', '.join(sorted(SIGNALS))}": limit.signal in SIGNALS,
        f"{where}: threshold must be above 0 and at most 1": 0 < limit.threshold <= 1,
        f"{where}: weight must be above 0": limit.role is SHADOW or 0 < limit.weight < 1e6,
    }
    return [rule for rule, holds in rules.items() if not holds]
