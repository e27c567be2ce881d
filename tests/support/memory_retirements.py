"""Retirements in memory, as far as the doors ask."""

from collections.abc import Sequence
from dataclasses import replace

from storage.errors import Conflict, NotFound
from storage.retirement import Retirement, RetirementState
from storage.twin import Lifecycle
from tests.support.memory_chargers import MemoryChargers


class MemoryRetirements:
    def __init__(self, chargers: MemoryChargers) -> None:
        self._chargers = chargers
        self.rows: dict[str, Retirement] = {}

    async def open(self, given: Retirement) -> Retirement:
        view = await self._chargers.get(given.charger_id)
        if given.charger_id in self.rows:
            return self.rows[given.charger_id]
        if view.charger.lifecycle is Lifecycle.RETIRED:
            raise Conflict(f"{given.charger_id} is retired already.")
        await self._chargers.set_lifecycle(given.charger_id, Lifecycle.RETIRING)
        self.rows[given.charger_id] = given
        return given

    async def get(self, charger_id: str) -> Retirement:
        if charger_id not in self.rows:
            raise NotFound("retirement of charger", charger_id)
        return self.rows[charger_id]

    async def find(self, *, open_only: bool = False, limit: int = 100) -> Sequence[Retirement]:
        rows = [row for row in self.rows.values() if not open_only or row.receipt_sha256 is None]
        return sorted(rows, key=lambda row: row.requested_at, reverse=True)[:limit]

    def receipted(self, charger_id: str, sha256: str) -> None:
        row = self.rows[charger_id]
        self.rows[charger_id] = replace(row, state=RetirementState.RECEIPTED, receipt_sha256=sha256)
