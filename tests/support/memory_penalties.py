"""Penalties in memory, by the same rules."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from storage.errors import NotFound
from storage.penalty import Penalty


class MemoryPenalties:
    def __init__(self) -> None:
        self.rows: dict[str, Penalty] = {}

    async def get(self, charger_id: str) -> Penalty | None:
        return self.rows.get(charger_id)

    async def impose(self, penalty: Penalty) -> bool:
        former = self.rows.get(penalty.charger_id)
        if former is not None and former.times >= penalty.times:
            return False
        self.rows[penalty.charger_id] = penalty
        return True

    async def release(self, charger_id: str, actor: str, at: datetime) -> Penalty:
        row = self.rows.get(charger_id)
        if row is None or not row.holds(at):
            raise NotFound("charger that is set apart", charger_id)
        self.rows[charger_id] = replace(row, released_at=at, released_by=actor)
        return self.rows[charger_id]

    async def in_force(self, now: datetime, *, limit: int = 500) -> Sequence[Penalty]:
        held = [row for row in self.rows.values() if row.holds(now)]
        return sorted(held, key=lambda row: (row.until, row.charger_id))[:limit]
