"""Images on the move: uploads in pieces, downloads and how far they got, checks of what lies stored."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from storage.charger import DownloadTicket

INCOMING = "incoming/"
"""Under this prefix lie pieces of uploads that are not finished; nothing else refers to them."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes of an upload that are stored, from ``first`` on."""

    first: int
    length: int
    object_key: str


@dataclass(frozen=True, slots=True)
class Upload:
    """An image that comes in pieces, and may break off and go on."""

    upload_id: str
    actor: str
    length: int
    sha256: str
    """Of the whole, as its sender said before the first byte; checked over the bytes read back."""
    created_at: datetime
    expires_at: datetime
    pieces: tuple[Piece, ...] = ()

    @property
    def offset(self) -> int:
        """How many bytes are here: where the sender goes on."""
        return sum(piece.length for piece in self.pieces)

    @property
    def whole(self) -> bool:
        """Whether all of it is here."""
        return self.offset == self.length


class UploadStore(Protocol):
    """Uploads in pieces."""

    async def create(self, upload: Upload) -> Upload:
        """The unfinished upload of the same actor, hash and length if there is one, else this one."""

    async def get(self, upload_id: str) -> Upload:
        """Raise NotFound."""

    async def add_piece(self, upload_id: str, piece: Piece) -> bool:
        """False, and nothing is written, unless the piece begins exactly where the upload ends."""

    async def drop(self, upload_id: str) -> None:
        """Forget it and its pieces; the objects are the caller's to delete."""

    async def expired(self, now: datetime, *, limit: int = 100) -> Sequence[Upload]:
        """Those that nobody finished in time."""

    async def live(self, upload_ids: Collection[str]) -> frozenset[str]:
        """Those of them that are known."""


class DownloadState(StrEnum):
    """Where a download stands, as far as our side of it tells."""

    WAITING = "waiting"
    """Nothing was fetched yet."""
    RUNNING = "running"
    STALLED = "stalled"
    """Begun, not finished, and nothing was fetched for a while."""
    SENT = "sent"
    """The last byte left; whether the charger liked it, its own messages say."""
    REVOKED = "revoked"
    EXPIRED = "expired"


STALLED_AFTER = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Fetch:
    """What one request of a ticket got since it was last noted."""

    ticket_sha256: str
    charger_id: str
    artifact_sha256: str
    length: int
    position: int
    """Just behind the last byte that was sent."""
    sent: int
    """Bytes since the last note."""
    requests: int
    """Requests begun since the last note: 1 or 0."""
    address: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Download:
    """A ticket and what was fetched by it so far; counts over all requests and processes."""

    ticket: DownloadTicket = field(repr=False)
    length: int = 0
    position: int = 0
    sent: int = 0
    requests: int = 0
    address: str = ""
    started_at: datetime | None = None
    seen_at: datetime | None = None
    finished_at: datetime | None = None

    def state(self, now: datetime) -> DownloadState:
        """Where it stands."""
        if self.finished_at is not None:
            return DownloadState.SENT
        if self.ticket.revoked:
            return DownloadState.REVOKED
        if now >= self.ticket.expires_at:
            return DownloadState.EXPIRED
        if self.seen_at is None:
            return DownloadState.WAITING
        return DownloadState.STALLED if now - self.seen_at > STALLED_AFTER else DownloadState.RUNNING


class DownloadStore(Protocol):
    """How far chargers got."""

    async def note(self, fetches: Sequence[Fetch]) -> frozenset[str]:
        """Add up; returns the tickets among them that hold no more, also for a halt or a withdrawal (S66)."""

    async def of_ticket(self, ticket_sha256: str) -> Download | None:
        """None for an unknown ticket."""

    async def of_charger(self, charger_id: str, *, limit: int = 20) -> Sequence[Download]:
        """Latest ticket first."""


@dataclass(frozen=True, slots=True)
class StoredVersion:
    """One version of one object in the bucket."""

    key: str
    version_id: str
    modified_at: datetime
    length: int
    latest: bool
    marker: bool = False
    """It only says that the object was deleted."""


@dataclass(frozen=True, slots=True)
class OpenMultipart:
    """A multipart upload to the object store that was neither finished nor given up."""

    key: str
    multipart_id: str
    begun_at: datetime


class BlobKeeper(Protocol):
    """What keeps a bucket clean; nobody who serves requests has it."""

    async def versions(
        self, prefix: str = "", *, after: str = "", limit: int = 1000
    ) -> Sequence[StoredVersion]:
        """Of keys behind ``after``, in order; all versions of a key come together."""

    async def multiparts(self) -> Sequence[OpenMultipart]:
        """Unfinished ones; of very many, the first."""

    async def remove_version(self, key: str, version_id: str) -> None:
        """For good, unlike ``delete``. One that is locked stays: Conflict."""

    async def abort_multipart(self, multipart: OpenMultipart) -> None:
        """Give it up; its parts are gone with it."""


class BlobCareStore(Protocol):
    """What the database knows of stored blobs."""

    async def referred(self, keys: Collection[str]) -> frozenset[str]:
        """Those that an artifact, a campaign, a ticket, a log or the audit log names."""

    async def due_for_check(self, before: datetime, *, limit: int = 1000) -> Sequence[tuple[str, int]]:
        """(digest, length) of artifacts, not of rejected ones, that were last hashed before then."""

    async def note_check(self, sha256: str, at: datetime, problem: str) -> bool:
        """Write down a check; whether it changed from sound to bad or back."""
