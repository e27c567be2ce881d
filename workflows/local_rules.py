"""What became of an image that a local controller was asked to offer (OCPP 2.0.1 L03). Pure, as a table."""

from dataclasses import dataclass
from datetime import datetime

from activities.local_images import LocalReports
from storage.publication import Publication
from storage.reports import PublishStatus

TRIES = 3
"""So often it is asked at most; then its chargers fetch from us."""
UNPUBLISH_TRIES = 20
STARTS = 10
"""A shard looks so often for somebody who asks the controller; then its chargers wait no more."""
FIRST_PAUSE_S, LONGEST_PAUSE_S, LONGEST_WATCH_S = 1.0, 30.0, 300.0

_WAIT, _AGAIN, _OVER = "wait", "again", "over"
MEANING: dict[PublishStatus | None, str] = {
    None: _WAIT,
    PublishStatus.IDLE: _WAIT,
    PublishStatus.DOWNLOAD_SCHEDULED: _WAIT,
    PublishStatus.DOWNLOADING: _WAIT,
    PublishStatus.DOWNLOAD_PAUSED: _WAIT,
    PublishStatus.DOWNLOADED: _WAIT,
    PublishStatus.CHECKSUM_VERIFIED: _WAIT,
    PublishStatus.PUBLISHED: _OVER,
    # It retries a download by itself, as often as it was told to (L03.FR.07): it may not be asked for more.
    PublishStatus.DOWNLOAD_FAILED: _AGAIN,
    PublishStatus.INVALID_CHECKSUM: _AGAIN,
    PublishStatus.PUBLISH_FAILED: _AGAIN,
}
"""What each status asks of us; every word that a controller has is here."""


@dataclass(frozen=True, slots=True)
class LocalVerdict:
    """``state`` None: it is to be asked once more."""

    state: Publication | None
    reason: str


def judge_local(reports: LocalReports, tries: int, now: datetime, deadline: datetime) -> LocalVerdict | None:
    """The end that its words allow, or None: keep waiting. Without an address nothing is published."""
    meaning, status = MEANING[reports.status], reports.status
    if status is PublishStatus.PUBLISHED and reports.addresses:
        places = "one address" if reports.addresses == 1 else f"{reports.addresses} addresses"
        return LocalVerdict(Publication.PUBLISHED, f"it offers it at {places}")
    if status is PublishStatus.PUBLISHED:
        return LocalVerdict(Publication.FAILED, "it published it, and told no address")  # L03.FR.04
    if now >= deadline:
        last = f"last it reported {status}" if status else "it reported nothing"
        return LocalVerdict(Publication.FAILED, f"it did not publish it in time; {last}")
    if meaning == _AGAIN:
        return LocalVerdict(None if tries < TRIES else Publication.FAILED, f"it reported {status}")
    return None


def next_pause(pause_s: float, longest_s: float = LONGEST_PAUSE_S) -> float:
    """How long to wait before the next look."""
    return min(pause_s * 2, longest_s)
