"""The daily care of stored images over a real worker: what is not what was signed, and what was left over."""

from datetime import UTC, datetime

import pytest

from storage.artifact import ArtifactPhase
from storage.ids import TASK_QUEUE
from storage.transfer import StoredVersion
from tests.integration.workflows.harness import Harness, until
from tests.unit.activities.world import World
from workflows.client import STORAGE_CARE_SCHEDULE
from workflows.storage_care import StorageCareWorkflow

pytestmark = pytest.mark.integration
OLD = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.mark.requirement("S48")
async def test_a_schedule_has_images_hashed_and_leftovers_swept(real: Harness, world: World) -> None:
    artifact = world.add_artifact("9.9.9", 9)
    assert artifact.phase is ArtifactPhase.RELEASED
    real.bucket.due.append((artifact.artifact_id, artifact.length))
    real.bucket.left.append(StoredVersion("ab" * 32, "v1", OLD, 5, latest=True))
    await real.orchestrator.ensure_schedules()
    await real.client.get_schedule_handle(STORAGE_CARE_SCHEDULE).trigger()

    await until(lambda: not real.bucket.left)
    ((checked, problem),) = real.bucket.checks
    assert checked == artifact.artifact_id
    assert "signed metadata gives nothing" in problem


async def test_hashing_that_fails_keeps_nobody_from_sweeping(real: Harness, world: World) -> None:
    real.bucket.due.append(("cd" * 32, 1))  # no such artifact: not retried
    real.bucket.left.append(StoredVersion("ab" * 32, "v1", OLD, 5, latest=True))
    bad = await real.client.execute_workflow(
        StorageCareWorkflow.run, id="storage-care-once", task_queue=TASK_QUEUE
    )
    assert (bad, real.bucket.left) == (0, [])
