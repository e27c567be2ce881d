"""What is kept of people, and its erasure (F23)."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Keeping:
    """How long. Only closed sessions go; those that go on are kept."""

    sessions: timedelta = timedelta(days=400)
    tokens: timedelta = timedelta(days=90)
    """Hashes of id tokens, in records and events."""


@dataclass(frozen=True, slots=True)
class Erasure:
    """A person asked to be forgotten. The token itself is nowhere, only its keyed hash."""

    id_token_hash: str
    actor: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Erased:
    """From how much the person was taken out; what happened stays, to whom is gone."""

    sessions: int
    events: int
