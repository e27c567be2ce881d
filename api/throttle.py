"""How fast bytes may leave: each asks for its turn, and turns come in the order they are asked for."""

import asyncio
from collections.abc import Callable, Iterator

from storage.read_budget import LARGEST

_TURN_S = 0.005
_SMALLEST = 1024


class Throttle:
    """So many bytes a second; 0: as fast as they come. Time is handed in: seconds of a monotonic clock."""

    BURST_S = 0.25
    """An idle throttle lets what fits into so many seconds pass at once, and saves up no more."""

    def __init__(self, bytes_per_s: float) -> None:
        self.bytes_per_s = bytes_per_s
        self._free_at = float("-inf")

    def reserve(self, count: int, now: float) -> float:
        """Take a turn for these bytes; how many seconds to wait before they may go."""
        if self.bytes_per_s <= 0:
            return 0.0
        begins = max(self._free_at, now - self.BURST_S)
        self._free_at = begins + count / self.bytes_per_s
        return max(0.0, self._free_at - now)

    def slice(self) -> int:
        """How many bytes to ask for at once: so few that of thousands who wait nobody waits for long."""
        if self.bytes_per_s <= 0:
            return LARGEST
        return max(_SMALLEST, min(LARGEST, int(self.bytes_per_s * _TURN_S)))

    def idle(self, now: float) -> bool:
        """Whether nobody waits and nothing is owed, so that forgetting it changes nothing."""
        return self._free_at <= now - self.BURST_S


class Throttles:
    """One for all, and one for each site that fetches now."""

    def __init__(self, total: float, per_site: float, now: Callable[[], float]) -> None:
        self._total = Throttle(total)
        self._per_site = per_site
        self._sites: dict[str, Throttle] = {}
        self._now = now

    @property
    def by_site(self) -> bool:
        """Whether it matters to which site a charger belongs."""
        return self._per_site > 0

    def slices(self, chunk: bytes) -> Iterator[bytes]:
        """The chunk in pieces that each wait for a turn of their own.

        With a chunk in one turn, a charger would hear nothing for minutes where many share a slow line, and
        give up; and bytes of a charger that is gone by then would have taken their turn all the same.
        """
        size = min(self._total.slice(), Throttle(self._per_site).slice())
        for first in range(0, len(chunk), size):
            yield chunk[first : first + size]

    async def pass_through(self, count: int, site_id: str) -> None:
        """Return when these bytes may go."""
        now = self._now()
        wait = self._total.reserve(count, now)
        if self.by_site:
            if site_id not in self._sites:
                self._sites = {key: one for key, one in self._sites.items() if not one.idle(now)}
            site = self._sites.setdefault(site_id, Throttle(self._per_site))
            wait = max(wait, site.reserve(count, now))
        if wait > 0:
            await asyncio.sleep(wait)
