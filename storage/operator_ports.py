"""What is asked of the engines for people's commands and for logs; like ``ports``, which is long enough."""

from collections.abc import Sequence
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
