"""The relay: carries outbox rows to the workflows that wait for them, in order per charger.

At least once: a row is marked sent only after Temporal took the signal, so a crash in between sends it
again and the workflow drops the repeat by its sequence. A workflow that has ended counts as delivered.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import structlog
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from storage.errors import EngineUnavailable
from storage.ports import OutboxSignal, OutboxStore
from workflows.signals import CHARGER_EVENT, ChargerSignal, hinted

_log = structlog.get_logger("relay")

# Nobody waits there any more, or the run took its 10,000 signals: PostgreSQL has the event either way.
_DELIVERED = frozenset({RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT})


class Relay:
    """Moves signals from the outbox to Temporal until it is cancelled."""

    def __init__(
        self, outbox: OutboxStore, client: Client, *, batch: int = 100, backoff_s: float = 1.0
    ) -> None:
        self._outbox = outbox
        self._client = client
        self._batch = batch
        self._backoff_s = backoff_s

    async def run(self) -> None:
        """Deliver for ever; an engine that is away is waited for."""
        async with self._outbox.wake_ups() as wake_ups:
            while True:
                try:
                    if await self.deliver_batch() == 0:
                        await _next(wake_ups)
                except* (RPCError, EngineUnavailable) as errors:
                    _log.warning("relay.waiting", error=str(errors.exceptions[0]), seconds=self._backoff_s)
                    await asyncio.sleep(self._backoff_s)

    async def deliver_batch(self) -> int:
        """Deliver the oldest signal of each of up to ``batch`` chargers; returns how many there were.

        Raises RPCError (in a group) or EngineUnavailable, with nothing marked as sent.
        """
        async with self._outbox.claim(self._batch) as signals:
            async with asyncio.TaskGroup() as group:
                for signal in signals:
                    group.create_task(self._deliver(signal))
            return len(signals)

    async def _deliver(self, signal: OutboxSignal) -> None:
        handle = self._client.get_workflow_handle(signal.workflow_id)
        hint = ChargerSignal(
            sequence=signal.event.sequence,
            kind=signal.event.kind.value,
            body=hinted(signal.event.body),
            received_at=signal.event.received_at,
            node_id=signal.node_id,
            boot_id=signal.boot_id,
            session_epoch=signal.session_epoch,
        )
        try:
            await handle.signal(CHARGER_EVENT, hint)
        except RPCError as error:
            if error.status not in _DELIVERED:
                raise
            _log.debug("relay.nobody_waits", workflow_id=signal.workflow_id, status=error.status.name)


async def _next(wake_ups: AsyncIterator[None]) -> None:
    with suppress(StopAsyncIteration):
        await anext(wake_ups)
