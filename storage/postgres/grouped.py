"""Many askers, one statement: what is asked while a statement runs is answered by the next one together.

A fleet that reconnects at once asks the same small question ten thousand times; on its own each answer
costs a connection, a transaction and perhaps a wait for the disk.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Generic, TypeVar

from storage.errors import AmpwaveError

K = TypeVar("K")
V = TypeVar("V")


class Grouped(Generic[K, V]):
    """Answers keys by groups, one group at a time, in the order asked. Who asks the same shares the answer.

    An answer is never older than its question: a group begins after all of it was asked.
    """

    def __init__(
        self, answer: Callable[[Sequence[K]], Awaitable[Mapping[K, V]]], *, limit: int = 250
    ) -> None:
        self._answer = answer
        self._limit = limit
        self._asked: dict[K, asyncio.Future[V | None]] = {}
        self._worker: asyncio.Task[None] | None = None

    async def ask(self, key: K) -> V | None:
        """The value of one key, None where there is none. Raises what the group's statement raised."""
        if key not in self._asked:
            self._asked[key] = asyncio.get_running_loop().create_future()
        waiting = self._asked[key]
        if self._worker is None:
            self._worker = asyncio.create_task(self._work(), name="grouped questions")
        # Shielded: somebody else may wait for the same key.
        return await asyncio.shield(waiting)

    async def _work(self) -> None:
        try:
            while self._asked:
                keys = list(self._asked)[: self._limit]
                await self._answer_all({key: self._asked.pop(key) for key in keys})
        finally:
            self._worker = None
            for waiting in self._asked.values():  # only when this task was cancelled
                waiting.cancel()
            self._asked.clear()

    async def _answer_all(self, group: Mapping[K, asyncio.Future[V | None]]) -> None:
        try:
            found = await self._answer(list(group))
        except AmpwaveError as error:
            for waiting in group.values():
                waiting.set_exception(error)
        except BaseException:
            for waiting in group.values():
                waiting.cancel()
            raise
        else:
            for key, waiting in group.items():
                waiting.set_result(found.get(key))
