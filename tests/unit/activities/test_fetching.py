"""The step that has a charger fetch ahead, its books, and how an image is called back (R20)."""

from dataclasses import replace
from datetime import timedelta

import pytest
from temporalio.testing import ActivityEnvironment

from activities.campaigns import CampaignActivities, RollbackInput, SkipInput
from activities.dispatch import DispatchActivities
from activities.fetching import ASK_AGAIN, FetchActivities, FetchAnswer, FetchInput
from activities.fleet import FleetActivities, ShardQuery, TargetMoves
from activities.orders import DispatchInput, DispatchKind, PutBackInput
from activities.parking import FetchEnd, Haste, ParkingActivities
from activities.signer import DirectiveOrder, SignerActivities
from csms.commands import AnswerStatus, ChangeAvailability, CommandAnswer, UpdateFirmware
from csms.errors import CallFailed, CommandTimeout
from storage.campaign import CampaignPhase, Outcome, Pace, TargetPhase
from storage.capability import Declared
from storage.charger import ModelProfile, Site
from storage.halt import EVERYTHING
from storage.parked import DOWNLOAD, NEVER, Parked, Parking
from storage.twin import Lifecycle
from storage.upkeep import Downloads, SiteRoom, SiteRules, Upkeep
from storage.windows import Closure, ClosureKind
from tests.unit.activities.world import MODEL, START, VENDOR, World, idle

pytestmark = pytest.mark.requirement("R20")
CP = "CP000"
AHEAD = Pace(download_ahead_seconds=3600.0)
BACK = PutBackInput(CP, 1)


@pytest.fixture
async def world() -> World:
    world = World(default=idle)
    world.add_chargers(2)
    await world.add_campaign([[CP], ["CP001"]], world.plan(2, pace=AHEAD))
    await world.approve("c1")
    await authorise(world, 1)
    return world


async def authorise(world: World, issue: int) -> None:
    signer = SignerActivities(world.stores, world, lambda: "n" * 32)  # type: ignore[arg-type]
    await signer.sign_directive(DirectiveOrder("c1", 0, 0, issue, 0, 500, 3600.0))


async def fetch(world: World) -> FetchAnswer:
    activities = FetchActivities(world.node)
    return await ActivityEnvironment().run(activities.order_fetch, FetchInput("c1", 0, 0, CP, 1))


async def call_back(world: World) -> bool:
    return await ActivityEnvironment().run(FetchActivities(world.node).call_back_image, BACK)


async def finish(world: World, outcome: Outcome = Outcome.CANCELLED) -> None:
    await world.campaigns.finish_target("c1", 0, CP, outcome, "", START)
    world.leases.rows.clear()


async def test_a_charger_with_a_car_fetches_and_stays_in_service(world: World) -> None:
    world.plug_in(CP)
    answer = await fetch(world)

    assert answer.kind is DispatchKind.ACCEPTED
    [(_, command)] = world.sent
    assert isinstance(command, UpdateFirmware), "nothing but the order: it is not taken out of service"
    assert command.install_at == START + NEVER
    assert command.signature == "c2ln"
    assert world.leases.rows[CP].kind == DOWNLOAD
    assert await world.leases.down(["site-0"]) == {"site-0": 0}
    assert world.parked.rows[CP].state is Parking.ASKED
    assert (await world.campaigns.target("c1", 0, CP)).dispatched_at is None, "it is no attempt (R37)"
    assert "update.fetch_ordered" in world.audit.actions()


async def test_nothing_unproven_is_fetched_either(world: World) -> None:
    world.refused_proofs.add(CP)
    assert (await fetch(world)).kind is DispatchKind.HALT
    assert world.sent == []


async def test_a_campaign_that_stops_in_the_last_instant_sends_nothing(world: World) -> None:
    async def abort(*_: object) -> None:
        await world.campaigns.set_phase("c1", CampaignPhase.ABORTING, "", START)

    world.on_turn = abort
    assert (await fetch(world)).kind is DispatchKind.NOT_NOW
    assert (world.sent, world.parked.rows) == ([], {})


async def freeze(world: World) -> None:
    hour = timedelta(hours=1)
    await world.upkeep.put_closures(
        [Closure(START - hour, START + hour, ClosureKind.FREEZE, "fair", "site-0")]
    )


@pytest.mark.parametrize("why", ["hold", "freeze", "quarantine"])
async def test_what_forbids_a_download_in_the_last_instant_holds_it_back(world: World, why: str) -> None:
    async def forbid(*_: object) -> None:
        match why:
            case "hold":
                await world.upkeep.put_upkeep(Upkeep(CP, "cabinet open"))
            case "freeze":
                await freeze(world)
            case "quarantine":
                view = world.chargers.rows[CP]
                aside = replace(view.charger, lifecycle=Lifecycle.QUARANTINED)
                world.chargers.rows[CP] = replace(view, charger=aside)

    world.on_turn = forbid
    assert (await fetch(world)).kind is DispatchKind.NOT_NOW
    assert (world.sent, world.parked.rows) == ([], {})
    assert "update.fetch_ordered" not in world.audit.actions()


@pytest.mark.parametrize("why", ["hold", "freeze", "halt", "paused", "attempted", "elsewhere"])
async def test_what_forbids_a_download(world: World, why: str) -> None:
    match why:
        case "hold":
            await world.upkeep.put_upkeep(Upkeep(CP, "cabinet open"))
        case "freeze":
            await freeze(world)
        case "halt":
            await world.halts.pull(EVERYTHING, "ann", "smoke", START)
        case "paused":
            await world.campaigns.set_phase("c1", CampaignPhase.PAUSED, "", START)
        case "attempted":
            await world.campaigns.move_target("c1", 0, CP, TargetPhase.WAITING, "", at=START, attempt=1)
        case "elsewhere":
            await fetch(world)
            world.sent.clear()
            world.leases.rows[CP] = replace(world.leases.rows[CP], run="another")
    assert (await fetch(world)).kind is DispatchKind.NOT_NOW
    assert world.sent == []


async def test_a_grid_event_forbids_no_download(world: World) -> None:
    hour = timedelta(hours=1)
    await world.upkeep.put_closures([Closure(START - hour, START + hour, ClosureKind.GRID, "peak", "site-0")])
    assert (await fetch(world)).kind is DispatchKind.ACCEPTED


@pytest.mark.parametrize(
    ("says", "kind"),
    [
        (CommandAnswer(AnswerStatus.REJECTED), DispatchKind.REFUSED),
        (CommandAnswer(AnswerStatus.NOT_IMPLEMENTED), DispatchKind.UNSUPPORTED),
        (CallFailed(CP, "UpdateFirmware", "FormatViolation", "no"), DispatchKind.REFUSED),
        (CommandAnswer(AnswerStatus.INVALID_CERTIFICATE), DispatchKind.HALT),
    ],
)
async def test_who_says_no_is_not_asked_again(world: World, says: object, kind: DispatchKind) -> None:
    world.answers[UpdateFirmware] = says  # type: ignore[assignment]
    assert (await fetch(world)).kind is kind
    assert world.parked.rows[CP].state is Parking.FAILED
    facts = await FleetActivities(world.stores).measure_eligibility(ShardQuery("c1", 0, 0, 9))
    assert not facts.situations[0].ahead


async def test_only_a_signed_update_can_be_told_when_to_install(world: World) -> None:
    world.unsigned_only.add(CP)
    assert (await fetch(world)).kind is DispatchKind.UNSUPPORTED
    assert world.sent == []


async def test_an_answer_that_is_lost_leaves_the_image_on_record(world: World) -> None:
    world.answers[UpdateFirmware] = CommandTimeout(CP, "UpdateFirmware", 15.0)
    assert (await fetch(world)).kind is DispatchKind.UNKNOWN
    assert world.parked.rows[CP].state is Parking.ASKED


async def test_the_order_to_install_takes_its_place_under_the_next_directive(world: World) -> None:
    await fetch(world)
    conclude = ParkingActivities(world.stores).conclude_fetch
    end = FetchEnd("c1", 0, CP, "it has it", world.parked.rows[CP].request_id, Parking.FETCHED)
    await ActivityEnvironment().run(conclude, end)
    assert world.leases.rows == {}
    facts = await FleetActivities(world.stores).measure_eligibility(ShardQuery("c1", 0, 0, 9))
    assert facts.parked == ((CP, Parking.FETCHED, 1),)

    install = DispatchInput("c1", 0, 0, CP, 1, 1)
    activities = DispatchActivities(world.node)
    refused = await ActivityEnvironment().run(activities.dispatch_update, install)
    assert "the next one is good again" in refused.reason
    assert refused.spent, "its shard has the next one signed"
    await authorise(world, 2)
    sent = await ActivityEnvironment().run(activities.dispatch_update, install)
    assert sent.kind is DispatchKind.ACCEPTED
    [_, (_, command)] = world.updates(CP)
    assert command.install_at is None
    assert any(isinstance(each, ChangeAvailability) for _, each in world.sent), "drained only now"
    assert world.parked.rows == {}


async def test_an_order_that_was_taken_back_leaves_the_fetch_to_the_install(world: World) -> None:
    """The directive is used by then: asked again under it, it would be refused at every look."""

    async def pause(*_: object) -> None:
        await world.campaigns.set_phase("c1", CampaignPhase.PAUSED, "", START)

    world.on_turn = pause
    assert (await fetch(world)).kind is DispatchKind.NOT_NOW
    world.on_turn = None
    await world.campaigns.set_phase("c1", CampaignPhase.RUNNING, "", START)
    assert "was used for another request" in (await fetch(world)).reason
    facts = await FleetActivities(world.stores).measure_eligibility(ShardQuery("c1", 0, 0, 9))
    assert not facts.situations[0].ahead
    assert facts.parked == ((CP, Parking.FAILED, 1),), "so the install gets the directive after that"


async def test_an_image_of_another_campaign_stays_until_that_is_through(world: World) -> None:
    others = Parked(CP, "c0", 0, 7, "c0.0.0.1", "a", "1.2", START, Parking.FETCHED)
    world.parked.rows[CP] = others
    answer = await fetch(world)
    assert answer.kind is DispatchKind.NOT_NOW
    assert answer.reason == "it was told to fetch 1.2 for campaign c0, which has not installed it"
    assert (world.sent, world.parked.rows[CP]) == ([], others)
    facts = await FleetActivities(world.stores).measure_eligibility(ShardQuery("c1", 0, 0, 9))
    assert not facts.situations[0].ahead, "nor is it tried at every look"


async def test_who_may_fetch_is_measured(world: World) -> None:
    async def may() -> bool:
        facts = await FleetActivities(world.stores).measure_eligibility(ShardQuery("c1", 0, 0, 9))
        return facts.situations[0].ahead

    assert await may()
    world.parked.rows["CP001"] = replace(note("CP001"), state=Parking.HASTY)
    assert not await may(), "another of its model installed by itself"
    profile = ModelProfile(VENDOR, MODEL, declared=Declared(holds_install=True))
    world.chargers.profiles[VENDOR, MODEL] = profile
    assert await may(), "its operator knows better"
    world.parked.rows.clear()
    world.chargers.profiles[VENDOR, MODEL] = replace(profile, declared=Declared(holds_install=False))
    assert not await may()


def note(name: str = CP, state: Parking = Parking.FETCHED) -> Parked:
    return Parked(name, "c1", 0, 7, "c1.0.0.1", "a", "1.1", START, state)


@pytest.mark.requirement("X16")
async def test_a_site_tells_how_many_images_its_uplink_still_takes(world: World) -> None:
    rules = SiteRules(max_downloads=3, max_download_bytes=2500)
    world.chargers.site_rows["site-0"] = Site("site-0", "site-0", "Europe/Berlin", 1, rules)
    world.upkeep.site_rooms["site-0"] = SiteRoom(downloads=Downloads(1, 1000))
    facts = await FleetActivities(world.stores).measure_eligibility(ShardQuery("c1", 0, 0, 9))
    assert facts.sites[0].uplink == 1, "1,500 bytes are left, and an image has 1,000"


async def test_an_image_that_nobody_will_install_is_called_back(world: World) -> None:
    await fetch(world)
    assert not await call_back(world), "its target is still open"
    await finish(world)
    assert await ParkingActivities(world.stores).find_parked() != ()
    assert await call_back(world)
    command = world.updates(CP)[-1][1]
    assert command.location == world.node.office.example(), "an address that leads nowhere"
    assert command.request_id != world.updates(CP)[0][1].request_id
    assert world.parked.rows == {}
    assert "update.called_back" in world.audit.actions()
    assert not await call_back(world)


async def test_a_charger_that_does_not_drop_it_is_asked_again(world: World) -> None:
    await fetch(world)
    await finish(world)
    world.answers[UpdateFirmware] = CommandAnswer(AnswerStatus.REJECTED)
    assert not await call_back(world)
    assert CP in world.parked.rows
    assert await ParkingActivities(world.stores).find_parked() == (), "others come first for an hour"
    world.now += ASK_AGAIN
    assert await ParkingActivities(world.stores).find_parked() != ()
    world.answers[UpdateFirmware] = CallFailed(CP, "UpdateFirmware", "NotSupported", "")
    assert not await call_back(world), "an error in answer is an answer"
    assert await ParkingActivities(world.stores).find_parked() == ()


async def test_one_that_never_had_it_is_not_bothered(world: World) -> None:
    await fetch(world)
    world.parked.rows[CP] = replace(world.parked.rows[CP], state=Parking.FAILED)
    await finish(world)
    assert await call_back(world)
    assert len(world.updates(CP)) == 1
    assert world.parked.rows == {}


async def test_one_that_installed_by_itself_is_remembered_for_its_model(world: World) -> None:
    await fetch(world)
    await finish(world)
    world.run_version(CP, "1.1")
    assert await call_back(world)
    assert len(world.updates(CP)) == 1
    assert world.parked.rows[CP].state is Parking.HASTY
    assert "update.installed_early" in world.audit.actions()
    assert await world.parked.hasty_models() == {(VENDOR, MODEL)}


async def test_one_that_did_so_while_it_waited_counts_as_updated(world: World) -> None:
    await fetch(world)
    moves = TargetMoves("c1", 0, (), ((CP, Outcome.ALREADY_CURRENT, "it runs 1.1 already"),))
    await FleetActivities(world.stores).move_targets(moves)
    assert (await world.campaigns.target("c1", 0, CP)).outcome is Outcome.UPDATED
    assert world.audit.actions().count("update.installed_early") == 1


async def test_haste_takes_the_charger_away_from_its_site(world: World) -> None:
    await fetch(world)
    for _ in range(2):  # Its worker may die between doing it and saying so.
        await ActivityEnvironment().run(ParkingActivities(world.stores).note_haste, Haste(CP, 600.0))
    assert await world.leases.down(["site-0"]) == {"site-0": 1}
    assert world.audit.actions().count("update.installed_early") == 1


@pytest.mark.requirement("R48")
@pytest.mark.parametrize("outcome", [Outcome.UPDATED, Outcome.CANCELLED, Outcome.SKIPPED])
async def test_one_that_installed_by_itself_goes_back_as_well(world: World, outcome: Outcome) -> None:
    """No order to install it ever left us, and it runs the version that was stopped."""
    await fetch(world)
    await finish(world, outcome)
    world.run_version(CP, "1.1")
    world.run_version("CP001", "1.1")  # By somebody else's doing: nothing was sent to it.
    campaigns = CampaignActivities(world.stores)
    assert await campaigns.add_rollback_targets(RollbackInput("c1", 1000)) == 1
    assert (await world.campaigns.target("c1", 1000, CP)).to_version == "1.0"


async def test_one_that_was_told_to_install_was_not_hasty(world: World) -> None:
    """The answer to that order was lost, so the note of its image is still there."""
    await fetch(world)
    await world.campaigns.move_target("c1", 0, CP, TargetPhase.DISPATCHED, "sent", at=START)
    world.run_version(CP, "1.1")
    moves = TargetMoves("c1", 0, (), ((CP, Outcome.ALREADY_CURRENT, "it runs 1.1 already"),))
    await FleetActivities(world.stores).move_targets(moves)
    assert (await world.campaigns.target("c1", 0, CP)).outcome is Outcome.UPDATED
    world.leases.rows.clear()
    assert await call_back(world)
    assert world.parked.rows == {}
    assert "update.installed_early" not in world.audit.actions()
    assert await world.parked.hasty_models() == frozenset()


@pytest.mark.requirement("R31")
async def test_the_download_of_one_that_is_taken_out_is_cut_off(world: World) -> None:
    await fetch(world)
    assert not any(ticket.revoked for ticket in world.tickets.rows)
    await CampaignActivities(world.stores).recall_target(SkipInput("c1", CP, "grace", "a technician"))
    assert all(ticket.revoked for ticket in world.tickets.rows)


@pytest.mark.requirement("R31")
async def test_taking_one_out_leaves_the_download_of_another_campaign_alone(world: World) -> None:
    await fetch(world)
    world.parked.rows[CP] = replace(world.parked.rows[CP], campaign_id="c2")
    await CampaignActivities(world.stores).recall_target(SkipInput("c1", CP, "grace", "a technician"))
    assert not any(ticket.revoked for ticket in world.tickets.rows)
