"""One round of the session watchdog: find sessions in doubt, ask their chargers, settle what can be settled.

A schedule starts it every minute. A charger that cannot be asked now is asked in a later round.
"""

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.recovery import (
        Doubt,
        DoubtActivities,
        DoubtQuery,
        QuestionInput,
        RecoveryActivities,
        ResolveInput,
    )
    from storage.ids import TASK_QUEUE
    from workflows.options import on_node
    from workflows.session_rules import Inquiry, Resolution, SessionWatchPolicy, resolve

_ROUND = timedelta(minutes=2)


@workflow.defn
class SessionWatchWorkflow:
    """One round."""

    @workflow.run
    async def run(self, policy: SessionWatchPolicy) -> int:
        """Returns how many sessions were settled or handed to a person."""
        query = DoubtQuery(policy.quiet, policy.again_after, policy.at_once)
        doubtful = await workflow.execute_activity_method(
            DoubtActivities.find_doubtful_sessions,
            query,
            task_queue=TASK_QUEUE,
            schedule_to_close_timeout=_ROUND,
            retry_policy=RetryPolicy(maximum_attempts=3),
            summary="find sessions in doubt",
        )
        rounds = [self._look_into(doubt, policy) for doubt in doubtful]
        return sum(await asyncio.gather(*rounds))

    async def _look_into(self, doubt: Doubt, policy: SessionWatchPolicy) -> bool:
        try:
            return await self._settle(doubt, policy)
        except ActivityError as error:
            workflow.logger.warning(
                "Session %s of %s was not looked into: %s",
                doubt.transaction_id,
                doubt.charger_id,
                error.cause,
            )
            return False

    async def _settle(self, doubt: Doubt, policy: SessionWatchPolicy) -> bool:
        epoch = doubt.route.session_epoch
        question = QuestionInput(
            doubt.charger_id, doubt.transaction_id, epoch, doubt.doubt, policy.answer_seconds
        )
        found = await on_node(RecoveryActivities.question_session, question, doubt.route)
        inquiry = Inquiry(found.finding, doubt.asked + 1, doubt.since, doubt.told)
        resolution, reason = resolve(inquiry, policy, workflow.now())
        if resolution is Resolution.KEEP:
            return False
        if found.detail:
            reason = f"{reason} ({found.detail})"
        abandon = resolution is Resolution.ABANDON
        decided = ResolveInput(doubt.charger_id, doubt.transaction_id, epoch, abandon, reason, found.as_of)
        await on_node(RecoveryActivities.resolve_session, decided, doubt.route)
        return True
