"""Records of one session on their way to the store: frames redacted, events in their envelope."""

import asyncio
import re
from collections.abc import Sequence
from datetime import datetime

from csms.clocks import believed
from csms.dialect import Observed
from csms.ingest import Done, Ingest
from csms.redaction import HIDDEN, redact, redact_both
from storage.canonical import sha256_hex
from storage.clock import Clock
from storage.events import Event, EventRecord, FrameRecord

MAX_KEY = 200
CLOCK_DRIFT_S = 300.0
_WORDS = 300
"""As much of a charger's own words as an error or a history should hold."""


def bounded_key(key: str | None) -> str | None:
    """A dedupe key of at most 200 characters; a charger may have put anything into it."""
    return key if key is None or len(key) <= MAX_KEY else f"sha256:{sha256_hex(key.encode())}"


class SessionJournal:
    """Hands a session's records to the ingest, in order, and knows when all of them are stored."""

    def __init__(
        self,
        charger_id: str,
        session_epoch: int,
        ingest: Ingest,
        clock: Clock,
        clock_drift_s: float = CLOCK_DRIFT_S,
    ) -> None:
        self.charger_id = charger_id
        self.session_epoch = session_epoch
        self._ingest = ingest
        self._clock = clock
        self.clock_drift_s = clock_drift_s
        """How far ahead of ours a charger's time may be and still be taken as it came."""
        self._latest: asyncio.Future[None] | None = None
        self._hidden: re.Pattern[str] | None = None

    def now(self) -> datetime:
        """The node's clock."""
        return self._clock()

    def frame(self, direction: str, at: datetime, text: str, answer: str | None = None) -> FrameRecord:
        """A frame and its answer as they passed, without secrets. ``direction`` is ``in`` or ``out``."""
        if answer is None:
            seen, answered = self.clean(redact(text)), None
        else:
            seen, answered = map(self.clean, redact_both(text, answer))
        return FrameRecord(self.charger_id, self.session_epoch, direction, at, seen, answered)

    def hide(self, secret: str) -> None:
        """From now on this secret is blotted out wherever it stands: chargers echo what they were sent."""
        known = f"{self._hidden.pattern}|" if self._hidden else ""
        self._hidden = re.compile(known + re.escape(secret), re.IGNORECASE)

    def clean(self, text: str) -> str:
        """The text without what was to be hidden."""
        return self._hidden.sub(HIDDEN, text) if self._hidden else text

    def words(self, text: str, limit: int = _WORDS) -> str:
        """A charger's own words as an error may repeat them: without secrets, and cut."""
        return self.clean(redact(text))[:limit]

    def event(self, event: Event, at: datetime) -> EventRecord:
        """A fact of our own making, observed when it was received."""
        return EventRecord(self.charger_id, event, at, at, self.session_epoch)

    def seen(self, observed: Observed, received_at: datetime) -> EventRecord:
        """A fact that the charger told."""
        return EventRecord(
            self.charger_id,
            observed.event,
            believed(observed.at, received_at, self.clock_drift_s),
            received_at,
            self.session_epoch,
            bounded_key(observed.dedupe_key),
        )

    async def put(self, frames: Sequence[FrameRecord], events: Sequence[EventRecord]) -> asyncio.Future[None]:
        """Hand in, waiting for room; the future is done once it is stored. Raises EngineUnavailable."""
        self._latest = await self._ingest.put(frames, events)
        return self._latest

    def offer(self, frames: Sequence[FrameRecord], events: Sequence[EventRecord], done: Done) -> bool:
        """Hand in if there is room now; ``done`` is told how it went. False: nothing was taken."""
        return self._ingest.offer(frames, events, done)

    async def stored(self) -> None:
        """Wait until everything handed in so far is stored (the ingest keeps the order)."""
        if self._latest is not None:
            await asyncio.wait({self._latest})
