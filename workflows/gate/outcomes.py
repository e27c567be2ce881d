"""What became of the attempts, and who is faulted or offline now: checks with one sentence to say each."""

from collections.abc import Callable
from dataclasses import dataclass
from math import comb

from activities.facts import GroupFacts, WaveFacts
from storage.campaign import GatePolicy, VerdictWord
from workflows.gate.attempts import stops_at_the_end
from workflows.gate.words import CheckResult, Verdict, combine

MIN_KNOWN_SHARE = 0.9
"""Fewer known chargers than this among the updated, or fewer reporting among those of them that are online:
no verdict on their health."""
MAX_CONTROL_OFFLINE_SHARE = 0.5
"""More of the control group offline than this: our own connection is in doubt, not the firmware (R44)."""
CHANCE_ONE_IN = 20
"""An excess that chance alone produces more often than one time in this many is inconclusive."""

Check = Callable[[GatePolicy, WaveFacts], CheckResult]


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every check must say proceed."""

    checks: tuple[Check, ...]

    def __call__(self, policy: GatePolicy, facts: WaveFacts) -> Verdict:
        """The verdict of all checks; raises EmptyGate if there is none."""
        return combine(check(policy, facts) for check in self.checks)


def assess(policy: GatePolicy, facts: WaveFacts | None, *, old: bool = False) -> Verdict:
    """The verdict on a wave. No facts at all is an outage of the measurement and holds (R44)."""
    if facts is None:
        return combine([CheckResult("facts", VerdictWord.HOLD, "Nothing could be measured.")])
    return (OLD_WAVE_GATE if old else WAVE_GATE)(policy, facts)


def assess_rollback(policy: GatePolicy, facts: WaveFacts | None) -> Verdict:
    """The verdict on a rollback wave: everybody is back, or somebody has to look."""
    if facts is None:
        return assess(policy, None)
    return ROLLBACK_GATE(policy, facts)


def assess_rehearsal(policy: GatePolicy, facts: WaveFacts | None) -> Verdict:
    """The verdict on one way of a rehearsal: all who took part made it, or somebody has to look (X11)."""
    if facts is None:
        return assess(policy, None)
    return REHEARSAL_GATE(policy, facts)


# --- the checks --------------------------------------------------------------------------------


def security(_policy: GatePolicy, facts: WaveFacts) -> CheckResult:
    """A failed verification stops everything (S38)."""
    if facts.security_halt:
        return CheckResult("security", VerdictWord.ABORT, f"Verification failed: {facts.security_halt}")
    return CheckResult("security", VerdictWord.PROCEED, "Every verification held.")


def finished(_policy: GatePolicy, facts: WaveFacts) -> CheckResult:
    """A wave is judged when each of its chargers has an outcome."""
    if facts.unfinished:
        return CheckResult("finished", VerdictWord.HOLD, f"{facts.unfinished} chargers have no outcome yet.")
    return CheckResult("finished", VerdictWord.PROCEED, f"All {facts.total} chargers have an outcome.")


def whole(_policy: GatePolicy, facts: WaveFacts) -> CheckResult:
    """A wave that was stopped early is not through, however well those did that were under way (R43)."""
    if facts.cancelled:
        sentence = f"The wave was stopped early, and {facts.cancelled} of its chargers were not tried."
        return CheckResult("whole", VerdictWord.HOLD, sentence)
    return CheckResult("whole", VerdictWord.PROCEED, "The wave was not cut short.")


def sample(policy: GatePolicy, facts: WaveFacts) -> CheckResult:
    """Too few attempts prove nothing (R36)."""
    attempts, least = attempts_of(facts), policy.min_attempts
    if attempts < least:
        return CheckResult("sample", VerdictWord.HOLD, f"{attempts} attempts are fewer than {least}.")
    return CheckResult("sample", VerdictWord.PROCEED, f"{attempts} attempts are enough (at least {least}).")


def failures(policy: GatePolicy, facts: WaveFacts) -> CheckResult:
    """The share of attempts that failed; silence and reverting count as failures (R24, R37)."""
    attempts, failed = attempts_of(facts), failures_of(facts)
    limit = policy.max_failure_share
    if failed and attempts >= policy.min_attempts and failed / attempts > limit:
        sentence = f"{failed} of {attempts} attempts failed, more than {_percent(limit)}."
        return CheckResult("failures", VerdictWord.ABORT, sentence)
    sentence = f"{failed} of {attempts} attempts failed (at most {_percent(limit)} may)."
    return CheckResult("failures", VerdictWord.PROCEED, sentence)


def bounded_failures(policy: GatePolicy, facts: WaveFacts) -> CheckResult:
    """More failed than may: an abort where chance does not explain it, else a person's (R35, R43)."""
    attempts, failed, limit = attempts_of(facts), failures_of(facts), policy.max_failure_share
    counted = f"{failed} of {attempts} attempts failed"
    over = failed > limit * attempts
    if attempts >= policy.min_attempts and over:
        if stops_at_the_end(min(failed, attempts), attempts, limit, facts.wave):
            sentence = f"{counted}, more than {_percent(limit)} and beyond chance."
            return CheckResult("failures", VerdictWord.ABORT, sentence)
        sentence = f"{counted}, more than {_percent(limit)}. That may be chance."
        return CheckResult("failures", VerdictWord.HOLD, sentence)
    return CheckResult("failures", VerdictWord.PROCEED, f"{counted} (at most {_percent(limit)} may).")


def counted_failures(policy: GatePolicy, facts: WaveFacts) -> CheckResult:
    """So many failures stop a wave of any size, where a plan says so."""
    if policy.early_stop_failures is None:
        sentence = "The plan names no number of failures that stops a wave."
        return CheckResult("early stop", VerdictWord.PROCEED, sentence)
    return early_stop(policy, facts)


def early_stop(policy: GatePolicy, facts: WaveFacts) -> CheckResult:
    """So many failures stop a wave of any size."""
    failed, limit = failures_of(facts), policy.early_stop_failures
    if limit is not None and failed >= limit:
        sentence = f"{failed} chargers failed, and {limit} stop a wave."
        return CheckResult("early stop", VerdictWord.ABORT, sentence)
    return CheckResult("early stop", VerdictWord.PROCEED, f"{failed} chargers failed ({limit} would stop).")


def telemetry(_policy: GatePolicy, facts: WaveFacts) -> CheckResult:
    """Without news of the updated chargers, or of anybody, health cannot be judged (R44, F104)."""
    treated, control = facts.treated, _comparison(facts)
    if treated.size and treated.known < MIN_KNOWN_SHARE * treated.size:
        sentence = f"The state of {treated.size - treated.known} of {treated.size} updated is unknown."
        return CheckResult("telemetry", VerdictWord.HOLD, sentence)
    online = treated.known - treated.offline
    if treated.reporting < MIN_KNOWN_SHARE * online:
        sentence = f"{online - treated.reporting} of {online} updated told nothing of their connectors since."
        return CheckResult("telemetry", VerdictWord.HOLD, sentence)
    if control.known and control.offline > MAX_CONTROL_OFFLINE_SHARE * control.known:
        sentence = f"{control.offline} of {control.known} chargers not updated are offline: an outage here?"
        return CheckResult("telemetry", VerdictWord.HOLD, sentence)
    return CheckResult("telemetry", VerdictWord.PROCEED, "There is news of the chargers compared.")


def offline_excess(policy: GatePolicy, facts: WaveFacts) -> CheckResult:
    """Offline among the updated, over offline among the not yet updated (R39)."""
    treated, control = facts.treated, _comparison(facts)
    return _excess(
        "offline",
        _Share(treated.offline, treated.known),
        _Share(control.offline, control.known),
        policy.max_excess_offline_share,
    )


def fault_excess(policy: GatePolicy, facts: WaveFacts) -> CheckResult:
    """Faulted among the updated, over faulted among the not yet updated (R39)."""
    treated, control = facts.treated, _comparison(facts)
    return _excess(
        "faulted",
        _Share(treated.faulted, treated.reporting),
        _Share(control.faulted, control.reporting),
        policy.max_excess_fault_share,
    )


def everybody_back(_policy: GatePolicy, facts: WaveFacts) -> CheckResult:
    """A rollback is done when nobody is left on the version that was stopped.

    What a charger runs counts, not what its attempt came to: one that refused the command because it was
    in a boot loop falls back by itself a moment later. So who is missing may still come: hold.
    """
    back = _there(facts)
    if back == facts.total:
        return CheckResult("back", VerdictWord.PROCEED, f"All {back} updated chargers are back.")
    sentence = f"{back} of {facts.total} updated chargers are back; the others need a person."
    return CheckResult("back", VerdictWord.HOLD, sentence)


def everybody_rehearsed(_policy: GatePolicy, facts: WaveFacts) -> CheckResult:
    """The way is proven by all who were sent on it; by nobody, nothing is."""
    if not facts.total:
        sentence = "Nobody of the first wave could rehearse the way back: it is not proven."
        return CheckResult("rehearsed", VerdictWord.HOLD, sentence)
    there = facts.updated - facts.reverted  # Whoever came there without us proves nothing of the way.
    if there == facts.total:
        return CheckResult("rehearsed", VerdictWord.PROCEED, f"All {there} who rehearse made it.")
    sentence = f"{there} of {facts.total} who rehearse made it; a person decides before anybody else is."
    return CheckResult("rehearsed", VerdictWord.HOLD, sentence)


_FIRST = (security, finished, sample, telemetry, fault_excess, offline_excess)
WAVE_GATE = AllOf((*_FIRST, counted_failures, bounded_failures))
OLD_WAVE_GATE = AllOf((*_FIRST, early_stop, failures))
"""Up to gate-4: any share above the limit aborted, of however few attempts."""
ROLLBACK_GATE = AllOf((security, finished, everybody_back))
REHEARSAL_GATE = AllOf((security, finished, everybody_rehearsed))


# --- arithmetic --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Share:
    part: int
    whole: int

    def __str__(self) -> str:
        return f"{self.part} of {self.whole}"


def attempts_of(facts: WaveFacts) -> int:
    """The denominator: chargers to which something was sent (R37)."""
    return facts.updated + facts.failed + facts.silent


def _there(facts: WaveFacts) -> int:
    """Who runs the version of the wave now, whatever its attempt came to."""
    return facts.updated + facts.already_current - facts.reverted + facts.recovered


def failures_of(facts: WaveFacts) -> int:
    """Failed, silent, or back on another version after all."""
    return facts.failed + facts.silent + facts.reverted


def chance(treated: tuple[int, int], control: tuple[int, int]) -> tuple[int, int]:
    """How likely an excess at least this large is if both groups are alike, as an exact fraction.

    One-sided Fisher test on (part, whole) pairs: the hypergeometric tail, in whole numbers, so that
    every machine computes the same.
    """
    (hit, size), (other, rest) = treated, control
    hits = hit + other
    tail = sum(comb(size, k) * comb(rest, hits - k) for k in range(hit, min(size, hits) + 1))
    return tail, comb(size + rest, hits)


def _excess(name: str, treated: _Share, control: _Share, limit: float) -> CheckResult:
    if not treated.whole or not control.whole:
        sentence = f"There are no two groups to compare by chargers {name}."
        return CheckResult(name, VerdictWord.HOLD, sentence)
    sentence = f"{treated} updated chargers are {name}, {control} of the others."
    if treated.part / treated.whole - control.part / control.whole <= limit:
        return CheckResult(name, VerdictWord.PROCEED, sentence)
    tail, total = chance((treated.part, treated.whole), (control.part, control.whole))
    if tail * CHANCE_ONE_IN > total:
        return CheckResult(name, VerdictWord.HOLD, f"{sentence} That may be chance.")
    return CheckResult(name, VerdictWord.ABORT, f"{sentence} That is over {_percent(limit)} more.")


def _comparison(facts: WaveFacts) -> GroupFacts:
    """The concurrent control group, or the cohort before the start where none is left."""
    if facts.control.reporting or facts.baseline is None:
        return facts.control
    return facts.baseline


def _percent(share: float) -> str:
    return f"{share * 100:g} %"
