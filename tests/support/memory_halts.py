"""Halts in memory, by the same rules."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from storage.errors import Conflict, NotFound
from storage.halt import Halt, OnRecord, Vote, enough
from tests.support.memory import MemoryAudit


class MemoryHalts:
    audit: MemoryAudit | None = None

    def __init__(self) -> None:
        self.rows: dict[int, Halt] = {}
        self.recorded: set[int] = set()

    async def pull(self, scope: str, actor: str, reason: str, at: datetime) -> Halt:
        for row in await self.in_force():
            if row.scope == scope:
                self.rows[row.halt_id] = replace(row, votes=())
                return self.rows[row.halt_id]
        number = len(self.rows) + 1
        self.rows[number] = Halt(number, scope, actor, reason, at)
        return self.rows[number]

    async def restore(self, halt_id: int, vote: Vote, on_record: OnRecord) -> Halt:
        row = self.rows.get(halt_id)
        if row is None:
            raise NotFound("halt", str(halt_id))
        if row.lifted_at is not None:
            raise Conflict(f"Halt {halt_id} was lifted.")
        votes = row.votes if any(one.actor == vote.actor for one in row.votes) else (*row.votes, vote)
        lifted = vote.at if enough(votes) else None
        self.rows[halt_id] = replace(row, votes=votes, lifted_at=lifted)
        if self.audit is not None:
            await self.audit.append(on_record(self.rows[halt_id]))
        return self.rows[halt_id]

    async def in_force(self) -> Sequence[Halt]:
        return [row for row in self.rows.values() if row.lifted_at is None]

    async def recent(self, *, limit: int = 100) -> Sequence[Halt]:
        return list(reversed(self.rows.values()))[:limit]

    async def standing(self) -> Halt | None:
        return next(iter(await self.in_force()), None)

    async def unrecorded(self) -> Sequence[Halt]:
        return [row for row in self.rows.values() if row.halt_id not in self.recorded]

    async def mark_recorded(self, halt_id: int) -> None:
        self.recorded.add(halt_id)
