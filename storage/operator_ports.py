"""What is asked of the engines for people's commands and for logs; like ``ports``, which is long enough."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from storage.command import CommandEnd, CommandRecord
from storage.log import LogRequest, LogState, LogUpload, UploadTicket


class CommandStore(Protocol):
    """Commands of people to single chargers."""

    async def open(self, record: CommandRecord) -> CommandRecord:
        """Write it down; if this id is there already, what is there stands and is returned."""

    async def get(self, command_id: str) -> CommandRecord:
        """Raise NotFound."""

    async def latest(self, charger_id: str, *, limit: int = 20) -> Sequence[CommandRecord]:
        """Newest first."""

    async def close(self, command_id: str, end: CommandEnd, at: datetime) -> bool:
        """The first end stands; whether this was it."""


class RequestKeyStore(Protocol):
    """What the Idempotency-Keys of people's acts were used for."""

    async def claim(self, act_id: str, request_sha256: str, at: datetime) -> str:
        """Bind an act's id to a request, for good; the request that it is bound to, which may be another."""


class LogStore(Protocol):
    """Requests for logs, leave to upload them, and what arrived."""

    async def open(self, request: LogRequest) -> LogRequest:
        """Write it down; if its key is there already, the request under it stands and is returned."""

    async def get(self, request_id: int) -> LogRequest:
        """Raise NotFound."""

    async def latest(self, charger_id: str, *, limit: int = 20) -> Sequence[LogRequest]:
        """Newest first."""

    async def set_state(self, request_id: int, state: LogState, reason: str, at: datetime | None) -> bool:
        """Move a request that has not ended; ``at`` is its end, None: it goes on. Whether it moved."""

    async def add_ticket(self, ticket: UploadTicket) -> None:
        """Leave to upload."""

    async def ticket(self, ticket_sha256: str) -> UploadTicket | None:
        """Also expired and revoked ones."""

    async def revoke(self, request_id: int) -> int:
        """Take back all leave for a request; how many tickets were still good."""

    async def add_upload(self, upload: LogUpload, ticket_sha256: str) -> bool:
        """The first upload of a request stands. False: it has one, or the ticket was revoked meanwhile."""

    async def outlived(self, before: datetime, *, limit: int) -> Sequence[LogRequest]:
        """Those with bytes that arrived before then, oldest first."""

    async def set_removed(self, request_id: int, at: datetime) -> bool:
        """The bytes of its upload are to go; whether they were still there."""

    async def kept_objects(self, keys: Sequence[str]) -> frozenset[str]:
        """Those of these object keys that an upload still refers to."""


@dataclass(frozen=True, slots=True)
class Leftover:
    """A key of which anything is left in the object store, also under a delete marker."""

    key: str
    newest: datetime


class LeftoverStore(Protocol):
    """The end of objects that nothing refers to. Unlike ``BlobStore.delete`` it leaves no version behind."""

    def pages(self, prefix: str) -> AsyncIterator[Sequence[Leftover]]:
        """Every key below the prefix, page by page."""

    async def purge(self, key: str) -> int:
        """Delete every version for good; how many there were."""

    async def abort_uploads(self, prefix: str, before: datetime) -> int:
        """Give up uploads in parts that began before then; how many."""
