"""What has to happen by itself now and then: metadata that nears its expiry, leases that nobody holds.

One schedule starts it; see ``Orchestrator.ensure_schedules``.
"""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.chargers import ChargerActivities
    from activities.signer import SignerActivities
    from storage.ids import SIGNER_QUEUE, TASK_QUEUE

# The next round comes anyway, so this one does not insist.
_ROUND = timedelta(minutes=2)
_RETRIES = RetryPolicy(maximum_attempts=3)


@workflow.defn
class HousekeepingWorkflow:
    """One round of housekeeping."""

    @workflow.run
    async def run(self) -> int:
        """Sweep expired site leases and refresh signed metadata; returns how many leases were swept."""
        swept = await workflow.execute_activity_method(
            ChargerActivities.sweep_leases,
            task_queue=TASK_QUEUE,
            schedule_to_close_timeout=_ROUND,
            retry_policy=_RETRIES,
            summary="sweep expired site leases",
        )
        try:
            await workflow.execute_activity_method(
                SignerActivities.refresh_metadata,
                task_queue=SIGNER_QUEUE,
                schedule_to_close_timeout=_ROUND,
                retry_policy=_RETRIES,
                summary="sign snapshot and timestamp anew if they are about to expire",
            )
        except ActivityError as error:
            workflow.logger.warning("Signed metadata was not refreshed: %s", error.cause)
        return swept
