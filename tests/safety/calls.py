"""Activities as a Temporal server has them done: queues, attempts, timeouts, heartbeats and retries."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from temporalio import activity
from temporalio.api.enums.v1 import RetryState, TimeoutType
from temporalio.api.failure.v1 import Failure
from temporalio.bridge.proto.activity_result import ActivityResolution
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from tests.safety.processes import Process

if TYPE_CHECKING:
    from tests.safety.run import Run
    from tests.safety.temporal import Temporal

Deeds = dict[str, Callable[..., Any]]
_INFO = ActivityEnvironment.default_info()


@dataclass(slots=True)
class Queue:
    """Who takes work from it now; nobody, while its process is down."""

    process: Process
    deeds: Deeds
    cut_off: bool = False
    """Its process works on, but neither heartbeats nor results reach the server."""
    came: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True)
class _Lost(Exception):
    """No result: which of the server's clocks ran out."""

    kind: "TimeoutType.ValueType"


class Calls:
    """Has activities done. ``queues``: by name; ``local``: what the worker does within a workflow task."""

    def __init__(self, temporal: "Temporal") -> None:
        self._temporal = temporal
        self.queues: dict[str, Queue] = {}
        self.local: Deeds = {}
        self._arguments: dict[str, list[type] | None] = {}
        self.disturb: Callable[[str, Process], float] = lambda _name, _process: 0.0
        """Called when an attempt begins; may kill its process later."""

    def serve(self, name: str, process: Process, deeds: Deeds) -> None:
        """From now on this process takes work from this queue."""
        before = self.queues.get(name)
        self.queues[name] = Queue(process, deeds)
        if before is not None:
            before.came.set()

    # --- local -----------------------------------------------------------------------------------

    async def locally(self, run: "Run", order: Any) -> ActivityResolution:
        """Until it succeeds, in the process that has the workflow task."""
        policy, attempt = order.retry_policy, 1
        while True:
            result = await self._attempt(self.local, run, order, attempt)
            if isinstance(result, ActivityResolution):
                return result
            if not _again(policy, attempt, result):
                return _failed(order, result)
            await asyncio.sleep(_pause(policy, attempt))
            attempt += 1

    # --- on a queue ------------------------------------------------------------------------------

    async def remotely(self, run: "Run", order: Any) -> ActivityResolution:
        """Over as many attempts as its policy and its clocks allow."""
        loop, policy, attempt = self._temporal.loop, order.retry_policy, 1
        within = _seconds(order.schedule_to_close_timeout)
        last = loop.time() + within if within else float("inf")
        while True:
            try:
                result = await self._once(run, order, attempt, last)
            except _Lost as lost:
                result = _timed_out(lost.kind)
                final = lost.kind in (
                    TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_START,
                    TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_CLOSE,
                )
            else:
                final = False
            if isinstance(result, ActivityResolution):
                return result
            pause = _pause(policy, attempt)
            if final or not _again(policy, attempt, result) or loop.time() + pause > last:
                return _failed(order, result)
            await asyncio.sleep(pause)
            attempt += 1

    async def _once(self, run: "Run", order: Any, attempt: int, last: float) -> ActivityResolution | Failure:
        loop = self._temporal.loop
        await asyncio.sleep(self._temporal.rng.uniform(0.001, 0.02))
        queue = await self._taker(order, last)
        beat = _seconds(order.heartbeat_timeout)
        limit = min(last, loop.time() + (_seconds(order.start_to_close_timeout) or 1e9))
        self.disturb(order.activity_type, queue.process)
        attempted = loop.create_task(self._attempt(queue.deeds, run, order, attempt))
        lost = asyncio.Event()
        queue.process.on_death.append(lost.set)
        if queue.cut_off:
            lost.set()
        gone = loop.create_task(lost.wait())
        try:
            await asyncio.wait(
                {attempted, gone}, timeout=limit - loop.time(), return_when=asyncio.FIRST_COMPLETED
            )
            if attempted.done() and not queue.cut_off:
                return attempted.result()
            if not gone.done():
                raise _Lost(TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE)
            self._temporal.count("activity lost with its process")
            if beat:
                await asyncio.sleep(min(beat, max(0.0, limit - loop.time())))
                raise _Lost(TimeoutType.TIMEOUT_TYPE_HEARTBEAT)
            await asyncio.sleep(max(0.0, limit - loop.time()))
            raise _Lost(TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE)
        finally:
            gone.cancel()

    async def _taker(self, order: Any, last: float) -> Queue:
        """Whoever takes it; a queue that nobody serves is waited for as long as the server does."""
        loop = self._temporal.loop
        wait = _seconds(order.schedule_to_start_timeout)
        until = min(last, loop.time() + wait) if wait else last
        while True:
            queue = self.queues.get(order.task_queue)
            if queue is not None and queue.process.alive:
                return queue
            pause = min(0.5, until - loop.time())
            if pause <= 0:
                short = wait and until < last
                raise _Lost(
                    TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_START
                    if short
                    else TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_CLOSE
                )
            await asyncio.sleep(pause)

    # --- one attempt -----------------------------------------------------------------------------

    async def _attempt(
        self, deeds: Deeds, run: "Run", order: Any, attempt: int
    ) -> ActivityResolution | Failure:
        """The real activity; its result, or its failure."""
        temporal, deed = self._temporal, deeds.get(order.activity_type)
        failure = Failure()
        if deed is None:
            unknown = ApplicationError(f"No activity {order.activity_type} here.", type="NotFoundError")
            temporal.failures.to_failure(unknown, temporal.payloads, failure)
            return failure
        environment = ActivityEnvironment()
        environment.info = replace(
            _INFO,
            activity_type=order.activity_type,
            attempt=attempt,
            workflow_id=run.start.workflow_id,
            workflow_run_id=run.start.run_id,
            heartbeat_timeout=timedelta(seconds=8),
        )
        arguments = temporal.payloads.from_payloads(list(order.arguments), self._types(deed))
        try:
            result = await environment.run(deed, *arguments)
        except ApplicationError as error:
            if str(error.message).startswith("Unexpected"):
                temporal.violation("unexpected error", f"{order.activity_type}: {error.message}")
            temporal.failures.to_failure(error, temporal.payloads, failure)
            return failure
        resolution = ActivityResolution()
        resolution.completed.result.CopyFrom(temporal.payloads.to_payloads([result])[0])
        return resolution

    def _types(self, deed: Callable[..., Any]) -> list[type] | None:
        name = deed.__qualname__
        if name not in self._arguments:
            definition = activity._Definition.must_from_callable(deed)
            self._arguments[name] = definition.arg_types
        return self._arguments[name]


def _again(policy: Any, attempt: int, failure: Failure) -> bool:
    final = failure.application_failure_info.non_retryable
    return not final and (policy.maximum_attempts == 0 or attempt < policy.maximum_attempts)


def _pause(policy: Any, attempt: int) -> float:
    first, most = _seconds(policy.initial_interval) or 1.0, _seconds(policy.maximum_interval) or 100.0
    return min(most, first * (policy.backoff_coefficient or 2.0) ** (attempt - 1))


def _seconds(duration: Any) -> float:
    return duration.ToNanoseconds() / 1e9


def _timed_out(kind: "TimeoutType.ValueType") -> Failure:
    failure = Failure(message="activity timed out")
    failure.timeout_failure_info.timeout_type = kind
    return failure


def _failed(order: Any, cause: Failure) -> ActivityResolution:
    resolution = ActivityResolution()
    failure = resolution.failed.failure
    failure.message = "Activity task failed"
    failure.activity_failure_info.activity_type.name = order.activity_type
    failure.activity_failure_info.activity_id = order.activity_id
    failure.activity_failure_info.retry_state = RetryState.RETRY_STATE_MAXIMUM_ATTEMPTS_REACHED
    failure.cause.CopyFrom(cause)
    return resolution
