"""A round of record keeping over real workers."""

import pytest

from storage.halt import EVERYTHING
from storage.ids import TASK_QUEUE
from storage.incident import IncidentKind
from tests.integration.workflows.harness import Harness
from tests.unit.activities.world import START, World
from workflows.record_keeping import RecordKeepingWorkflow

pytestmark = pytest.mark.integration


async def _round(real: Harness) -> int:
    return await real.client.execute_workflow(
        RecordKeepingWorkflow.run, id="record-keeping", task_queue=TASK_QUEUE
    )


@pytest.mark.requirement("F107", "S66")
async def test_a_round_vouches_writes_down_and_removes(real: Harness, world: World) -> None:
    await world.halts.pull(EVERYTHING, "ann", "smoke", START)
    assert await _round(real) == 3
    assert len(world.records.rounds) == 1
    assert world.audit.actions() == ["halt.pulled"]
    assert await _round(real) == 0, "a few times a day is enough"
    assert world.audit.actions() == ["halt.pulled"]


@pytest.mark.requirement("S65")
async def test_a_log_that_was_tampered_with_is_an_incident_and_stops_nothing_else(
    real: Harness, world: World
) -> None:
    world.records.broken = True
    assert await _round(real) == 3
    [incident] = await world.incidents.find()
    assert (incident.kind, incident.summary) == (
        IncidentKind.AUDIT_BROKEN,
        "Row 4 of the audit log was changed.",
    )
    world.records.broken = False
    await _round(real)
    assert await world.incidents.find() == []
