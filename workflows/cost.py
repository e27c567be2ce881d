"""What a workflow costs: Actions as Temporal bills them, events and bytes, counted from real histories. Pure.

The mapping is that of Temporal's documentation: a start is one Action and a child's start two (both in
its parent's history); an activity one per attempt; all local activities of one workflow task one; timers,
signals received, updates, search-attribute upserts and continue-as-new one each.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowHistory

_LOCAL_ACTIVITY = "core_local_activity"
_ONE_EACH = frozenset(
    {
        EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED,
        EventType.EVENT_TYPE_TIMER_STARTED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED,
        EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW,
        EventType.EVENT_TYPE_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED,
    }
)


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one or several histories. ``bytes`` are those of the stored events."""

    actions: int = 0
    events: int = 0
    bytes: int = 0

    def __add__(self, other: "Cost") -> "Cost":
        """Both together."""
        return Cost(self.actions + other.actions, self.events + other.events, self.bytes + other.bytes)


def cost_of(history: WorkflowHistory) -> Cost:
    """The cost of one workflow run."""
    local_tasks = {
        event.marker_recorded_event_attributes.workflow_task_completed_event_id
        for event in history.events
        if event.marker_recorded_event_attributes.marker_name == _LOCAL_ACTIVITY
    }
    return Cost(
        actions=len(local_tasks) + sum(_actions(event) for event in history.events),
        events=len(history.events),
        bytes=sum(event.ByteSize() for event in history.events),
    )


def total(histories: Iterable[WorkflowHistory]) -> Cost:
    """The cost of a tree of workflows."""
    return sum((cost_of(history) for history in histories), Cost())


def _actions(event: HistoryEvent) -> int:
    kind = event.event_type
    if kind in _ONE_EACH:
        return 1
    if kind == EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED:
        return 2
    if kind == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
        return event.activity_task_started_event_attributes.attempt - 1
    if kind == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED:
        started = event.workflow_execution_started_event_attributes
        is_root = not started.HasField("parent_workflow_execution")
        return int(is_root and not started.continued_execution_run_id)
    return 0
