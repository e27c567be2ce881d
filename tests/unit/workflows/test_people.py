"""Votes, where the order of what is written decides."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from activities.campaigns import CampaignBrief
from storage.campaign import Approval, CampaignPhase, GatePolicy, Pace
from tests.unit.workflows.facts import NOW
from workflows import people
from workflows.people import CampaignDesk

BRIEF = CampaignBrief(
    campaign_id="c1",
    name="rollout",
    phase=CampaignPhase.DRAFT,
    created_by="ada",
    plan_digest="d" * 64,
    artifact_id="a" * 64,
    version="1.1",
    rollback_artifact_id=None,
    rollback_version=None,
    waves=(),
    sizes=(),
    gate=GatePolicy(),
    pace=Pace(),
    required_approvals=1,
    start_at=None,
)


@pytest.mark.requirement("R11", "R13")
async def test_a_yes_that_is_written_late_does_not_count_for_the_next_vote(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written = asyncio.Event()

    async def slowly(_method: object, _arg: object) -> None:
        await written.wait()

    async def at_once(condition: Callable[[], bool], **_options: Any) -> None:
        assert condition()

    monkeypatch.setattr(people, "locally", slowly)
    monkeypatch.setattr(people.workflow, "wait_condition", at_once)
    desk = CampaignDesk("c1")
    desk._brief, desk._phase = BRIEF, CampaignPhase.AWAITING_APPROVAL
    desk._open_vote(1, "the start")
    late = asyncio.create_task(desk.approve(Approval("linus", NOW, BRIEF.plan_digest)))
    await asyncio.sleep(0)
    desk._open_vote(1, "wave rest")
    written.set()
    await late
    assert desk._yes == []

    await desk.approve(Approval("linus", NOW, BRIEF.plan_digest))
    assert desk._yes == ["linus"]
