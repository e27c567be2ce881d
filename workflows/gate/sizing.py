"""What a canary of some size can see: the least harm that a gate finds with 80 % power (X6)."""

from collections.abc import Sequence
from math import sqrt

from storage.campaign import CampaignPlan
from storage.health_policy import HealthPolicy, SignalLimit, SignalRole
from workflows.gate.normal import quantile
from workflows.gate.signals import words_of

POWER = 0.8
_BASE_RATE = 0.05
"""Of hits, where the fleet's own is not known."""
_WITHIN = 0.10
"""How alike the cases of one charger are (intraclass correlation), as sessions are found to be."""
_OUTCOMES_ONLY = "The gates judge outcomes only: with gate: {health: balanced} they judge health, too."
_CASES_PER_HOUR = {"session_failures": 4 / 24, "abnormal_stops": 4 / 24, "unheard": 1.0}


def detectable(arms: tuple[int, int], rate: float, cases: float, alpha: float) -> float:
    """The least difference that is found with 80 % power by a one-sided test at ``alpha``.

    Args:
        arms: updated chargers, and those to compare with.
        rate: hits per case among the others.
        cases: per charger; chargers differ, so the n-th case of one tells less than the first of another.
        alpha: what may err.

    Two proportions with the design effect 1 + (m - 1) rho of Kish; solved by bisection, since the variance
    grows with the difference.
    """
    treated, control = arms
    if not treated or not control or cases <= 0:
        return 1.0
    design = (1 + max(cases - 1, 0) * _WITHIN) / cases
    low, high = 0.0, 1.0 - rate
    for _ in range(50):
        middle = (low + high) / 2
        if _found(middle, arms, rate, design, alpha):
            high = middle
        else:
            low = middle
    return high


def _found(more: float, arms: tuple[int, int], rate: float, design: float, alpha: float) -> bool:
    treated, control = arms
    raised = rate + more
    pooled = (raised * treated + rate * control) / (treated + control)
    null = sqrt(pooled * (1 - pooled) * design * (1 / treated + 1 / control))
    own = sqrt(design * (raised * (1 - raised) / treated + rate * (1 - rate) / control))
    return more >= quantile(alpha) * null + quantile(1 - POWER) * own


def sizing_warnings(plan: CampaignPlan, sizes: Sequence[int]) -> list[str]:
    """What the first wave can see of each primary signal; loud where that is more than its threshold."""
    policy, canary, rest = plan.gate.health, sizes[0], sum(sizes[1:])
    if policy is None:
        return [_OUTCOMES_ONLY]
    found = []
    for limit in (each for each in policy.signals if each.role is SignalRole.PRIMARY):
        least = least_harm(policy, limit, canary, rest)
        if least > limit.threshold:
            found.append(_too_small(limit, canary, least, policy.min_hours))
    return found


def _too_small(limit: SignalLimit, canary: int, least: float, hours: float) -> str:
    title, least_text, wanted = (
        words_of(limit.signal).title,
        f"{least * 100:.1f}",
        f"{limit.threshold * 100:g}",
    )
    return (
        f"The first wave of {canary} chargers in {hours:g} hours finds {least_text} points more "
        f"{title} (80 % power), not the {wanted} that matter; a larger first wave or more hours find less."
    )


def least_harm(policy: HealthPolicy, limit: SignalLimit, canary: int, rest: int) -> float:
    """The least harm that the first wave finds, at the share of ``false_stop`` of its third paid look."""
    weights = sum(each.weight for each in policy.signals if each.role is not SignalRole.SHADOW)
    alpha = policy.false_stop * limit.weight / weights / 12
    cases = _CASES_PER_HOUR.get(limit.signal, 0.0) * policy.min_hours or 1.0
    return detectable((canary, rest), _BASE_RATE, cases, alpha)
