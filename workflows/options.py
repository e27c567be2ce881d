"""Queues, timeouts, retries and search attributes in one place; the only way workflows call activities.

Short reads and writes of PostgreSQL run as local activities: one history event instead of six, one
Action however many run in a workflow task, and they are safe to repeat.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy, SearchAttributeKey, SearchAttributePair, TypedSearchAttributes
from temporalio.exceptions import ActivityError, ApplicationError, TimeoutType
from temporalio.exceptions import TimeoutError as ActivityTimeoutError

from activities.facts import RouteFacts
from csms.errors import NotConnectedHere
from storage.ids import SIGNER_QUEUE, TASK_QUEUE, node_queue

OTA_CAMPAIGN = SearchAttributeKey.for_keyword("OtaCampaign")
OTA_STATE = SearchAttributeKey.for_keyword("OtaState")
OTA_SITE = SearchAttributeKey.for_keyword("OtaSite")
OTA_CHARGER = SearchAttributeKey.for_keyword("OtaCharger")
OTA_FIRMWARE = SearchAttributeKey.for_keyword("OtaFirmware")

_SUMMARY_BYTES = 200
_LOCAL_S = 30
_SHARED_S = 300
# A worker that was killed is noticed after this, and what it was at begins anew on another one. Longer than
# its event loop stands still while it counts a large fleet's health. ``activities.errors.mapped`` beats.
_SHARED_HEARTBEAT_S = 15
_SIGNER_S = 120
# A signer that was killed is noticed after this, and its job goes to the next one (S63).
_SIGNER_HEARTBEAT_S = 8
# A node that does not take a command at once is gone or overloaded: ask for the route again.
_NODE_SCHEDULE_TO_START_S = 8
_NODE_START_TO_CLOSE_S = 90
_NODE_HEARTBEAT_S = 8

_PATIENT = RetryPolicy(
    initial_interval=timedelta(seconds=0.5), backoff_coefficient=2.0, maximum_interval=timedelta(seconds=30)
)
# What a node did before it vanished is unknown; only the workflow, with its request id, may repeat it.
_ONCE = RetryPolicy(maximum_attempts=1)

S = TypeVar("S")
A = TypeVar("A")
R = TypeVar("R")
Method = Callable[[S, A], Awaitable[R]]


async def locally(method: Method[S, A, R], arg: A, summary: str | None = None) -> R:
    """Run a short, repeatable activity inside the workflow task; ``summary``: its line in Temporal's UI."""
    return await workflow.execute_local_activity_method(
        method,
        arg,
        start_to_close_timeout=timedelta(seconds=_LOCAL_S),
        retry_policy=_PATIENT,
        summary=None if summary is None else shortened(summary),
    )


def shortened(line: str) -> str:
    """A line that Temporal takes as a summary: it allows 400 bytes, and ours are encrypted."""
    whole = line.encode()
    return line if len(whole) <= _SUMMARY_BYTES else whole[: _SUMMARY_BYTES - 3].decode(errors="ignore") + "…"


async def remotely(method: Method[S, A, R], arg: A, summary: str) -> R:
    """Run an activity on any worker, until it succeeds or its error says that it never will."""
    return await workflow.execute_activity_method(
        method,
        arg,
        task_queue=TASK_QUEUE,
        start_to_close_timeout=timedelta(seconds=_SHARED_S),
        heartbeat_timeout=timedelta(seconds=_SHARED_HEARTBEAT_S),
        retry_policy=_PATIENT,
        summary=summary,
    )


async def by_signer(method: Method[S, A, R], arg: A, summary: str, *, within: float | None = None) -> R:
    """Run an activity in the process that can reach keys; for ``within`` seconds, or as long as it takes."""
    return await workflow.execute_activity_method(
        method,
        arg,
        task_queue=SIGNER_QUEUE,
        schedule_to_close_timeout=timedelta(seconds=within) if within is not None else None,
        start_to_close_timeout=timedelta(seconds=_SIGNER_S),
        heartbeat_timeout=timedelta(seconds=_SIGNER_HEARTBEAT_S),
        retry_policy=_PATIENT,
        summary=summary,
    )


async def on_node(method: Method[S, A, R], arg: A, route: RouteFacts) -> R:
    """Run an activity once, on the node that holds the socket. Raises ActivityError when it is gone.

    Without a summary, unlike the others: it would be the dearest part of a charger's history.
    """
    return await workflow.execute_activity_method(
        method,
        arg,
        task_queue=node_queue(route.node_id, route.boot_id),
        schedule_to_start_timeout=timedelta(seconds=_NODE_SCHEDULE_TO_START_S),
        start_to_close_timeout=timedelta(seconds=_NODE_START_TO_CLOSE_S),
        heartbeat_timeout=timedelta(seconds=_NODE_HEARTBEAT_S),
        retry_policy=_ONCE,
    )


def never_sent(error: ActivityError) -> bool:
    """Whether nothing can have left the node: it never took the order, or holds another session."""
    cause = error.cause
    if isinstance(cause, ActivityTimeoutError):
        return cause.type is TimeoutType.SCHEDULE_TO_START
    return isinstance(cause, ApplicationError) and cause.type == NotConnectedHere.__name__


def keywords(*pairs: tuple[SearchAttributeKey[str], str]) -> TypedSearchAttributes:
    """Search attributes for a start; empty values are left out."""
    return TypedSearchAttributes([SearchAttributePair(key, value) for key, value in pairs if value])
