"""What becomes of an attempt that somebody called back. Pure.

Calling back stops what can be stopped; it takes nothing back that happened. A charger that installs, boots
with the version, falls silent or distrusts the signature is judged as ever.

It is told to stop until it is known what it makes of it: a word that was lost, or a charger that was away, is
told again, with the same request id, when it is back and after a pause that grows, so often and no more.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from activities.facts import Sighting
from activities.recalling import RecallAnswer
from storage.events import FirmwareStatus
from workflows.attest import Finding, Judgement
from workflows.messages import Mark, UpdateEnd
from workflows.silence import installing

_WHOLE = frozenset(
    {FirmwareStatus.DOWNLOADED, FirmwareStatus.SIGNATURE_VERIFIED, FirmwareStatus.INSTALL_SCHEDULED}
)

WORDS, MOST_WORDS = 8, 30
"""So often it is told to stop if it never answers, over one session and over all."""
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=5), timedelta(seconds=60)
MOST_LOOKS = 2000
"""So often, about, it is looked for over a deadline of months: each is in a history, which has an end."""
NOT_TOLD = RecallAnswer(stopped=False, reason="it is not connected", known=False)
"""Nothing left us."""


@dataclass(frozen=True, slots=True)
class StopWord:
    """What is known of our word to stop."""

    times: int = 0
    """How often it left us, or may have."""
    answer: str = ""
    """What it said; "": that is not known."""
    request_id: int | None = None
    again_at: datetime | None = None
    """When to look whether it can be told (again); None: at once."""
    pause: timedelta = FIRST_PAUSE
    longest: timedelta = LONGEST_PAUSE
    """To which that grows."""
    epoch: int | None = None
    """The session over which it was told last."""
    spent: int = 0
    """How often over that one."""

    @classmethod
    def within(cls, deadline_seconds: float) -> "StopWord":
        """For an attempt of that length."""
        return cls(longest=max(LONGEST_PAUSE, timedelta(seconds=deadline_seconds / MOST_LOOKS)))

    @property
    def unanswered(self) -> bool:
        """Whether it was told, and nobody knows what it made of it."""
        return self.times > 0 and not self.answer

    @property
    def over(self) -> bool:
        """Whether there is nothing more to tell it."""
        return bool(self.answer) or self.times >= MOST_WORDS

    def looks(self, now: datetime) -> bool:
        """Whether it is time to see where it is."""
        return not self.over and self.again_at is not None and now >= self.again_at

    def due(self, epoch: int | None, now: datetime) -> bool:
        """Whether to see to it now, over this session (None: there is none)."""
        if self.over:
            return False
        if epoch is not None and epoch != self.epoch:
            return True  # It is back: what was said before may have gone with the old session.
        return self.again_at is None or (now >= self.again_at and self.spent < WORDS)

    def told(self, answer: RecallAnswer | None, epoch: int | None, now: datetime) -> "StopWord":
        """After it was told, or could not be; ``answer`` None: nobody knows what became of it."""
        if answer is not None and answer.known:
            return replace(self, times=self.times + 1, answer=answer.reason, request_id=answer.request_id)
        if answer is not None and answer.request_id is None:
            return replace(self.later(now), epoch=epoch, spent=self.spent if epoch == self.epoch else 0)
        return replace(
            self.later(now),
            times=self.times + 1,
            spent=self.spent + 1 if epoch == self.epoch else 1,
            request_id=answer.request_id if answer is not None else self.request_id,
            epoch=epoch,
        )

    def later(self, now: datetime) -> "StopWord":
        """After a pause, again."""
        return replace(self, again_at=now + self.pause, pause=min(self.pause * 2, self.longest))

    def heard(self, sightings: Iterable[Sighting]) -> bool:
        """Whether it spoke of the order that takes the old one's place: then it has stopped (L01.FR.24)."""
        if self.request_id is None:
            return False
        return any(one.status is not None and one.request_id == self.request_id for one in sightings)

    def sentence(self, deadline: datetime, *, here: bool) -> str:
        """What is known, and what comes next."""
        until = f"{deadline:%Y-%m-%d %H:%M} UTC"
        if self.answer:
            return f"told to stop, {self.answer}; its end is awaited until {until}"
        told = f"it was told to stop {_times(self.times)} and has not answered" if self.times else ""
        if self.over or (here and self.spent >= WORDS):
            return f"{told}; its end is awaited until {until}"
        away = "" if here else "it is not connected"
        next_step = "it is told again" if self.times and here else "it is told to stop when it is back"
        return "; ".join(filter(None, (told, away, f"{next_step}, until {until}")))


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"


def called_off(judged: Judgement, sightings: Iterable[Sighting], word: StopWord) -> UpdateEnd | None:
    """The end of a recalled attempt that never had the image, or None: it is judged as any other."""
    seen = list(sightings)
    if judged.cause is Mark.FETCH:
        return UpdateEnd(None, judged.reason)
    whole = installing(seen) or any(one.status in _WHOLE for one in seen)
    if judged.finding is Finding.OVERDUE and not whole:
        silent = f"; it was told to stop {_times(word.times)} and never answered" if word.unanswered else ""
        return UpdateEnd(None, f"nothing came of it until the deadline{silent}")
    return None
