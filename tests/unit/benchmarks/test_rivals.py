"""The rules of other products do what those products say, or the comparison is not fair."""

from random import Random

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from tests.benchmarks import rivals
from tests.benchmarks.plot import Bars, bars
from workflows.trial import Tally


def _first_stop(rule: rivals.Installs, group: int, outcomes: list[bool]) -> int | None:
    """After how many attempts (True: succeeded) it stops."""
    good = bad = 0
    for attempt, succeeded in enumerate(outcomes, 1):
        good, bad = good + succeeded, bad + (not succeeded)
        if rule.attempted(Tally(group, good, bad)):
            return attempt
    return None


def test_hawkbit_divides_by_the_whole_group() -> None:
    assert _first_stop(rivals.hawkbit(), 1000, [False] * 1000) == 501
    assert _first_stop(rivals.hawkbit(5), 1000, [False] * 1000) == 51
    assert _first_stop(rivals.hawkbit(), 10, [False] * 5) is None


def test_aws_waits_for_its_minimum_and_then_counts_attempts() -> None:
    assert _first_stop(rivals.aws(), 1000, [False] * 30) == 20
    assert _first_stop(rivals.aws(), 1000, [True] * 20 + [False] * 5) == 23
    assert _first_stop(rivals.aws(), 10, [False] * 10) is None


def test_azure_needs_the_share_and_the_count() -> None:
    assert _first_stop(rivals.azure(), 20, [False] * 20) == 5
    assert _first_stop(rivals.azure(), 100, [False] * 20) == 10


def test_nerveshub_counts() -> None:
    assert _first_stop(rivals.nerveshub(), 1000, [False] * 60) == 50


def test_kayentas_interval_is_that_of_the_rank_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without tolerance, the interval leaves zero where Mann and Whitney's test rejects."""
    chance = Random(3)
    treated = [round(chance.gauss(0.6, 1), 1) for _ in range(40)]
    control = [round(chance.gauss(0.0, 1), 1) for _ in range(60)]
    monkeypatch.setattr(rivals, "KAYENTA_TOLERANCE", -1e-9)
    monkeypatch.setattr(
        rivals, "_series", lambda _rows, _name, _span, *, updated: treated if updated else control
    )
    ours = rivals._shift_limit([], "any", 0, 1)
    theirs = mannwhitneyu(treated, control, alternative="greater", method="asymptotic", use_continuity=False)
    ties = np.count_nonzero(np.equal.outer(treated, control)) / 2
    assert ours >= 2
    from workflows.gate.normal import tail

    # Ties count half in the test and whole in the interval.
    shift = ties / np.sqrt(40 * 60 * 101 / 12)
    assert theirs.pvalue == pytest.approx(tail(ours - shift), rel=0.05)


def test_a_plot_escapes_what_it_writes() -> None:
    drawn = bars("a < b", "c & d", [Bars("<e>", [("f", 3.0), ("g", 0.0)], 3.0)], "f")
    assert drawn.startswith("<svg")
    assert "<e>" not in drawn
    assert drawn.count("<rect") == 3
