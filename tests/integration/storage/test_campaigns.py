"""Campaigns and their frozen targets: what is written once stands, hashes survive the store."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from storage.campaign import (
    ROLLBACK_WAVE_BASE,
    Approval,
    Campaign,
    CampaignPhase,
    CampaignPlan,
    Decision,
    Hindrance,
    Outcome,
    SignedDirective,
    Target,
    TargetPhase,
    VerdictWord,
    WavePlan,
    WaveTally,
)
from storage.canonical import digest
from storage.charger import ChargerFilter
from storage.errors import Conflict, NotFound
from storage.postgres.campaigns import PostgresCampaignStore

pytestmark = pytest.mark.integration
AT = datetime(2026, 11, 20, 12, 0, 0, 5, tzinfo=UTC)
LATER = AT + timedelta(minutes=5)
PLAN = CampaignPlan(
    name="Übung",
    artifact_id="a" * 64,
    targets=ChargerFilter(vendor="Volt", charger_ids=("A", "B")),
    waves=(WavePlan("canary", 0.1, 1e-7), WavePlan("rest", 0.9, needs_approval=True)),
    rollback_artifact_id="b" * 64,
    seed=2**40,
    start_at=AT,
)
CAMPAIGN = Campaign("c1", PLAN, digest(PLAN), CampaignPhase.DRAFT, "ann", AT, cohort_size=3)


def target(charger_id: str, wave: int = 0, ordinal: int = 0) -> Target:
    return Target("c1", wave, ordinal, charger_id, "s1", "a" * 64, "1.0", "1.1")


TARGETS = [target("A"), target("B", 1, 0), target("C", 1, 1)]


@pytest.fixture
async def campaigns(engine) -> PostgresCampaignStore:
    store = PostgresCampaignStore(engine)
    await store.create(CAMPAIGN, TARGETS, [("E", "its model does not match"), ("D", "held")])
    return store


async def test_a_campaign_comes_back_whole_and_hashes_to_the_same(campaigns) -> None:
    found = await campaigns.get("c1")
    assert found == CAMPAIGN
    assert digest(found.plan) == CAMPAIGN.plan_digest
    assert await campaigns.exclusions("c1") == [("D", "held"), ("E", "its model does not match")]
    with pytest.raises(NotFound):
        await campaigns.get("c2")


async def test_a_taken_id_creates_nothing(campaigns, sql) -> None:
    with pytest.raises(Conflict):
        await campaigns.create(replace(CAMPAIGN, created_by="bob"), [target("Z", 5)], [])
    assert (await campaigns.get("c1")).created_by == "ann"
    assert await sql.value("SELECT count(*) FROM campaign_target") == 3


async def test_a_cohort_that_contradicts_itself_creates_nothing(campaigns, sql) -> None:
    clash = [replace(each, campaign_id="c2") for each in (target("A"), target("B"))]
    with pytest.raises(Conflict):
        await campaigns.create(replace(CAMPAIGN, campaign_id="c2"), clash, [])
    with pytest.raises(NotFound):
        await campaigns.get("c2")


async def test_phases_and_their_end(campaigns) -> None:
    await campaigns.set_phase("c1", CampaignPhase.RUNNING, "approved", AT)
    running = await campaigns.get("c1")
    assert (running.phase, running.reason, running.finished_at) == (CampaignPhase.RUNNING, "approved", None)
    await campaigns.set_phase("c1", CampaignPhase.ABORTED, "the gate said so", LATER)
    assert (await campaigns.get("c1")).finished_at == LATER
    with pytest.raises(NotFound):
        await campaigns.set_phase("c2", CampaignPhase.RUNNING, "", AT)


async def test_each_person_approves_a_plan_once(campaigns) -> None:
    first = Approval("bob", AT, CAMPAIGN.plan_digest)
    for approval in (first, replace(first, at=LATER), Approval("eve", LATER, CAMPAIGN.plan_digest)):
        await campaigns.add_approval("c1", approval)
    expected = (first, Approval("eve", LATER, CAMPAIGN.plan_digest))
    assert (await campaigns.get("c1")).approvals == expected
    assert (await campaigns.find()).items[0].approvals == expected
    with pytest.raises(NotFound):
        await campaigns.add_approval("c2", first)


async def test_a_signed_yes_takes_the_place_of_an_older_one(campaigns) -> None:
    """One that expired, or was a row only, must not keep out what counts; a repeated one changes nothing."""
    signed = Approval("bob", LATER, CAMPAIGN.plan_digest, "{}")
    again = replace(signed, at=LATER + timedelta(days=30), evidence="{ }")
    for approval in (replace(signed, at=AT, evidence=""), signed, again, signed, replace(again, evidence="")):
        await campaigns.add_approval("c1", approval)
    assert (await campaigns.get("c1")).approvals == (again,)


async def test_pages_run_from_the_newest(campaigns) -> None:
    for number in range(2, 6):
        at = AT + timedelta(minutes=number // 2)
        await campaigns.create(replace(CAMPAIGN, campaign_id=f"c{number}", created_at=at), [], [])
    first = await campaigns.find(limit=3)
    second = await campaigns.find(limit=3, cursor=first.next_cursor)
    seen = [each.campaign_id for each in (*first.items, *second.items)]
    assert seen == ["c5", "c4", "c3", "c2", "c1"]
    assert second.next_cursor is None


class TestTargets:
    async def test_ranges_count_from_zero_in_each_wave(self, campaigns) -> None:
        assert await campaigns.targets("c1") == TARGETS
        assert await campaigns.targets("c1", 1) == TARGETS[1:]
        assert await campaigns.targets("c1", 1, 1, 1) == TARGETS[2:]
        assert await campaigns.targets("c1", None, 1, 1) == TARGETS[1:2]
        assert await campaigns.targets("c1", 7) == []
        assert await campaigns.target("c1", 1, "C") == TARGETS[2]
        with pytest.raises(NotFound):
            await campaigns.target("c1", 0, "C")

    async def test_a_target_moves_and_remembers(self, campaigns) -> None:
        await campaigns.move_target(
            "c1", 0, "A", TargetPhase.WAITING, "a car is charging", at=AT, deferred_for_session=True
        )
        await campaigns.move_target("c1", 0, "A", TargetPhase.RESERVED, "", at=AT, attempt=1, request_id=9)
        await campaigns.move_target("c1", 0, "A", TargetPhase.DISPATCHED, "sent", at=LATER)
        moved = await campaigns.target("c1", 0, "A")
        assert (moved.phase, moved.reason) == (TargetPhase.DISPATCHED, "sent")
        assert (moved.attempt, moved.request_id, moved.dispatched_at) == (1, 9, LATER)
        assert moved.deferred_for_session, "once raised it stays"
        await campaigns.move_target("c1", 0, "A", TargetPhase.CONFIRMING, "", at=LATER + timedelta(1))
        assert (await campaigns.target("c1", 0, "A")).dispatched_at == LATER
        with pytest.raises(NotFound):
            await campaigns.move_target("c1", 0, "Z", TargetPhase.WAITING, "", at=AT)

    @pytest.mark.requirement("R30", "R31")
    async def test_a_dispatch_is_marked_only_while_it_may_be_sent(self, campaigns) -> None:
        target = await campaigns.target("c1", 0, "A")
        sent = replace(target, attempt=1, request_id=9, dispatched_at=LATER, reason="sent")
        await campaigns.set_phase("c1", CampaignPhase.PAUSED, "", AT)
        assert not await campaigns.mark_dispatched(sent, CampaignPhase.RUNNING)
        assert await campaigns.target("c1", 0, "A") == target
        await campaigns.set_phase("c1", CampaignPhase.RUNNING, "", AT)
        assert await campaigns.mark_dispatched(sent, CampaignPhase.RUNNING)
        assert await campaigns.target("c1", 0, "A") == replace(sent, phase=TargetPhase.DISPATCHED)

        await campaigns.unmark_dispatched(replace(target, attempt=2))
        assert (await campaigns.target("c1", 0, "A")).dispatched_at == LATER, "of another attempt"
        await campaigns.unmark_dispatched(replace(target, attempt=1, reason="it was not sent"))
        unsent = await campaigns.target("c1", 0, "A")
        assert (unsent.phase, unsent.dispatched_at) == (TargetPhase.WAITING, None)

        assert await campaigns.mark_dispatched(replace(sent, attempt=2), CampaignPhase.RUNNING)
        assert not await campaigns.mark_dispatched(sent, CampaignPhase.RUNNING), "a later attempt has begun"
        await campaigns.finish_target("c1", 0, "A", Outcome.SKIPPED, "taken out", AT)
        assert not await campaigns.mark_dispatched(replace(sent, attempt=2), CampaignPhase.RUNNING)

    @pytest.mark.requirement("R31")
    async def test_what_is_known_of_a_target_moves_nothing_and_no_last_word(self, campaigns) -> None:
        before = await campaigns.target("c1", 0, "A")
        await campaigns.say_of_target("c1", 0, "A", "it was told to stop once")
        assert await campaigns.target("c1", 0, "A") == replace(before, reason="it was told to stop once")
        await campaigns.finish_target("c1", 0, "A", Outcome.SKIPPED, "it stopped", AT)
        await campaigns.say_of_target("c1", 0, "A", "it was told to stop twice")
        assert (await campaigns.target("c1", 0, "A")).reason == "it stopped"

    async def test_many_end_in_one_statement_and_the_first_word_on_each_stands(self, campaigns) -> None:
        await campaigns.finish_target("c1", 1, "B", Outcome.UPDATED, "it booted", AT)
        ends = [("B", Outcome.CANCELLED, "enough"), ("C", Outcome.FAILED, "no answer")]
        await campaigns.finish_targets("c1", 1, ends, LATER)
        told = [await campaigns.target("c1", 1, name) for name in ("B", "C")]
        assert [(one.outcome, one.reason, one.finished_at) for one in told] == [
            (Outcome.UPDATED, "it booted", AT),
            (Outcome.FAILED, "no answer", LATER),
        ]
        assert {one.phase for one in told} == {TargetPhase.DONE}
        assert (await campaigns.target("c1", 0, "A")).outcome is None

    @pytest.mark.requirement("R19")
    async def test_nothing_is_marked_as_sent_after_the_end_but_the_way_back(self, campaigns) -> None:
        target = await campaigns.target("c1", 0, "A")
        sent = replace(target, attempt=1, request_id=9, dispatched_at=LATER, reason="sent")
        await campaigns.set_phase("c1", CampaignPhase.RUNNING, "", AT)
        assert (await campaigns.get("c1")).ends_at is None
        await campaigns.set_end("c1", LATER)
        assert not await campaigns.mark_dispatched(sent, CampaignPhase.RUNNING)
        await campaigns.set_phase("c1", CampaignPhase.ROLLING_BACK, "", AT)
        assert await campaigns.mark_dispatched(sent, CampaignPhase.ROLLING_BACK)
        await campaigns.unmark_dispatched(replace(target, attempt=1))
        await campaigns.set_phase("c1", CampaignPhase.RUNNING, "", AT)
        await campaigns.set_end("c1", LATER + timedelta(seconds=1))
        await campaigns.set_end("c1", LATER)  # Of two that moved it at once, written last.
        assert await campaigns.mark_dispatched(sent, CampaignPhase.RUNNING)
        assert (await campaigns.get("c1")).ends_at == LATER + timedelta(seconds=1)
        with pytest.raises(NotFound):
            await campaigns.set_end("nobody", LATER)

    @pytest.mark.requirement("R31")
    async def test_only_what_is_under_way_is_called_back_and_once(self, campaigns) -> None:
        assert not await campaigns.recall("c1", 0, "A", "ada: stop")
        await campaigns.set_phase("c1", CampaignPhase.RUNNING, "", AT)
        await campaigns.move_target("c1", 0, "A", TargetPhase.RESERVED, "", at=AT, attempt=1)
        assert await campaigns.recall("c1", 0, "A", "ada: stop")
        assert not await campaigns.recall("c1", 0, "A", "bob: stop")
        target = await campaigns.target("c1", 0, "A")
        assert (target.recalled, target.reason) == ("ada: stop", "ada: stop")
        sent = replace(target, request_id=9, dispatched_at=LATER, reason="sent")
        assert not await campaigns.mark_dispatched(sent, CampaignPhase.RUNNING), "it was called back"
        await campaigns.finish_target("c1", 0, "A", Outcome.SKIPPED, "called back", AT)
        assert not await campaigns.recall("c1", 0, "A", "late")
        assert not await campaigns.recall("c1", 0, "Z", "nobody")

    async def test_many_move_at_once(self, campaigns) -> None:
        await campaigns.finish_target("c1", 1, "C", Outcome.SKIPPED, "taken out", AT)
        await campaigns.move_targets(
            "c1",
            1,
            [("B", TargetPhase.WAITING, "charging", True), ("C", TargetPhase.WAITING, "charging", True)],
        )
        await campaigns.move_targets("c1", 1, [("B", TargetPhase.PENDING, "idle", False)])
        await campaigns.move_targets("c1", 1, [])
        first, second = await campaigns.targets("c1", 1)
        assert (first.phase, first.reason) == (TargetPhase.PENDING, "idle")
        assert first.deferred_for_session
        assert (second.phase, second.outcome) == (TargetPhase.DONE, Outcome.SKIPPED)

    async def test_the_first_outcome_stands(self, campaigns) -> None:
        await campaigns.finish_target("c1", 0, "A", Outcome.SILENT, "it did not come back", AT)
        await campaigns.finish_target("c1", 0, "A", Outcome.UPDATED, "it did after all", LATER)
        await campaigns.move_target("c1", 0, "A", TargetPhase.WAITING, "again", at=LATER)
        done = await campaigns.target("c1", 0, "A")
        assert (done.phase, done.outcome, done.finished_at) == (TargetPhase.DONE, Outcome.SILENT, AT)
        assert done.reason == "it did not come back"
        with pytest.raises(NotFound):
            await campaigns.finish_target("c1", 0, "Z", Outcome.FAILED, "", AT)

    async def test_of_racing_outcomes_one_stands(self, campaigns) -> None:
        outcomes = [Outcome.UPDATED, Outcome.FAILED, Outcome.SILENT, Outcome.SKIPPED]
        await asyncio.gather(
            *(campaigns.finish_target("c1", 0, "A", outcome, outcome.value, AT) for outcome in outcomes)
        )
        done = await campaigns.target("c1", 0, "A")
        assert done.reason == done.outcome.value

    async def test_rollback_waves_are_added_once(self, campaigns) -> None:
        wave = [replace(each, wave=ROLLBACK_WAVE_BASE, ordinal=n) for n, each in enumerate(TARGETS[:2])]
        await campaigns.add_targets(wave)
        await campaigns.finish_target("c1", ROLLBACK_WAVE_BASE, "A", Outcome.UPDATED, "", AT)
        await campaigns.add_targets(wave)
        await campaigns.add_targets([])
        again = await campaigns.targets("c1", ROLLBACK_WAVE_BASE)
        assert [(each.charger_id, each.outcome) for each in again] == [("A", Outcome.UPDATED), ("B", None)]
        with pytest.raises(Conflict):
            await campaigns.add_targets([replace(wave[0], charger_id="Q")])

    async def test_what_chargers_wait_for_is_counted_by_its_words(self, campaigns) -> None:
        assert await campaigns.hindrances("c1") == []
        for name, why in (("B", "a car is there"), ("C", "a car is there")):
            await campaigns.move_target("c1", 1, name, TargetPhase.WAITING, why, at=AT)
        await campaigns.move_target("c1", 0, "A", TargetPhase.WAITING, "it is offline", at=AT)
        found = [Hindrance("a car is there", 2), Hindrance("it is offline", 1)]
        assert await campaigns.hindrances("c1") == found
        assert await campaigns.hindrances("c1", limit=1) == found[:1]
        await campaigns.finish_target("c1", 0, "A", Outcome.UPDATED, "", AT)
        assert await campaigns.hindrances("c1") == found[:1], "it waits no more"

    async def test_tallies_count_every_target_once(self, campaigns) -> None:
        await campaigns.finish_target("c1", 1, "B", Outcome.UPDATED, "", AT)
        await campaigns.move_target("c1", 1, "C", TargetPhase.WAITING, "", at=AT, deferred_for_session=True)
        await campaigns.add_targets([replace(TARGETS[0], wave=ROLLBACK_WAVE_BASE)])
        assert await campaigns.tallies("c1") == [
            WaveTally(0, "canary", 1, {"pending": 1}),
            WaveTally(1, "rest", 2, {"done": 1, "waiting": 1}, {"updated": 1}, 1),
            WaveTally(ROLLBACK_WAVE_BASE, "rollback 1", 1, {"pending": 1}),
        ]
        assert await campaigns.tallies("c2") == []

    async def test_the_history_of_a_charger_spans_campaigns(self, campaigns) -> None:
        await campaigns.create(
            replace(CAMPAIGN, campaign_id="c2"), [replace(target("A"), campaign_id="c2")], []
        )
        await campaigns.finish_target("c2", 0, "A", Outcome.FAILED, "", LATER)
        await campaigns.finish_target("c1", 0, "A", Outcome.UPDATED, "", AT)
        history = await campaigns.target_history("A")
        assert [(each.campaign_id, each.outcome) for each in history] == [
            ("c2", Outcome.FAILED),
            ("c1", Outcome.UPDATED),
        ]
        assert await campaigns.target_history("A", limit=1) == history[:1]
        assert await campaigns.target_history("B") == [], "not finished"

    async def test_what_other_campaigns_sent_meanwhile(self, campaigns) -> None:
        for name in ("c2", "c3"):
            cohort = [replace(target(each, 0, n), campaign_id=name) for n, each in enumerate("ABC")]
            await campaigns.create(replace(CAMPAIGN, campaign_id=name), cohort, [])
        for name, each in (("c2", "A"), ("c3", "B"), ("c1", "C")):
            wave = 1 if name == "c1" else 0
            await campaigns.move_target(name, wave, each, TargetPhase.DISPATCHED, "", at=AT)
        await campaigns.finish_target("c2", 0, "A", Outcome.FAILED, "", LATER)
        await campaigns.finish_target("c2", 0, "C", Outcome.CANCELLED, "", LATER)

        async def sent(campaign_id: str, since: datetime) -> list[tuple[str, str]]:
            found = await campaigns.sent_elsewhere(campaign_id, ["A", "B", "C"], since)
            return sorted((each.campaign_id, each.charger_id) for each in found)

        assert await sent("c1", AT) == [("c2", "A"), ("c3", "B")]
        assert await sent("c1", LATER + timedelta(seconds=1)) == [("c3", "B")], "the other is over"
        assert await sent("c3", AT) == [("c1", "C"), ("c2", "A")]
        assert await campaigns.sent_elsewhere("c1", ["C"], AT) == []

    async def test_a_large_cohort_is_created_in_one_go(self, campaigns) -> None:
        cohort = [replace(target(f"L{n}", 0, n), campaign_id="big") for n in range(5000)]
        await campaigns.create(replace(CAMPAIGN, campaign_id="big"), cohort, [])
        assert len(await campaigns.targets("big", 0)) == 5000
        assert (await campaigns.targets("big", 0, 4999))[0].charger_id == "L4999"


async def test_request_ids_are_never_used_twice(campaigns) -> None:
    numbers = await asyncio.gather(*(campaigns.next_request_id() for _ in range(30)))
    assert len(set(numbers)) == 30
    assert all(0 < number < 2**31 for number in numbers)


async def test_the_newest_directive_of_a_shard_is_used(campaigns) -> None:
    assert await campaigns.directive("c1", 0, 0) is None
    for number in (1, 2):
        await campaigns.add_directive(SignedDirective(f"d{number}", "c1", 0, 0, b"\x00envelope"))
    await campaigns.add_directive(SignedDirective("d1", "c1", 0, 0, b"another"))
    assert await campaigns.directive("c1", 0, 0) == SignedDirective("d2", "c1", 0, 0, b"\x00envelope")
    assert await campaigns.directive("c1", 0, 1) is None


@pytest.mark.requirement("S24")
async def test_a_directive_serves_a_charger_for_one_request_only(campaigns) -> None:
    await campaigns.add_directive(SignedDirective("d1", "c1", 0, 0, b"{}"))
    assert await campaigns.use_directive("d1", "A", 7)
    assert await campaigns.use_directive("d1", "A", 7), "the same request again is a resend"
    assert not await campaigns.use_directive("d1", "A", 8)
    assert await campaigns.use_directive("d1", "B", 8)
    with pytest.raises(NotFound):
        await campaigns.use_directive("d9", "A", 7)


async def test_of_racing_requests_one_gets_the_directive(campaigns) -> None:
    await campaigns.add_directive(SignedDirective("d1", "c1", 0, 0, b"{}"))
    answers = await asyncio.gather(*(campaigns.use_directive("d1", "A", number) for number in range(10)))
    assert sum(answers) == 1


@pytest.mark.requirement("X17")
async def test_a_decision_hashes_to_the_same_after_the_store(campaigns) -> None:
    inputs = {
        "share": 0.1 + 0.2,
        "tiny": 5e-324,
        "large": 1e22,
        "round": 5.0,
        "minus": -0.0,
        "whole": 2**53 + 1,
        "text": "käse \u0000 \u2028",
        "nested": [{"b": None, "a": [True, 1.5e300]}],
    }
    result = {"checks": [{"name": "failures", "share": 1 / 3}]}
    given = Decision(
        "c1", 0, 1, AT, "gate", VerdictWord.HOLD, "too few", inputs, digest(inputs), result, digest(result)
    )
    await campaigns.add_decision(given)
    await campaigns.add_decision(replace(given, verdict=VerdictWord.PROCEED, decided_at=LATER))
    await campaigns.add_decision(replace(given, look=2, decided_at=LATER))
    first, second = await campaigns.decisions("c1")
    assert first == given
    assert digest(first.inputs) == given.inputs_sha256
    assert digest(first.result) == given.result_sha256
    assert second.look == 2
