"""Calls that wait to leave, in order; kept while offline, the durable ones over a restart too."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from csms.simulator.concurrency import wait_for_event
from csms.simulator.errors import CallRefused
from csms.simulator.link import Link
from csms.simulator.wire import Message, Payload

_ATTEMPTS = 3
"""How often a durable message is sent to a server that refuses it (1.6 TransactionMessageAttempts)."""


@dataclass(slots=True, eq=False)
class Outgoing:
    """One call. ``build`` runs when it leaves, because 1.6 learns a transaction's id only then."""

    build: Callable[[], Message]
    durable: bool = False
    on_answer: Callable[[Payload | None], None] | None = None
    """Called with the answer, or with None when there will be none."""
    asks: bool = False
    """Useless later: dropped with the connection."""
    number: int | None = None
    attempts: int = 0

    def answered(self, payload: Payload | None) -> None:
        """Tell whoever waits for it."""
        if self.on_answer:
            self.on_answer(payload)


class Outbox:
    """The queue of one charger."""

    def __init__(
        self,
        next_number: Callable[[], int],
        *,
        same_id: bool,
        swaps: Callable[[], bool] = lambda: False,
    ) -> None:
        self._next_number = next_number
        self._same_id = same_id
        self._swaps = swaps
        self._queue: deque[Outgoing] = deque()
        self._filled = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()

    def put(self, item: Outgoing) -> None:
        """Queue a call."""
        self._queue.append(item)
        self._filled.set()
        self._empty.clear()

    async def drain(self, link: Link) -> None:
        """Send what is queued, in order, for ever; raises LinkLost."""
        while True:
            await self._filled.wait()
            swapped = len(self._queue) > 1 and self._swaps()
            await self._send(self._queue[1 if swapped else 0], link)

    async def _send(self, item: Outgoing, link: Link) -> None:
        if item.number is None or not self._same_id:
            item.number = self._next_number()
        try:
            payload = await link.call(item.build(), item.number)
        except CallRefused:
            item.attempts += 1
            if not item.durable or item.attempts >= _ATTEMPTS:
                self._remove(item, None)
            return
        self._remove(item, payload)

    def _remove(self, item: Outgoing, payload: Payload | None) -> None:
        if item in self._queue:
            self._queue.remove(item)
        if not self._queue:
            self._filled.clear()
            self._empty.set()
        item.answered(payload)

    def connection_lost(self) -> None:
        """Give up what only made sense at once."""
        self._forget([item for item in self._queue if item.asks])

    def power_lost(self) -> None:
        """Give up all that is not kept in flash."""
        self._forget([item for item in self._queue if not item.durable])

    def _forget(self, items: list[Outgoing]) -> None:
        for item in items:
            self._remove(item, None)

    async def flushed(self, timeout_s: float) -> bool:
        """Whether all has left within the time."""
        return await wait_for_event(self._empty, timeout_s)
