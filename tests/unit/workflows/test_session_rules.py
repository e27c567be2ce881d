"""When we stop believing in a session, and when a person is told. Nothing is cut for lack of an answer."""

from datetime import UTC, datetime, timedelta

import pytest

from storage.findings import SAYS_OVER, SessionFinding
from workflows.session_rules import Inquiry, Resolution, SessionWatchPolicy, resolve

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
POLICY = SessionWatchPolicy()


def decided(finding: SessionFinding, asked: int = 1, hours: float = 0.5, *, told: bool = False) -> Resolution:
    return resolve(Inquiry(finding, asked, NOW - timedelta(hours=hours), told), POLICY, NOW)[0]


@pytest.mark.requirement("F84")
@pytest.mark.parametrize(
    ("finding", "asked", "hours", "resolution"),
    [
        (SessionFinding.ONGOING, 9, 99, Resolution.KEEP),
        (SessionFinding.GONE, 1, 0, Resolution.ABANDON),
        (SessionFinding.FREE, 1, 0, Resolution.KEEP),
        (SessionFinding.FREE, 2, 0, Resolution.ABANDON),
        (SessionFinding.DISPLACED, 1, 99, Resolution.KEEP),
        (SessionFinding.DISPLACED, 2, 0, Resolution.ABANDON),
        (SessionFinding.UNKNOWN, 9, 1.9, Resolution.KEEP),
        (SessionFinding.UNKNOWN, 1, 99, Resolution.KEEP),
        (SessionFinding.UNKNOWN, 2, 2, Resolution.TELL),
    ],
)
def test_each_finding_has_its_resolution(finding, asked, hours, resolution) -> None:
    assert decided(finding, asked, hours) is resolution


@pytest.mark.requirement("F84")
def test_a_person_is_told_once() -> None:
    assert decided(SessionFinding.UNKNOWN, 9, 99, told=True) is Resolution.KEEP


@pytest.mark.requirement("F84")
@pytest.mark.parametrize("finding", sorted(set(SessionFinding) - SAYS_OVER))
@pytest.mark.parametrize("asked", [1, 2, 1000])
@pytest.mark.parametrize("hours", [0, 2, 10_000])
def test_without_evidence_a_session_is_never_given_up(finding, asked: int, hours: float) -> None:
    assert decided(finding, asked, hours) is not Resolution.ABANDON
