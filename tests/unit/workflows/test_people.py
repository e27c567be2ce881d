"""Votes, where the order of what is written decides."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from activities.campaigns import CampaignBrief
from storage.campaign import Approval, CampaignPhase, GatePolicy, Pace
from storage.errors import Conflict
from tests.unit.workflows.facts import NOW
from workflows import people
from workflows.campaign import completed
from workflows.people import CampaignDesk
from workflows.signals import PersonRequest

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


@pytest.mark.requirement("R13", "R43")
async def test_a_campaign_that_people_let_pass_its_gates_says_who_and_why(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desk = CampaignDesk("c1")
    seen: list[tuple[str, ...]] = []

    async def written(_method: object, _arg: object, _summary: str = "") -> None:
        seen.append(tuple(desk._passed.values()))

    monkeypatch.setattr(people, "locally", written)
    monkeypatch.setattr(people.workflow, "upsert_search_attributes", lambda _pairs: None)
    monkeypatch.setattr(people.workflow, "set_current_details", lambda _text: None)
    desk._brief, desk._phase, desk._wave, desk._wave_name = BRIEF, CampaignPhase.PAUSED, 1, "rest"
    await desk.proceed(PersonRequest("grace", "two are all there are."))
    said = ("grace let wave rest pass: two are all there are.",)
    assert seen == [said], "before it is written: the gate may open, and the campaign end, meanwhile"
    assert completed(said) == (
        "every wave passed its gate, 1 of them by a person's word: "
        "grace let wave rest pass: two are all there are"
    )

    desk._phase = CampaignPhase.ABORTING
    desk._wave, desk._wave_name = 2, "last"
    with pytest.raises(Conflict):
        await desk.proceed(PersonRequest("grace", "too late"))
    assert tuple(desk._passed.values()) == said
    assert desk._overruled == ""

    at_once = (desk.proceed(PersonRequest("grace", "too late")) for _ in range(2))
    async with desk._writing:
        both = [asyncio.create_task(each) for each in at_once]
        await asyncio.sleep(0)
    ended = await asyncio.gather(*both, return_exceptions=True)
    assert [type(each) for each in ended] == [Conflict, Conflict], "two at once, as a client repeats itself"
    assert tuple(desk._passed.values()) == said


def test_what_a_completed_campaign_says_stays_short() -> None:
    assert completed(()) == "every wave passed its gate"
    many = completed([f"grace let wave {n} pass: why" for n in range(50)])
    assert many.startswith("every wave passed its gate, 50 of them")
    assert many.endswith("wave 4 pass: why; and 45 more (ampwave audit export)")
