"""What a wave of renewals says about the next one. Pure."""

from dataclasses import dataclass
from enum import StrEnum

from storage.renewal import WORK_WORDS, RenewalOutcome, RenewalPlan, WaveCounts


class GateVerdict(StrEnum):
    """What follows."""

    PROCEED = "proceed"
    HOLD = "hold"
    ABORT = "abort"


@dataclass(frozen=True, slots=True)
class WaveVerdict:
    """A verdict and its sentence."""

    verdict: GateVerdict
    reason: str


def too_many_lost(counts: WaveCounts, plan: RenewalPlan) -> bool:
    """Chargers that do not come back end a renewal at once, whatever else goes well."""
    return counts.outcomes.get(RenewalOutcome.LOST.value, 0) > plan.max_lost


def passes_already(counts: WaveCounts, plan: RenewalPlan, at_work: int) -> bool:
    """Whether a wave passes whatever becomes of those that are left: a few that are away hold nobody up.

    ``at_work``: so many of them are in an attempt now, any of which may be the last that is heard of it.
    """
    lost = counts.outcomes.get(RenewalOutcome.LOST.value, 0) + at_work
    if counts.open == 0 or lost > plan.max_lost:
        return False
    failed = counts.outcomes.get(RenewalOutcome.FAILED.value, 0) + counts.open
    worst = WaveCounts(0, {**counts.outcomes, RenewalOutcome.FAILED.value: failed})
    return judge_wave(worst, plan).verdict is GateVerdict.PROCEED


def judge_wave(counts: WaveCounts, plan: RenewalPlan) -> WaveVerdict:
    """Lost chargers abort; many failures hold; and so does a wave in which nothing was proved."""
    number = {outcome: counts.outcomes.get(outcome.value, 0) for outcome in RenewalOutcome}
    good = number[RenewalOutcome.RENEWED] + number[RenewalOutcome.TAKEN]
    bad = number[RenewalOutcome.FAILED] + number[RenewalOutcome.REFUSED] + number[RenewalOutcome.LOST]
    if too_many_lost(counts, plan):
        lost = number[RenewalOutcome.LOST]
        return WaveVerdict(GateVerdict.ABORT, f"{lost} chargers did not come back; {plan.max_lost} at most")
    if good + bad == 0:
        # No data is never a pass (R43).
        gone = number[RenewalOutcome.RESCHEDULED]
        why = (
            f"the schedule took {gone} chargers of the wave"
            if gone
            else "no charger of the wave could be reached"
        )
        return WaveVerdict(GateVerdict.HOLD, f"{why}, so it shows nothing")
    share = bad / (good + bad)
    if share > plan.max_failed_share:
        return WaveVerdict(
            GateVerdict.HOLD, f"{bad} of {good + bad} failed; {plan.max_failed_share:.0%} at most"
        )
    return WaveVerdict(GateVerdict.PROCEED, f"{good} of {good + bad} {WORK_WORDS[plan.work].have}")
