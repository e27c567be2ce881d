"""Reprovisionings in memory, by the same rules, as far as the doors and the workflow ask."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from storage.errors import Conflict, NotFound
from storage.reprovision import Reprovision, ReprovisionMode, ReprovisionState
from storage.retirement import StepRecord
from storage.twin import Lifecycle


class MemoryReprovisions:
    def __init__(self, chargers: Any, set_lifecycle: Callable[[str, Lifecycle], Awaitable[None]]) -> None:
        self._chargers = chargers
        self._set_lifecycle = set_lifecycle
        self.rows: dict[str, Reprovision] = {}

    async def request(self, given: Reprovision) -> Reprovision:
        view = await self._chargers.get(given.charger_id)
        if given.reprovision_id in self.rows:
            return self.rows[given.reprovision_id]
        if view.charger.lifecycle not in (Lifecycle.REGISTERED, Lifecycle.ACTIVE):
            raise Conflict(f"{given.charger_id} is {view.charger.lifecycle.value}, not in service.")
        if any(row.charger_id == given.charger_id for row in await self.running()):
            raise Conflict(f"{given.charger_id} is being provisioned anew already.")
        self.rows[given.reprovision_id] = given
        return given

    async def get(self, reprovision_id: str) -> Reprovision:
        if reprovision_id not in self.rows:
            raise NotFound("reprovisioning", reprovision_id)
        return self.rows[reprovision_id]

    async def of(self, charger_id: str, *, limit: int = 100) -> Sequence[Reprovision]:
        return [row for row in reversed(self.rows.values()) if row.charger_id == charger_id][:limit]

    async def running(self, *, limit: int = 200) -> Sequence[Reprovision]:
        return [row for row in self.rows.values() if row.state is ReprovisionState.RUNNING][:limit]

    async def note(self, reprovision_id: str, record: StepRecord) -> None:
        row = self.rows[reprovision_id]
        if all(each.step is not record.step for each in row.steps):
            self.rows[reprovision_id] = replace(row, steps=(*row.steps, record))

    async def wait(self, reprovision_id: str, reason: str) -> None:
        self.rows[reprovision_id] = replace(self.rows[reprovision_id], waits_for=reason)

    async def apply(self, reprovision_id: str, at: datetime) -> str:
        row = self.rows[reprovision_id]
        aside = row.mode is ReprovisionMode.QUARANTINE
        await self._set_lifecycle(row.charger_id, Lifecycle.QUARANTINED if aside else Lifecycle.PROVISIONING)
        self.rows[reprovision_id] = replace(row, state=ReprovisionState.DONE, finished_at=at)
        return ""

    async def refuse(self, reprovision_id: str, why: str, at: datetime) -> None:
        row = self.rows[reprovision_id]
        ended = {"state": ReprovisionState.REFUSED, "waits_for": why, "finished_at": at}
        self.rows[reprovision_id] = replace(row, **ended)
