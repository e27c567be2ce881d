"""Retirements in memory, by the same rules."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from storage.audit import AuditRow
from storage.errors import Conflict, NotFound
from storage.ports import Page
from storage.retirement import Burial, Remains, Retirement, RetirementState, StepRecord, Tombstone, with_step
from storage.twin import Lifecycle
from tests.support.memory import page_of


class MemoryRetirements:
    def __init__(self, chargers: Any, set_lifecycle: Callable[[str, Lifecycle], Awaitable[None]]) -> None:
        self._chargers = chargers
        self._set_lifecycle = set_lifecycle
        self.rows: dict[str, Retirement] = {}
        self.stones: dict[str, list[Tombstone]] = {}
        self.targets: list[tuple[str, int]] = []

    async def open(self, given: Retirement) -> Retirement:
        view = await self._chargers.get(given.charger_id)
        if given.charger_id in self.rows:
            return self.rows[given.charger_id]
        if view.charger.lifecycle is Lifecycle.RETIRED:
            raise Conflict(f"{given.charger_id} is retired already.")
        await self._set_lifecycle(given.charger_id, Lifecycle.RETIRING)
        self.rows[given.charger_id] = given
        return given

    async def get(self, charger_id: str) -> Retirement:
        if charger_id not in self.rows:
            raise NotFound("retirement of charger", charger_id)
        return self.rows[charger_id]

    async def find(self, *, open_only: bool = False, limit: int = 100) -> Sequence[Retirement]:
        rows = [row for row in self.rows.values() if not open_only or row.receipt_sha256 is None]
        return sorted(rows, key=lambda row: row.requested_at, reverse=True)[:limit]

    async def page(self, *, limit: int = 100, cursor: str | None = None) -> Page[Retirement]:
        return page_of(await self.find(limit=10**9), limit, cursor)

    async def note(self, charger_id: str, record: StepRecord) -> None:
        self.rows[charger_id] = replace(with_step(self.rows[charger_id], record), waits_for="")

    async def wait(self, charger_id: str, reason: str) -> None:
        self.rows[charger_id] = replace(self.rows[charger_id], waits_for=reason)

    async def bury(self, given: Burial) -> int:
        name = given.charger_id
        self.stones[name] = [Tombstone(Remains.IDENTITY, name, name, given.at)]
        await self._set_lifecycle(name, Lifecycle.RETIRED)
        self.rows[name] = replace(self.rows[name], state=RetirementState.RETIRED, finished_at=given.at)
        return len(self.stones[name])

    async def close(self, charger_id: str, receipt_sha256: str, at: datetime) -> None:
        del at
        row = self.rows[charger_id]
        self.rows[charger_id] = replace(row, state=RetirementState.RECEIPTED, receipt_sha256=receipt_sha256)

    async def unwelcome(self, *, limit: int = 200) -> Sequence[str]:
        del limit
        return []

    async def open_targets(self, charger_id: str) -> Sequence[tuple[str, int]]:
        del charger_id
        return self.targets

    async def burial_row(self, charger_id: str) -> AuditRow | None:
        del charger_id
        return None

    async def tombstones(self, charger_id: str) -> Sequence[Tombstone]:
        return self.stones.get(charger_id, [])
