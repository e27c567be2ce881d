"""Who holds an image that is not to be installed yet, in memory."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from storage.campaign import CampaignPhase, TargetPhase
from storage.parked import Parked, Parking


class MemoryParked:
    def __init__(
        self, campaigns: Any, chargers: Any, free: Callable[[str], bool], clock: Callable[[], datetime]
    ) -> None:
        self.rows: dict[str, Parked] = {}
        self._campaigns = campaigns
        self._chargers = chargers
        self._free = free
        self._clock = clock

    def _done(self, row: Parked) -> bool:
        target = self._campaigns.target_rows[row.campaign_id, row.wave, row.charger_id]
        return bool(target.phase is TargetPhase.DONE)

    async def park(self, parked: Parked, while_in: CampaignPhase, subjects: Sequence[str] = ()) -> bool:
        del subjects
        if self._done(parked) or self._campaigns.rows[parked.campaign_id].phase is not while_in:
            return False
        self.rows[parked.charger_id] = parked
        return True

    async def get(self, charger_id: str) -> Parked | None:
        return self.rows.get(charger_id)

    async def of(self, charger_ids: Sequence[str]) -> Mapping[str, Parked]:
        return {name: self.rows[name] for name in charger_ids if name in self.rows}

    async def settle(self, charger_id: str, request_id: int, state: Parking) -> bool:
        row = self.rows.get(charger_id)
        if row is None or row.request_id != request_id:
            return False
        self.rows[charger_id] = replace(row, state=state)
        return True

    async def postpone(self, charger_id: str, request_id: int, until: datetime) -> None:
        row = self.rows.get(charger_id)
        if row is not None and row.request_id == request_id:
            self.rows[charger_id] = replace(row, since=until)

    async def forget(self, charger_id: str, request_id: int | None = None) -> bool:
        row = self.rows.get(charger_id)
        if row is None or row.state is Parking.HASTY or request_id not in (None, row.request_id):
            return False
        del self.rows[charger_id]
        return True

    async def hasty_models(self) -> frozenset[tuple[str, str]]:
        hasty = [name for name, row in self.rows.items() if row.state is Parking.HASTY]
        charger = [self._chargers.rows[name].charger for name in hasty]
        return frozenset((each.vendor, each.model) for each in charger)

    async def left_over(self, *, limit: int = 100) -> Sequence[Parked]:
        rows = [row for row in self.rows.values() if row.state is not Parking.HASTY and self._done(row)]
        due = [row for row in rows if self._free(row.charger_id) and row.since <= self._clock()]
        return sorted(due, key=lambda row: row.since)[:limit]
