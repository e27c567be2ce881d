"""What has to happen by itself now and then.

Metadata nears its expiry, leases are held by nobody, chargers were left out of service or are not what
they should be, the journal needs its next partition.

One schedule starts it; see ``Orchestrator.ensure_schedules``.
"""

import asyncio
from contextlib import suppress
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, WorkflowAlreadyStartedError

with workflow.unsafe.imports_passed_through():
    from activities.chargers import ChargerActivities
    from activities.dispatch import DispatchActivities
    from activities.facts import RouteFacts
    from activities.fetching import FetchActivities
    from activities.journal import JournalActivities
    from activities.late_settings import LateActivities, LateEnd, LateFacts, LateKind
    from activities.log_keeping import LogKeepingActivities
    from activities.metadata import MetadataActivities
    from activities.orders import PutBackInput
    from activities.parking import ParkingActivities
    from activities.signer import SignerActivities
    from activities.twins import TwinActivities
    from storage.ids import SIGNER_QUEUE, TASK_QUEUE, charger_workflow_id
    from storage.kept import Owed
    from workflows.late_rules import LateStep, judge_late, pause_after
    from workflows.late_settings import LateInput, LateSettingsWorkflow
    from workflows.options import OTA_CHARGER, keywords, on_node

# The next round comes anyway, so this one does not insist.
_ROUND = timedelta(minutes=2)
_RETRIES = RetryPolicy(maximum_attempts=3)
MOST_LATE = 100
"""Chargers that count and were never compared, at which one round looks."""
_LATE_ENDS = {
    LateStep.FORGET: LateKind.OTHERWISE,
    LateStep.END: LateKind.OTHERWISE,
    LateStep.GIVE_UP: LateKind.GIVEN_UP,
}


@workflow.defn
class HousekeepingWorkflow:
    """One round of housekeeping."""

    @workflow.run
    async def run(self) -> int:
        """Sweep leases, put chargers back, judge drift, refresh metadata; returns how many were swept."""
        swept = await workflow.execute_activity_method(
            ChargerActivities.sweep_leases,
            task_queue=TASK_QUEUE,
            schedule_to_close_timeout=_ROUND,
            retry_policy=_RETRIES,
            summary="sweep expired site leases",
        )
        if workflow.patched("late-settings"):
            await self._compare_late()  # First: who is put back may be asked before cars come.
        await self._put_back()
        if workflow.patched("parked"):
            await self._call_back()
        if workflow.patched("journal"):
            await self._keep_journal()
        if workflow.patched("twins"):
            await self._tend_twins()
        if workflow.patched("logs"):
            await self._keep_logs()
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
        if workflow.patched("metadata"):
            await self._watch_metadata()
        return swept

    @staticmethod
    async def _watch_metadata() -> None:
        """After the refresh, and whether or not it came about: a signer that is away is what we look for."""
        try:
            await workflow.execute_activity_method(
                MetadataActivities.watch_metadata,
                task_queue=TASK_QUEUE,
                schedule_to_close_timeout=_ROUND,
                retry_policy=_RETRIES,
                summary="tell people of signed metadata that runs out or cannot be read",
            )
        except ActivityError as error:
            workflow.logger.warning("Signed metadata was not looked at: %s", error.cause)

    @staticmethod
    async def _keep_journal() -> None:
        """Partitions are made days ahead: a round that fails is made up for by the next."""
        try:
            await workflow.execute_activity_method(
                JournalActivities.keep_journal,
                task_queue=TASK_QUEUE,
                schedule_to_close_timeout=_ROUND,
                retry_policy=_RETRIES,
                summary="cut and drop partitions of the frame journal",
            )
        except ActivityError as error:
            workflow.logger.warning("The journal's partitions were not kept: %s", error.cause)

    @staticmethod
    async def _keep_logs() -> None:
        """A round that fails, or does not get to the end, is made up for by the next."""
        try:
            await workflow.execute_activity_method(
                LogKeepingActivities.keep_logs,
                task_queue=TASK_QUEUE,
                schedule_to_close_timeout=_ROUND,
                retry_policy=_RETRIES,
                summary="remove logs that have had their time, and what nothing refers to",
            )
        except ActivityError as error:
            workflow.logger.warning("Uploaded logs were not kept to the end: %s", error.cause)

    async def _tend_twins(self) -> None:
        rounds = (
            (TwinActivities.sweep_drift, "judge chargers whose reported or desired side changed"),
            (TwinActivities.summarise_twins, "write snapshots, so that the past is read quickly"),
        )
        for method, summary in rounds:
            try:
                await workflow.execute_activity_method(
                    method,
                    task_queue=TASK_QUEUE,
                    schedule_to_close_timeout=_ROUND,
                    retry_policy=_RETRIES,
                    summary=summary,
                )
            except ActivityError as error:
                workflow.logger.warning("Twins were not tended to the end: %s", error.cause)

    async def _compare_late(self) -> None:
        """Chargers that count as updated and were never compared; a round that fails is made up for."""
        try:
            found = await workflow.execute_activity_method(
                LateActivities.find_late,
                MOST_LATE,
                task_queue=TASK_QUEUE,
                schedule_to_close_timeout=_ROUND,
                retry_policy=_RETRIES,
                summary="find chargers that count as updated and were never compared",
            )
            for one in found:
                await self._about_late(one)
        except ActivityError as error:
            workflow.logger.warning("Late chargers were not compared to the end: %s", error.cause)

    async def _about_late(self, facts: LateFacts) -> None:
        verdict = judge_late(facts, workflow.now())
        if verdict.step is LateStep.COMPARE and facts.route is not None:
            await self._start_late(facts.owed, facts.route)
        elif verdict.step in _LATE_ENDS:
            await workflow.execute_activity_method(
                LateActivities.settle_late,
                LateEnd(facts.owed, _LATE_ENDS[verdict.step], verdict.words),
                task_queue=TASK_QUEUE,
                schedule_to_close_timeout=_ROUND,
                retry_policy=_RETRIES,
                summary="write down that it is not compared any more",
            )

    @staticmethod
    async def _start_late(owed: Owed, route: RouteFacts) -> None:
        """Under the charger's lock; whoever is busy is looked at in the next round."""
        with suppress(WorkflowAlreadyStartedError):
            await workflow.start_child_workflow(
                LateSettingsWorkflow.run,
                LateInput(owed, route, pause_after(owed.tries + 1).total_seconds()),
                id=charger_workflow_id(owed.charger_id),
                parent_close_policy=workflow.ParentClosePolicy.ABANDON,
                static_summary=f"compare the settings of {owed.charger_id}",
                search_attributes=keywords((OTA_CHARGER, owed.charger_id)),
            )

    async def _call_back(self) -> None:
        """Images that chargers fetched ahead and nobody will install: an abort reaches them, too."""
        parked = await workflow.execute_activity_method(
            ParkingActivities.find_parked,
            task_queue=TASK_QUEUE,
            schedule_to_close_timeout=_ROUND,
            retry_policy=_RETRIES,
            summary="find images that nobody will install",
        )
        deeds = (
            on_node(
                FetchActivities.call_back_image,
                PutBackInput(one.charger_id, one.route.session_epoch),
                one.route,
            )
            for one in parked
        )
        for one, result in zip(parked, await asyncio.gather(*deeds, return_exceptions=True), strict=True):
            if isinstance(result, ActivityError):
                workflow.logger.warning("%s keeps its image: %s", one.charger_id, result.cause)
            elif isinstance(result, BaseException):
                raise result

    async def _put_back(self) -> None:
        """Whoever says no now, or went away again, is asked in the next round."""
        stranded = await workflow.execute_activity_method(
            ChargerActivities.find_stranded,
            task_queue=TASK_QUEUE,
            schedule_to_close_timeout=_ROUND,
            retry_policy=_RETRIES,
            summary="find chargers that were left out of service",
        )
        deeds = (
            on_node(
                DispatchActivities.put_back_charger,
                PutBackInput(one.charger_id, one.route.session_epoch),
                one.route,
            )
            for one in stranded
        )
        for one, result in zip(stranded, await asyncio.gather(*deeds, return_exceptions=True), strict=True):
            if isinstance(result, ActivityError):
                workflow.logger.warning("%s stays out of service: %s", one.charger_id, result.cause)
            elif isinstance(result, BaseException):
                raise result
