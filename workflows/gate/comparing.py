"""One signal, updated against not yet updated: the estimate, its bound, and what chance has to say."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import sqrt

from activities.evidence import Arm, Cluster, Evidence, SignalEvidence, Stratum
from activities.measures import SHARED
from storage.health_policy import HealthPolicy, SignalLimit, SignalRole
from workflows.gate.exact import (
    DRAWN,
    Spread,
    binary_chance,
    has_tables,
    permutations_of,
    permuted_chance,
    spread_of,
)
from workflows.gate.judgement import Comparison, Rate, Says
from workflows.gate.normal import quantile
from workflows.gate.signals import words_of

_NO_CLUSTER = Cluster("", 0, 0.0)
SCREEN = 10.0
"""The exact test is made only where the rough one comes within so many times of what is needed."""
LEAST_SITES = 3
"""A signal that sites share is not judged over fewer sites with an updated charger."""
DOUBT = 0.2
MOVED_SIGMA = 4.0
STUCK_EXPECTED = 20.0
"""So many hits were to be expected of the others by their past, and hardly any came: the source is stuck."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What one comparison looks at."""

    limit: SignalLimit
    strata: tuple[Stratum, ...]
    """With both arms."""
    cluster: Cluster
    binary: bool
    segment: str
    alpha: float
    hours: float
    """Charger-hours of the updated."""
    draws: int = DRAWN
    """For the permutations of this comparison."""


def scopes_of(
    signal: SignalEvidence, limit: SignalLimit, evidence: Evidence, alpha: float, hours: float
) -> list[Scope]:
    """The fleet, and each segment if there are several. Half of what may err is theirs (R47)."""
    strata = tuple(
        one
        for one in signal.strata
        if one.treated.chargers and one.control.chargers and one.segment not in evidence.excluded
    )
    segments = sorted({one.segment for one in strata})
    several = len(segments) > 1
    clusters = {cluster.segment: cluster for cluster in signal.clusters}
    whole = clusters.get("", _NO_CLUSTER)
    fleet = Scope(limit, strata, whole, signal.binary, "", alpha / 2 if several else alpha, hours)
    if not several:
        return [fleet]
    return [
        fleet,
        *(
            replace(
                fleet,
                strata=tuple(one for one in strata if one.segment == name),
                segment=name,
                cluster=clusters.get(name, whole),
                alpha=alpha / 2 / len(segments),
                draws=DRAWN // len(segments),
            )
            for name in segments
        ),
    ]


def compare(policy: HealthPolicy, scope: Scope) -> Comparison:
    """What one signal says of one scope."""
    limit = scope.limit
    treated = _rate([one.treated for one in scope.strata])
    control = _rate([one.control for one in scope.strata])
    # Chargers are drawn one by one, spread over sites: whatever moves a site, permuting them is valid. Only
    # what a site's own router decides is so alike that sites are counted instead.
    shared = limit.signal in SHARED
    spread = spread_of(scope.strata, scope.cluster if shared else _NO_CLUSTER)
    chance, test = _chance(scope, spread)
    upper = spread.estimate + quantile(1 - policy.confidence) * spread.error
    if treated.exposure:
        # No hit in n rules out only rates above about 3/n, however equal the arms are.
        upper = max(upper, 3.0 / treated.exposure)
    found = Comparison(
        signal=limit.signal,
        segment=scope.segment,
        role=limit.role,
        says=Says.OPEN,
        treated=treated,
        control=control,
        threshold=limit.threshold,
        estimate=spread.estimate,
        upper=upper,
        chance=chance,
        alpha=scope.alpha,
        test=test,
        sentence="",
    )
    return _told(policy, scope, found)


def _rate(arms: Sequence[Arm]) -> Rate:
    return Rate(
        chargers=sum(arm.chargers for arm in arms),
        hits=sum(arm.hits for arm in arms),
        exposure=sum(arm.exposure for arm in arms),
        base_hits=sum(arm.base_hits for arm in arms),
        base_exposure=sum(arm.base_exposure for arm in arms),
    )


def _chance(scope: Scope, spread: Spread) -> tuple[float, str]:
    """The chance, and the name of the test that found it."""
    if not scope.strata or spread.estimate <= 0:
        return 1.0, "none"
    shared = scope.limit.signal in SHARED
    if scope.binary and not shared:
        exact = binary_chance(scope.strata)
        if exact is not None:
            return exact, "exact, chargers as units"
    rough = spread.chance()
    if shared or not has_tables(scope.strata):
        units = "sites" if shared else "chargers"
        return rough, f"stratified score test, {units} as units"
    near = scope.alpha and spread.estimate >= scope.limit.threshold and rough <= SCREEN * scope.alpha
    if not near:
        return rough, "stratified score test, chargers as units"
    permuted = permuted_chance(scope.strata, scope.alpha, scope.draws)
    reached = permuted <= max(scope.alpha, 1 / (permutations_of(scope.strata, scope.draws) + 1))
    return (rough if reached else max(rough, permuted)), "permutation of chargers within strata"


def _told(policy: HealthPolicy, scope: Scope, found: Comparison) -> Comparison:
    """The word, in the order in which one thing overrides another."""
    limit = scope.limit
    least = min(found.treated.chargers, found.control.chargers)
    if least < policy.min_chargers:
        few = (
            f"{found.treated.chargers} updated chargers can be compared with {found.control.chargers} others."
        )
        return replace(found, sentence=f"{_title(found)}: only {few}")
    numbers = _numbers(found)
    if scope.limit.signal in SHARED and scope.cluster.sites < LEAST_SITES:
        return replace(
            found,
            sentence=f"{numbers} Sites share this, and {scope.cluster.sites} are fewer than {LEAST_SITES}.",
        )
    if found.alpha and found.chance <= found.alpha and found.estimate >= limit.threshold:
        return replace(found, says=Says.HARM, sentence=f"{numbers} {_beyond(found)}")
    if together := _moved_together(scope, found):
        return replace(found, sentence=f"{numbers} {together}")
    return _short(policy, scope, found) or _bounded(policy, scope, found, numbers)


def doubted(policy: HealthPolicy, one: Comparison, among: Sequence[Comparison]) -> Comparison:
    """The same, in doubt if harm of this size comes by chance at few looks only.

    To hold costs time and errs for nobody, so far more may be held than stopped: at one look about ``DOUBT``
    over all signals. What is rare (a boot loop) hardly shows in a canary within its hours, and without this
    a wave after the other would open before it does.
    """
    if one.says is Says.HARM or one.role is SignalRole.SHADOW or one.estimate < one.threshold:
        return one
    weights = {limit.signal: limit.weight for limit in policy.signals if limit.role is not SignalRole.SHADOW}
    scopes = sum(each.signal == one.signal for each in among)
    share = weights.get(one.signal, 0.0) / (sum(weights.values()) or 1.0)
    if (
        min(one.treated.chargers, one.control.chargers) < policy.min_chargers
        or one.chance > DOUBT * share / scopes
    ):
        return one
    sentence = (
        f"{_numbers(one)} That is {_amount(one.estimate)} more, and hardly chance: it is looked at longer."
    )
    return replace(one, says=Says.DOUBT, sentence=sentence)


def _bounded(policy: HealthPolicy, scope: Scope, found: Comparison, numbers: str) -> Comparison:
    """No harm beyond chance: how much remains possible?"""
    limit = scope.limit
    if found.upper < limit.threshold:
        return replace(
            found, says=Says.CLEAR, sentence=f"{numbers} More than {_amount(found.upper)} is excluded."
        )
    if found.estimate >= limit.threshold:
        return replace(found, sentence=f"{numbers} That may be chance.")
    more = f"up to {_amount(found.upper)} more remains possible"
    if found.upper < limit.threshold * policy.proceed_below:
        return replace(found, says=Says.QUIET, sentence=f"{numbers} No harm shown; {more}.")
    return replace(
        found,
        # Whether a thing happened to a charger at all is told by more chargers, not by more hours.
        needs_hours=None if scope.binary else _hours_for_bound(policy, scope, found),
        sentence=f"{numbers} No harm shown, but {more}.",
    )


def _moved_together(scope: Scope, found: Comparison) -> str:
    """Both arms left their own past behind: an outage of ours or theirs, not the firmware (R44)."""
    if scope.binary:  # whether something happened at all is no rate: two weeks are not a day
        return ""
    usual, before = found.control.baseline, found.treated.baseline
    if usual is None or before is None:
        return ""
    expected = usual * found.control.exposure
    if expected >= STUCK_EXPECTED and found.control.hits * 10 < expected:
        return f"Of the others about {expected:.0f} were to be expected: does the source still count?"
    beyond = found.control.hits - expected > MOVED_SIGMA * sqrt(expected + 1)
    rise = found.control.value - usual
    if beyond and rise > found.threshold and found.treated.value - before > found.threshold:
        return "Both rose over their own past: an outage of everybody, so nothing is told of the firmware."
    return ""


def _short(policy: HealthPolicy, scope: Scope, found: Comparison) -> Comparison | None:
    """Too little exposure to proceed on."""
    if scope.limit.role is not SignalRole.PRIMARY or scope.segment:
        return None
    words, need = words_of(found.signal), policy.min_exposure
    if found.signal in _BINARY:
        need = policy.min_chargers
    have = min(found.treated.exposure, found.control.exposure)
    if have >= need:
        return None
    hours = _lived(scope, found) * (need - have) / have if have else None
    return replace(
        found,
        needs_hours=hours,
        sentence=f"{_title(found)}: {have} {words.of} are fewer than {need} in one of the groups.",
    )


_BINARY = frozenset(
    {"faults", "unavailable", "boot_loops", "silences", "clock", "meter_backwards", "lower_profile"}
)


def _lived(scope: Scope, found: Comparison) -> float:
    return scope.hours / found.treated.chargers if found.treated.chargers else 0.0


def _hours_for_bound(policy: HealthPolicy, scope: Scope, found: Comparison) -> float:
    """The bound shrinks with the root of the time at best: more chargers shrink it sooner."""
    room = found.threshold * policy.proceed_below - found.estimate
    width = found.upper - found.estimate
    return _lived(scope, found) * ((width / room) * (width / room) - 1)


# --- sentences ---------------------------------------------------------------------------------


def _title(found: Comparison) -> str:
    title = words_of(found.signal).title
    title = title[0].upper() + title[1:]
    return f"{title} on {found.segment}" if found.segment else title


def _numbers(found: Comparison) -> str:
    of, treated, control = words_of(found.signal).of, found.treated, found.control
    shown = (
        f"{_amount(treated.value)} of {treated.exposure:,} {of} on {treated.chargers} updated chargers, "
        f"{_amount(control.value)} of {control.exposure:,} on {control.chargers} others"
    )
    return f"{_title(found)}: {shown}."


def _beyond(found: Comparison) -> str:
    times = f"once in {1 / found.chance:,.0f} times" if found.chance > 1e-9 else "practically never"
    return f"That is {_amount(found.estimate)} more, and chance leads there {times}."


def _amount(share: float) -> str:
    return f"{share * 100:.3g} %"
