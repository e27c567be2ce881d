"""One wave: its shards side by side, one count of failures over all of them."""

import asyncio
from contextlib import suppress
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import FailureError

with workflow.unsafe.imports_passed_through():
    from activities.fleet import AttemptsQuery, FleetActivities
    from storage.errors import AmpwaveError
    from storage.ids import shard_workflow_id
    from workflows.gate.attempts import beyond_chance
    from workflows.lasting import to_the_end
    from workflows.messages import ShardInput, WaveEnd, WaveInput
    from workflows.options import OTA_CAMPAIGN, OTA_FIRMWARE, keywords, locally
    from workflows.shard import ShardWorkflow
    from workflows.signals import CHARGER_SPOILT, SET_PAUSED, SHARD_CURED, SHARD_FAILED, STOP, StopRequest

Handle = workflow.ChildWorkflowHandle[ShardWorkflow, WaveEnd]


@workflow.defn(failure_exception_types=[AmpwaveError])
class WaveWorkflow:
    """One wave; id ``campaign/{id}/w{n}``. Touches shards only, never chargers."""

    @workflow.init
    def __init__(self, given: WaveInput) -> None:
        self._given = given
        self._deadline = workflow.now() + timedelta(seconds=given.pace.wave_deadline_seconds)
        self._failed: set[str] = set()
        self._spoilt: list[str] = []
        self._weighed = 0
        self._paused = False
        self._stopping = ""
        self._told: tuple[bool, str] = (False, "")
        self._shards: list[Handle] = []
        self._ends: list[WaveEnd] = []

    @workflow.run
    async def run(self, given: WaveInput) -> WaveEnd:  # noqa: ARG002 - __init__ has it
        """Run every shard to its end; a failure anywhere may stop all of them."""
        return await to_the_end(self._work(), lambda: self._stop("its wave was cancelled"))

    @workflow.signal(name=SET_PAUSED, description="Start nothing, or start again.")
    def set_paused(self, paused: bool) -> None:  # noqa: FBT001 - a signal has one argument
        """Passed on to every shard."""
        self._paused = paused

    @workflow.signal(name=STOP, description="Start nothing more; what was sent ends by itself.")
    def stop(self, request: StopRequest) -> None:
        """Passed on to every shard."""
        self._stop(request.reason)

    @workflow.signal(name=SHARD_FAILED, description="A charger of one shard failed.")
    def shard_failed(self, charger_id: str) -> None:
        """Counted over all shards."""
        self._failed.add(charger_id)
        limit = self._given.early_stop_failures
        if limit is not None and len(self._failed) >= limit:
            self._stop(f"{len(self._failed)} chargers failed")

    @workflow.signal(name=CHARGER_SPOILT, description="One that counted is not what it was.")
    def charger_spoilt(self, charger_id: str) -> None:
        """It counts as a failure from now on (X9)."""
        self.shard_failed(charger_id)
        if len(self._sizes()) == 1:
            self._spoilt.append(charger_id)

    @workflow.signal(name=SHARD_CURED, description="A charger that had failed was updated after all.")
    def shard_cured(self, charger_id: str) -> None:
        """Counted no more; a wave that was stopped for it stays stopped."""
        self._failed.discard(charger_id)
        self._weighed = min(self._weighed, len(self._failed))

    def _stop(self, reason: str) -> None:
        self._stopping = self._stopping or reason

    async def _work(self) -> WaveEnd:
        sizes = self._sizes()
        tasks = [asyncio.create_task(self._run_shard(shard, len(sizes))) for shard in range(len(sizes))]
        while not all(task.done() for task in tasks):
            await workflow.wait_condition(
                lambda: (
                    self._untold()
                    or self._unweighed()
                    or bool(self._spoilt)
                    or all(task.done() for task in tasks)
                )
            )
            await self._pass_on()
            await self._weigh()
            await self._tell()
        for task in tasks:
            await task
        return self._end()

    def _sizes(self) -> list[int]:
        size, count = self._given.pace.shard_size, self._given.count
        return [min(size, count - first) for first in range(0, count, size)]

    async def _run_shard(self, shard: int, shards: int) -> None:
        given = self._given
        first = shard * given.pace.shard_size
        handle: Handle = await workflow.start_child_workflow(
            ShardWorkflow.run,
            ShardInput(
                campaign_id=given.campaign_id,
                wave=given.wave,
                shard=shard,
                first=first,
                count=self._sizes()[shard],
                version=given.version,
                pace=given.pace,
                early_stop_failures=given.early_stop_failures,
                deadline=self._deadline,
                lone=shards == 1,
                max_failure_share=given.max_failure_share,
            ),
            id=shard_workflow_id(given.campaign_id, given.wave, shard),
            parent_close_policy=workflow.ParentClosePolicy.REQUEST_CANCEL,
            static_summary=f"{given.name}, chargers {first + 1} to {first + self._sizes()[shard]}",
            search_attributes=keywords((OTA_CAMPAIGN, given.campaign_id), (OTA_FIRMWARE, given.version)),
        )
        self._shards.append(handle)
        if self._told != (False, ""):
            await self._tell_one(handle)
        self._ends.append(await self._landed(handle))

    async def _landed(self, handle: Handle) -> WaveEnd:
        end = await handle
        self._shards.remove(handle)
        if end.stopped or end.halted:
            self._stop(end.halted or end.stopped)
        return end

    def _unweighed(self) -> bool:
        """Whether chargers failed since it was last asked if these are too many."""
        bounded = self._given.max_failure_share is not None
        return bounded and not self._stopping and len(self._failed) > self._weighed

    async def _weigh(self) -> None:
        """Failures over all shards against all attempts, those under way included."""
        given, permitted = self._given, self._given.max_failure_share
        if permitted is None or not self._unweighed():
            return
        failed = self._weighed = len(self._failed)
        query = AttemptsQuery(given.campaign_id, given.wave, failed)
        attempts = await locally(FleetActivities.measure_attempts, query)
        if why := beyond_chance(failed, attempts, permitted, given.wave):
            self._stop(why)

    async def _pass_on(self) -> None:
        """Who counted and was found otherwise since: a lone shard counts for itself."""
        spoilt, self._spoilt = self._spoilt, []
        for charger_id in spoilt:
            for handle in list(self._shards):
                with suppress(FailureError):  # It has just ended: the gate counts it.
                    await handle.signal(CHARGER_SPOILT, charger_id)

    def _untold(self) -> bool:
        return self._told != (self._paused, self._stopping)

    async def _tell(self) -> None:
        if not self._untold():
            return
        self._told = (self._paused, self._stopping)
        for handle in list(self._shards):
            await self._tell_one(handle)

    async def _tell_one(self, handle: Handle) -> None:
        """A shard that has just ended need not know."""
        paused, stopping = self._told
        try:
            if stopping:
                await handle.signal(STOP, StopRequest(stopping))
            else:
                await handle.signal(SET_PAUSED, paused)
        except FailureError:
            workflow.logger.info("A shard ended before it could be told")

    def _end(self) -> WaveEnd:
        halted = next((end.halted for end in self._ends if end.halted), "")
        failures = sum(end.failures for end in self._ends)
        return WaveEnd(failures, self._stopping, halted)
