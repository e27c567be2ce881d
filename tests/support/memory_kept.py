"""What chargers were before their updates, in memory."""

from storage.kept import Kept


class MemoryKept:
    def __init__(self) -> None:
        self.rows: dict[tuple[str, int, str], Kept] = {}

    async def keep(self, kept: Kept) -> None:
        self.rows.setdefault((kept.campaign_id, kept.wave, kept.charger_id), kept)

    async def get(self, campaign_id: str, wave: int, charger_id: str) -> Kept | None:
        return self.rows.get((campaign_id, wave, charger_id))

    async def forget(self, campaign_id: str, wave: int, charger_id: str) -> None:
        self.rows.pop((campaign_id, wave, charger_id), None)
