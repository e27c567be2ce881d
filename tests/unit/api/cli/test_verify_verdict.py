"""``ampwave campaign verify-verdict`` on exports that somebody changed, or that hold nothing."""

from pathlib import Path
from typing import Any

import pytest

from api.cli.errors import WrongUse
from api.cli.verdicts import check_all

pytestmark = pytest.mark.requirement("R54", "X17")


def test_words_added_to_the_inputs_are_seen(sample: Any) -> None:
    decision = sample.decision()
    decision["inputs"]["approved_by"] = "the board"
    (found,) = check_all("c1", [decision])
    assert not found["holds"]
    assert found["differs"] == ["the stored inputs hold more than what was judged"]


def test_a_verdict_shown_at_another_wave_is_seen(sample: Any) -> None:
    (found,) = check_all("c1", [{**sample.decision(), "wave": 1}])
    assert found["differs"] == ["wave: stored 1, the inputs are those of 0"]


@pytest.mark.parametrize("count", [10**12, 1e300, float("nan")])
def test_counts_that_no_campaign_has_are_refused_and_not_computed_for_ever(sample: Any, count: float) -> None:
    decision = sample.decision()
    decision["inputs"]["facts"] |= {"updated": count, "failed": count}
    (found,) = check_all("c1", [decision])
    assert "more than any campaign has" in found["differs"][0]
    decision = sample.decision()
    decision["inputs"]["facts"]["control"]["known"] = count
    (found,) = check_all("c1", [decision])
    assert "more than any campaign has" in found["differs"][0]


def test_an_infinite_wave_is_no_decision(sample: Any) -> None:
    with pytest.raises(WrongUse):
        check_all("c1", [{**sample.decision(), "wave": float("inf")}])


def test_a_file_without_a_verdict_proves_nothing(run: Any, home: Path) -> None:
    (home / "x.json").write_text('{"campaign_id": "c", "decisions": []}')
    result = run("campaign", "verify-verdict", "--file", "x.json")
    assert result.exit_code == 1
    assert "nothing was proven" in result.stderr
