"""The part that a Temporal server plays: runs by id, their events, children, timers, signals and updates."""

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import temporalio.workflow
from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import RetryState, SignalExternalWorkflowExecutionFailedCause
from temporalio.api.failure.v1 import Failure
from temporalio.bridge.proto.child_workflow import (
    ChildWorkflowResult,
    ParentClosePolicy,
    StartChildWorkflowExecutionFailedCause,
)
from temporalio.bridge.proto.workflow_activation import WorkflowActivationJob
from temporalio.bridge.proto.workflow_commands import WorkflowCommand

from tests.safety.calls import Calls
from tests.safety.clockwork import START, SimulatedLoop
from tests.safety.processes import Process
from tests.safety.run import Run, Start
from workflows.payloads import DATA_CONVERTER

_EXISTS = StartChildWorkflowExecutionFailedCause.Value(
    "START_CHILD_WORKFLOW_EXECUTION_FAILED_CAUSE_WORKFLOW_ALREADY_EXISTS"
)
_UNKNOWN = SignalExternalWorkflowExecutionFailedCause.Value(
    "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE_EXTERNAL_WORKFLOW_EXECUTION_NOT_FOUND"
)
_NO_DEED = ("upsert_workflow_search_attributes", "modify_workflow_properties", "set_patch_marker")


class Unknown(Exception):
    """No run under that id is open."""


class Refused(Exception):
    """An update was refused, by its validator or its handler."""


class Temporal:
    """One server, its one worker process, and all runs."""

    task_timeout = timedelta(seconds=10)

    def __init__(
        self,
        loop: SimulatedLoop,
        rng: random.Random,
        workflows: Sequence[type],
        violation: Callable[[str, str], None],
    ) -> None:
        self.loop = loop
        self.rng = rng
        self.violation = violation
        self.counted: Counter[str] = Counter()
        self.converter = DATA_CONVERTER
        self.payloads = DATA_CONVERTER.payload_converter
        self.failures = DATA_CONVERTER.failure_converter
        self.definitions = {
            definition.name or "": definition
            for definition in map(temporalio.workflow._Definition.must_from_class, workflows)
        }
        self.worker = Process("worker")
        self.calls = Calls(self)
        self.long_history = 100_000
        """So many events, and a run is told to continue as new."""
        self.runs: dict[str, Run] = {}
        self.all: list[Run] = []
        self.ends: dict[str, Any] = {}
        self._ends: dict[str, asyncio.Event] = {}
        self._numbers = itertools.count(1)
        self._updates: dict[str, asyncio.Future[Any]] = {}

    def count(self, what: str) -> None:
        """One more of what was done to this campaign."""
        self.counted[what] += 1

    def instant(self) -> datetime:
        return self.loop.instant()

    def nanoseconds(self, at: float) -> int:
        return int(START.timestamp() * 1e9) + round(at * 1e9)

    # --- what clients do -------------------------------------------------------------------------

    def begin(self, kind: str, workflow_id: str, *arguments: Any) -> Run:
        """Start a workflow; one that runs under this id is left alone."""
        if workflow_id not in self.runs:
            self._open(Start(workflow_id, kind, self.payloads.to_payloads(list(arguments)), self._run_id()))
        return self.runs[workflow_id]

    async def end_of(self, workflow_id: str) -> Any:
        """Its result, or the words of its failure."""
        await self._ends.setdefault(workflow_id, asyncio.Event()).wait()
        return self.ends[workflow_id]

    def signal(self, workflow_id: str, name: str, argument: Any) -> None:
        run = self._running(workflow_id)
        job = WorkflowActivationJob()
        job.signal_workflow.signal_name = name
        job.signal_workflow.input.extend(self.payloads.to_payloads([argument]))
        run.add(signal_workflow=job.signal_workflow)

    async def update(self, workflow_id: str, name: str, update_id: str, argument: Any) -> None:
        """Raises Unknown or Refused."""
        run = self._running(workflow_id)
        if update_id not in self._updates:
            self._updates[update_id] = self.loop.create_future()
            job = WorkflowActivationJob()
            job.do_update.id = job.do_update.protocol_instance_id = update_id
            job.do_update.name, job.do_update.run_validator = name, True
            job.do_update.input.extend(self.payloads.to_payloads([argument]))
            run.add(do_update=job.do_update)
        await asyncio.shield(self._updates[update_id])

    def cancel(self, workflow_id: str) -> None:
        run = self._running(workflow_id)
        job = WorkflowActivationJob()
        job.cancel_workflow.reason = "somebody cancelled it"
        run.add(cancel_workflow=job.cancel_workflow)

    def _running(self, workflow_id: str) -> Run:
        if workflow_id not in self.runs:
            raise Unknown(workflow_id)
        return self.runs[workflow_id]

    # --- workers ---------------------------------------------------------------------------------

    def kill_worker(self) -> None:
        """All instances are gone; tasks come back when the server notices, or a worker does."""
        self.worker.kill()
        for run in list(self.runs.values()):
            run.crash(self.rng.uniform(2.0, 10.0))

    def raise_worker(self) -> None:
        self.worker = self.worker.rise()
        for run in list(self.runs.values()):
            if run.inbox or run._unresolved():
                run.wake(self.rng.uniform(0.0, 3.0))

    def evict(self, run: Run) -> None:
        """One instance is lost: its worker died, or needed the room."""
        run.crash(self.rng.uniform(0.01, 3.0))

    # --- what workflows ask for ------------------------------------------------------------------

    def obey(self, run: Run, command: WorkflowCommand) -> None:
        """Do what a completed task asked for."""
        kind = command.WhichOneof("variant") or ""
        deed = getattr(self, f"_{kind}", None)
        if deed is not None:
            deed(run, getattr(command, kind))
        elif kind not in (
            "upsert_workflow_search_attributes",
            "modify_workflow_properties",
            "set_patch_marker",
        ):
            raise NotImplementedError(kind)
        run.events += 1

    def _start_timer(self, run: Run, order: Any) -> None:
        job = WorkflowActivationJob()
        job.fire_timer.seq = order.seq

        def fire() -> None:
            if run.timers.pop(order.seq, None) is not None:
                run.add(fire_timer=job.fire_timer)

        seconds = order.start_to_fire_timeout.ToNanoseconds() / 1e9
        run.timers[order.seq] = self.loop.call_later(seconds, fire)

    def _cancel_timer(self, run: Run, order: Any) -> None:
        if timer := run.timers.pop(order.seq, None):
            timer.cancel()
        _without(run.inbox, "fire_timer", order.seq)

    def _schedule_activity(self, run: Run, order: Any) -> None:
        run.activities[order.seq] = self.loop.create_task(self._called(run, order))

    async def _called(self, run: Run, order: Any) -> None:
        resolution = await self.calls.remotely(run, order)
        if run.activities.pop(order.seq, None) is not None:
            job = WorkflowActivationJob()
            job.resolve_activity.seq = order.seq
            job.resolve_activity.result.CopyFrom(resolution)
            run.add(resolve_activity=job.resolve_activity)

    def _request_cancel_activity(self, run: Run, order: Any) -> None:
        """TRY_CANCEL: the workflow goes on at once, the activity learns of it by its next heartbeat."""
        task = run.activities.pop(order.seq, None)
        if task is None:
            return
        job = WorkflowActivationJob()
        job.resolve_activity.seq = order.seq
        cancelled = Failure(message="Activity cancelled")
        cancelled.canceled_failure_info.SetInParent()
        job.resolve_activity.result.cancelled.failure.message = "Activity cancelled"
        job.resolve_activity.result.cancelled.failure.activity_failure_info.SetInParent()
        job.resolve_activity.result.cancelled.failure.cause.CopyFrom(cancelled)
        run.add(resolve_activity=job.resolve_activity)

    def _start_child_workflow_execution(self, run: Run, order: Any) -> None:
        job = WorkflowActivationJob()
        told = job.resolve_child_workflow_execution_start
        told.seq = order.seq
        if order.workflow_id in self.runs:
            told.failed.workflow_id, told.failed.workflow_type = order.workflow_id, order.workflow_type
            told.failed.cause = _EXISTS
            self.count("id was taken")
        else:
            start = Start(
                order.workflow_id, order.workflow_type, list(order.input), self._run_id(), (run, order.seq)
            )
            start.abandoned = order.parent_close_policy == ParentClosePolicy.PARENT_CLOSE_POLICY_ABANDON
            run.children[order.seq] = self._open(start)
            told.succeeded.run_id = start.run_id
        run.add(resolve_child_workflow_execution_start=told)

    def _cancel_child_workflow_execution(self, run: Run, order: Any) -> None:
        child = run.children.get(order.child_workflow_seq)
        if child is not None and child.closed is None:
            job = WorkflowActivationJob()
            job.cancel_workflow.reason = order.reason
            child.add(cancel_workflow=job.cancel_workflow)

    def _signal_external_workflow_execution(self, run: Run, order: Any) -> None:
        job = WorkflowActivationJob()
        told = job.resolve_signal_external_workflow
        told.seq = order.seq
        target = order.child_workflow_id or order.workflow_execution.workflow_id
        if target in self.runs:
            signal = WorkflowActivationJob()
            signal.signal_workflow.signal_name = order.signal_name
            signal.signal_workflow.input.extend(order.args)
            self.runs[target].add(signal_workflow=signal.signal_workflow)
        else:
            told.failure.message = "no such workflow is running"
            told.failure.application_failure_info.SetInParent()
            told.cause = _UNKNOWN
        run.add(resolve_signal_external_workflow=told)

    def _update_response(self, run: Run, order: Any) -> None:
        answer = self._updates[order.protocol_instance_id]
        if answer.done() or order.HasField("accepted"):
            return
        if order.HasField("completed"):
            answer.set_result(None)
        else:
            answer.set_exception(Refused(_words(order.rejected)))
            answer.exception()  # It is no accident that nobody may be waiting for it.

    # --- ends ------------------------------------------------------------------------------------

    def _complete_workflow_execution(self, run: Run, order: Any) -> None:
        result = ChildWorkflowResult()
        result.completed.result.CopyFrom(order.result)
        self._close(run, "completed", result, order.result)

    def _fail_workflow_execution(self, run: Run, order: Any) -> None:
        result = ChildWorkflowResult()
        result.failed.failure.CopyFrom(_of_child(run, order.failure))
        self._close(run, "failed", result, _words(order.failure))

    def _cancel_workflow_execution(self, run: Run, _order: Any) -> None:
        result = ChildWorkflowResult()
        inner = Failure(message="cancelled")
        inner.canceled_failure_info.SetInParent()
        result.cancelled.failure.CopyFrom(_of_child(run, inner))
        self._close(run, "cancelled", result, "cancelled")

    def _continue_as_new_workflow_execution(self, run: Run, order: Any) -> None:
        self.count("continued as new")
        self._end(run, "continued")
        again = Start(
            run.start.workflow_id, run.start.kind, list(order.arguments), self._run_id(), run.start.parent
        )
        again.abandoned = run.start.abandoned
        again.first = run.start.first or run.start.run_id
        opened = self._open(again)
        if run.start.parent is not None:
            parent, seq = run.start.parent
            parent.children[seq] = opened

    def _close(self, run: Run, how: str, result: ChildWorkflowResult, told: Any) -> None:
        self._end(run, how)
        name = run.start.workflow_id
        self.ends[name] = told
        self._ends.setdefault(name, asyncio.Event()).set()
        if run.start.parent is not None and run.start.parent[0].closed is None:
            parent, seq = run.start.parent
            job = WorkflowActivationJob()
            job.resolve_child_workflow_execution.seq = seq
            job.resolve_child_workflow_execution.result.CopyFrom(result)
            parent.add(resolve_child_workflow_execution=job.resolve_child_workflow_execution)
        for child in run.children.values():
            if child.closed is None and not child.start.abandoned:  # ParentClosePolicy.REQUEST_CANCEL
                job = WorkflowActivationJob()
                job.cancel_workflow.reason = "its parent ended"
                child.add(cancel_workflow=job.cancel_workflow)

    def _end(self, run: Run, how: str) -> None:
        run.closed = how
        for timer in run.timers.values():
            timer.cancel()
        run.timers, run.activities = {}, {}
        if self.runs.get(run.start.workflow_id) is run:
            del self.runs[run.start.workflow_id]
        run.drop()

    def _open(self, start: Start) -> Run:
        run = Run(self, start)
        self.runs[start.workflow_id] = run
        self.all.append(run)
        run.wake()
        return run

    def _run_id(self) -> str:
        return f"run-{next(self._numbers)}"

    @staticmethod
    def first_job(start: Start) -> WorkflowActivationJob:
        job = WorkflowActivationJob()
        job.initialize_workflow.workflow_id = start.workflow_id
        job.initialize_workflow.workflow_type = start.kind
        job.initialize_workflow.arguments.extend(start.arguments)
        return job


def _without(inbox: list[WorkflowActivationJob], kind: str, seq: int) -> None:
    inbox[:] = [job for job in inbox if not (job.HasField(kind) and getattr(job, kind).seq == seq)]  # type: ignore[arg-type]


def _of_child(run: Run, cause: Failure) -> Failure:
    failure = Failure(message="Child Workflow execution failed")
    info = failure.child_workflow_execution_failure_info
    info.workflow_execution.workflow_id = run.start.workflow_id
    info.workflow_type.name = run.start.kind
    info.retry_state = RetryState.RETRY_STATE_NON_RETRYABLE_FAILURE
    failure.cause.CopyFrom(cause)
    return failure


def _words(failure: Failure) -> str:
    return f"{failure.application_failure_info.type} {failure.message}".strip()


def result_of(payload: Payload, kind: type, temporal: Temporal) -> Any:
    """A result in Python's words."""
    return temporal.payloads.from_payloads([payload], [kind])[0]
