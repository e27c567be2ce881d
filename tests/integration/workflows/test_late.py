"""Chargers that count by a look at their twin: housekeeping has them compared, under their lock (X9)."""

from dataclasses import replace
from datetime import timedelta

import pytest

from csms.commands import CommandAnswer, UpdateFirmware
from storage.campaign import Campaign, CampaignPhase, GatePolicy, Outcome, Target
from storage.events import ConnectorStatus
from storage.ids import TASK_QUEUE, charger_workflow_id
from storage.incident import IncidentKind
from storage.kept import OWED
from storage.twin import ConfigurationSection, ConnectorState, OperationSection
from tests.integration.workflows.harness import QUICK, Harness, until
from tests.unit.activities.world import ACCEPTED, START, World, broken, good
from workflows.housekeeping import HousekeepingWorkflow

pytestmark = [pytest.mark.integration, pytest.mark.requirement("X9", "R37")]
NAME = "CP000"
SETTINGS = {"HeartbeatInterval": "60", "MeterValueSampleInterval": "900"}
SPOILT = SETTINGS | {"MeterValueSampleInterval": "60"}
LENIENT = GatePolicy(max_failure_share=0.9, early_stop_failures=100, max_excess_offline_share=1.0)
PACE = replace(QUICK, max_attempts=2, retry_backoff_seconds=1.0)


def row(world: World, name: str = NAME) -> Target:
    return world.campaigns.target_rows["c1", 0, name]


def known(world: World, name: str = NAME) -> None:
    world._twin(name, configuration=ConfigurationSection(SETTINGS))
    world.settings[name] = dict(SETTINGS)


async def house(harness: Harness) -> None:
    """One round, and what it started."""
    await harness.client.execute_workflow(HousekeepingWorkflow.run, id="house", task_queue=TASK_QUEUE)


async def counted_late(harness: Harness, world: World, gate: GatePolicy = LENIENT) -> Campaign:
    """Its first attempt failed, and it boots with the version before the next; cars keep the wave open."""
    names = world.add_chargers(3)
    world.behaviours[NAME] = broken
    known(world)
    for name in names[1:]:
        world.plug_in(name)
    campaign = await world.add_campaign([names], world.plan(1, pace=PACE, gate=gate))
    await harness.start(campaign)
    await until(lambda: row(world).reason.startswith("attempt 1 failed"))
    world.settings[NAME] = dict(SPOILT)
    world.run_version(NAME, "1.1")
    await until(lambda: row(world).outcome is not None)
    assert row(world).outcome is Outcome.UPDATED
    return campaign


async def test_who_counts_by_a_look_is_compared_and_stays_what_it_counts_as(
    real: Harness, world: World
) -> None:
    campaign = await counted_late(real, world)
    assert row(world).reason == f"it booted with the version after its attempt was over; {OWED}"
    before = len(world.sent)
    await house(real)
    await until(lambda: OWED not in row(world).reason)

    assert world.settings[NAME] == SETTINGS
    assert (row(world).outcome, row(world).attempt) == (Outcome.UPDATED, 1)
    kinds = [type(command).__name__ for name, command in world.sent[before:] if name == NAME]
    assert kinds == ["GetVariables", "SetVariables"], "nothing else was sent to it"
    for name in ("CP001", "CP002"):
        world.unplug_car(name)
    assert await real.result(campaign) is CampaignPhase.COMPLETED


async def test_what_stays_otherwise_counts_in_its_wave_as_a_failure(real: Harness, world: World) -> None:
    world.read_only.add("MeterValueSampleInterval")
    await counted_late(real, world, replace(LENIENT, early_stop_failures=2))
    world.behaviours["CP001"] = broken
    world.unplug_car("CP001")
    await until(lambda: row(world, "CP001").outcome is Outcome.FAILED)
    assert row(world, "CP002").outcome is None
    await house(real)

    # Of two failures that stop a wave one was told by the shard, the other by the comparison.
    await until(lambda: row(world, "CP002").outcome is not None)
    last = row(world, "CP002")
    assert (last.outcome, last.reason) == (Outcome.CANCELLED, "2 chargers failed")
    assert row(world).outcome is Outcome.UPDATED, "what it counts as stands"
    [told] = [one for one in world.incidents.rows if one.kind is IncidentKind.SETTINGS_NOT_KEPT]
    assert "settings that cannot be put back: MeterValueSampleInterval" in told.summary


async def test_nobody_is_compared_while_other_maintenance_has_it(real: Harness, world: World) -> None:
    await counted_late(real, world)
    await real.client.start_workflow(
        "Nobody", id=charger_workflow_id(NAME), task_queue="nowhere", run_timeout=timedelta(minutes=1)
    )
    before = len(world.sent)
    await house(real)
    assert [name for name, _ in world.sent[before:]] == []
    assert row(world).reason.endswith(OWED)
    assert world.kept.rows, "a later round looks again"


async def test_one_that_proves_it_and_vanishes_is_compared_when_it_is_back(
    real: Harness, world: World
) -> None:
    async def boots_and_vanishes(world: World, name: str, command: UpdateFirmware) -> CommandAnswer:
        world.settings[name] = dict(SPOILT)
        await good(world, name, command)
        world.unplug(name)
        return ACCEPTED

    [*names] = world.add_chargers(3)
    known(world)
    world.behaviours[NAME] = boots_and_vanishes
    pace = replace(PACE, attempt_deadline_seconds=2.0)
    campaign = await world.add_campaign([names], world.plan(1, pace=pace, gate=LENIENT))
    await real.start(campaign)
    assert await real.result(campaign) is CampaignPhase.COMPLETED
    assert (row(world).outcome, OWED in row(world).reason) == (Outcome.UPDATED, True)
    await house(real)
    assert OWED in row(world).reason, "it is away"
    world.plug(NAME)
    await house(real)
    await until(lambda: OWED not in row(world).reason)
    assert (world.settings[NAME], world.inoperative) == (SETTINGS, set())


async def test_one_that_its_operator_had_closed_is_compared_too(real: Harness, world: World) -> None:
    """Nothing was taken from it, so its end does not come by its node."""

    async def spoils(world: World, name: str, command: UpdateFirmware) -> CommandAnswer:
        world.settings[name] = dict(SPOILT)
        return await good(world, name, command)

    names = world.add_chargers(3)
    connector = ConnectorState(1, 1, ConnectorStatus.UNAVAILABLE, START)
    world._twin(NAME, operation=OperationSection({"1.1": connector}))
    known(world)
    world.behaviours[NAME] = spoils
    campaign = await world.add_campaign([names], world.plan(1, pace=PACE, gate=LENIENT))
    await real.start(campaign)
    assert await real.result(campaign) is CampaignPhase.COMPLETED
    await house(real)
    await until(lambda: OWED not in row(world).reason)
    assert (row(world).outcome, world.settings[NAME]) == (Outcome.UPDATED, SETTINGS)


async def test_one_that_fell_back_is_told_so_and_asked_nothing(real: Harness, world: World) -> None:
    await counted_late(real, world)
    world.run_version(NAME, "1.0")
    before = len(world.sent)
    await house(real)
    assert row(world).reason.endswith("its settings were not compared: it runs 1.0 by now")
    assert (row(world).outcome, len(world.sent)) == (Outcome.UPDATED, before)
    assert not world.kept.rows
