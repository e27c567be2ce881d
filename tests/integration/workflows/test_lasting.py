"""Workflows that are dropped from memory where they stand."""

import asyncio
import gc
from datetime import timedelta
from typing import Any

import pytest
from temporalio import workflow
from temporalio.worker import Worker

from workflows.lasting import and_then, to_the_end

pytestmark = pytest.mark.integration


@workflow.defn
class Waiting:
    @workflow.run
    async def run(self) -> None:
        await to_the_end(and_then(self._work(), self._last), lambda: None)

    async def _work(self) -> None:
        await workflow.sleep(timedelta(days=1))

    async def _last(self) -> None:
        await workflow.sleep(timedelta(seconds=1))


async def test_a_worker_that_stops_leaves_nothing_that_would_run_elsewhere(real_env: Any) -> None:
    async with asyncio.timeout(60), Worker(real_env.client, task_queue="lasting", workflows=[Waiting]):
        handle = await real_env.client.start_workflow(Waiting.run, id="waiting", task_queue="lasting")
        async for event in handle.fetch_history_events(wait_new_event=True):
            if event.HasField("timer_started_event_attributes"):
                break
    gc.collect()  # what was dropped is closed here, and what that raised fails this test
