"""The judgement of health: evidence and what was spent before in, a word with its numbers out. Pure.

Harm aborts if it is at least the policy's threshold *and* beyond chance. What may err by chance over the
whole campaign is ``false_stop``; it is spent in *epochs*: the k-th look that is paid for may err with a share
of 1 / (k (k + 1)), which adds up to ``false_stop`` for any number of them. One is paid for when the hours
lived since the update have grown by a factor, and when a wave has lived as long as it must before it may
proceed, so that none opens unexamined. Looks before that draw on a tenth: early on only disasters show.
Chargers differ, and stay different from day to day, so a longer watch is not new evidence as more chargers
are: no martingale over time is valid here. Looks between cost nothing, and cannot abort.
"""

from dataclasses import replace

from activities.evidence import Coverage, Epoch, Evidence, History, SignalEvidence
from storage.campaign import VerdictWord
from storage.health_policy import HealthPolicy, SegmentRule, SignalRole
from workflows.gate.comparing import compare, doubted, scopes_of
from workflows.gate.contradiction import contradiction_in
from workflows.gate.judgement import Comparison, Judgement, Says
from workflows.gate.signals import words_of

EARLY_SHARE = 0.1
"""Of ``false_stop``, for looks before the updated have lived as long as demanded."""
MIN_SITES = 2
MAX_BEHIND_SECONDS = 900.0
BASELINE_HOURS = 14 * 24.0


def judge(
    policy: HealthPolicy,
    evidence: Evidence | None,
    history: History,
    wave: int = 0,
    *,
    doubting: bool = True,
) -> Judgement:
    """The judgement at one look; ``doubting``: False where rules before gate-5 are to be repeated."""
    if evidence is None:
        return _hold(history, "measurement", "Health could not be measured.", "A measurement.")
    found = _judged(policy, evidence, history, wave, doubting=doubting)
    return replace(found, hour_seconds=evidence.hour_seconds)


def _judged(
    policy: HealthPolicy, evidence: Evidence, history: History, wave: int, *, doubting: bool
) -> Judgement:
    evidence = replace(evidence, excluded=history.excluded)
    hours = evidence.treated.minutes / 60
    if blind := _blind(policy, evidence, history, hours, doubting=doubting):
        return blind
    epoch = _epoch(policy, history, wave, evidence.treated)
    comparisons = _compared(policy, evidence, epoch, hours)
    if doubting:
        comparisons = tuple(doubted(policy, each, comparisons) for each in comparisons)
    after = replace(history, epochs=(*history.epochs, epoch)) if epoch else history
    found = _decided(policy, evidence, comparisons, after)
    if found.word is VerdictWord.PROCEED and wave not in after.passed:
        after = replace(found.history, passed=(*after.passed, wave))
        found = replace(found, history=after)
    return replace(found, comparisons=comparisons, hours=hours, epoch=epoch)


def next_hours(policy: HealthPolicy, history: History) -> float:
    """Charger-hours of the updated at which the next look is paid for."""
    return history.epochs[-1].hours * policy.growth if history.epochs else policy.first_hours


def _epoch(policy: HealthPolicy, history: History, wave: int, treated: Coverage) -> Epoch | None:
    """This look, if it is paid for. Decided by hours lived alone: what happened in them has no say."""
    hours = treated.minutes / 60
    early = hours < policy.min_hours * treated.chargers
    first = not early and not any(each.wave == wave and not each.early for each in history.epochs)
    if not first and hours < next_hours(policy, history):
        return None
    return Epoch(1 + sum(each.early is early for each in history.epochs), wave, hours, early)


def _spent(policy: HealthPolicy, epoch: Epoch | None) -> float:
    """What may err at this look."""
    if epoch is None:
        return 0.0
    share = EARLY_SHARE if epoch.early else 1 - EARLY_SHARE
    return policy.false_stop * share / (epoch.number * (epoch.number + 1))


def _hold(history: History, rule: str, reason: str, change: str, hours: float | None = None) -> Judgement:
    return Judgement(VerdictWord.HOLD, reason, rule, change, history=history, resolves_hours=hours)


# --- before any comparison -----------------------------------------------------------------------


def _blind(
    policy: HealthPolicy, evidence: Evidence, history: History, hours: float, *, doubting: bool
) -> Judgement | None:
    """Why nothing can be compared, or None."""
    treated, control = evidence.treated, evidence.control
    if contradiction := contradiction_in(evidence):
        return _hold(history, "measurement", contradiction, "Counters that agree with each other.")
    if not treated.chargers:
        return _hold(history, "arms", "No updated charger to judge.", "Chargers that prove the new version.")
    if not control.chargers:
        return (_young(policy, evidence, history) if doubting else None) or _alone(
            evidence, history, hours, doubting=doubting
        )
    if not treated.minutes:
        young = "No updated charger has lived a full hour yet."
        return _hold(history, "exposure", young, "Time.", 1.0)
    if not evidence.behind_seconds <= MAX_BEHIND_SECONDS:  # nor if it is not a number
        late = f"The counters of health are {evidence.behind_seconds / 60:.0f} minutes behind."
        return _hold(history, "measurement", late, "The observer's catching up.", 0.25)
    if control.heard < policy.coverage * control.chargers:
        silent = control.chargers - control.heard
        reason = f"{silent} of {control.chargers} chargers not updated yet were not heard of: an outage here?"
        return _hold(history, "coverage", reason, "News of the chargers not updated yet.")
    return None


def _alone(evidence: Evidence, history: History, hours: float, *, doubting: bool) -> Judgement:
    """Nobody is left to compare with: no reason to ask a person after the last wave, if health passed."""
    count = evidence.treated.chargers
    if not (evidence.last and history.passed):
        reason = f"There is no charger left to compare the {count} updated ones with."
        return _hold(history, "arms", reason, "Waves that leave some chargers for later.")
    lived = hours / evidence.treated.chargers if doubting else BASELINE_HOURS
    worse = [name for name in (_worse(one, lived) for one in evidence.signals) if name]
    if worse:
        reason = (
            f"Nobody is left to compare with, and against their own past the updated have more {worse[0]}."
        )
        return _hold(history, "baseline", reason, "A person's look.")
    reason = f"Nobody is left to compare with; health passed in {len(history.passed)} waves before this one."
    return Judgement(
        VerdictWord.PROCEED,
        reason,
        "baseline",
        "More harm against the chargers' own past.",
        hours=hours,
        history=history,
    )


def _worse(signal: SignalEvidence, lived: float) -> str:
    """The title of a signal that doubled against the updated chargers' own past, and not by a few hits."""
    strata = signal.strata
    hits = sum(one.treated.hits for one in strata)
    exposure = sum(one.treated.exposure for one in strata)
    before, base = (
        sum(one.treated.base_hits for one in strata),
        sum(one.treated.base_exposure for one in strata),
    )
    if not base or not exposure:
        return ""
    expected = before / base * exposure
    if signal.binary:  # what happened in two weeks at all is not to be expected in a day
        expected *= min(lived / BASELINE_HOURS, 1.0)
    return words_of(signal.signal).title if hits > 2 * expected + 10 else ""


# --- comparisons ---------------------------------------------------------------------------------


def _compared(
    policy: HealthPolicy, evidence: Evidence, epoch: Epoch | None, hours: float
) -> tuple[Comparison, ...]:
    weights = sum(limit.weight for limit in policy.signals if limit.role is not SignalRole.SHADOW)
    spent = _spent(policy, epoch)
    by_name = {one.signal: one for one in evidence.signals}
    found = []
    for limit in policy.signals:
        share = 0.0 if limit.role is SignalRole.SHADOW or not weights else limit.weight / weights
        if limit.signal in by_name:
            alpha = spent * share
            alpha = min(alpha, 1.0) if alpha > 0 else 0.0  # nor what is not a number
            scopes = scopes_of(by_name[limit.signal], limit, evidence, alpha, hours)
            found += [compare(policy, scope) for scope in scopes]
    return tuple(found)


def _decided(
    policy: HealthPolicy, evidence: Evidence, comparisons: tuple[Comparison, ...], history: History
) -> Judgement:
    deciding = [one for one in comparisons if one.role is not SignalRole.SHADOW]
    harm = [one for one in deciding if one.says is Says.HARM]
    fleet = [one for one in harm if not one.segment]
    if harm and (fleet or policy.segments is SegmentRule.STOP):
        return _aborted(min(harm, key=lambda one: (bool(one.segment), one.chance)), history)
    if harm:
        return _excluding(harm, history)
    return _unharmed(policy, evidence, deciding, history)


def _aborted(worst: Comparison, history: History) -> Judgement:
    change = f"A difference below {worst.threshold * 100:g} %, or one that chance explains."
    return Judgement(VerdictWord.ABORT, worst.sentence, _called(worst), change, history=history)


def _excluding(harm: list[Comparison], history: History) -> Judgement:
    bad = tuple(sorted({one.segment for one in harm}))
    reason = f"{harm[0].sentence} {', '.join(bad)} leaves the campaign; the others are looked at again."
    after = replace(history, excluded=tuple(sorted({*history.excluded, *bad})))
    return Judgement(
        VerdictWord.HOLD,
        reason,
        _called(harm[0]),
        "The next look, without them.",
        bad_segments=bad,
        resolves_hours=0.0,
        history=after,
    )


def _unharmed(
    policy: HealthPolicy, evidence: Evidence, deciding: list[Comparison], history: History
) -> Judgement:
    primary = [one for one in deciding if one.role is SignalRole.PRIMARY and not one.segment]
    if early := _too_early(policy, evidence, primary, history):
        return early
    if doubts := [one for one in deciding if one.says is Says.DOUBT]:
        return _doubting(min(doubts, key=lambda one: one.chance), history, evidence)
    waiting = [one for one in primary if one.says is Says.OPEN]
    if waiting:
        first = waiting[0]
        change = (
            f"An upper bound below {first.threshold * policy.proceed_below * 100:g} %, or harm beyond chance."
        )
        needed = [one.needs_hours for one in waiting]
        known = [hours for hours in needed if hours is not None]
        resolves = max(known) if len(known) == len(needed) else None
        return _hold(history, _called(first), first.sentence, change, resolves)
    told = max(primary, key=lambda one: one.estimate / one.threshold)
    change = f"Harm of at least {told.threshold * 100:g} % beyond chance."
    return Judgement(VerdictWord.PROCEED, told.sentence, _called(told), change, history=history)


def _doubting(first: Comparison, history: History, evidence: Evidence) -> Judgement:
    """A release is not rolled on while there is reason to believe that it does harm."""
    lived = evidence.treated.minutes / 60 / max(evidence.treated.chargers, 1)
    change = f"A difference below {first.threshold * 100:g} %, or one beyond chance."
    return _hold(history, _called(first), first.sentence, change, lived)


def _too_early(
    policy: HealthPolicy, evidence: Evidence, primary: list[Comparison], history: History
) -> Judgement | None:
    treated = evidence.treated
    missing = _missing(policy, primary)
    if missing:
        return _hold(history, "signals", missing, "A measurement of it, or a policy without it.")
    if treated.sites < MIN_SITES:
        reason = (
            f"All {treated.chargers} updated chargers are on one site: what it suffers is not the firmware's."
        )
        return _hold(history, "sites", reason, "Updated chargers on more sites.")
    if treated.heard < policy.coverage * treated.chargers:
        silent = treated.chargers - treated.heard
        reason = f"{silent} of {treated.chargers} updated chargers were not heard of since."
        return _hold(
            history, "coverage", reason, "News of the updated chargers, or harm shown by their silence."
        )
    return _young(policy, evidence, history)


def _young(policy: HealthPolicy, evidence: Evidence, history: History) -> Judgement | None:
    lived = evidence.treated.minutes / 60 / evidence.treated.chargers
    if lived >= policy.min_hours:
        return None
    reason = f"The updated have lived {lived:.1f} hours each on average; {policy.min_hours:g} are demanded."
    return _hold(history, "exposure", reason, "Time.", policy.min_hours - lived)


def _missing(policy: HealthPolicy, primary: list[Comparison]) -> str:
    told = {one.signal for one in primary}
    wanted = [each.signal for each in policy.signals if each.role is SignalRole.PRIMARY]
    lost = [name for name in wanted if name not in told]
    if not wanted:
        return "The policy has no primary signal to proceed on."
    return f"Nothing was measured of {words_of(lost[0]).title}." if lost else ""


def _called(one: Comparison) -> str:
    return f"{one.signal} on {one.segment}" if one.segment else one.signal
