"""What local controllers offer, in memory."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from storage.campaign import TargetPhase
from storage.publication import LocalImage, Publication

_STANDING = (Publication.ASKED, Publication.PUBLISHED)
Key = tuple[str, int, str]


class MemoryPublications:
    def __init__(self, campaigns: Any) -> None:
        self.rows: dict[Key, LocalImage] = {}
        self._campaigns = campaigns

    async def open(self, image: LocalImage) -> LocalImage:
        return self.rows.setdefault(_key(image), image)

    async def get(self, campaign_id: str, wave: int, site_id: str) -> LocalImage | None:
        return self.rows.get((campaign_id, wave, site_id))

    async def of_wave(self, campaign_id: str, wave: int, site_ids: Collection[str]) -> Sequence[LocalImage]:
        keys = ((campaign_id, wave, site_id) for site_id in sorted(site_ids))
        return [self.rows[key] for key in keys if key in self.rows]

    async def settle(
        self, image: LocalImage, state: Publication, reason: str, locations: tuple[str, ...]
    ) -> None:
        row = self.rows[_key(image)]
        self.rows[_key(image)] = replace(row, state=state, reason=reason, locations=locations)

    async def offered_elsewhere(self, image: LocalImage) -> bool:
        same = (image.controller_id, image.checksum)
        return any(
            (row.controller_id, row.checksum) == same and row.state in _STANDING and key != _key(image)
            for key, row in self.rows.items()
        )

    async def open_targets(self, campaign_id: str, wave: int, site_id: str) -> int:
        targets = await self._campaigns.targets(campaign_id, wave, 0, 1_000_000)
        return sum(row.site_id == site_id and row.phase is not TargetPhase.DONE for row in targets)


def _key(image: LocalImage) -> Key:
    return image.campaign_id, image.wave, image.site_id
