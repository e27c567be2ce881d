"""Downloads as they run in this process: who fetches what from where, how fast, and how far they got.

Nothing of an image is kept: a chunk is read, sent and forgotten, and all chunks together stay in one budget.
How far each got is written down for all of them at once every two seconds; the same statement tells which
tickets hold no more, and those transfers end.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import structlog

from api.errors import TicketElsewhere, TooManyDownloads
from api.throttle import Throttles
from storage.charger import DownloadTicket
from storage.clock import Clock
from storage.errors import AmpwaveError
from storage.read_budget import ReadBudget
from storage.transfer import Download, DownloadStore, Fetch

_log = structlog.get_logger("api.downloads")

NOTE_S = 2.0
HERE = timedelta(seconds=5)
"""Who moved a byte so lately is still there. A charger that changed its address waits at most so long."""
PER_TICKET = 4
"""Requests of one charger at once; with one more, its oldest ends: it broke off unnoticed."""


@dataclass(frozen=True, slots=True)
class DeskLimits:
    """Bounds on all downloads of this process together. Bytes, seconds."""

    seats: int = 2000
    buffer_bytes: int = 16 * 1024**2
    """Chunks on their way, over all downloads."""
    stall_s: float = 60.0
    """A reader that takes nothing for so long is cut off."""
    first_s: float = 20.0
    """A store that is silent for so long at the start is a 503, while the charger still listens."""
    bytes_per_s: float = 0.0
    site_bytes_per_s: float = 0.0


@dataclass(slots=True, eq=False)
class Transfer:
    """One request that is being answered."""

    ticket: DownloadTicket = field(repr=False)
    address: str
    length: int
    position: int
    moved_at: datetime
    site_id: str = ""
    sent: int = 0
    """Since it was last written down, as are ``requests``."""
    requests: int = 1
    over: str = ""
    """Why it must end, where it must."""
    ended: bool = False

    def moved(self, count: int, now: datetime) -> None:
        """So many bytes left."""
        self.position += count
        self.sent += count
        self.moved_at = now

    def noted(self) -> Fetch:
        """What to write down; counted anew from here on."""
        sent, requests = self.sent, self.requests
        self.sent = self.requests = 0
        return Fetch(
            ticket_sha256=self.ticket.ticket_sha256,
            charger_id=self.ticket.charger_id,
            artifact_sha256=self.ticket.artifact_sha256,
            length=self.length,
            position=self.position,
            sent=sent,
            requests=requests,
            address="" if self.ended else self.address,
            at=self.moved_at,
        )


class DownloadDesk:
    """All transfers of this process."""

    def __init__(
        self, store: DownloadStore, limits: DeskLimits, clock: Clock, monotonic: Callable[[], float]
    ) -> None:
        self._store = store
        self.limits = limits
        self._clock = clock
        self.budget = ReadBudget(limits.buffer_bytes)
        self.throttles = Throttles(limits.bytes_per_s, limits.site_bytes_per_s, monotonic)
        self._running: dict[str, list[Transfer]] = {}
        self._ended: list[Transfer] = []
        self._unwritten: list[Fetch] = []
        self._taken = 0

    @property
    def taken(self) -> int:
        """How many run."""
        return self._taken

    def check_place(self, known: Download, address: str) -> None:
        """Raise TicketElsewhere while somebody at another address is fetching with the same ticket (S43)."""
        now, others = self._clock(), self._running.get(known.ticket.ticket_sha256, [])
        here = any(one.address != address and now - one.moved_at < HERE for one in others)
        seen_at, elsewhere = known.seen_at, known.address not in ("", address)
        if here or (elsewhere and seen_at is not None and now - seen_at < HERE):
            raise TicketElsewhere

    @contextmanager
    def seated(self, transfer: Transfer) -> Iterator[Transfer]:
        """A seat for one transfer. Raises TooManyDownloads. The newest of a ticket stays, the oldest ends."""
        if self._taken >= self.limits.seats:
            raise TooManyDownloads(self.limits.seats)
        mine = self._running.setdefault(transfer.ticket.ticket_sha256, [])
        moved_away = [one for one in mine if one.address != transfer.address]
        for old in {*moved_away, *mine[: len(mine) - PER_TICKET + 1]}:
            old.over = "the charger began anew"
        mine.append(transfer)
        self._taken += 1
        try:
            yield transfer
        finally:
            self._taken -= 1
            transfer.ended = True
            self._ended.append(transfer)
            mine.remove(transfer)
            if not mine:
                self._running.pop(transfer.ticket.ticket_sha256, None)

    async def note(self) -> None:
        """Write down how far everybody got, and end those whose ticket holds no more."""
        ended, self._ended = self._ended, []
        running = [one for each in self._running.values() for one in each]
        moving = sorted([*ended, *running], key=lambda one: (not one.ended, one.moved_at))
        fetches = _merged([*self._unwritten, *(one.noted() for one in moving)])
        self._unwritten = []
        try:
            gone = await self._store.note(fetches)
        except AmpwaveError as error:
            # Or what was fetched while the database was away would lack in the sum for ever.
            self._unwritten = fetches
            _log.warning("progress of downloads was not written down", why=error.message)
            return
        for ticket in gone:
            for transfer in self._running.get(ticket, []):
                transfer.over = "its ticket holds no more"

    async def keep_noting(self) -> None:
        """For ever."""
        while True:
            await asyncio.sleep(NOTE_S)
            await self.note()


def _merged(fetches: Iterable[Fetch]) -> list[Fetch]:
    """One line for each ticket: sums, and the place of whoever moved last, who comes last."""
    lines: dict[str, Fetch] = {}
    for fetch in fetches:
        known = lines.get(fetch.ticket_sha256)
        lines[fetch.ticket_sha256] = (
            fetch
            if known is None
            else replace(
                fetch,
                sent=known.sent + fetch.sent,
                requests=known.requests + fetch.requests,
                at=max(known.at, fetch.at),
            )
        )
    return list(lines.values())
