"""A campaign's end: what a plan may say of it, and who may move it."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from storage.campaign import CampaignPlan, EndBehaviour
from storage.errors import Conflict
from tests.unit.workflows.test_planning import NOW, PLAN, look
from workflows.campaign_end import check_extension
from workflows.signals import ExtendRequest

pytestmark = pytest.mark.requirement("R19")
ENDS = NOW + timedelta(days=3)
LATER = ENDS + timedelta(days=1)


def ended(**changes) -> CampaignPlan:
    return replace(PLAN, **{"end_at": NOW + timedelta(days=30), **changes})


def test_a_plan_with_an_end_is_another_plan() -> None:
    assert look(ended()).problems == ()
    digests = {
        look(plan).plan_digest
        for plan in (PLAN, ended(), ended(end_at=LATER), ended(end_behaviour=EndBehaviour.PAUSE))
    }
    assert len(digests) == 4


@pytest.mark.parametrize(
    ("plan", "problem"),
    [
        (ended(end_at=NOW - timedelta(seconds=1)), "end_at is in the past"),
        (ended(end_at=NOW), "end_at is in the past"),
        (ended(end_at=datetime(2030, 1, 1)), "end_at must say its time zone"),  # noqa: DTZ001 - the point
        (ended(end_at=NOW + timedelta(days=800)), "end_at must be within two years"),
        (ended(end_at=NOW + timedelta(minutes=59)), "before canary, rest can be through"),
        (ended(start_at=NOW + timedelta(days=30)), "before canary, rest can be through"),
        (ended(end_at=None, end_behaviour=EndBehaviour.PAUSE), "say when that is"),
        (ended(rollback_artifact_id=None, end_behaviour=EndBehaviour.ROLL_BACK), "where to?"),
    ],
)
def test_an_end_that_cannot_be_is_refused(plan: CampaignPlan, problem: str) -> None:
    found = look(plan) if plan.rollback_artifact_id else look(plan, old=None)
    assert any(problem in one for one in found.problems), found.problems


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        (EndBehaviour.STOP, "whoever could not be touched by then is left out."),
        (EndBehaviour.PAUSE, "it waits for a person"),
        (EndBehaviour.ROLL_BACK_FAILED, "who failed or fell silent is taken back"),
        (EndBehaviour.ROLL_BACK, "everybody that it updated is taken back"),
    ],
)
def test_a_close_end_says_what_that_end_does(behaviour: EndBehaviour, said: str) -> None:
    [warning] = [
        one for one in look(ended(end_at=ENDS, end_behaviour=behaviour)).warnings if "It ends at" in one
    ]
    assert said in warning


def test_who_may_be_left_out_is_told_before() -> None:
    assert any("whoever could not be touched" in one for one in look(ended(end_at=ENDS)).warnings)
    assert not any("whoever could not" in one for one in look(ended()).warnings)


def test_a_later_end_in_time_by_somebody_else_with_a_reason() -> None:
    wanted = ExtendRequest(LATER, "grace", "snow")
    for now in (NOW, ENDS, LATER - timedelta(seconds=1)):
        check_extension(wanted, "ada", ENDS, now)
    with pytest.raises(Conflict):
        check_extension(wanted, "ada", ENDS, LATER)


@pytest.mark.parametrize(
    ("request_", "ends_at", "now", "refusal"),
    [
        (ExtendRequest(LATER, "grace", "snow"), None, NOW, "names no end"),
        (ExtendRequest(LATER, "ada", "snow"), ENDS, NOW, "four eyes"),
        (ExtendRequest(ENDS, "grace", "snow"), ENDS, NOW, "not earlier than the time you named"),
        (ExtendRequest(LATER, "grace", "snow"), ENDS, LATER, "in the past"),
        (ExtendRequest(NOW + timedelta(days=732), "grace", "snow"), ENDS, NOW, "two years"),
        (ExtendRequest(LATER, "grace", " \n"), ENDS, NOW, "reason"),
    ],
)
def test_every_other_extension_is_refused(request_, ends_at, now, refusal) -> None:
    with pytest.raises(Conflict, match=refusal):
        check_extension(request_, "ada", ends_at, now)
