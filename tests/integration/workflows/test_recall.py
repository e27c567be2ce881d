"""One charger is called back in the middle of its update, at every stage of it."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from csms.commands import AnswerStatus, CommandAnswer, UpdateFirmware
from csms.errors import CommandTimeout
from storage.campaign import CampaignPhase, GatePolicy, Outcome, Pace, TargetPhase
from storage.errors import Conflict
from storage.events import FirmwareStatus
from tests.integration.workflows.harness import Harness, until
from tests.unit.activities.world import ACCEPTED, World, broken, good

pytestmark = [pytest.mark.integration, pytest.mark.requirement("R31")]
P = CampaignPhase
LENIENT = GatePolicy(max_failure_share=0.5, min_attempts=1)
Says = Callable[[World, str, UpdateFirmware], object]


def fetching(answer: AnswerStatus, *statuses: FirmwareStatus) -> Says:
    """Accepts and tells how far it is; asked to fetch something else meanwhile, it answers this."""

    async def behave(world: World, name: str, command: UpdateFirmware) -> CommandAnswer:
        if len(world.updates(name)) > 1:
            assert command.location == world.node.office.example(), "nothing that it could fetch"
            if answer is AnswerStatus.REJECTED:
                await world.boot(name, "1.1")
            return CommandAnswer(answer)
        for status in statuses:
            await world.report(name, status, command.request_id)
        return ACCEPTED

    return behave


async def launched(harness: Harness, world: World, behaviour: Says, pace: Pace | None = None):
    """Three good chargers and one that behaves like this, which is under way now."""
    names = world.add_chargers(4)
    odd = names[0]
    world.behaviours[odd] = behaviour
    plan = world.plan(rollback_artifact_id=None, gate=LENIENT, pace=pace or Pace(max_attempts=1))
    campaign = await world.add_campaign([names], plan)
    await harness.start(campaign)
    await until(lambda: bool(world.updates(odd)))
    await until(lambda: world.campaigns.target_rows["c1", 0, odd].phase is TargetPhase.CONFIRMING)
    return campaign, odd


async def recall(harness: Harness, charger_id: str, key: str = "r1") -> None:
    await harness.orchestrator.recall_charger("c1", charger_id, "grace", "a technician is there", key)


async def test_a_charger_that_fetches_stops_at_our_word(skipping: Harness, world: World) -> None:
    stops = fetching(AnswerStatus.ACCEPTED_CANCELED, FirmwareStatus.DOWNLOADING)
    campaign, odd = await launched(skipping, world, stops)
    await recall(skipping, odd)
    with pytest.raises(Conflict, match=r"called back before|is done"):
        await skipping.orchestrator.recall_charger("c1", odd, "linus", "me too", "r2")
    assert await skipping.result(campaign) is P.COMPLETED

    target = world.campaigns.target_rows["c1", 0, odd]
    assert target.outcome is Outcome.SKIPPED
    assert target.reason.startswith("grace called it back: a technician is there")
    assert world.version(odd) == "1.0"
    assert all(ticket.revoked for ticket in world.tickets.rows if ticket.charger_id == odd)
    [decision] = world.campaigns.decision_rows
    facts = decision.inputs["facts"]
    assert (facts["updated"], facts["failed"], facts["skipped"]) == (3, 0, 1), "neither success nor failure"
    [row] = [row for row in world.audit.rows if row.action == "campaign.charger_recalled"]
    assert (row.actor, row.detail["charger_id"]) == ("grace", odd)


async def test_one_that_cannot_stop_is_judged_as_ever(skipping: Harness, world: World) -> None:
    goes_on = fetching(AnswerStatus.REJECTED, FirmwareStatus.DOWNLOADING)
    campaign, odd = await launched(skipping, world, goes_on)
    await recall(skipping, odd)

    assert await skipping.result(campaign) is P.COMPLETED
    assert world.campaigns.outcomes("c1")[odd] is Outcome.UPDATED
    assert not world.inoperative


async def test_one_that_cannot_stop_and_fails_to_install_has_failed(skipping: Harness, world: World) -> None:
    """Although another attempt would have followed: its failure is the release's, whoever called it back."""
    goes_on = fetching(AnswerStatus.ACCEPTED, FirmwareStatus.DOWNLOADING)
    campaign, odd = await launched(skipping, world, goes_on, Pace())
    await recall(skipping, odd)
    await until(lambda: len(world.updates(odd)) == 2)
    sent = world.campaigns.target_rows["c1", 0, odd].request_id
    await world.report(odd, FirmwareStatus.INSTALLATION_FAILED, sent)

    assert await skipping.result(campaign) is P.COMPLETED
    target = world.campaigns.target_rows["c1", 0, odd]
    assert target.outcome is Outcome.FAILED
    assert "grace called it back" in target.reason


async def test_where_ocpp_has_no_word_for_it_the_download_ends_without_the_image(
    skipping: Harness, world: World
) -> None:
    campaign, odd = await launched(
        skipping, world, fetching(AnswerStatus.ACCEPTED, FirmwareStatus.DOWNLOADING)
    )
    await recall(skipping, odd)
    await until(lambda: len(world.updates(odd)) == 2)
    sent = world.campaigns.target_rows["c1", 0, odd].request_id
    await world.report(odd, FirmwareStatus.DOWNLOAD_FAILED, sent)

    assert await skipping.result(campaign) is P.COMPLETED
    assert world.campaigns.outcomes("c1")[odd] is Outcome.SKIPPED
    assert not world.inoperative, "its availability is given back"
    assert not world.leases.rows


async def test_what_is_being_written_is_not_interrupted(skipping: Harness, world: World) -> None:
    stops = fetching(AnswerStatus.ACCEPTED_CANCELED, FirmwareStatus.DOWNLOADED, FirmwareStatus.INSTALLING)
    campaign, odd = await launched(skipping, world, stops)
    with pytest.raises(Conflict, match=r"installs it .Installing.: what is being written cannot be stopped"):
        await recall(skipping, odd)
    await world.boot(odd, "1.1")

    assert await skipping.result(campaign) is P.COMPLETED
    assert world.campaigns.outcomes("c1")[odd] is Outcome.UPDATED
    assert len(world.updates(odd)) == 1


async def test_one_that_was_called_back_and_says_nothing_is_awaited_to_its_deadline(
    skipping: Harness, world: World
) -> None:
    campaign, odd = await launched(skipping, world, fetching(AnswerStatus.ACCEPTED))
    await recall(skipping, odd)

    assert await skipping.result(campaign) is P.COMPLETED
    target = world.campaigns.target_rows["c1", 0, odd]
    assert target.outcome is Outcome.SKIPPED
    assert "nothing came of it until the deadline" in target.reason


async def test_a_word_that_was_lost_is_said_again_and_is_the_same_one(
    skipping: Harness, world: World
) -> None:
    heard: list[int] = []

    async def hears_the_third(world: World, name: str, command: UpdateFirmware) -> CommandAnswer:
        if command.location != world.node.office.example():
            await world.report(name, FirmwareStatus.DOWNLOADING, command.request_id)
            return ACCEPTED
        heard.append(command.request_id)
        if len(heard) < 3:
            raise CommandTimeout(name, "UpdateFirmware", 1.0)
        return CommandAnswer(AnswerStatus.ACCEPTED_CANCELED)

    campaign, odd = await launched(skipping, world, hears_the_third)
    await recall(skipping, odd)
    await until(lambda: "told to stop once and has not answered" in _reason(world, odd))
    assert await skipping.result(campaign) is P.COMPLETED
    assert len(heard) == 3
    assert len(set(heard)) == 1
    assert world.campaigns.outcomes("c1")[odd] is Outcome.SKIPPED
    assert _reason(world, odd).endswith("it stopped at our word")
    said = [row.detail["said"] for row in world.audit.rows if row.action == "update.told_to_stop"]
    assert said[-1:] == ["it answered AcceptedCanceled"]


async def test_one_that_is_away_is_told_when_it_is_back(skipping: Harness, world: World) -> None:
    stops = fetching(AnswerStatus.ACCEPTED_CANCELED, FirmwareStatus.DOWNLOADING)
    campaign, odd = await launched(skipping, world, stops)
    world.unplug(odd)
    await recall(skipping, odd)
    await until(lambda: "called it back" in _reason(world, odd))
    await skipping.env.sleep(timedelta(minutes=2))
    assert len(world.updates(odd)) == 1
    assert "it is not connected; it is told to stop when it is back, until " in _reason(world, odd)
    world.plug(odd)
    assert await skipping.result(campaign) is P.COMPLETED
    assert len(world.updates(odd)) == 2
    assert world.campaigns.outcomes("c1")[odd] is Outcome.SKIPPED
    assert _reason(world, odd).endswith("it stopped at our word")


def _reason(world: World, charger_id: str) -> str:
    return world.campaigns.target_rows["c1", 0, charger_id].reason


async def test_nobody_takes_a_failure_back(skipping: Harness, world: World) -> None:
    """It failed and waits for its second attempt: out it goes, and its failure stays counted."""
    names = world.add_chargers(4)
    world.behaviours[names[0]] = broken
    pace = Pace(retry_backoff_seconds=3600.0)
    plan = world.plan(rollback_artifact_id=None, gate=LENIENT, pace=pace)
    campaign = await world.add_campaign([names], plan)
    await skipping.start(campaign)
    await until(lambda: "attempt 1 failed" in world.campaigns.target_rows["c1", 0, names[0]].reason)
    world.behaviours[names[0]] = good
    await recall(skipping, names[0])

    assert await skipping.result(campaign) is P.COMPLETED
    target = world.campaigns.target_rows["c1", 0, names[0]]
    assert target.outcome is Outcome.FAILED
    assert "attempt 1 failed" in target.reason
    assert "grace called it back" in target.reason
    assert len(world.updates(names[0])) == 1


async def test_one_that_waits_is_simply_left_out(skipping: Harness, world: World) -> None:
    names = world.add_chargers(4)
    world.plug_in(names[0])
    plan = world.plan(rollback_artifact_id=None, gate=LENIENT)
    campaign = await world.add_campaign([names], plan)
    await skipping.start(campaign)
    await until(lambda: world.campaigns.target_rows["c1", 0, names[0]].phase is TargetPhase.WAITING)
    await recall(skipping, names[0])

    assert await skipping.result(campaign) is P.COMPLETED
    assert world.campaigns.outcomes("c1")[names[0]] is Outcome.SKIPPED
    assert not world.updates(names[0])
