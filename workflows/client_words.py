"""What Temporal's client says, in our words: a refusal is a Conflict, silence is EngineUnavailable.

What is not there, as a charger in a campaign, is NotFound.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from temporalio.client import (
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from storage.errors import AmpwaveError, Conflict, EngineUnavailable, NotFound

P = ParamSpec("P")
R = TypeVar("R")

_NO_SUCH = re.compile(r"There is no (?P<kind>.+) '(?P<name>[^']*)'\.")
"""As ``NotFound`` says it; only sentences come back from a workflow."""

_UNREACHABLE = frozenset(
    {RPCStatusCode.UNAVAILABLE, RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED}
)


def in_our_words(call: Callable[P, Awaitable[R]]) -> Callable[P, Coroutine[Any, Any, R]]:
    """Temporal's errors as ours."""

    @wraps(call)
    async def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return await call(*args, **kwargs)
        except WorkflowUpdateFailedError as error:
            raise _refusal(error) from None
        except WorkflowUpdateRPCTimeoutOrCancelledError as error:
            raise EngineUnavailable(
                "No worker answered in time.",
                hint="The request may still be carried out: look before you retry.",
            ) from error
        except RPCError as error:
            raise of_rpc(error) from error

    return wrapped


def sentence(error: BaseException) -> str:
    """The innermost sentence: an activity's error is wrapped once more."""
    innermost = _innermost(error)
    return innermost.message if innermost else str(error)


def _innermost(error: BaseException) -> ApplicationError | None:
    cause: BaseException | None = error
    found: ApplicationError | None = None
    while cause is not None:
        if isinstance(cause, ApplicationError):
            found = cause
        cause = cause.__cause__
    return found


def _refusal(error: BaseException) -> AmpwaveError:
    """What is not there is told apart from what its state forbids."""
    innermost = _innermost(error)
    if innermost is not None and innermost.type == NotFound.__name__:
        named = _NO_SUCH.fullmatch(innermost.message)
        return NotFound(named["kind"], named["name"]) if named else Conflict(innermost.message)
    return Conflict(sentence(error))


def of_rpc(error: RPCError) -> Exception:
    """One refusal of the server's."""
    if error.status is RPCStatusCode.NOT_FOUND:
        return Conflict("Its workflow is over or was never started.", hint="Look at its phase.")
    if error.status in _UNREACHABLE:
        return EngineUnavailable("Temporal did not answer.", hint="Try again in a moment.")
    return Conflict(f"Temporal refused: {error.status.name}.")


async def asked(call: Awaitable[R]) -> R:
    """The same, but a workflow that is over is a Conflict here already."""
    try:
        return await call
    except RPCError as error:
        raise of_rpc(error) from error


async def outcome(handle: WorkflowHandle[Any, R], within: timedelta, *, silence: str, hint: str) -> R:
    """What a workflow ended with; it goes on when nobody waits for it any more.

    Raises:
        Conflict: it failed, in its own words, or is not there.
        EngineUnavailable: it was not over ``within`` this; ``silence`` and ``hint`` say so.
    """
    try:
        async with asyncio.timeout(within.total_seconds()):
            return await asked(handle.result())
    except WorkflowFailureError as error:
        raise Conflict(sentence(error)) from None
    except TimeoutError as error:
        raise EngineUnavailable(silence, hint=hint) from error
