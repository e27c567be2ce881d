"""How errors enter Temporal: one table, from our classes to ``ApplicationError``.

The type is the class's name, so rules can tell errors apart; whether Temporal retries is the class's
own ``retryable``. Nothing but our own sentences enters a history: an unexpected error leaves only its
class there, because its text may hold an address or a secret.

The same wrapper beats, so that no activity can be called with a heartbeat timeout and forget to.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import wraps
from typing import ParamSpec, TypeVar

from temporalio import activity
from temporalio.exceptions import ApplicationError

from csms.errors import CommandTimeout
from storage.errors import AmpwaveError, InvalidInput

P = ParamSpec("P")
R = TypeVar("R")

# The one exception from "retryable as the class says": what a charger did is unknown then, and only
# the workflow, which knows the request id, may decide to send again.
_NEVER_BLINDLY: tuple[type[AmpwaveError], ...] = (CommandTimeout,)


def to_application_error(error: Exception) -> ApplicationError:
    """The error as Temporal shall see it."""
    if isinstance(error, AmpwaveError):
        final = not error.retryable or isinstance(error, _NEVER_BLINDLY)
        text = error.diagnostics() if isinstance(error, InvalidInput) else error.message
        return ApplicationError(text, type=type(error).__name__, non_retryable=final)
    return ApplicationError(f"Unexpected {type(error).__name__}; see the log.", type=type(error).__name__)


def mapped(method: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
    """An activity whose errors go through the table, and that beats where its caller waits for beats."""

    @wraps(method)
    async def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            async with _as_asked():
                return await method(*args, **kwargs)
        except ApplicationError:
            raise
        except AmpwaveError as error:
            raise to_application_error(error) from None
        except Exception as error:  # noqa: BLE001 - whatever it is, its text must not enter a history
            activity.logger.exception("Unexpected error in an activity")
            raise to_application_error(error) from None

    return call


_BEATS = 4
"""Beats within the time after which their absence is noticed."""


@asynccontextmanager
async def _as_asked() -> AsyncIterator[None]:
    """Beat as often as the options of this call ask for: outside of Temporal, and locally, never."""
    patience = activity.info().heartbeat_timeout if activity.in_activity() else None
    if not patience:
        yield
        return
    async with beating(patience.total_seconds() / _BEATS):
        yield


@asynccontextmanager
async def beating(every_s: float) -> AsyncIterator[None]:
    """Heartbeat while the block runs, so that the loss of this process is noticed soon."""

    async def beat() -> None:
        while True:
            await asyncio.sleep(every_s)
            activity.heartbeat()

    task = asyncio.create_task(beat())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
