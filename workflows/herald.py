"""The herald: takes notices to the webhooks that want them, until they are taken.

It runs in the relay's process; any number may run. A webhook is held by one of them at a time, and what was
not written down as delivered when a process died is sent again: receivers drop repeats by ``webhook-id``.
It looks several times a second instead of being woken: see migration 0077. ``notice_rules`` says who is
next and what an answer means.
"""

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from storage.clock import Clock
from storage.errors import AmpwaveError
from storage.incident import IncidentChange, IncidentKind
from storage.notice import Delivery, DeliveryChange, NoticeStore, Webhook
from storage.watching import IncidentStore
from workflows.notice_rules import ALARM_AFTER, Answer, alarms, judge, turns

_log = structlog.get_logger("herald")

_BATCH = 50
_AT_ONCE = 20
_FRESH = timedelta(seconds=1)
"""So old a line may be: something urgent may have come meanwhile."""
_HOLD = timedelta(minutes=2)
"""Longer than one attempt may take."""
_LOOK_EVERY_S = 0.25
_AWAY_S = 2.0
"""Until a database that does not answer is asked again."""
_ROUND_S = 60.0
_FORGET_EVERY = timedelta(hours=1)


class Post(Protocol):
    """One attempt. Never raises for what the receiver does."""

    async def __call__(self, webhook: Webhook, delivery: Delivery, now: datetime) -> Answer:
        """Send it, signed."""


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
        self._serving = 0
        self._calm: set[str] = set()
        """Who had no open incident when this process last looked: it may have died before it closed one."""
        self._done = asyncio.Event()

    async def run(self) -> None:
        """For ever; an engine that is away is waited for."""
        async with asyncio.TaskGroup() as group:
            while True:
                try:
                    await self.begin(group)
                    await self._forget()
                except AmpwaveError as error:
                    _log.warning("herald.waiting", error=error.message)
                    await asyncio.sleep(_AWAY_S)
                except Exception:  # noqa: BLE001 - the relay shares this process and must not stop with it
                    _log.exception("herald.cannot_go_on")
                    await asyncio.sleep(_ROUND_S)
                await self._pause()

    async def begin(self, group: asyncio.TaskGroup) -> int:
        """Serve every webhook that has something due, each on its own; how many.

        One that answers slowly keeps none of the others waiting.
        """
        now = self._clock()
        free = _AT_ONCE - self._serving
        held = await self._notices.hold_due(now, now + _HOLD, limit=free) if free else ()
        for webhook in held:
            self._serving += 1
            group.create_task(self._serve(webhook))
        return len(held)

    async def _serve(self, webhook: Webhook) -> None:
        """What goes wrong with one keeps the hold a while, so that nothing is sent again and again."""
        try:
            await self._batch(webhook)
        except AmpwaveError as error:
            _log.warning("herald.waiting", webhook=webhook.webhook_id, error=error.message)
            await asyncio.sleep(_AWAY_S)
        except Exception:  # noqa: BLE001 - the others go on
            _log.exception("herald.cannot_serve", webhook=webhook.webhook_id)
            await asyncio.sleep(_ROUND_S)
        finally:
            self._serving -= 1
            await self._release(webhook)

    async def _release(self, webhook: Webhook) -> None:
        try:
            await self._notices.release(webhook.webhook_id)
            self._done.set()  # there may be more
        except AmpwaveError as error:
            _log.warning("herald.not_released", webhook=webhook.webhook_id, error=error.message)
        except Exception:  # noqa: BLE001 - the hold ends by itself, and the others go on
            _log.exception("herald.not_released", webhook=webhook.webhook_id)

    async def _batch(self, webhook: Webhook) -> None:
        """One after another, until the line is through, or old, or the receiver is to be left alone."""
        began = self._clock()
        line = await self._notices.line(webhook.webhook_id, began, limit=_BATCH)
        held_up: set[str] = set()
        for delivery in turns(webhook, line):
            if delivery.notice.subject in held_up:
                continue
            change = await self._attempt(webhook, delivery)
            webhook = replace(webhook, failures=change.failures)
            if change.error:
                held_up.add(delivery.notice.subject)
            if change.pause_until or change.gone or change.at - began > _FRESH:
                break

    async def _attempt(self, webhook: Webhook, delivery: Delivery) -> DeliveryChange:
        answer = await self._answer(webhook, delivery)
        now = self._clock()
        change = judge(webhook, delivery, answer, now)
        await self._notices.record(change, now + _HOLD)
        if change.error:
            _log.info(
                "herald.refused",
                webhook=webhook.webhook_id,
                notice=delivery.notice.notice_id,
                state=change.state.value,
                error=change.error,
            )
        await self._tell(webhook, delivery, change)
        return change

    async def _answer(self, webhook: Webhook, delivery: Delivery) -> Answer:
        """A notice that cannot even be sent is one that is not taken: it must not stand before all others."""
        try:
            return await self._post(webhook, delivery, self._clock())
        except Exception as error:  # noqa: BLE001
            _log.exception("herald.cannot_send", notice=delivery.notice.notice_id)
            return Answer(f"it could not be sent ({type(error).__name__})")

    async def _tell(self, webhook: Webhook, delivery: Delivery, change: DeliveryChange) -> None:
        """Open an incident when a webhook fails for long, close it when everything got through."""
        subject = f"webhook/{webhook.webhook_id}"
        kind = IncidentKind.WEBHOOK_FAILING
        if change.error:
            self._calm.discard(webhook.webhook_id)
            if alarms(delivery, change):
                summary = f"Webhook {webhook.webhook_id} does not take its notices: {change.error}"
                await self._incidents.apply([IncidentChange(kind, subject, change.at, summary)])
            return
        # What a person asks for again after it was given up has no attempts, but its last error.
        calm = webhook.webhook_id in self._calm and not (delivery.last_error or webhook.failures)
        if calm or await self._notices.in_trouble(webhook.webhook_id, ALARM_AFTER):
            return
        await self._incidents.apply([IncidentChange(kind, subject, change.at, close=True)])
        self._calm.add(webhook.webhook_id)

    async def _forget(self) -> None:
        now = self._clock()
        if self._forgot is None or now - self._forgot >= _FORGET_EVERY:
            self._forgot = now
            await self._notices.forget(now - self._kept)

    async def _pause(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_EVERY_S):
                await self._done.wait()
        self._done.clear()
