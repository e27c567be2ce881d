"""Moves on a Temporal server and PostgreSQL: once, under the charger's lock, never beside other work."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.worker import Worker

from activities.moves import MoveActivities
from storage.charger import Charger, Site, SiteLease
from storage.errors import Conflict, InvalidInput, NotFound, StaleVersion
from storage.ids import TASK_QUEUE, charger_workflow_id
from storage.ownership import Move, MoveState, Ownership
from storage.postgres.chargers import PostgresChargerStore
from storage.postgres.engine import create_engine
from storage.postgres.ingest import PostgresIngestStore
from storage.postgres.leases import PostgresLeaseStore
from storage.postgres.registry import PostgresRegistryStore
from workflows.client import Orchestrator
from workflows.move import MoveInput, MoveWorkflow

pytestmark = pytest.mark.integration
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@pytest.fixture
async def engine(database: str) -> AsyncIterator[AsyncEngine]:
    made = create_engine(database)
    chargers = PostgresChargerStore(made)
    for site in ("depot", "mall"):
        await chargers.put_site(Site(site, site, "UTC", 1))
    await chargers.register(Charger("A", "depot", "Volt", "V2", ownership=Ownership("north")), None)
    yield made
    await made.dispose()


@pytest.fixture
def registry(engine: AsyncEngine) -> PostgresRegistryStore:
    return PostgresRegistryStore(engine)


def asked(move_id: str, version: int = 1, **values: str | None) -> Move:
    return Move(move_id, "A", version, values, "ada", "sold", NOW)


def worker(client, engine: AsyncEngine, registry: PostgresRegistryStore) -> Worker:
    moving = MoveActivities(registry, PostgresIngestStore(engine), lambda: NOW)
    return Worker(
        client,
        task_queue=TASK_QUEUE,
        workflows=[MoveWorkflow],
        activities=[moving.apply_move, moving.note_move],
    )


@pytest.mark.requirement("F3")
async def test_a_move_waits_for_a_worker_is_done_once_and_leaves_its_history(
    real_env, engine, registry
) -> None:
    await registry.request_move(asked("m1", site_id="mall", operator="south", location=None))
    # Asked twice, as after a lost answer, while no worker is there.
    orchestrator = Orchestrator(real_env.client)
    waiting = [asyncio.create_task(orchestrator.move_charger("A", "m1")) for _ in range(2)]
    async with worker(real_env.client, engine, registry):
        await asyncio.gather(*waiting)
        with pytest.raises(StaleVersion):
            await registry.request_move(asked("m2", site_id="depot"))
        again = await registry.request_move(asked("m1", site_id="mall", operator="south", location=None))
    assert again.state is MoveState.DONE
    view = await PostgresChargerStore(engine).get("A")
    assert (view.charger.site_id, view.charger.ownership, view.charger.ownership_version) == (
        "mall",
        Ownership("south"),
        2,
    )
    [done] = await registry.moves("A")
    assert done.before == {"site_id": "depot", "operator": "north", "location": None}
    async with engine.connect() as connection:
        acts = (await connection.execute(text("SELECT action, detail FROM audit"))).all()
        notes = (await connection.execute(text("SELECT body ->> 'text' FROM event"))).scalars().all()
    assert [act.action for act in acts] == ["charger.moved"]
    assert acts[0].detail["changed"]["site_id"] == ["depot", "mall"]
    assert notes == ["Moved by ada: site from depot to mall, operator from north to south. sold"]


@pytest.mark.requirement("F3")
async def test_a_charger_that_an_update_has_is_not_moved(real_env, engine, registry) -> None:
    await registry.request_move(asked("m1", site_id="mall"))
    held = await real_env.client.start_workflow(
        MoveWorkflow.run, MoveInput("other", "A"), id=charger_workflow_id("A"), task_queue="nobody"
    )
    with pytest.raises(Conflict, match="other maintenance"):
        await Orchestrator(real_env.client).move_charger("A", "m1")
    await held.terminate()
    assert (await registry.refuse_move("m1", "it was held", NOW)).state is MoveState.REFUSED
    assert (await registry.apply_move("m1", NOW)).state is MoveState.REFUSED


@pytest.mark.requirement("F3")
async def test_a_lease_a_strand_or_a_campaign_stands_in_the_way(engine, registry) -> None:
    async def refusal(move_id: str) -> str:
        await registry.request_move(asked(move_id, site_id="mall"))
        done = await registry.apply_move(move_id, NOW)
        assert done.state is MoveState.REFUSED
        return done.why

    leases = PostgresLeaseStore(engine)
    until = datetime.now(UTC) + timedelta(hours=1)
    await leases.take(SiteLease("A", "depot", "charger/A", "update", until))
    assert await refusal("m1") == "charger/A has it for update"
    await leases.release("A", "charger/A")
    async with engine.begin() as connection:
        await connection.execute(
            text("INSERT INTO out_of_service VALUES ('A', 'depot', '{}', now(), 'an update')")
        )
    assert "have not put it back" in await refusal("m2")
    async with engine.begin() as connection:
        await connection.execute(text("DELETE FROM out_of_service"))
        await connection.execute(
            text(
                "INSERT INTO campaign (campaign_id, plan, plan_digest, phase, reason, created_by, created_at,"
                " cohort_size) VALUES ('c1', '{}', '', 'running', '', 'ada', now(), 1)"
            )
        )
        await connection.execute(
            text(
                "INSERT INTO campaign_target (campaign_id, wave, ordinal, charger_id, site_id, artifact_id,"
                " to_version, phase, reason, attempt)"
                " VALUES ('c1', 0, 0, 'A', 'depot', 'x', '1', 'waiting', '', 0)"
            )
        )
    assert "campaign c1 has it" in await refusal("m3")
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE campaign_target SET phase = 'done'"))
    await registry.request_move(asked("m4", site_id="mall"))
    assert (await registry.apply_move("m4", NOW)).state is MoveState.DONE
    with pytest.raises(InvalidInput):
        await registry.request_move(asked("m5", 2, site_id="mall"))
    with pytest.raises(NotFound):
        await registry.request_move(asked("m6", 2, site_id="nowhere"))
    with pytest.raises(Conflict):
        await registry.request_move(asked("m4", 2, site_id="depot"))
    with pytest.raises(Conflict, match="another site_id") as told:
        await PostgresChargerStore(engine).register(Charger("A", "depot", "Volt", "V2"), None)
    assert "ampwave charger move" in told.value.hint
