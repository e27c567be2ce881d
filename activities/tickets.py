"""Download and upload tickets: minted where they are sent, stored as a hash, in no history (S43)."""

import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from storage.canonical import sha256_hex
from storage.charger import DownloadTicket
from storage.clock import Clock
from storage.log import LogRequest, UploadTicket
from storage.operator_ports import LogStore
from storage.ports import TicketStore
from storage.ticket_binding import SECRET_BYTES, TICKET_LETTERS, bound_ticket

TICKET_BYTES = 32
"""Of an upload's; a download's ticket says for whom and what it is."""


@dataclass(frozen=True, slots=True)
class FetchWindow:
    """When a charger is going to fetch, as it is told."""

    seconds: float
    """What one try may take."""
    retrieve_at: datetime | None = None
    """It begins not before; None: at once."""
    retries: int = 0
    retry_interval_s: float = 0.0
    plain: bool = False
    """By the unencrypted address, if there is one."""

    def ends(self, now: datetime) -> datetime:
        """When the last try is over (S44): a ticket lives as long."""
        begins = max(now, self.retrieve_at or now)
        tries = self.retries * (self.retry_interval_s + self.seconds) + self.seconds
        return begins + timedelta(seconds=tries)


@dataclass(frozen=True, slots=True)
class TicketOffice:
    """Gives one charger leave to fetch, or to upload, one object for a while."""

    tickets: TicketStore
    random_bytes: Callable[[int], bytes] = field(repr=False)
    base_url: str
    clock: Clock
    plain_url: str | None = None
    """Where models fetch that cannot speak TLS; None: they are sent to ``base_url`` as all others are."""

    def example(self) -> str:
        """A download address as long as every other."""
        return f"{self.base_url}/d/{'x' * TICKET_LETTERS}"

    async def mint(
        self, charger_id: str, artifact_id: str, window: FetchWindow, certificates: tuple[str, ...] = ()
    ) -> str:
        """The download address for this charger, valid from now until its last try is over.

        It ends when one of ``certificates`` is withdrawn, as it does with its image.
        """
        text, now = bound_ticket(self.random_bytes(SECRET_BYTES), charger_id, artifact_id), self.clock()
        await self.tickets.add(
            DownloadTicket(
                ticket_sha256=sha256_hex(text.encode()),
                charger_id=charger_id,
                artifact_sha256=artifact_id,
                not_before=now,
                expires_at=window.ends(now),
                certificates=certificates,
            )
        )
        return f"{self.plain_url if window.plain and self.plain_url else self.base_url}/d/{text}"

    async def mint_upload(self, logs: LogStore, request: LogRequest) -> str:
        """The address to which this charger may upload this log, valid from now to the request's deadline."""
        secret = self._secret()
        await logs.add_ticket(
            UploadTicket(
                ticket_sha256=sha256_hex(secret.encode()),
                charger_id=request.charger_id,
                request_id=request.request_id,
                not_before=self.clock(),
                expires_at=request.deadline_at,
            )
        )
        return f"{self.base_url}/u/{secret}"

    def _secret(self) -> str:
        return base64.urlsafe_b64encode(self.random_bytes(TICKET_BYTES)).rstrip(b"=").decode()
