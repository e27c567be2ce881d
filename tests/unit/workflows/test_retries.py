"""Repeating an attempt: bounded, by its cause, and ever more seldom (R25, R26)."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.campaign import Pace
from storage.events import FIRMWARE_FAILURES, FirmwareStatus
from tests.unit.workflows.test_attest import ATTEMPT, status
from workflows.attest import judge
from workflows.messages import Mark
from workflows.retries import LONGEST, OTHER, RULES, is_last, pause_before, rule_of

PACE = Pace(max_attempts=5, retry_backoff_seconds=300.0)
CAUSES = st.sampled_from([*RULES, None])


@pytest.mark.requirement("R26")
@pytest.mark.parametrize(
    ("cause", "pauses"),
    [
        (Mark.FETCH, [5, 10, 20, 40]),
        (Mark.REFUSED, [5, 15, 45, 135]),
        (Mark.OVERDUE, [5, 10]),
        (Mark.INSTALL, [5]),
    ],
)
def test_each_cause_has_its_own_patience(cause: Mark, pauses: list[int]) -> None:
    attempts = [number for number in range(2, 6) if not is_last(number - 1, (cause,), PACE)]
    assert [pause_before(number, (Mark.RETRY, cause), PACE) for number in attempts] == [
        timedelta(minutes=each) for each in pauses
    ]


@pytest.mark.requirement("R26")
@pytest.mark.parametrize("failure", sorted(FIRMWARE_FAILURES - {FirmwareStatus.INVALID_SIGNATURE}))
def test_every_failure_that_may_be_repeated_has_a_cause(failure: FirmwareStatus) -> None:
    verdict = judge(ATTEMPT, [status(failure)])
    assert verdict is not None
    assert verdict.cause in RULES


@pytest.mark.requirement("R26")
def test_a_signature_that_does_not_hold_is_never_tried_again() -> None:
    verdict = judge(ATTEMPT, [status(FirmwareStatus.INVALID_SIGNATURE)])
    assert verdict is not None
    assert not verdict.retryable


@pytest.mark.requirement("R25")
@given(cause=CAUSES, most=st.integers(1, 10), base=st.floats(0, 1e5))
def test_attempts_are_bounded_and_pauses_never_shrink(cause: Mark | None, most: int, base: float) -> None:
    pace, marks = Pace(max_attempts=most, retry_backoff_seconds=base), (cause,) if cause else ()
    assert is_last(most, marks, pace)
    pauses = [pause_before(number, marks, pace) for number in range(2, most + 2)]
    assert pauses == sorted(pauses)
    assert pauses[0] == timedelta(seconds=base)
    assert pauses[-1] <= max(LONGEST, timedelta(seconds=base))


def test_a_cause_that_nobody_names_is_treated_strictly() -> None:
    assert rule_of((Mark.RETRY,)) == OTHER
    assert not is_last(1, (), PACE)
    assert is_last(2, (), PACE)
