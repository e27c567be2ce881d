"""Waiting that ends in order: cancelled workflows finish their work; work that nobody needs is called off."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from temporalio import workflow

R = TypeVar("R")


async def to_the_end(work: Coroutine[Any, Any, R], on_cancel: Callable[[], None]) -> R:
    """Run ``work`` to its end; a cancellation of the workflow calls ``on_cancel`` instead of cutting it."""
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        if task.done():
            raise
        on_cancel()
        return await task


async def and_then(work: Coroutine[Any, Any, R], last: Callable[[], Coroutine[Any, Any, Any]]) -> R:
    """The result of ``work``; ``last`` runs before, however it ended.

    Not ``finally``: a workflow whose worker stops is dropped from memory where it stands, by GeneratorExit,
    and must not begin anything then; what runs on that thread may be another workflow.
    """
    try:
        result = await work
    except GeneratorExit:
        raise
    except BaseException:
        await last()
        raise
    await last()
    return result


async def unless(over: Callable[[], bool], work: Coroutine[Any, Any, R]) -> R | None:
    """The result of ``work``, or None: it was called off, because ``over`` came true first."""
    task = asyncio.create_task(work)
    await workflow.wait_condition(lambda: task.done() or over())
    if not task.done():
        task.cancel()
    with suppress(asyncio.CancelledError):
        return await task
    return None
