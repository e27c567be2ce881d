"""Evidence files at the command line."""

from typing import Any

import pytest


@pytest.mark.requirement("F29")
def test_a_file_that_is_none_is_refused_in_words(run: Any, fake: Any, home: Any) -> None:
    (home / "odd.jsonl").write_text("nonsense\n")
    result = run("charger", "verify-evidence", "odd.jsonl")
    assert result.exit_code == 1
    assert "line 1 is no JSON object" in result.stderr
    assert run("charger", "verify-evidence", "missing.jsonl").exit_code == 2
    result = run("charger", "evidence", "CP-1", "odd.jsonl", "--reason", "x")
    assert result.exit_code == 2


@pytest.mark.requirement("F29")
def test_a_file_without_an_end_is_not_read_to_it(run: Any, fake: Any, home: Any) -> None:
    with (home / "huge.jsonl").open("wb") as huge:
        huge.truncate(2**40)
    result = run("charger", "verify-evidence", "huge.jsonl")
    assert result.exit_code == 1
    assert "longer than any evidence file" in result.stderr
