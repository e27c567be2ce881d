"""In-memory doubles of what images on the move need: for unit tests only."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime

from storage.errors import NotFound
from storage.incident import IncidentChange
from storage.transfer import Download, Fetch, OpenMultipart, Piece, StoredVersion, Upload
from storage.withdrawal import artifact_subject
from tests.support.memory import MemoryTickets
from tests.support.memory_halts import MemoryHalts
from tests.support.memory_withdrawals import MemoryWithdrawals


class MemoryDownloads:
    """Over the tickets of the same house."""

    def __init__(self, tickets: MemoryTickets, halts: MemoryHalts, withdrawals: MemoryWithdrawals) -> None:
        self._tickets = tickets
        self._halts, self._withdrawals = halts, withdrawals
        self.noted: dict[str, Download] = {}

    async def note(self, fetches: Sequence[Fetch]) -> frozenset[str]:
        gone = set()
        for fetch in fetches:
            ticket = self._tickets.tickets[fetch.ticket_sha256]
            known = self.noted.get(fetch.ticket_sha256, Download(ticket))
            sent = known.sent + fetch.sent
            done = fetch.position >= fetch.length and sent >= fetch.length
            self.noted[fetch.ticket_sha256] = replace(
                known,
                length=fetch.length,
                position=fetch.position,
                sent=sent,
                requests=known.requests + fetch.requests,
                address=fetch.address,
                started_at=known.started_at or fetch.at,
                seen_at=fetch.at,
                finished_at=known.finished_at or (fetch.at if done else None),
            )
            withdrawn = await self._withdrawals.in_force([artifact_subject(fetch.artifact_sha256)])
            stopped = withdrawn or await self._halts.standing()
            if ticket.revoked or ticket.expires_at <= fetch.at or stopped:
                gone.add(fetch.ticket_sha256)
        return frozenset(gone)

    async def of_ticket(self, ticket_sha256: str) -> Download | None:
        ticket = self._tickets.tickets.get(ticket_sha256)
        if ticket is None:
            return None
        return replace(self.noted.get(ticket_sha256, Download(ticket)), ticket=ticket)

    async def of_charger(self, charger_id: str, *, limit: int = 20) -> Sequence[Download]:
        mine = [one for one in self._tickets.tickets.values() if one.charger_id == charger_id]
        return [replace(self.noted.get(one.ticket_sha256, Download(one)), ticket=one) for one in mine][:limit]


class MemoryUploads:
    def __init__(self) -> None:
        self.all: dict[str, Upload] = {}

    async def create(self, upload: Upload) -> Upload:
        for known in self.all.values():
            if (known.actor, known.sha256, known.length) == (upload.actor, upload.sha256, upload.length):
                return known
        self.all[upload.upload_id] = upload
        return upload

    async def get(self, upload_id: str) -> Upload:
        try:
            return self.all[upload_id]
        except KeyError:
            raise NotFound("upload", upload_id) from None

    async def add_piece(self, upload_id: str, piece: Piece) -> bool:
        upload = self.all.get(upload_id)
        if upload is None or piece.first != upload.offset or piece.first + piece.length > upload.length:
            return False
        self.all[upload_id] = replace(upload, pieces=(*upload.pieces, piece))
        return True

    async def drop(self, upload_id: str) -> None:
        self.all.pop(upload_id, None)

    async def expired(self, now: datetime, *, limit: int = 100) -> Sequence[Upload]:
        return [upload for upload in self.all.values() if upload.expires_at <= now][:limit]

    async def live(self, upload_ids: Collection[str]) -> frozenset[str]:
        return frozenset(upload_ids) & self.all.keys()


class MemoryBucket:
    """A bucket and what the database knows of it; nobody refers to what is ``left`` in it."""

    def __init__(self) -> None:
        self.due: list[tuple[str, int]] = []
        self.left: list[StoredVersion] = []
        self.checks: list[tuple[str, str]] = []

    async def due_for_check(self, before: datetime, *, limit: int = 1000) -> Sequence[tuple[str, int]]:
        return self.due

    async def note_check(self, sha256: str, at: datetime, problem: str) -> bool:
        self.checks.append((sha256, problem))
        return True

    async def referred(self, keys: Collection[str]) -> frozenset[str]:
        return frozenset()

    async def versions(
        self, prefix: str = "", *, after: str = "", limit: int = 1000
    ) -> Sequence[StoredVersion]:
        return [one for one in self.left if one.key > after]

    async def multiparts(self) -> Sequence[OpenMultipart]:
        return []

    async def remove_version(self, key: str, version_id: str) -> None:
        self.left = [one for one in self.left if (one.key, one.version_id) != (key, version_id)]

    async def apply(self, changes: Sequence[IncidentChange]) -> int:
        return len(changes)
