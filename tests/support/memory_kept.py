"""What chargers were before their updates, in memory."""

from typing import Any

from storage.campaign import TargetPhase
from storage.kept import Kept


class MemoryKept:
    """``campaigns``: the store in memory whose targets tell what is over."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, int, str], Kept] = {}
        self.campaigns: Any = None

    async def keep(self, kept: Kept) -> None:
        self.rows.setdefault((kept.campaign_id, kept.wave, kept.charger_id), kept)

    async def get(self, campaign_id: str, wave: int, charger_id: str) -> Kept | None:
        return self.rows.get((campaign_id, wave, charger_id))

    async def forget(self, campaign_id: str, wave: int, charger_id: str) -> None:
        self.rows.pop((campaign_id, wave, charger_id), None)

    async def sweep(self) -> int:
        targets = self.campaigns.target_rows if self.campaigns else {}
        over = [key for key in self.rows if key in targets and targets[key].phase is TargetPhase.DONE]
        for key in over:
            del self.rows[key]
        return len(over)
