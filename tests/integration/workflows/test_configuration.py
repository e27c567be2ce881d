"""Values for many chargers, on a Temporal server and PostgreSQL: each gets its result, crashes lose none."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from csms.commands import AnswerStatus, Command, CommandAnswer, GetVariables, ItemAnswer, SetVariables
from csms.projection import project
from storage.charger import Charger, Site, SiteLease
from storage.configuration import ConfigurationJob, JobState, LineState
from storage.desired import AckStatus
from storage.ids import TASK_QUEUE, configuration_workflow_id
from storage.postgres.chargers import PostgresChargerStore
from storage.postgres.engine import create_engine
from storage.postgres.leases import PostgresLeaseStore
from storage.postgres.routes import PostgresRouteStore
from storage.postgres.twins import PostgresTwinStore
from tests.integration.workflows.harness import Harness, running
from tests.unit.activities.world import World
from workflows.configuration import ConfigurationRun, ConfigurationWorkflow

pytestmark = pytest.mark.integration
VALUES = {"HeartbeatInterval": "300"}
PATH = "configuration.values.HeartbeatInterval"


@pytest.fixture
async def engine(database: str, world: World) -> AsyncIterator[AsyncEngine]:
    """The world's chargers stand in PostgreSQL too: jobs and desired sides live only there."""
    made = create_engine(database)
    names = world.add_chargers(4)
    chargers, routes = PostgresChargerStore(made), PostgresRouteStore(made)
    await chargers.put_site(Site("depot", "Depot", "Europe/Berlin", 1))
    for name in names:
        await chargers.register(Charger(name, "depot", "Volt", "V2"), None)
        await routes.claim(name, "n1", "b1", "ocpp2.0.1", timedelta(hours=1))
    world.twins = PostgresTwinStore(made, project)
    yield made
    await made.dispose()


async def opened(world: World, *, minutes: float = 60) -> ConfigurationJob:
    deadline = world.now + timedelta(minutes=minutes)
    job = ConfigurationJob("j1", VALUES, "ada", world.now, deadline, "ab" * 32)
    stored: ConfigurationJob = await world.twins.open_configuration(job, sorted(world.chargers.rows))
    return stored


async def lines(world: World) -> dict[str, LineState]:
    page = await world.twins.configuration_lines("j1")
    return {line.charger_id: line.state for line in page.items}


async def started(harness: Harness) -> Any:
    return await harness.client.start_workflow(
        ConfigurationWorkflow.run,
        ConfigurationRun("j1", pause_seconds=0.05),
        id=configuration_workflow_id("j1"),
        task_queue=TASK_QUEUE,
    )


@pytest.mark.requirement("F25")
async def test_every_charger_gets_its_own_result(real_env, engine, world: World) -> None:
    names = sorted(world.chargers.rows)
    told = {
        names[0]: AnswerStatus.ACCEPTED,
        names[1]: AnswerStatus.REBOOT_REQUIRED,
        names[2]: AnswerStatus.REJECTED,
        names[3]: AnswerStatus.UNKNOWN_VARIABLE,
    }

    async def answer(charger_id: str, command: Command) -> None:
        if isinstance(command, SetVariables):
            item = ItemAnswer("HeartbeatInterval", told[charger_id])
            world.answers[SetVariables] = CommandAnswer(told[charger_id], items=(item,))

    world.on_send = answer
    async with running(real_env, world) as harness:
        await opened(world)
        await (await started(harness)).result()
    assert await lines(world) == {
        names[0]: LineState.ACCEPTED,
        names[1]: LineState.RESTART,
        names[2]: LineState.REFUSED,
        names[3]: LineState.UNSUPPORTED,
    }
    acks = {}
    for name in names:
        sections = {each.section: each for each in await world.twins.desired(name)}
        assert sections["configuration"].desired == {"values": VALUES}
        acks[name] = sections["configuration"].acks[PATH].status
    assert list(acks.values()) == [
        AckStatus.ACCEPTED,
        AckStatus.IN_PROGRESS,
        AckStatus.REFUSED,
        AckStatus.UNSUPPORTED,
    ]
    read = [name for name, command in world.sent if isinstance(command, GetVariables)]
    assert sorted(read) == names, "read back, so that the twin shows it"
    job = await world.twins.configuration("j1")
    assert job.state is JobState.DONE
    assert "configuration.done" in world.audit.actions()


@pytest.mark.requirement("F25")
async def test_who_is_away_or_in_maintenance_is_served_later_and_a_new_worker_goes_on(
    real_env, engine, world: World
) -> None:
    away, held, *others = sorted(world.chargers.rows)
    routes, leases = PostgresRouteStore(engine), PostgresLeaseStore(engine)
    route = await routes.resolve(away)
    assert route is not None
    await routes.release(away, route.session_epoch)
    lease = SiteLease(held, "depot", "charger/x", "update", world.now + timedelta(days=999))
    assert (await leases.take(lease)).granted
    done = dict.fromkeys(others, LineState.ACCEPTED)
    async with running(real_env, world) as harness:
        await opened(world)
        handle = await started(harness)
        seen: dict[str, LineState] = {}

        async def look() -> bool:
            seen.update(await lines(world))
            return all(seen[name] is LineState.ACCEPTED for name in others)

        while not await look():
            pass
    assert seen == {**done, away: LineState.WAITING, held: LineState.WAITING}
    # Its workers are gone; the charger comes back, the update ends, other workers go on.
    await routes.claim(away, "n1", "b1", "ocpp2.0.1", timedelta(hours=1))
    await leases.release(held, "charger/x")
    async with running(real_env, world):
        await handle.result()
    assert set((await lines(world)).values()) == {LineState.ACCEPTED}
    sent = [name for name, command in world.sent if isinstance(command, SetVariables)]
    assert sorted(sent) == sorted(world.chargers.rows), "each was asked once"


async def test_time_ends_and_people_end_a_job(real_env, engine, world: World) -> None:
    routes = PostgresRouteStore(engine)
    for name in world.chargers.rows:
        route = await routes.resolve(name)
        assert route is not None
        await routes.release(name, route.session_epoch)
    async with running(real_env, world) as harness:
        await opened(world, minutes=0.02)
        await (await started(harness)).result()
    assert set((await lines(world)).values()) == {LineState.EXPIRED}
    assert not await world.twins.close_configuration("j1", JobState.STOPPED, LineState.STOPPED, world.now)
    assert (await world.twins.configuration("j1")).state is JobState.DONE
