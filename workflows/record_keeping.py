"""What keeps the records honest and finite: checkpoints of the audit log, and the end of what had its time.

One schedule starts it; see ``Orchestrator.ensure_schedules``. A step that fails is made up for by the next
round.
"""

from datetime import timedelta
from typing import TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError
from temporalio.types import MethodAsyncNoParam

with workflow.unsafe.imports_passed_through():
    from activities.daily import DailyActivities
    from activities.halts import HaltActivities
    from activities.notary import NotaryActivities
    from activities.retention import RetentionActivities
    from storage.ids import SIGNER_QUEUE, TASK_QUEUE

A = TypeVar("A")
_ROUND = timedelta(minutes=4)
_RETRIES = RetryPolicy(maximum_attempts=3)


@workflow.defn
class RecordKeepingWorkflow:
    """One round."""

    @workflow.run
    async def run(self) -> int:
        """Vouch for the audit log, finish what a halt left to do, remove what had its time.

        Returns how many rows and objects were removed.
        """
        await _step(NotaryActivities.checkpoint_audit, SIGNER_QUEUE, "sign a checkpoint of the audit log")
        await _step(HaltActivities.record_halts, TASK_QUEUE, "write down a halt that is not on record")
        await _step(DailyActivities.export_days, TASK_QUEUE, "write the files of the days that are over")
        return await _step(RetentionActivities.remove_outlived, TASK_QUEUE, "remove what had its time") or 0


async def _step(method: MethodAsyncNoParam[A, int], queue: str, summary: str) -> int | None:
    try:
        return await workflow.execute_activity_method(
            method,
            task_queue=queue,
            schedule_to_close_timeout=_ROUND,
            retry_policy=_RETRIES,
            summary=summary,
        )
    except ActivityError as error:
        workflow.logger.warning("Could not %s: %s", summary, error.cause)
        return None
