"""Starting workflows in the two ways that recur: one that takes a charger, one that is on record."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar

from temporalio.client import Client
from temporalio.common import TypedSearchAttributes, WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from storage.ids import TASK_QUEUE, charger_workflow_id
from workflows.options import OTA_CHARGER, keywords

W = TypeVar("W")
G = TypeVar("G")


async def take_charger(
    client: Client, run: Callable[[W, G], Awaitable[Any]], given: G, charger_id: str, summary: str
) -> bool:
    """Start work under the charger's one workflow id; False: other work has the charger."""
    try:
        await client.start_workflow(
            run,
            given,
            id=charger_workflow_id(charger_id),
            task_queue=TASK_QUEUE,
            static_summary=f"{summary} {charger_id}",
            search_attributes=keywords((OTA_CHARGER, charger_id)),
        )
    except WorkflowAlreadyStartedError:
        return False
    return True


async def start_recorded(
    client: Client,
    run: Callable[[W, G], Awaitable[Any]],
    given: G,
    *,
    workflow_id: str,
    summary: str,
    attributes: TypedSearchAttributes | None = None,
) -> None:
    """Start what is on record; started already, it goes on or is over, and is never run twice."""
    with suppress(WorkflowAlreadyStartedError):
        await client.start_workflow(
            run,
            given,
            id=workflow_id,
            task_queue=TASK_QUEUE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            static_summary=summary,
            search_attributes=attributes,
        )
