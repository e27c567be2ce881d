"""Actions as Temporal bills them, from a history made by hand."""

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowHistory

from workflows.cost import Cost, cost_of, total


def event(kind: str) -> HistoryEvent:
    return HistoryEvent(event_type=EventType.Value(f"EVENT_TYPE_{kind}"))


def started(*, child: bool) -> HistoryEvent:
    made = event("WORKFLOW_EXECUTION_STARTED")
    if child:
        made.workflow_execution_started_event_attributes.parent_workflow_execution.workflow_id = "parent"
    return made


def marker(task: int) -> HistoryEvent:
    made = event("MARKER_RECORDED")
    made.marker_recorded_event_attributes.marker_name = "core_local_activity"
    made.marker_recorded_event_attributes.workflow_task_completed_event_id = task
    return made


def activity_started(attempt: int) -> HistoryEvent:
    made = event("ACTIVITY_TASK_STARTED")
    made.activity_task_started_event_attributes.attempt = attempt
    return made


def actions(*events: HistoryEvent) -> int:
    return cost_of(WorkflowHistory("w", list(events))).actions


def test_what_counts_and_how_often() -> None:
    assert actions(started(child=False)) == 1
    assert actions(started(child=True)) == 0, "its parent pays two"
    assert actions(event("START_CHILD_WORKFLOW_EXECUTION_INITIATED")) == 2
    assert actions(event("ACTIVITY_TASK_SCHEDULED"), activity_started(1)) == 1
    assert actions(event("ACTIVITY_TASK_SCHEDULED"), activity_started(3)) == 3, "each retry"
    assert actions(marker(4), marker(4), marker(9)) == 2, "once per workflow task"
    for kind in ("TIMER_STARTED", "WORKFLOW_EXECUTION_SIGNALED", "UPSERT_WORKFLOW_SEARCH_ATTRIBUTES"):
        assert actions(event(kind)) == 1
    assert (
        actions(event("WORKFLOW_TASK_COMPLETED"), event("TIMER_FIRED"), event("ACTIVITY_TASK_COMPLETED")) == 0
    )


def test_a_tree_is_the_sum_of_its_histories() -> None:
    one = WorkflowHistory("a", [started(child=False), event("TIMER_STARTED")])
    assert total([one, one]) == Cost(4, 4, 2 * cost_of(one).bytes)
    assert total([]) == Cost()
    assert cost_of(one).bytes > 0
