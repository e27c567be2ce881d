# long-file: one run and its tasks; their order is the point
"""One run of a workflow: the SDK's own instance, its history, and its return to life from that history.

A workflow task is a transaction, as on a Temporal server: what an activation asks for (timers, children,
activities, signals) happens when the task is completed, and never if the worker dies before; local
activities alone happen at once, and again after a crash. Then the run is replayed from its history, and
every command of the replay must be the one that was recorded.
"""

import asyncio
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import temporalio.common
import temporalio.workflow
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.bridge.proto.workflow_activation import WorkflowActivation, WorkflowActivationJob
from temporalio.bridge.proto.workflow_commands import WorkflowCommand
from temporalio.converter import DataConverter
from temporalio.worker._workflow_instance import (
    UnsandboxedWorkflowRunner,
    WorkflowInstance,
    WorkflowInstanceDetails,
)

if TYPE_CHECKING:
    from tests.safety.temporal import Temporal

NAMESPACE = "safety"
TASK_BEAT_S = 5.0
"""A task that waits for local activities is completed in parts this often (the SDK's heartbeat)."""
_RUNNER = UnsandboxedWorkflowRunner()
_ENDS = (
    "complete_workflow_execution",
    "fail_workflow_execution",
    "cancel_workflow_execution",
    "continue_as_new_workflow_execution",
)
_IMMEDIATE = ("schedule_local_activity", "request_cancel_local_activity")


class Diverged(Exception):
    """A replay did something else than its history says."""


@dataclass(slots=True)
class Record:
    """One activation of a completed part of a task: what went in, what came out."""

    at: float
    jobs: list[WorkflowActivationJob]
    commands: list[WorkflowCommand] = field(default_factory=list)
    flags: list[int] = field(default_factory=list)
    length: int = 0
    full: bool = False


@dataclass(slots=True)
class Start:
    """What a run begins with."""

    workflow_id: str
    kind: str
    arguments: list[Payload]
    run_id: str
    parent: "tuple[Run, int] | None" = None
    """Its parent's run, and the number under which that one waits for it."""
    first: str = ""
    abandoned: bool = False
    """It goes on when its parent ends."""


class Run:
    """One run on the server, and its instance in a worker while that lives."""

    def __init__(self, temporal: "Temporal", start: Start) -> None:
        self.temporal = temporal
        self.start = start
        self.history: list[Record] = []
        self.inbox: list[WorkflowActivationJob] = [temporal.first_job(start)]
        self.closed: str | None = None
        self.failure = ""
        self.timers: dict[int, asyncio.TimerHandle] = {}
        self.activities: dict[int, asyncio.Task[None]] = {}
        self.children: dict[int, Run] = {}
        self.patches: set[str] = set()
        self.events = 0
        self._instance: WorkflowInstance | None = None
        self._draft: list[Record] = []
        self._busy: asyncio.Task[None] | None = None
        self._locals: dict[int, asyncio.Task[None]] = {}
        self._resolved: list[WorkflowActivationJob] = []
        self._stir = asyncio.Event()
        self._life = 0

    def __str__(self) -> str:
        return self.start.workflow_id

    # --- from the server -------------------------------------------------------------------------

    def add(self, **job: Any) -> None:
        """An event for this run: it is history from now on, and a task follows."""
        if self.closed is None:
            self.inbox.append(WorkflowActivationJob(**job))
            self.events += 1
            self.wake()

    def wake(self, after: float | None = None) -> None:
        """Let a worker have a task, unless one is at it."""
        if self._busy is None and self.closed is None:
            delay = self.temporal.rng.uniform(0.001, 0.03) if after is None else after
            self._busy = self.temporal.loop.create_task(self._task(delay, self._life))

    def crash(self, again_after: float) -> None:
        """The worker that has it is gone, with whatever was not completed; the server hands it out again."""
        if self.closed is not None:
            return
        self._life += 1
        self._evict()
        for task in self._locals.values():
            task.cancel()
        self._locals, self._resolved = {}, []
        kept = [job for record in self._draft for job in record.jobs if not _is_local(job)]
        self.inbox, self._draft, self._busy = kept + self.inbox, [], None
        if self.inbox or self._unresolved():
            self.wake(again_after)

    def _evict(self) -> None:
        if self._instance is not None:
            gone = WorkflowActivation(run_id=self.start.run_id)
            gone.jobs.add().remove_from_cache.SetInParent()
            self._activate_raw(gone)
            self._instance = None

    def drop(self) -> None:
        """The end of the simulation."""
        self._evict()

    # --- a task ----------------------------------------------------------------------------------

    async def _task(self, delay: float, life: int) -> None:
        await asyncio.sleep(delay)
        if life != self._life or self.closed is not None:
            return
        worker = self.temporal.worker
        if not worker.alive:
            self._busy = None
            return  # Whoever comes next wakes every run that has something to do.
        await worker.go_on()
        if life != self._life:
            return
        try:
            await self._work(life)
        except Diverged as error:
            self.temporal.violation("replay differs", f"{self}: {error}")
            self.closed = "failed"

    async def _work(self, life: int) -> None:
        if self._instance is None:
            self._replay()
        began = self.temporal.loop.time()
        while True:
            if self.inbox and not self._draft:
                began = self.temporal.loop.time()
                jobs, self.inbox = self.inbox, []
                self._step(jobs)
            elif self._resolved:
                jobs, self._resolved = self._resolved, []
                self._step(jobs)
            if self._ended() or not (self._locals or self._resolved):
                break
            if not self._resolved:
                began = await self._beaten(began)
                if life != self._life:
                    return
        self._finish_task()

    async def _beaten(self, began: float) -> float:
        """Wait for a local activity; when that takes long, complete what there is. When this part began."""
        self._stir.clear()
        left = began + TASK_BEAT_S - self.temporal.loop.time()
        life = self._life
        if await _within(self._stir, max(0.0, left)) or life != self._life:
            return began
        self._complete()
        return self.temporal.loop.time()

    def _finish_task(self) -> None:
        self._busy = None
        if self._ended() and self.inbox:
            # The server does not take an end while there is news (UnhandledCommand): it is thought over.
            self.temporal.count("end taken back for news")
            self.crash(0.01)
            return
        self._complete()
        if self.inbox:
            self.wake()

    def _step(self, jobs: list[WorkflowActivationJob]) -> None:
        record = Record(
            self.temporal.loop.time(), jobs, length=3 * len(self.history) + self.events, full=self._full()
        )
        self._draft.append(record)
        self._activate(record, replaying=False)
        for command in record.commands:
            kind = command.WhichOneof("variant")
            if kind == "schedule_local_activity":
                self._begin_local(command)
            elif kind == "request_cancel_local_activity":
                raise NotImplementedError("no workflow of ours cancels a local activity")
            elif kind == "set_patch_marker":
                self.patches.add(command.set_patch_marker.patch_id)

    def _full(self) -> bool:
        return 3 * len(self.history) + self.events > self.temporal.long_history

    def _ended(self) -> bool:
        return bool(self._draft) and any(
            command.WhichOneof("variant") in _ENDS for command in self._draft[-1].commands
        )

    def _complete(self) -> None:
        """The task, or a part of it, is on record: what it asked for happens now."""
        done, self._draft = self._draft, []
        for record in done:
            refused = _refused_updates(record)
            if refused:
                record.jobs = [job for job in record.jobs if _update_of(job) not in refused]
            if record.jobs:
                self.history.append(record)
        for record in done:
            for command in record.commands:
                if command.WhichOneof("variant") not in _IMMEDIATE:
                    self.temporal.obey(self, command)

    # --- local activities ------------------------------------------------------------------------

    def _begin_local(self, command: WorkflowCommand) -> None:
        order = command.schedule_local_activity
        self._locals[order.seq] = self.temporal.loop.create_task(self._local(order, self._life))

    async def _local(self, order: Any, life: int) -> None:
        resolution = await self.temporal.calls.locally(self, order)
        if life != self._life:
            return
        job = WorkflowActivationJob()
        job.resolve_activity.seq, job.resolve_activity.is_local = order.seq, True
        job.resolve_activity.result.CopyFrom(resolution)
        del self._locals[order.seq]
        self._resolved.append(job)
        self._stir.set()

    def _unresolved(self) -> bool:
        asked, told = self._asked_and_told()
        return bool(asked.keys() - told)

    def _asked_and_told(self) -> tuple[dict[int, WorkflowCommand], set[int]]:
        asked, told = {}, set()
        for record in self.history:
            for command in record.commands:
                if command.WhichOneof("variant") == "schedule_local_activity":
                    asked[command.schedule_local_activity.seq] = command
            told |= {job.resolve_activity.seq for job in record.jobs if _is_local(job)}
        return asked, told

    # --- the instance ----------------------------------------------------------------------------

    def _replay(self) -> None:
        self._instance = self._made()
        if self.history:
            self.temporal.count("history replayed")
        for number, record in enumerate(self.history):
            again = Record(record.at, record.jobs, length=record.length, full=record.full)
            again.flags = record.flags
            self._activate(again, replaying=True)
            ours, theirs = _essence(record.commands), _essence(again.commands)
            if ours != theirs:
                raise Diverged(f"activation {number}: {_names(theirs)} instead of {_names(ours)}")
        asked, told = self._asked_and_told()
        for seq in sorted(asked.keys() - told):
            self._begin_local(asked[seq])

    def _activate(self, record: Record, *, replaying: bool) -> None:
        flags = {flag for each in self.history for flag in each.flags}
        if replaying:
            flags |= set(record.flags)
        activation = WorkflowActivation(
            run_id=self.start.run_id,
            is_replaying=replaying,
            history_length=record.length,
            available_internal_flags=sorted(flags),
            continue_as_new_suggested=record.full,
        )
        activation.timestamp.FromNanoseconds(self.temporal.nanoseconds(record.at))
        if replaying:
            for patch in sorted(self.patches):
                activation.jobs.add().notify_has_patch.patch_id = patch
        activation.jobs.extend(record.jobs)
        completion = self._activate_raw(activation)
        if completion.HasField("failed"):
            message = completion.failed.failure.message
            if replaying:
                raise Diverged(message)
            self.temporal.violation("workflow task failed", f"{self}: {message}")
        record.commands = list(completion.successful.commands)
        if not replaying:
            record.flags = list(completion.successful.used_internal_flags)

    def _activate_raw(self, activation: WorkflowActivation) -> Any:
        assert self._instance is not None
        before = asyncio._get_running_loop()
        try:
            return self._instance.activate(activation)
        finally:
            asyncio._set_running_loop(before)

    def _made(self) -> WorkflowInstance:
        start, temporal = self.start, self.temporal
        now = temporal.instant()
        parent = start.parent[0].start if start.parent else None
        info = temporalio.workflow.Info(
            attempt=1,
            continued_run_id=None,
            cron_schedule=None,
            execution_timeout=None,
            first_execution_run_id=start.first or start.run_id,
            headers={},
            namespace=NAMESPACE,
            original_execution_run_id=start.run_id,
            parent=temporalio.workflow.ParentInfo(NAMESPACE, parent.run_id, parent.workflow_id)
            if parent
            else None,
            root=None,
            raw_memo={},
            retry_policy=None,
            run_id=start.run_id,
            run_timeout=None,
            search_attributes={},
            start_time=now,
            workflow_start_time=now,
            task_queue="ampwave",
            task_timeout=temporal.task_timeout,
            typed_search_attributes=temporalio.common.TypedSearchAttributes.empty,
            workflow_id=start.workflow_id,
            workflow_type=start.kind,
            priority=temporalio.common.Priority.default,
        )
        converter: DataConverter = temporal.converter
        return _RUNNER.create_instance(
            WorkflowInstanceDetails(
                payload_converter_factory=lambda: temporal.payloads,
                failure_converter_class=converter.failure_converter_class,
                interceptor_classes=[],
                defn=temporal.definitions[start.kind],
                info=info,
                randomness_seed=zlib.crc32(start.run_id.encode()),
                extern_functions={"__temporal_assert_local_activity_valid": lambda _name: None},
                disable_eager_activity_execution=True,
                worker_level_failure_exception_types=[],
                patch_activation_callback=None,
                last_completion_result=Payloads(),
                last_failure=None,
            )
        )


# --- small questions -----------------------------------------------------------------------------


async def _within(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True


def _is_local(job: WorkflowActivationJob) -> bool:
    return job.HasField("resolve_activity") and job.resolve_activity.is_local


def _update_of(job: WorkflowActivationJob) -> str | None:
    return job.do_update.protocol_instance_id if job.HasField("do_update") else None


def _refused_updates(record: Record) -> set[str]:
    """Updates whose validator said no: they leave nothing in a history."""
    accepted, refused = set(), set()
    for command in record.commands:
        if command.HasField("update_response"):
            response = command.update_response
            if response.HasField("accepted"):
                accepted.add(response.protocol_instance_id)
            elif response.HasField("rejected"):
                refused.add(response.protocol_instance_id)
    return refused - accepted


def _essence(commands: Sequence[WorkflowCommand]) -> list[tuple[str, bytes]]:
    """What of commands must be the same in every replay."""
    found = []
    for command in commands:
        kind = command.WhichOneof("variant") or ""
        if kind == "respond_to_query" or _only_a_refusal(command):
            continue
        found.append((kind, getattr(command, kind).SerializeToString(deterministic=True)))
    return found


def _only_a_refusal(command: WorkflowCommand) -> bool:
    return command.HasField("update_response") and command.update_response.HasField("rejected")


def _names(essence: Sequence[tuple[str, bytes]]) -> str:
    return ", ".join(kind for kind, _ in essence) or "nothing"
