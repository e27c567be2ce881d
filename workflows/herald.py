"""The herald: takes notices to the webhooks that want them, in order for each, until they are taken.

It runs in the relay's process; any number may run. A webhook is held by one of them at a time, and what was
not written down as delivered when a process died is sent again: receivers drop repeats by ``webhook-id``.
A notice that a webhook refuses holds up that webhook alone, and never a campaign.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from storage.clock import Clock
from storage.errors import AmpwaveError
from storage.incident import IncidentChange, IncidentKind
from storage.notice import Delivery, DeliveryChange, DeliveryState, NoticeStore, Webhook
from storage.watching import IncidentStore

_log = structlog.get_logger("herald")

_PAUSES_S = (5, 30, 120, 600, 1800, 3600)
"""Between attempts, seconds; the last for ever. After Standard Webhooks, "Retry schedule"."""
MAX_ATTEMPTS = 77
"""So many fill three days."""
MAX_REFUSALS = 8
"""A receiver that answers and does not want this notice will not want it tomorrow."""
ALARM_AFTER = 5
"""Failures in a row: three quarters of an hour."""
_GONE = 410
_TOO_MANY = 429
_BATCH = 50
_AT_ONCE = 20
_HOLD = timedelta(minutes=2)
"""Longer than one attempt may take."""
_LONGEST_WISH = timedelta(hours=6)
_ROUND_S = 60.0
_FORGET_EVERY = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one attempt. ``error`` "": it was taken (2xx)."""

    error: str = ""
    status: int | None = None
    """None: no HTTP answer came."""
    retry_after: timedelta | None = None


class Post(Protocol):
    """One attempt. Never raises for what the receiver does."""

    async def __call__(self, webhook: Webhook, delivery: Delivery, now: datetime) -> Answer:
        """Send it, signed."""


def judge(webhook_id: str, delivery: Delivery, answer: Answer, now: datetime) -> DeliveryChange:
    """What one attempt means. Pure."""
    notice_id = delivery.notice.notice_id
    if not answer.error:
        return DeliveryChange(webhook_id, notice_id, DeliveryState.DELIVERED, now)
    attempts = delivery.attempts + 1
    refused = answer.status is not None and 400 <= answer.status < 500 and answer.status != _TOO_MANY
    if attempts >= (MAX_REFUSALS if refused else MAX_ATTEMPTS):
        # The next one in line is tried at once: this one may have been the trouble.
        return DeliveryChange(webhook_id, notice_id, DeliveryState.GIVEN_UP, now, answer.error, now)
    pause = timedelta(seconds=_PAUSES_S[min(attempts, len(_PAUSES_S)) - 1])
    wish = min(answer.retry_after or timedelta(0), _LONGEST_WISH)
    return DeliveryChange(
        webhook_id,
        notice_id,
        DeliveryState.WAITING,
        now,
        answer.error,
        now + max(pause, wish),
        gone=answer.status == _GONE,
    )


class Herald:
    """Runs until it is cancelled."""

    def __init__(
        self,
        notices: NoticeStore,
        incidents: IncidentStore,
        post: Post,
        clock: Clock,
        *,
        kept: timedelta = timedelta(days=30),
    ) -> None:
        self._notices = notices
        self._incidents = incidents
        self._post = post
        self._clock = clock
        self._kept = kept
        self._forgot: datetime | None = None

    async def run(self) -> None:
        """For ever; an engine that is away is waited for."""
        async with self._notices.wake_ups() as wake_ups:
            while True:
                try:
                    while await self.deliver():
                        pass
                    await self._forget()
                except AmpwaveError as error:
                    _log.warning("herald.waiting", error=error.message)
                except Exception:  # noqa: BLE001 - the relay shares this process and must not stop with it
                    _log.exception("herald.cannot_go_on")
                    await asyncio.sleep(_ROUND_S)
                await _next(wake_ups)

    async def deliver(self) -> bool:
        """One round over the webhooks that have something to be sent; whether there were any."""
        now = self._clock()
        held = await self._notices.hold_due(now, now + _HOLD, limit=_AT_ONCE)
        async with asyncio.TaskGroup() as group:
            for webhook in held:
                group.create_task(self._serve(webhook))
        return bool(held)

    async def _serve(self, webhook: Webhook) -> None:
        """What waits for one webhook, in order, until it fails or the batch is through."""
        try:
            failures = webhook.failures
            for delivery in await self._notices.next_deliveries(webhook.webhook_id, limit=_BATCH):
                change = await self._attempt(webhook, delivery)
                failures = await self._tell(webhook, failures, change)
                if change.error:
                    break
        finally:
            await self._notices.release(webhook.webhook_id)

    async def _attempt(self, webhook: Webhook, delivery: Delivery) -> DeliveryChange:
        answer = await self._post(webhook, delivery, self._clock())
        now = self._clock()
        change = judge(webhook.webhook_id, delivery, answer, now)
        await self._notices.record(change, now + _HOLD)
        if change.error:
            _log.info(
                "herald.refused",
                webhook=webhook.webhook_id,
                notice=delivery.notice.notice_id,
                state=change.state.value,
                error=change.error,
            )
        return change

    async def _tell(self, webhook: Webhook, failures: int, change: DeliveryChange) -> int:
        """Open an incident when a webhook has been failing for long, close it when it takes again."""
        subject = f"webhook/{webhook.webhook_id}"
        kind = IncidentKind.WEBHOOK_FAILING
        if not change.error:
            if failures:
                await self._incidents.apply([IncidentChange(kind, subject, change.at, close=True)])
            return 0
        lost = change.state is DeliveryState.GIVEN_UP or change.gone
        if lost or failures + 1 == ALARM_AFTER:
            summary = f"Webhook {webhook.webhook_id} does not take its notices: {change.error}"
            await self._incidents.apply([IncidentChange(kind, subject, change.at, summary)])
        return failures + 1

    async def _forget(self) -> None:
        now = self._clock()
        if self._forgot is None or now - self._forgot >= _FORGET_EVERY:
            self._forgot = now
            await self._notices.forget(now - self._kept)


async def _next(wake_ups: AsyncIterator[None]) -> None:
    with suppress(StopAsyncIteration):
        await anext(wake_ups)
