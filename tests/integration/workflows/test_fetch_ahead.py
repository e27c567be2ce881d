"""Images that are fetched before a site's window opens (R20), on a server that jumps over every wait."""

from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from activities.circumstances import calendar_of
from csms.commands import AnswerStatus, CommandAnswer, UpdateFirmware
from storage.campaign import Campaign, CampaignPhase, Outcome, Pace
from storage.events import FirmwareStatus
from storage.parked import Parking
from storage.windows import OPEN, Window
from tests.integration.workflows.harness import Harness, until
from tests.unit.activities.world import ACCEPTED, World, good
from workflows.housekeeping import HousekeepingWorkflow

pytestmark = [pytest.mark.integration, pytest.mark.requirement("R20")]
AHEAD = Pace(download_ahead_seconds=3600.0, tick_seconds=60.0)
BERLIN = ZoneInfo("Europe/Berlin")


def later(now: datetime) -> tuple[Window, ...]:
    """A window that opens in three hours, for four, on the wall clock of the sites."""
    opens, closes = (f"{now.astimezone(BERLIN) + timedelta(hours=each):%H:%M}" for each in (3, 7))
    return (Window(opens, closes),)


async def patient(world: World, charger_id: str, command: UpdateFirmware) -> CommandAnswer:
    """Fetches, pauses, goes on, proves the image, and waits for its install time."""
    if command.install_at is None:
        return await good(world, charger_id, command)
    assert command.install_at > world.now + timedelta(days=300)
    for word in (
        FirmwareStatus.DOWNLOADING,
        FirmwareStatus.DOWNLOAD_PAUSED,
        FirmwareStatus.DOWNLOADED,
        FirmwareStatus.SIGNATURE_VERIFIED,
        FirmwareStatus.INSTALL_SCHEDULED,
    ):
        await world.report(charger_id, word, command.request_id)
    return ACCEPTED


async def hasty(world: World, charger_id: str, command: UpdateFirmware) -> CommandAnswer:
    """Installs whatever it is told about when."""
    await world.report(charger_id, FirmwareStatus.INSTALLING, command.request_id)
    await world.boot(charger_id, world.sent_version(charger_id))
    return ACCEPTED


async def begin(skipping: Harness, world: World, count: int, pace: Pace = AHEAD) -> Campaign:
    names, windows = world.add_chargers(count), later(await skipping.env.get_current_time())
    campaign = await world.add_campaign([names], world.plan(1, windows=windows, pace=pace))
    await skipping.start(campaign)
    return campaign


async def test_images_come_by_day_and_are_installed_when_the_window_opens(
    skipping: Harness, world: World
) -> None:
    world.default = patient
    told: list[tuple[str, bool, bool]] = []

    async def note(charger_id: str, command: object) -> None:
        if isinstance(command, UpdateFirmware):
            site = world.chargers.site_rows[world.chargers.rows[charger_id].charger.site_id]
            opened = calendar_of(site, world.campaigns.rows["c1"].plan, ()).opening(world.now) == OPEN
            told.append((charger_id, command.install_at is None, opened))

    world.on_send = note
    campaign = await begin(skipping, world, 3)
    assert await skipping.result(campaign) is CampaignPhase.COMPLETED
    ahead = [one for one in told if not one[1]]
    assert sorted(name for name, _, _ in ahead) == ["CP000", "CP001", "CP002"], "each fetched once"
    assert not any(opened for _, _, opened in ahead)
    installs = [one for one in told if one[1]]
    assert len(installs) == 3
    assert all(opened for _, _, opened in installs)
    assert world.parked.rows == {}
    outcomes = {row.outcome for row in await world.campaigns.targets("c1")}
    assert outcomes == {Outcome.UPDATED}


async def test_one_that_installs_at_once_is_followed_to_its_proof_and_its_model_not_asked_again(
    skipping: Harness, world: World
) -> None:
    world.default = hasty
    campaign = await begin(skipping, world, 3)
    assert await skipping.result(campaign) is CampaignPhase.COMPLETED
    target = await world.campaigns.target("c1", 0, "CP000")
    assert target.outcome is Outcome.UPDATED
    assert "by itself" in target.reason
    assert world.parked.rows["CP000"].state is Parking.HASTY
    assert "update.installed_early" in world.audit.actions()

    late, windows = world.add_chargers(3), later(await skipping.env.get_current_time())
    world.default = patient
    second = await world.add_campaign(
        [late], world.plan(1, version="1.2", windows=windows, pace=AHEAD), campaign_id="c2"
    )
    await skipping.start(second)
    assert await skipping.result(second) is CampaignPhase.COMPLETED
    for name in late:
        assert [command.install_at for _, command in world.updates(name)] == [None], "in one step"


@pytest.mark.requirement("R28")
@pytest.mark.parametrize("word", [FirmwareStatus.INSTALLING, None])
async def test_one_that_installs_at_once_counts_once_it_stays_up(
    skipping: Harness, world: World, word: FirmwareStatus | None
) -> None:
    async def loops(world: World, charger_id: str, command: UpdateFirmware) -> CommandAnswer:
        if word:
            await world.report(charger_id, word, command.request_id)
        await world.boot(charger_id, world.sent_version(charger_id))
        return ACCEPTED

    world.default = loops
    await begin(skipping, world, 1, replace(AHEAD, steady_seconds=60.0))
    await until(lambda: bool(world.updates()))
    for _ in range(3):
        await skipping.env.sleep(timedelta(seconds=50))
        world.tick(await skipping.env.get_current_time())
        assert world.campaigns.outcomes("c1") == {"CP000": None}
        assert world.leases.rows["CP000"].kind == "update", "it is away from its site meanwhile"
        route = world.routes.rows["CP000"]
        world.routes.rows["CP000"] = replace(route, session_epoch=route.session_epoch + 1)
        await world.boot("CP000", "1.1", signal=False)
    await skipping.env.sleep(timedelta(seconds=130))
    await until(lambda: world.campaigns.outcomes("c1")["CP000"] is not None)
    target = await world.campaigns.target("c1", 0, "CP000")
    assert (target.outcome, target.reason.endswith("and stayed up for 60 s")) == (Outcome.UPDATED, True)


@pytest.mark.requirement("R30")
async def test_what_was_fetched_is_called_back_after_an_abort(skipping: Harness, world: World) -> None:
    world.default = patient
    campaign = await begin(skipping, world, 1)
    await skipping.until_phase(campaign, CampaignPhase.RUNNING)
    while world.parked.rows.get("CP000") is None or world.parked.rows["CP000"].state is not Parking.FETCHED:
        await skipping.env.sleep(timedelta(minutes=1))
    await skipping.orchestrator.abort(campaign.campaign_id, "ada", "wrong build", False, "abort-1")
    assert await skipping.result(campaign) is CampaignPhase.ABORTED

    world.answers[UpdateFirmware] = CommandAnswer(AnswerStatus.ACCEPTED_CANCELED)
    await skipping.client.execute_workflow(
        HousekeepingWorkflow.run, id="housekeeping-1", task_queue="ampwave"
    )
    assert world.parked.rows == {}
    assert world.updates("CP000")[-1][1].location == world.node.office.example()
    assert "update.called_back" in world.audit.actions()
