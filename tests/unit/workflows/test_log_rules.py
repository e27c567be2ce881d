"""What became of a request for a log: only what arrived is success."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.logs import LogFacts
from storage.log import LogState
from storage.reports import LOG_FAILURES, LogStatus
from workflows.log_rules import LONGEST_PAUSE_S, judge_log, next_pause

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
PATIENCE = timedelta(seconds=60)


@pytest.mark.parametrize("status", [None, *LogStatus])
@pytest.mark.parametrize("overdue", [False, True])
def test_what_arrived_is_success_whatever_was_said(status: LogStatus | None, overdue: bool) -> None:
    deadline = NOW - PATIENCE if overdue else NOW + PATIENCE
    verdict = judge_log(LogFacts(uploaded=True, status=status, status_at=NOW), NOW, deadline, PATIENCE)
    assert verdict is not None
    assert verdict.state is LogState.UPLOADED


@pytest.mark.parametrize("status", sorted(set(LogStatus) - LOG_FAILURES))
def test_no_word_of_the_charger_makes_it_so(status: LogStatus) -> None:
    facts = LogFacts(uploaded=False, status=status, status_at=NOW)
    assert judge_log(facts, NOW, NOW + PATIENCE, PATIENCE) is None
    verdict = judge_log(facts, NOW, NOW, PATIENCE)
    assert verdict is not None
    assert verdict.state is LogState.OVERDUE


def test_a_charger_that_failed_may_try_again_by_itself_for_a_while() -> None:
    facts = LogFacts(uploaded=False, status=LogStatus.UPLOAD_FAILURE, status_at=NOW)
    deadline = NOW + timedelta(hours=1)
    assert judge_log(facts, NOW + PATIENCE / 2, deadline, PATIENCE) is None
    verdict = judge_log(facts, NOW + PATIENCE, deadline, PATIENCE)
    assert verdict is not None
    assert (verdict.state, verdict.reason) == (LogState.FAILED, "it reported UploadFailure")


@pytest.mark.parametrize("status", sorted(LOG_FAILURES - {LogStatus.UPLOAD_FAILURE}))
def test_other_failures_are_final(status: LogStatus) -> None:
    facts = LogFacts(uploaded=False, status=status, status_at=NOW)
    verdict = judge_log(facts, NOW, NOW + PATIENCE, PATIENCE)
    assert verdict is not None
    assert verdict.state is LogState.FAILED


def test_at_the_deadline_silence_is_said_so() -> None:
    verdict = judge_log(LogFacts(uploaded=False), NOW, NOW, PATIENCE)
    assert verdict is not None
    assert "reported nothing" in verdict.reason


@given(st.floats(0.1, 1000))
def test_looks_become_rarer_and_never_end(pause: float) -> None:
    assert min(pause, LONGEST_PAUSE_S) <= next_pause(pause) <= LONGEST_PAUSE_S
