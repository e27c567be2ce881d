"""Webhooks and notices in memory, by the rules of ``storage.notice``."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from storage.errors import Conflict, NotFound
from storage.notice import BULK, Delivery, DeliveryChange, DeliveryState, Notice, NoticeKind, Webhook


def line_up(waiting: Sequence[Delivery], now: datetime) -> list[Delivery]:
    """The order in which they may go, as ``NoticeStore.line`` says. ``waiting``: oldest first."""
    held_up = {each.notice.subject for each in waiting if each.retry_at is not None and each.retry_at > now}
    urgent = {each.notice.subject for each in waiting if each.notice.kind not in BULK}
    due = [each for each in waiting if each.notice.subject not in held_up]
    return sorted(due, key=lambda each: each.notice.subject not in urgent)


class MemoryNotices:
    def __init__(self) -> None:
        self.rows: dict[str, Webhook] = {}
        self.sent: dict[str, dict[int, Delivery]] = {}
        self.held: dict[str, datetime] = {}
        self.count = 0

    def tell(self, kind: NoticeKind, subject: str, at: datetime, *, only: str = "", **data: Any) -> int:
        """What the triggers do."""
        self.count += 1
        notice = Notice(self.count, kind, subject, at, data)
        for name, hook in self.rows.items():
            if name == only or (not only and (not hook.kinds or kind in hook.kinds)):
                self.sent[name][notice.notice_id] = Delivery(notice)
        return self.count

    async def add(self, webhook: Webhook) -> None:
        if webhook.webhook_id in self.rows:
            raise Conflict(f"There is a webhook {webhook.webhook_id} already.")
        self.rows[webhook.webhook_id] = webhook
        self.sent[webhook.webhook_id] = {}

    async def get(self, webhook_id: str) -> Webhook:
        if webhook_id not in self.rows:
            raise NotFound("webhook", webhook_id)
        waiting = self._waiting(webhook_id)
        held_up = sum(each.attempts > 0 for each in waiting)
        return replace(self.rows[webhook_id], waiting=len(waiting), held_up=held_up)

    async def find(self) -> Sequence[Webhook]:
        return [await self.get(name) for name in sorted(self.rows)]

    async def remove(self, webhook_id: str) -> int:
        known = await self.get(webhook_id)
        del self.rows[webhook_id], self.sent[webhook_id]
        return known.waiting

    async def set_paused(self, webhook_id: str, by: str | None) -> Webhook:
        await self.get(webhook_id)
        fresh: dict[str, Any] = {} if by else {"failures": 0, "retry_at": None, "last_error": ""}
        if not by:
            self._all_due(webhook_id)
        return await self._change(webhook_id, paused_by=by, **fresh)

    async def rotate(self, webhook_id: str, old_until: datetime) -> Webhook:
        number = (await self.get(webhook_id)).secret_number + 1
        return await self._change(webhook_id, secret_number=number, old_secret_until=old_until)

    async def deliveries(self, webhook_id: str, *, limit: int = 50) -> Sequence[Delivery]:
        await self.get(webhook_id)
        return list(reversed(self.sent[webhook_id].values()))[:limit]

    async def test(self, webhook_id: str, actor: str) -> int:
        at = (await self.get(webhook_id)).created_at
        subject = f"webhook/{webhook_id}"
        return self.tell(NoticeKind.WEBHOOK_TESTED, subject, at, only=webhook_id, actor=actor)

    async def retry(self, webhook_id: str) -> int:
        await self._change(webhook_id, failures=0, retry_at=None)
        self._all_due(webhook_id)
        ended = [one for one in self.sent[webhook_id].values() if one.state is DeliveryState.GIVEN_UP]
        for one in ended:
            again = replace(one, state=DeliveryState.WAITING, attempts=0, ended_at=None)
            self.sent[webhook_id][one.notice.notice_id] = again
        return len(ended)

    async def hold_due(self, now: datetime, until: datetime, *, limit: int) -> Sequence[Webhook]:
        due = [
            name
            for name, hook in sorted(self.rows.items())
            if hook.paused_by is None
            and (hook.retry_at is None or hook.retry_at <= now)
            and (name not in self.held or self.held[name] <= now)
            and line_up(self._waiting(name), now)
        ][:limit]
        self.held |= dict.fromkeys(due, until)
        return [await self.get(name) for name in due]

    async def line(self, webhook_id: str, now: datetime, *, limit: int) -> Sequence[Delivery]:
        return line_up(self._waiting(webhook_id), now)[:limit]

    async def in_trouble(self, webhook_id: str, attempts: int) -> bool:
        return any(
            one.state is DeliveryState.GIVEN_UP
            or (one.state is DeliveryState.WAITING and one.attempts >= attempts)
            for one in self.sent[webhook_id].values()
        )

    async def record(self, change: DeliveryChange, hold_until: datetime) -> None:
        name = change.webhook_id
        over = change.state is not DeliveryState.WAITING
        one = self.sent[name][change.notice_id]
        if one.state is DeliveryState.WAITING or change.state is DeliveryState.DELIVERED:
            self.sent[name][change.notice_id] = replace(
                one,
                state=change.state,
                attempts=one.attempts + 1,
                ended_at=change.at if over else None,
                last_error=change.error,
                retry_at=change.retry_at,
            )
        gone = {"paused_by": "receiver"} if change.gone else {}
        now_so = {"failures": change.failures, "retry_at": change.pause_until, "last_error": change.error}
        await self._change(name, **now_so, **gone)
        if change.back:
            self._all_due(name)
        if change.lost_before is not None:
            self._lose(change, change.lost_before)
        self.held[name] = hold_until

    async def release(self, webhook_id: str) -> None:
        self.held.pop(webhook_id, None)

    async def forget(self, before: datetime) -> int:
        old = [
            (name, number)
            for name, sent in self.sent.items()
            for number, one in sent.items()
            if one.notice.at < before and one.state is not DeliveryState.WAITING
        ]
        for name, number in old:
            del self.sent[name][number]
        return len(old)

    def _all_due(self, name: str) -> None:
        for each in self._waiting(name):
            self.sent[name][each.notice.notice_id] = replace(each, retry_at=None)

    def _lose(self, change: DeliveryChange, before: datetime) -> None:
        ended = {"state": DeliveryState.GIVEN_UP, "ended_at": change.at, "last_error": change.error}
        for each in self._waiting(change.webhook_id):
            if each.notice.at < before:
                self.sent[change.webhook_id][each.notice.notice_id] = replace(each, **ended, retry_at=None)

    def _waiting(self, name: str) -> list[Delivery]:
        return [one for one in self.sent[name].values() if one.state is DeliveryState.WAITING]

    async def _change(self, webhook_id: str, **values: Any) -> Webhook:
        await self.get(webhook_id)
        self.rows[webhook_id] = replace(self.rows[webhook_id], **values)
        return await self.get(webhook_id)
