"""Receivers of webhooks that answer as a test says, and a herald that serves them."""

import asyncio
from datetime import UTC, datetime, timedelta

from storage.incident import IncidentKind
from storage.notice import Delivery, NoticeKind, Webhook
from tests.support.memory_notices import MemoryNotices
from tests.support.memory_watch import memory_watch
from workflows.herald import Herald
from workflows.notice_rules import Answer

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
DOWN = Answer("no answer (ConnectError)")
BROKEN = Answer("it answered 500", 500)
KIND = NoticeKind.CAMPAIGN_PHASE_CHANGED


class Receivers:
    """What each webhook answers, to all or to what is about one subject, and what it was sent."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.got: list[tuple[str, int]] = []
        self.dies = False
        self.first = asyncio.Event()
        self.slow: dict[str, asyncio.Event] = {}

    async def __call__(self, webhook: Webhook, delivery: Delivery, _now: datetime) -> Answer:
        self.got.append((webhook.webhook_id, delivery.notice.notice_id))
        self.first.set()
        if self.dies:
            await asyncio.Event().wait()
        if webhook.webhook_id in self.slow:
            await self.slow[webhook.webhook_id].wait()
        taken = Answer(status=204)
        return self.answers.get(webhook.webhook_id, self.answers.get(delivery.notice.subject, taken))


class HeraldWorld:
    def __init__(self) -> None:
        self.now = NOW
        self.notices = MemoryNotices()
        self.watch = memory_watch()
        self.post = Receivers()
        self.herald = self.another_herald()

    def another_herald(self) -> Herald:
        return Herald(self.notices, self.watch.incidents, self.post, lambda: self.now)

    async def hook(self, name: str, *kinds: NoticeKind) -> None:
        await self.notices.add(Webhook(name, f"https://{name}.test/", kinds, "ada", NOW))

    def tell(self, count: int = 1, kind: NoticeKind = KIND) -> None:
        for number in range(count):
            self.notices.tell(kind, f"campaign/c{number}", self.now)

    def about(self, *subjects: str, kind: NoticeKind = KIND) -> None:
        for subject in subjects:
            self.notices.tell(kind, subject, self.now)

    def got(self, name: str) -> list[int]:
        return [number for one, number in self.post.got if one == name]

    async def deliver(self) -> int:
        """One round over the webhooks that have something to be sent, to its end."""
        async with asyncio.TaskGroup() as group:
            return await self.herald.begin(group)

    async def later(self, **pause: float) -> int:
        self.now += timedelta(**pause)
        return await self.deliver()

    async def incidents(self) -> list[tuple[IncidentKind, str]]:
        return [(one.kind, one.subject) for one in await self.watch.incidents.find()]
