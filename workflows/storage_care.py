"""Once a day: are stored images still what was signed, and what was left over? Started by a schedule."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.blob_care import BlobCareActivities
    from storage.ids import TASK_QUEUE

# Gigabytes are read back; whoever does it says every few seconds that it is still there.
_ROUND = timedelta(hours=6)
_SILENT = timedelta(seconds=60)
_RETRIES = RetryPolicy(initial_interval=timedelta(minutes=1), maximum_attempts=5)


@workflow.defn
class StorageCareWorkflow:
    """One round of care."""

    @workflow.run
    async def run(self) -> int:
        """Hash, then sweep; how many images are not what was signed."""
        bad = 0
        try:
            facts = await workflow.execute_activity_method(
                BlobCareActivities.rehash_sample,
                task_queue=TASK_QUEUE,
                schedule_to_close_timeout=_ROUND,
                heartbeat_timeout=_SILENT,
                retry_policy=_RETRIES,
                summary="read stored images back and hash them",
            )
            bad = len(facts.bad)
        except ActivityError as error:
            workflow.logger.warning("Stored images were not all hashed: %s", error.cause)
        swept = await workflow.execute_activity_method(
            BlobCareActivities.sweep_leftovers,
            task_queue=TASK_QUEUE,
            schedule_to_close_timeout=_ROUND,
            heartbeat_timeout=_SILENT,
            retry_policy=_RETRIES,
            summary="remove what crashes and broken uploads left behind",
        )
        said = f"{bad} images are not what was signed; {swept.versions} leftovers removed"
        if swept.unversioned:
            said += f"; {swept.unversioned} images are left over in a bucket without versions: see the log"
        workflow.set_current_details(said)
        return bad
