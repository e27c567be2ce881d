"""Downloads at the door: how far a charger got."""

from datetime import datetime
from typing import Self

from pydantic import Field

from api.schemas.common import Reply
from storage.transfer import Download, DownloadState


class DownloadReply(Reply):
    """One ticket of a charger and what was fetched by it. The ticket itself is known to the charger only."""

    artifact_id: str = Field(description="The image.")
    state: DownloadState
    length: int = Field(description="Bytes of the image; 0 before the first request.")
    position: int = Field(description="Just behind the last byte that was sent.")
    sent: int = Field(description="Bytes sent in all, over all requests.")
    requests: int
    valid_from: datetime
    valid_until: datetime
    started_at: datetime | None
    seen_at: datetime | None
    finished_at: datetime | None

    @classmethod
    def of(cls, download: Download, now: datetime) -> Self:
        """The reply for one download as it stands now."""
        return cls(
            artifact_id=download.ticket.artifact_sha256,
            state=download.state(now),
            length=download.length,
            position=download.position,
            sent=download.sent,
            requests=download.requests,
            valid_from=download.ticket.not_before,
            valid_until=download.ticket.expires_at,
            started_at=download.started_at,
            seen_at=download.seen_at,
            finished_at=download.finished_at,
        )
