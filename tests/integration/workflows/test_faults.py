"""Loss, repetition and death at every place: the end is right, and no second, different update leaves."""

from datetime import timedelta

import pytest
from temporalio.testing import WorkflowEnvironment

from csms.commands import CommandAnswer, Reset, SetVariables, UpdateFirmware
from signing.ports import DispatchRequest, VerifiedDispatch
from storage.campaign import CampaignPhase, GatePolicy, Outcome, Pace, Target
from storage.charger import ModelProfile, Route
from storage.events import FirmwareStatus
from storage.ids import TASK_QUEUE, charger_workflow_id
from storage.twin import ConfigurationSection
from tests.integration.workflows.harness import QUICK, Harness, running, time_skipping, until
from tests.unit.activities.world import (
    ACCEPTED,
    MODEL,
    NODE_ID,
    START,
    VENDOR,
    World,
    broken,
    good,
    lost_answer,
    unheard,
)
from workflows import options
from workflows.publish_artifact import PublicationInput, PublishArtifactWorkflow

pytestmark = pytest.mark.integration
P = CampaignPhase
LENIENT = GatePolicy(max_failure_share=0.9, early_stop_failures=100)


async def target(world: World, name: str) -> Target:
    return await world.campaigns.target("c1", 0, name)


async def test_a_lost_signal_is_found_by_looking(skipping: Harness, world: World) -> None:
    names = world.add_chargers(4)
    world.default = unheard
    campaign = await world.add_campaign([names])
    await skipping.start(campaign)
    began = world.now

    assert await skipping.result(campaign) is P.COMPLETED
    assert set(world.campaigns.outcomes("c1").values()) == {Outcome.UPDATED}
    finished = (await target(world, names[0])).finished_at
    assert finished is not None
    assert finished - began < timedelta(minutes=30), "a quarter of the deadline, not the deadline"


async def test_repeated_signals_change_nothing(skipping: Harness, world: World) -> None:
    names = world.add_chargers(4)
    world.repeat_signals = 5
    campaign = await world.add_campaign([names])
    await skipping.start(campaign)

    assert await skipping.result(campaign) is P.COMPLETED
    assert len(world.updates()) == 4


async def test_a_node_that_died_before_sending_is_replaced(
    skipping: Harness, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Time is not skipped while a task waits for a worker, so this wait is a real one.
    monkeypatch.setattr(options, "_NODE_SCHEDULE_TO_START_S", 0.5)
    names = world.add_chargers(3)
    world.routes.rows[names[0]] = Route(names[0], NODE_ID, "dead", 1, START, "ocpp2.0.1")
    world.agenda.append((world.now + timedelta(minutes=2), lambda: world.plug(names[0])))
    campaign = await world.add_campaign([names])
    await skipping.start(campaign)

    assert await skipping.result(campaign) is P.COMPLETED
    assert sorted(name for name, _ in world.updates()) == names


async def test_a_node_that_died_while_sending_sends_the_same_request_again(
    skipping: Harness, world: World
) -> None:
    async def dies_once(world: World, name: str, command: UpdateFirmware) -> CommandAnswer:
        if len(world.updates(name)) == 1:
            raise RuntimeError("killed")
        return await good(world, name, command)

    names = world.add_chargers(3)
    world.behaviours[names[0]] = dies_once
    campaign = await world.add_campaign([names])
    await skipping.start(campaign)

    assert await skipping.result(campaign) is P.COMPLETED
    first, second = (command.request_id for _, command in world.updates(names[0]))
    assert first == second
    assert not world.inoperative


async def test_a_node_that_died_before_it_marked_the_command_sent_nothing(
    skipping: Harness, world: World
) -> None:
    real_verify = world.verify

    names = world.add_chargers(3)
    campaign = await world.add_campaign([names])
    died: list[DispatchRequest] = []

    async def verify(request: DispatchRequest) -> VerifiedDispatch:
        if request.charger_id == names[0] and not died:
            died.append(request)
            world.plug_in(names[0])
            world.agenda.append((world.now + timedelta(hours=2), lambda: world.unplug_car(names[0])))
            raise RuntimeError("killed")
        return await real_verify(request)

    world.verify = verify  # type: ignore[method-assign]
    await skipping.start(campaign)

    assert await skipping.result(campaign) is P.COMPLETED
    ended = await target(world, names[0])
    assert (ended.outcome, ended.attempt, ended.deferred_for_session) == (Outcome.UPDATED, 1, True)
    assert len(world.updates(names[0])) == 1


async def test_an_unknown_outcome_that_shows_progress_is_not_sent_again(
    skipping: Harness, world: World
) -> None:
    async def took_it(world: World, name: str, command: UpdateFirmware) -> CommandAnswer:
        await world.report(name, FirmwareStatus.DOWNLOADING, command.request_id)
        world.agenda.append((world.now + timedelta(minutes=9), lambda: None))
        await world.boot(name, "1.1", signal=False)
        raise RuntimeError("killed")

    names = world.add_chargers(3)
    world.behaviours[names[0]] = took_it
    campaign = await world.add_campaign([names])
    await skipping.start(campaign)

    assert await skipping.result(campaign) is P.COMPLETED
    assert len(world.updates(names[0])) == 1


async def test_an_answer_that_never_came_is_asked_for_with_the_same_number(
    skipping: Harness, world: World
) -> None:
    names = world.add_chargers(3)
    world.default = lost_answer
    campaign = await world.add_campaign([names])
    await skipping.start(campaign)

    assert await skipping.result(campaign) is P.COMPLETED
    for name in names:
        assert len({command.request_id for _, command in world.updates(name)}) == 1
        assert (await target(world, name)).attempt == 1


@pytest.mark.requirement("R25", "R26", "S24")
async def test_a_retry_is_a_new_request_under_a_new_directive(skipping: Harness, world: World) -> None:
    async def second_time_lucky(world: World, name: str, command: UpdateFirmware) -> CommandAnswer:
        return await (broken if len(world.updates(name)) == 1 else good)(world, name, command)

    names = world.add_chargers(3)
    world.behaviours[names[0]] = second_time_lucky
    campaign = await world.add_campaign([names])
    await skipping.start(campaign)

    assert await skipping.result(campaign) is P.COMPLETED
    requests = [command.request_id for _, command in world.updates(names[0])]
    assert len(set(requests)) == 2
    assert [row.directive_id for row in world.campaigns.directive_rows] == ["c1.0.0.1", "c1.0.0.2"]
    assert (await target(world, names[0])).attempt == 2
    assert world.campaigns.outcomes("c1")[names[0]] is Outcome.UPDATED


@pytest.mark.requirement("R20", "S24")
async def test_a_directive_that_something_else_has_used_is_followed_by_the_next(
    skipping: Harness, world: World
) -> None:
    """An order to fetch that was taken back, say: refused under it for ever, it would never be updated."""
    names = world.add_chargers(3)
    assert await world.campaigns.use_directive("c1.0.0.1", names[0], 99)
    campaign = await world.add_campaign([names])
    await skipping.start(campaign)

    assert await skipping.result(campaign) is P.COMPLETED
    assert world.campaigns.outcomes("c1")[names[0]] is Outcome.UPDATED
    assert [row.directive_id for row in world.campaigns.directive_rows] == ["c1.0.0.1", "c1.0.0.2"]
    assert len(world.updates(names[0])) == 1


@pytest.mark.requirement("R37", "R48")
async def test_a_version_that_came_up_after_its_attempt_counts_as_updated(
    skipping: Harness, world: World
) -> None:
    names = world.add_chargers(3)
    world.behaviours[names[0]] = broken

    def late(name: str) -> None:
        if world.updates(name):
            world.run_version(name, "1.1")

    world.on_settle = late
    campaign = await world.add_campaign([names], world.plan(gate=LENIENT))
    await skipping.start(campaign)

    assert await skipping.result(campaign) is P.COMPLETED
    assert len(world.updates(names[0])) == 1
    ended = await target(world, names[0])
    assert (ended.outcome, ended.reason) == (Outcome.UPDATED, "it runs 1.1 already")


@pytest.mark.requirement("X9")
async def test_what_a_version_that_came_up_late_has_changed_is_put_back(
    skipping: Harness, world: World
) -> None:
    name, *others = world.add_chargers(3)
    world.behaviours[name] = broken
    before = {"HeartbeatInterval": "60", "MeterValueSampleInterval": "900"}
    world._twin(name, configuration=ConfigurationSection(before))
    world.settings[name] = dict(before)

    def late(name: str) -> None:
        if world.updates(name):
            world.run_version(name, "1.1")
            if not any(isinstance(command, SetVariables) for _, command in world.sent):
                world.settings[name] |= {"MeterValueSampleInterval": "60"}

    world.on_settle = late
    campaign = await world.add_campaign([[name, *others]], world.plan(gate=LENIENT))
    await skipping.start(campaign)
    assert await skipping.result(campaign) is P.COMPLETED
    ended = await target(world, name)
    assert ended.reason == "it runs 1.1 already; the update had changed MeterValueSampleInterval, put back"
    assert world.settings[name] == before


@pytest.mark.requirement("R25", "R26")
async def test_retries_are_bounded_by_the_plan_and_by_what_failed(skipping: Harness, world: World) -> None:
    async def starves(world: World, name: str, command: UpdateFirmware) -> CommandAnswer:
        await world.report(name, FirmwareStatus.DOWNLOAD_FAILED, command.request_id)
        return ACCEPTED

    names = world.add_chargers(4)
    world.behaviours |= {names[0]: starves, names[1]: broken}
    campaign = await world.add_campaign([names], world.plan(pace=Pace(max_attempts=3), gate=LENIENT))
    await skipping.start(campaign)

    assert await skipping.result(campaign) is P.COMPLETED
    assert len(world.updates(names[0])) == 3
    assert len(world.updates(names[1])) == 2, "twice the same image on the same hardware fails a third time"
    first, second, third = (command.retrieve_at for _, command in world.updates(names[0]))
    assert third - second >= 2 * timedelta(seconds=Pace().retry_backoff_seconds) > second - first
    assert {world.campaigns.outcomes("c1")[name] for name in names[:2]} == {Outcome.FAILED}
    assert "DownloadFailed" in (await target(world, names[0])).reason


async def test_a_model_that_needs_it_is_reset_after_installing(skipping: Harness, world: World) -> None:
    async def installs(world: World, name: str, command: UpdateFirmware) -> CommandAnswer:
        await world.report(name, FirmwareStatus.INSTALLED, command.request_id)
        return ACCEPTED

    names = world.add_chargers(3)
    world.chargers.profiles[VENDOR, MODEL] = ModelProfile(VENDOR, MODEL, needs_reset_after_install=True)
    world.default = installs
    campaign = await world.add_campaign([names])
    await skipping.start(campaign)

    assert await skipping.result(campaign) is P.COMPLETED
    assert sum(isinstance(command, Reset) for _, command in world.sent) == 3


async def test_other_maintenance_of_a_charger_is_waited_for(skipping: Harness, world: World) -> None:
    names = world.add_chargers(3)
    artifact = world.add_artifact("9.9", 9)
    lock = await skipping.client.start_workflow(
        PublishArtifactWorkflow.run,
        PublicationInput(artifact.artifact_id),
        id=charger_workflow_id(names[0]),
        task_queue=TASK_QUEUE,
    )
    campaign = await world.add_campaign([names])
    await skipping.start(campaign)
    await skipping.env.sleep(timedelta(minutes=10))
    assert {name for name, _ in world.updates()} == set(names[1:])

    await lock.terminate()
    assert await skipping.result(campaign) is P.COMPLETED
    assert world.campaigns.outcomes("c1")[names[0]] is Outcome.UPDATED


@pytest.mark.requirement("X3")
async def test_a_charger_that_vanishes_after_its_proof_is_put_back_when_it_returns(
    skipping: Harness, world: World
) -> None:
    async def boots_and_vanishes(world: World, name: str, command: UpdateFirmware) -> CommandAnswer:
        await good(world, name, command)
        world.unplug(name)

        world.agenda.append((world.now + timedelta(minutes=3), lambda: world.plug(name)))
        return ACCEPTED

    names = world.add_chargers(3)
    world.behaviours[names[0]] = boots_and_vanishes
    campaign = await world.add_campaign([names])
    await skipping.start(campaign)

    assert await skipping.result(campaign) is P.COMPLETED
    assert (await target(world, names[0])).reason == "it booted with 1.1 after the command"
    assert not world.inoperative


@pytest.mark.requirement("X3")
async def test_availability_that_cannot_be_given_back_does_not_hang_and_is_said(
    skipping: Harness, world: World
) -> None:
    async def boots_and_vanishes(world: World, name: str, command: UpdateFirmware) -> CommandAnswer:
        await good(world, name, command)
        world.unplug(name)
        return ACCEPTED

    names = world.add_chargers(4)
    world.behaviours[names[0]] = boots_and_vanishes
    gate = GatePolicy(max_excess_offline_share=1.0)
    campaign = await world.add_campaign([names], world.plan(gate=gate))
    await skipping.start(campaign)

    assert await skipping.result(campaign) is P.COMPLETED
    gone = await target(world, names[0])
    assert gone.outcome is Outcome.UPDATED
    assert "still out of service" in gone.reason
    assert names[0] not in world.leases.rows


async def test_chargers_that_come_back_late_with_the_stopped_version_go_back_too(
    skipping: Harness, world: World
) -> None:
    late = "CP000"

    async def wakes_late(world: World, name: str, command: UpdateFirmware) -> CommandAnswer:
        if name == late and world.sent_version(name) == "1.1":
            world.unplug(name)
            return ACCEPTED
        if name == "CP003" and world.sent_version(name) == "1.0":
            # While the others go back, the late one appears, and runs the stopped version.
            await world.boot(late, "1.1", signal=False)
        return await good(world, name, command)

    names = world.add_chargers(4)
    world.default = wakes_late
    strict = world.plan(gate=GatePolicy(max_failure_share=0.001))
    campaign = await world.add_campaign([names], strict)
    await skipping.start(campaign)

    assert await skipping.result(campaign) is P.ROLLED_BACK
    assert {world.version(name) for name in names} == {"1.0"}
    assert set(world.campaigns.outcomes("c1", 1001)) == {late}
    assert not world.inoperative, "what its silence left out of service is in service again"


async def test_nothing_lives_in_a_cache(world: World) -> None:
    """Every workflow task replays its whole history: a worker may die between any two of them."""
    names = world.add_chargers(5)
    world.plug_in(names[1])
    world.behaviours[names[2]] = unheard
    async with time_skipping() as env, running(env, world, cached=0) as harness:
        world.agenda.append((world.now + timedelta(minutes=5), lambda: world.unplug_car(names[1])))
        campaign = await world.add_campaign([names], world.plan(pace=Pace(shard_size=3)))
        await harness.start(campaign)
        assert await harness.result(campaign) is P.COMPLETED
    assert len(world.updates()) == 5


async def test_maintenance_that_is_ended_by_hand_counts_as_failed_and_is_not_repeated(
    real: Harness, world: World
) -> None:
    async def ended_by_hand(world: World, name: str, command: UpdateFirmware) -> CommandAnswer:
        await real.client.get_workflow_handle(charger_workflow_id(name)).terminate()
        return ACCEPTED

    names = world.add_chargers(4)
    world.behaviours[names[0]] = ended_by_hand
    campaign = await world.add_campaign([names], world.plan(gate=LENIENT, pace=QUICK))
    await real.start(campaign)

    assert await real.result(campaign) is P.COMPLETED
    assert world.campaigns.outcomes("c1")[names[0]] is Outcome.FAILED
    assert len(world.updates(names[0])) == 1


async def test_a_worker_that_starts_later_carries_on(real_env: WorkflowEnvironment, world: World) -> None:
    names = world.add_chargers(4)
    world.plug_in(names[0])
    async with running(real_env, world) as harness:
        campaign = await world.add_campaign([names], world.plan(pace=QUICK))
        await harness.start(campaign)
        await until(lambda: len(world.updates()) == 3)
    world.unplug_car(names[0])
    async with running(real_env, world) as harness:
        assert await harness.result(campaign) is P.COMPLETED
    assert sorted(name for name, _ in world.updates()) == names
