# long-file: every rule that a plan is judged by
"""What makes a plan impossible, in sentences, all at once; and what is worth a warning. Pure."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from math import inf
from typing import NamedTuple

from activities.facts import ArtifactFacts, Situation
from storage.campaign import REHEARSAL_WAVE, CampaignPlan, EndBehaviour, GatePolicy, Pace
from storage.charger import ChargerFilter
from storage.health_time import REAL, HealthTime
from workflows.eligibility import mismatch
from workflows.gate.policies import problems_of
from workflows.gate.sizing import sizing_warnings
from workflows.partial import Rules, broken, where_read
from workflows.plan_options import MAX_WINDOW, option_problems, wave_problems
from workflows.wave_split import named, share_problems

MAX_SHARD = 500
MAX_ATTEMPTS = 5
MIN_TICK_S = 1.0
"""Each look reads every charger of the shard; the end of an attempt needs no look."""
_LONGEST_S = 366 * 86_400.0
_GO_BACK = frozenset({EndBehaviour.ROLL_BACK, EndBehaviour.ROLL_BACK_FAILED})
_AT_THE_END = {
    EndBehaviour.STOP: "whoever could not be touched by then is left out",
    EndBehaviour.PAUSE: (
        "if somebody could not be touched by then, it waits for a person, who gives it a later end or "
        "aborts it"
    ),
    EndBehaviour.ROLL_BACK_FAILED: (
        "if somebody could not be touched by then, they are left out, and who failed or fell silent is taken "
        "back (end_behaviour roll_back_failed)"
    ),
    EndBehaviour.ROLL_BACK: (
        "if somebody could not be touched by then, everybody that it updated is taken back "
        "(end_behaviour roll_back)"
    ),
}
"""What its end does to whom, where it comes before everybody had a turn."""


@dataclass(slots=True)
class Findings:
    """Problems forbid the plan, warnings do not."""

    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Cohort:
    """The chargers a plan speaks of."""

    matched: tuple[str, ...]
    """All that its filter matched."""
    fitting: dict[str, Situation]
    """Those that can get the artifact."""


def detectable_failure_rate(sample: int) -> float:
    """The largest failure rate that ``sample`` chargers without a failure do not rule out (95 %).

    1 - 0.05 ** (1 / n): 0 failures in 20 rule out only rates above 13.9 % (X6).
    """
    return float(1.0 - 0.05 ** (1.0 / sample))


def planned_seconds(plan: CampaignPlan, time: HealthTime = REAL) -> tuple[float, float]:
    """After the start: when the last install can be over, and when it must be at the latest."""
    pace, between = plan.pace, max(0, len(plan.waves) - 1)
    lived = plan.gate.health.min_hours * time.seconds if plan.gate.health else 0.0
    rests = sum(wave.soak_seconds for wave in plan.waves[:-1])
    rests += (pace.settle_seconds + (pace.steady_seconds or 0.0)) * between
    # What a gate demands is lived by all updated on average: only the first wave is sure to wait as long.
    rests += lived if between else 0.0
    earliest = rests + pace.attempt_deadline_seconds
    return earliest, earliest + pace.wave_deadline_seconds * len(plan.waves)


def check_proof(
    plan: CampaignPlan,
    now: datetime,
    proof_until: datetime | None,
    found: Findings,
    *,
    time: HealthTime = REAL,
) -> None:
    """The vendor's signing certificate must hold until the last planned install (S35)."""
    if proof_until is None:
        return
    begin = max(now, plan.start_at) if plan.start_at and plan.start_at.tzinfo else now
    left, (earliest, latest) = (proof_until - begin).total_seconds(), planned_seconds(plan, time)
    expires = f"vendor's signing certificate expires at {proof_until:%Y-%m-%d %H:%M} UTC"
    if left < earliest:
        found.problems.append(f"the {expires}, {_days(earliest - left)} before the last chargers can have it")
    elif left < latest:
        found.warnings.append(f"The {expires}; this plan may run {_days(latest - left)} longer.")


def _days(seconds: float) -> str:
    return f"{seconds / 86_400:.1f} days" if seconds >= 86_400 else f"{seconds / 3600:.1f} hours"


def check_plan(plan: CampaignPlan, now: datetime, found: Findings) -> None:
    """The plan by itself."""
    found.problems += broken(
        {
            "name must not be empty": lambda: bool(plan.name.strip()),
            "required_approvals must be at least 1": lambda: plan.required_approvals >= 1,
            "start_at must say its time zone": lambda: (
                plan.start_at is None or plan.start_at.tzinfo is not None
            ),
            "start_at must be within two years": lambda: not _far(plan, now),
        }
    )
    with where_read():
        found.problems += broken(_gate_rules(plan.gate))
    with where_read():
        found.problems += broken(_pace_rules(plan.pace))
    found.problems += option_problems(plan)
    _check_rehearsal(plan, found)
    with where_read():
        _check_health(plan, found)
    with where_read():
        if plan.start_at and plan.start_at.tzinfo and plan.start_at < now:
            found.warnings.append("start_at is in the past: it starts as soon as it is approved.")
    with where_read():
        _check_waves(plan, found)


def _check_health(plan: CampaignPlan, found: Findings) -> None:
    """A policy that can work, and somebody to compare with."""
    if plan.gate.health is None:
        return
    found.problems += problems_of(plan.gate.health)
    if len(plan.waves) == 1:
        found.problems.append(
            "gate.health compares with chargers that wait for a later wave: name at least two waves"
        )


def _far(plan: CampaignPlan, now: datetime) -> bool:
    at = plan.start_at
    return at is not None and at.tzinfo is not None and at - now > timedelta(days=731)


def _check_rehearsal(plan: CampaignPlan, found: Findings) -> None:
    """A rehearsal needs a way back, and somebody who comes after it (X11)."""
    wanted = None
    with where_read():
        wanted = plan.rehearse_rollback
    if wanted is None:
        return
    found.problems += broken(
        {
            "rehearse_rollback must be at least 1": lambda: wanted >= 1,
            "rehearse_rollback needs rollback_artifact_id: where to?": lambda: (
                plan.rollback_artifact_id is not None
            ),
            "rehearse_rollback comes before the second wave: name at least two": lambda: len(plan.waves) >= 2,
        }
    )


class Begin(NamedTuple):
    """When the first and the last charger of a wave can have their turns at the earliest."""

    first: datetime
    last: datetime


def check_end(plan: CampaignPlan, now: datetime, begins: Sequence[Begin] | None, found: Findings) -> None:
    """Its end leaves time for every wave, and what happens then is possible (R19).

    ``begins``: when each wave does at the earliest, None: not known.
    """
    with where_read():
        if plan.end_behaviour in _GO_BACK and plan.rollback_artifact_id is None:
            found.problems.append(f"end_behaviour {plan.end_behaviour} needs rollback_artifact_id: where to?")
    if plan.end_at is None:
        if plan.end_behaviour is not None:
            found.problems.append("end_behaviour says what happens at end_at: say when that is")
        return
    if plan.end_at.tzinfo is None:
        found.problems.append("end_at must say its time zone")
        return
    if plan.end_at <= now:
        found.problems.append("end_at is in the past")
    elif plan.end_at - now > timedelta(days=731):
        found.problems.append("end_at must be within two years")
    elif begins is not None:
        _check_time(plan, plan.end_at, begins, found)


def _check_time(plan: CampaignPlan, end_at: datetime, begins: Sequence[Begin], found: Findings) -> None:
    takes = timedelta(seconds=min(plan.pace.attempt_deadline_seconds, _LONGEST_S))
    lasts = timedelta(seconds=min(plan.pace.wave_deadline_seconds, _LONGEST_S))
    late = [wave.name for wave, begin in zip(plan.waves, begins, strict=True) if begin.last + takes > end_at]
    if late:
        found.problems.append(
            f"end_at {end_at:%Y-%m-%d %H:%M %Z} comes before {named(late)} can be through, if all goes well"
        )
    elif begins and begins[-1].first + lasts > end_at:
        with where_read():
            found.warnings.append(
                f"It ends at {end_at:%Y-%m-%d %H:%M %Z}, before its last wave's own deadline: "
                f"{_AT_THE_END[plan.at_the_end]}."
            )


def check_order(plan: CampaignPlan, first_rank: int | None, found: Findings, *, there: bool) -> None:
    """Whoever comes after another does not go before it: each would wait for the other (R14, R32)."""
    if not there:
        found.problems.append(f"after names campaign {plan.after}, which is not there: it takes a whole id")
    if first_rank is not None and plan.rank > first_rank:
        found.problems.append(
            f"priority {plan.rank} goes before campaign {plan.after}, which has {first_rank} and comes first "
            "by after: each would wait for the other"
        )


def check_targets(
    plan: CampaignPlan, matched: Collection[str], sites: Collection[str] | None, found: Findings
) -> None:
    """Whom the plan names, whichever image it brings; ``sites``: all there are, None: not known."""
    site, names = plan.targets.site_id, plan.targets.charger_ids
    if site is not None and sites is not None and site not in sites:
        found.problems.append(f"targets.site_id names site {site}, which is not there (ampwave site list)")
    unknown = sorted(set(names) - set(matched))
    if unknown:
        alone = plan.targets == ChargerFilter(charger_ids=names)
        what = "are not there" if alone else "are not there, or that the rest of targets leaves out"
        found.problems.append(f"targets names chargers that {what}: {named(unknown)}")
    if not matched:
        found.problems.append("targets matches no charger")


def check_lists(plan: CampaignPlan, matched: Collection[str], found: Findings) -> None:
    """Whom waves name, where they cannot be drawn."""
    for wave in plan.waves:
        with where_read():
            strange = [name for name in dict.fromkeys(wave.charger_ids or ()) if name not in matched]
            if strange:
                found.problems.append(
                    f"wave {wave.name!r} names chargers that targets does not match: {named(strange)}"
                )


def check_cohort(cohort: Cohort, found: Findings) -> None:
    """Somebody can get it."""
    if cohort.matched and not cohort.fitting:
        found.problems.append(f"none of the {len(cohort.matched)} matching chargers can get this artifact")


def check_released(artifact: ArtifactFacts, found: Findings, what: str = "artifact") -> None:
    """An image may be sent: people signed it, and nobody withdrew it, which also ends its release."""
    if artifact.stopped:
        found.problems.append(f"{what} {artifact.version}: {artifact.stopped}")
    elif not artifact.released:
        found.problems.append(f"{what} {artifact.version} is not released")


def check_way_back(plan: CampaignPlan, back: ArtifactFacts | None, found: Findings) -> None:
    """Where it goes back to is there and may be sent."""
    if plan.rollback_artifact_id is None:
        found.warnings.append("No rollback artifact: if the gate aborts, updated chargers stay as they are.")
    elif back is None or back.artifact_id != plan.rollback_artifact_id:
        found.problems.append(
            f"there is no rollback artifact {plan.rollback_artifact_id} (ampwave artifact list)"
        )
    else:
        check_released(back, found, "rollback artifact")


def check_direction(artifact: ArtifactFacts, back: ArtifactFacts, found: Findings) -> None:
    """A way back leads to an earlier release, whoever the chargers are."""
    if back.vendor_role == artifact.vendor_role and back.release_counter > artifact.release_counter:
        found.problems.append(
            f"rollback artifact {back.version} is a later release than {artifact.version} (release counters "
            f"{back.release_counter} and {artifact.release_counter}): a way back leads to an earlier one"
        )


def check_pair(
    plan: CampaignPlan, artifact: ArtifactFacts, back: ArtifactFacts | None, cohort: Cohort, found: Findings
) -> None:
    """There is a way back for every model, or somebody accepts that there is none."""
    with where_read():
        _check_one_way(plan, cohort, found)
    if back is not None:
        _check_rollback(artifact, back, cohort, found)


def warn(plan: CampaignPlan, cohort: Cohort, sizes: Sequence[int], found: Findings) -> None:
    """What the plan cannot see or will have to wait for."""
    canary = sizes[0]
    found.warnings.append(
        f"The first wave, {plan.waves[0].name!r}, has {canary} chargers: if none of them fails, failure "
        f"rates up to {detectable_failure_rate(canary) * 100:.1f} % remain possible (95 % confidence)."
    )
    for wave, size in zip(plan.waves, sizes, strict=True):
        needed = wave.gated(plan.gate).min_attempts
        if size < needed:
            found.warnings.append(
                f"Wave {wave.name!r} has {size} chargers, fewer than the gate's {needed} "
                "attempts: it will wait for a person."
            )
    found.warnings += sizing_warnings(plan, sizes)
    offline = sum(not situation.online for situation in cohort.fitting.values())
    if offline:
        found.warnings.append(f"{offline} chargers are offline now and will be waited for.")


def _gate_rules(gate: GatePolicy) -> Rules:
    return {
        "gate.max_failure_share must be from 0 to below 1": lambda: 0 <= gate.max_failure_share < 1,
        "gate.min_attempts must be at least 1": lambda: gate.min_attempts >= 1,
        "gate.early_stop_failures must be at least 1": lambda: (
            gate.early_stop_failures is None or gate.early_stop_failures >= 1
        ),
        "gate.max_looks must be at least 1": lambda: gate.max_looks >= 1,
        "gate.max_excess_fault_share must be from 0 to 1": lambda: 0 <= gate.max_excess_fault_share <= 1,
        "gate.max_excess_offline_share must be from 0 to 1": lambda: 0 <= gate.max_excess_offline_share <= 1,
        "gate.hold_seconds must be above 0": lambda: 0 < gate.hold_seconds < inf,
    }


def _pace_rules(pace: Pace) -> Rules:
    return {
        f"pace.shard_size must be from 1 to {MAX_SHARD}": lambda: 1 <= pace.shard_size <= MAX_SHARD,
        f"pace.window must be from 1 to {MAX_WINDOW}": lambda: 1 <= pace.window <= MAX_WINDOW,
        f"pace.max_attempts must be from 1 to {MAX_ATTEMPTS}": lambda: 1 <= pace.max_attempts <= MAX_ATTEMPTS,
        f"pace.tick_seconds must be at least {MIN_TICK_S:g}: every tick reads all who wait; the usual "
        "is 30": lambda: pace.tick_seconds >= MIN_TICK_S,
        "pace.attempt_deadline_seconds must be above 0": lambda: pace.attempt_deadline_seconds > 0,
        "pace.retry_backoff_seconds must not be negative": lambda: pace.retry_backoff_seconds >= 0,
        "pace.settle_seconds must not be negative": lambda: pace.settle_seconds >= 0,
        "pace.wave_deadline_seconds must be at least one attempt's": lambda: (
            pace.wave_deadline_seconds >= pace.attempt_deadline_seconds
        ),
        "pace.ticket_seconds must be at least one attempt's": lambda: (
            pace.ticket_seconds >= pace.attempt_deadline_seconds
        ),
        "pace.download_ahead_seconds must be above 0": lambda: (
            pace.download_ahead_seconds is None or pace.download_ahead_seconds > 0
        ),
        "pace.steady_seconds must be above 0": lambda: pace.steady_seconds is None or pace.steady_seconds > 0,
        "pace.steady_seconds must be at most half of pace.attempt_deadline_seconds, within which a charger "
        "also fetches, installs and boots": lambda: (
            pace.steady_seconds is None or pace.steady_seconds <= pace.attempt_deadline_seconds / 2
        ),
    }


def _check_waves(plan: CampaignPlan, found: Findings) -> None:
    if not plan.waves:
        found.problems.append("waves must not be empty: name at least one, the canary")
        return
    if len(plan.waves) >= REHEARSAL_WAVE:
        found.problems.append(f"waves must be fewer than {REHEARSAL_WAVE}")
    found.problems += share_problems(plan)
    for wave in plan.waves:
        with where_read():
            found.problems += [f"wave {wave.name!r}: {rule}" for rule in wave_problems(wave)]
    found.problems += broken(
        {
            "every wave needs a name of its own": lambda: (
                len({wave.name for wave in plan.waves}) == len(plan.waves)
            )
        }
    )


def _check_rollback(artifact: ArtifactFacts, back: ArtifactFacts, cohort: Cohort, found: Findings) -> None:
    if back.version == artifact.version:
        found.problems.append("the rollback artifact must be another version")
        return
    if back.vendor_role != artifact.vendor_role:
        found.problems.append(f"the rollback artifact is of {back.vendor_role}, not {artifact.vendor_role}")
    for reason, models in _rollback_gaps(artifact, back, cohort).items():
        found.problems.append(f"rollback to {back.version} is not possible for {named(models)}: {reason}")
    running = {each.version for each in cohort.fitting.values()}
    if running and not running & {back.version, None}:
        found.warnings.append(
            f"None of these chargers runs {back.version} now: whoever goes back gets a version that it did "
            f"not have ({named(sorted(each for each in running if each))})."
        )


def _check_one_way(plan: CampaignPlan, cohort: Cohort, found: Findings) -> None:
    """Models that can never go back need a waiver that is approved with the plan (X11)."""
    models = sorted({f"{each.vendor} {each.model}" for each in cohort.fitting.values() if not each.goes_back})
    if models and plan.one_way_waiver is None:
        found.problems.append(
            f"{named(models)} can never go back to an earlier version: say who accepts that, and why, "
            "in one_way_waiver, or leave them out"
        )
    elif models:
        found.warnings.append(f"{named(models)} can never go back: {plan.one_way_waiver}.")


def _rollback_gaps(artifact: ArtifactFacts, back: ArtifactFacts, cohort: Cohort) -> dict[str, list[str]]:
    """Reason -> models whose updated chargers could not take the rollback artifact."""
    gaps: defaultdict[str, set[str]] = defaultdict(set)
    for situation in cohort.fitting.values():
        updated = replace(situation, version=artifact.version, installed_counter=artifact.release_counter)
        skip = mismatch(updated, back, downgrade=True)
        if skip and situation.goes_back:  # The others are told of by their waiver.
            gaps[skip.reason].add(f"{situation.vendor} {situation.model}")
    return {reason: sorted(models) for reason, models in gaps.items()}
