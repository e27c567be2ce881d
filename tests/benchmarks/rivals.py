"""Rules of other products, as published, on the same simulated campaigns as our gate.

Written from their documentation and observed behaviour, as noted at each; nothing is copied. Each sees what
it would see: install results, where that is all that its product has. Each gets 24 hours after each wave,
which is more than our gate takes on a good release, also where its product has no soak at all.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import sqrt

import numpy as np

from workflows.gate.normal import quantile
from workflows.trial import Says, Tally, View, Word
from workflows.trial.view import Row
from workflows.trial.world import Hours

SOAK_HOURS = 24
METRICS = ("session_failures", "unheard", "faults")
"""What a user of a rule for health would give it; more of them make more false stops."""


@dataclass
class Installs:
    """A rule that sees the outcomes of attempts only, and goes on after the soak."""

    stops: Callable[[Tally], bool]
    ratio: Callable[[Tally], float] = lambda _: 0.0
    worst: float = 0.0
    """The highest ratio of this campaign: from many good ones follows the threshold they permit."""

    def attempted(self, tally: Tally) -> str:
        """After each attempt."""
        self.worst = max(self.worst, self.ratio(tally))
        return "too many attempts failed" if self.stops(tally) else ""

    def look(self, view: View, waited: int) -> Says:
        """Nothing but time."""
        return Says(Word.GO) if waited >= SOAK_HOURS else Says(Word.WAIT, again=SOAK_HOURS - waited)


def hawkbit(percent: float = 50.0) -> Installs:
    """Eclipse hawkBit: pauses when errors are more than so many percent of the *whole group*.

    Default 50 (RolloutGroupConditionBuilder, ThresholdRolloutGroupErrorCondition). The next group opens when
    as many percent succeeded; here it gets the soak besides.
    """
    return Installs(
        lambda tally: 100 * tally.failed > percent * tally.group,
        lambda tally: 100 * tally.failed / tally.group,
    )


def aws(percent: float = 10.0, least: int = 20) -> Installs:
    """AWS IoT Jobs: cancels when failures reach thresholdPercentage of at least minNumberOfExecutedThings.

    No default; 10 % of 20 is the example of its documentation (How job configurations work).
    """
    return Installs(
        lambda tally: tally.attempts >= least and 100 * tally.failed >= percent * tally.attempts,
        lambda tally: 100 * tally.failed / tally.attempts if tally.attempts >= least else 0.0,
    )


def azure(percent: float = 10.0, count: int = 5) -> Installs:
    """Azure Device Update: rolls back when failures reach a percentage *and* a count.

    No default. It has no waves inside a group; here each wave is one of its deployments.
    """
    return Installs(
        lambda tally: tally.failed >= count and 100 * tally.failed >= percent * tally.group,
        lambda tally: 100 * tally.failed / tally.group if tally.failed >= count else 0.0,
    )


def nerveshub(failures: int = 50) -> Installs:
    """NervesHub: ``failure_threshold`` of a deployment group, default 50 devices (deployment_group.ex).

    In the code that was read nothing reads it; here it works as its name promises.
    """
    return Installs(lambda tally: tally.failed >= failures, lambda tally: float(tally.failed))


# --- rules that look at health ------------------------------------------------------------------


@dataclass
class Daily:
    """Looks once a day while it soaks, and stops on a finding."""

    find: Callable[[View], float]
    """How far the worst metric is out; above ``limit`` it stops."""
    limit: float
    worst: float = field(default=0.0)

    def attempted(self, tally: Tally) -> str:
        """It does not count attempts."""
        return ""

    def look(self, view: View, waited: int) -> Says:
        """Nothing is to be compared when a wave has just ended."""
        if not waited:
            return Says(Word.WAIT, again=24)
        found = 0.0 if view.last else self.find(view)
        self.worst = max(self.worst, found)
        if found > self.limit:
            return Says(Word.STOP, f"a metric is out by {found:.2f}")
        return Says(Word.GO if waited >= SOAK_HOURS else Word.WAIT, again=24)


def z_test(limit: float = 1.645) -> Daily:
    """A test of two proportions each day, one-sided at 5 %: what a careful team writes in an afternoon.

    Sessions and hours are taken for independent of each other; looks and metrics are not corrected for.
    """
    return Daily(lambda view: max(_z(view.rows(), name, view.now) for name in METRICS), limit)


def _z(rows: Sequence[Row], signal: str, now: int) -> float:
    sums = {True: [0, 0], False: [0, 0]}
    for row in rows:
        hits, cases = row.count(signal, now)
        sums[row.updated][0] += hits
        sums[row.updated][1] += cases
    (hit, n), (other, m) = sums[True], sums[False]
    if not n or not m or not hit + other:
        return 0.0
    pooled = (hit + other) / (n + m)
    variance = pooled * (1 - pooled) * (1 / n + 1 / m)
    return (hit / n - other / m) / sqrt(variance) if variance > 0 else 0.0


KAYENTA_CONFIDENCE, KAYENTA_TOLERANCE, KAYENTA_MARGINAL = 0.98, 0.25, 75.0


def kayenta(confidence: float = KAYENTA_CONFIDENCE) -> Daily:
    """Spinnaker's Kayenta: Mann-Whitney on each metric's time series, a score over all of them.

    A metric is High if the lower end of the confidence interval (0.98) of the Hodges-Lehmann shift is above
    0.25 of the shift itself (NetflixACAJudge, MannWhitneyClassifier); the canary fails if the share of
    metrics that pass is below the marginal score, 75 in Spinnaker's documentation. A point is an hour of
    one arm; the interval is the normal approximation with ties corrected, as R's ``wilcox.test`` gives
    for so many.
    """
    return kayenta_at(quantile((1 - confidence) / 2))


def kayenta_at(limit: float) -> Daily:
    """The same with an interval of so many standard errors."""
    return Daily(_kayenta, limit)


def _kayenta(view: View) -> float:
    """The widest interval, in standard errors, at which the score still fails."""
    rows = view.rows()
    since = max((row.since for row in rows if row.updated), default=view.now)
    limits = sorted((_shift_limit(rows, name, since, view.now) for name in METRICS), reverse=True)
    # As many metrics must be High as bring the score below marginal.
    counts = range(1, len(METRICS) + 1)
    failing = next(count for count in counts if 100 * (1 - count / len(METRICS)) < KAYENTA_MARGINAL)
    return limits[failing - 1]


def _shift_limit(rows: Sequence[Row], signal: str, since: int, now: int) -> float:
    treated, control = (_series(rows, signal, (since, now), updated=arm) for arm in (True, False))
    n, m = len(treated), len(control)
    if n < 2 or m < 2:
        return 0.0
    differences = np.sort(np.subtract.outer(treated, control).ravel())
    shift = float(np.median(differences))
    if shift <= 0:
        return 0.0
    _, ties = np.unique(np.concatenate([treated, control]), return_counts=True)
    tied = float((ties.astype(float) ** 3 - ties).sum()) / ((n + m) * (n + m - 1))
    error = sqrt(n * m / 12 * max(n + m + 1 - tied, 1e-9))
    below = int(np.searchsorted(differences, KAYENTA_TOLERANCE * shift, side="right"))
    return max(0.0, (n * m / 2 - below) / error)


def _series(rows: Sequence[Row], signal: str, span: tuple[int, int], *, updated: bool) -> list[float]:
    since, until = span
    hits, cases = [0] * (until - since), [0] * (until - since)
    for row in rows:
        if row.updated is updated:
            track = (row.unit.new if updated else row.unit.old)[signal]
            _add(hits, track.hits, span)
            if track.cases is None:
                cases = [each + 1 for each in cases]
            else:
                _add(cases, track.cases, span)
    return [hit / case for hit, case in zip(hits, cases, strict=True) if case]


def _add(counts: list[int], hours: Hours, span: tuple[int, int]) -> None:
    since, until = span
    for hour in hours[bisect_left(hours, since) : bisect_left(hours, until)]:
        counts[hour - since] += 1
