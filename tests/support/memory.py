"""Small in-memory doubles of the smaller ports that the api asks for: for unit tests only."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any

from storage.access import Token
from storage.audit import GENESIS, AuditEntry, AuditRow, chain_hash
from storage.charger import (
    DownloadTicket,
    SiteLease,
)
from storage.chronicle import Entry, Source, TimelineQuestion
from storage.errors import EngineUnavailable, InvalidInput, NotFound
from storage.events import StoredEvent
from storage.learned import Trail
from storage.ports import Page
from storage.read_budget import ReadBudget
from storage.retention import ClassSize, ClassSurvey, RetentionPolicy


def page_of(items: Sequence[Any], limit: int, cursor: str | None) -> Page[Any]:
    if cursor is not None and not re.fullmatch(r"[0-9]{1,9}", cursor):
        raise InvalidInput("The cursor is not one of ours.")
    start = int(cursor or 0)
    part = tuple(items[start : start + limit])
    more = start + limit < len(items)
    return Page(part, str(start + limit) if more else None)


class MemoryLearned:
    """Trails as they were put in."""

    def __init__(self) -> None:
        self.known: list[Trail] = []
        self.asked: list[tuple[Any, ...]] = []

    async def trails(
        self, vendor: str, model: str, *, since: datetime, from_version: str | None = None, limit: int = 200
    ) -> Sequence[Trail]:
        self.asked.append((vendor, model, since, from_version))
        return [trail for trail in self.known if from_version in (None, trail.from_version)][:limit]


class MemoryEvents:
    """Events in order; ``add`` wakes every open stream."""

    def __init__(self) -> None:
        self.all: list[StoredEvent] = []
        self._wakers: set[asyncio.Event] = set()

    def add(self, event: StoredEvent) -> None:
        self.all.append(event)
        for waker in self._wakers:
            waker.set()

    @property
    def listeners(self) -> int:
        return len(self._wakers)

    async def timeline(
        self, charger_id: str, *, limit: int = 100, before: int | None = None
    ) -> Sequence[StoredEvent]:
        mine = [e for e in reversed(self.all) if e.charger_id == charger_id]
        return [e for e in mine if before is None or e.sequence < before][:limit]

    async def chronicle(
        self, charger_id: str, question: TimelineQuestion, *, limit: int = 100, cursor: str | None = None
    ) -> Page[Entry]:
        """Of events alone."""
        mine = [e for e in reversed(self.all) if e.charger_id == charger_id and e.kind in question.kinds]
        found = [
            Entry(Source.EVENT, e.charger_id, e.kind, e.body, e.observed_at, e.received_at, e.sequence)
            for e in mine
        ]
        return page_of(found, limit, cursor)

    async def after(self, sequence: int, *, limit: int = 500) -> Sequence[StoredEvent]:
        return [event for event in self.all if event.sequence > sequence][:limit]

    async def latest_sequence(self) -> int:
        return self.all[-1].sequence if self.all else 0

    @asynccontextmanager
    async def changes(self) -> AsyncIterator[AsyncIterator[None]]:
        waker = asyncio.Event()
        self._wakers.add(waker)

        async def wakes() -> AsyncIterator[None]:
            while True:
                await waker.wait()
                waker.clear()
                yield None

        try:
            yield wakes()
        finally:
            self._wakers.discard(waker)


class MemoryTokens:
    def __init__(self) -> None:
        self.tokens: list[Token] = []

    async def add(self, token: Token) -> None:
        self.tokens.append(token)

    async def find(self, secret_sha256: str) -> Token | None:
        return next((t for t in self.tokens if t.secret_sha256 == secret_sha256), None)

    async def revoke(self, token_id: str, at: datetime) -> bool:
        for index, token in enumerate(self.tokens):
            if token.token_id == token_id and token.revoked_at is None:
                self.tokens[index] = replace(token, revoked_at=at)
                return True
        return False

    async def all(self) -> Sequence[Token]:
        return list(self.tokens)


class MemoryTickets:
    def __init__(self) -> None:
        self.tickets: dict[str, DownloadTicket] = {}

    async def add(self, ticket: DownloadTicket) -> None:
        self.tickets[ticket.ticket_sha256] = ticket

    async def find(self, ticket_sha256: str) -> DownloadTicket | None:
        return self.tickets.get(ticket_sha256)


class MemoryAudit:
    def __init__(self) -> None:
        self.chain: list[AuditRow] = []

    async def append(self, entry: AuditEntry) -> AuditRow:
        previous = self.chain[-1].row_hash if self.chain else GENESIS
        number = len(self.chain) + 1
        row = AuditRow(number, entry, previous, chain_hash(number, previous, entry))
        self.chain.append(row)
        return row

    async def rows(self, *, after: int = 0, limit: int = 1000) -> Sequence[AuditRow]:
        return self.chain[after : after + limit]

    @property
    def actions(self) -> list[str]:
        return [row.entry.action for row in self.chain]


class MemoryBlobs:
    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.kept: set[str] = set()
        self.reads = 0

    async def put_new(
        self,
        key: str,
        chunks: AsyncIterator[bytes],
        *,
        length: int | None = None,
        keep: bool = False,
        anew: bool = False,
    ) -> bool:
        data = b"".join([chunk async for chunk in chunks])
        if length not in (None, len(data)):
            raise InvalidInput(f"{len(data)} bytes came where {length} were announced.")
        if anew:
            self.objects[key] = data
        if keep:
            self.kept.add(key)
        return self.objects.setdefault(key, data) is data

    async def put_bytes(self, key: str, data: bytes) -> bool:
        return self.objects.setdefault(key, data) is data

    async def get(self, key: str, *, limit: int) -> tuple[bytes, str]:
        if key not in self.objects:
            raise NotFound("object", key)
        if len(self.objects[key]) > limit:
            raise InvalidInput(f"{key} is longer than {limit} bytes.")
        return self.objects[key], "etag"

    async def delete(self, key: str) -> None:
        self.objects.pop(key, None)

    async def length(self, key: str) -> int:
        try:
            return len(self.objects[key])
        except KeyError:
            raise NotFound("object", key) from None

    async def read(
        self, key: str, *, first: int = 0, last: int | None = None, budget: ReadBudget | None = None
    ) -> AsyncIterator[bytes]:
        if key not in self.objects:
            raise NotFound("object", key)
        data = self.objects[key][first : None if last is None else last + 1]
        for start in range(0, len(data), 1024):
            self.reads += 1
            yield data[start : start + 1024]


class MemoryLeases:
    def __init__(self) -> None:
        self.held: dict[str, SiteLease] = {}

    async def get(self, charger_id: str) -> SiteLease | None:
        return self.held.get(charger_id)

    async def down(self, site_ids: Sequence[str]) -> dict[str, int]:
        return {site: sum(x.site_id == site for x in self.held.values()) for site in site_ids}


class MemoryRetention:
    """One class, of which three rows had their time."""

    def __init__(self) -> None:
        self.left = 3
        self.away = False

    async def sizes(self) -> Sequence[ClassSize]:
        if self.away:
            raise EngineUnavailable("It is away.")
        return [ClassSize("events", 10, 4096)]

    async def survey(self, policy: RetentionPolicy, now: datetime) -> Sequence[ClassSurvey]:
        days = policy.days.get("events")
        return [
            ClassSurvey("events", "what happened", 10, 4096, days, self.left, {"a session that is open": 1})
        ]

    async def remove(self, policy: RetentionPolicy, now: datetime, *, seconds: float) -> Mapping[str, int]:
        removed, self.left = self.left, 0
        return {"events": removed}
