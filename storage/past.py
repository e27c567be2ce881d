"""Twins in the past, on two axes: what we knew then, and what was true then; and where a value comes from.

*Known at*: the twin as every gate and page saw it at that instant; nothing that came later changes it.
*True at*: the same, with what chargers told late put where it belongs.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from storage.canonical import canonical_json
from storage.events import EventRecord
from storage.ports import Projector
from storage.twin import SECTION_TYPES, TwinState

SNAPSHOT_EVERY = 100
"""Revisions between two snapshots; reading the past walks about so many."""
LATE = timedelta(days=30)
"""What comes in later than this after it happened is not put in its place any more."""


@dataclass(frozen=True, slots=True)
class PastQuestion:
    """Which twin; exactly one of the three is given."""

    revision: int | None = None
    known_at: datetime | None = None
    true_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PastTwin:
    """A twin as it was."""

    twin: TwinState
    received_at: datetime | None = None
    """When its revision came about; None: before the first one."""
    desired: dict[str, Any] = field(default_factory=dict)
    """Desired sections by name."""
    late: tuple[int, ...] = ()
    """Numbers of the events that came later and are put in their place here."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value of a twin comes from: the revision, the event, and the frames as they passed."""

    charger_id: str
    path: str
    value: Any
    revision: int
    side: str
    actor: str
    cause: str
    observed_at: datetime
    received_at: datetime
    event: dict[str, Any] | None = None
    """Kind and body, where an event was the cause."""
    frames: tuple[str, ...] = ()
    """Raw frames of that instant and session, secrets redacted; several where they cannot be told apart."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """A twin made anew from its stored events, beside the one in use (F21)."""

    charger_id: str
    events: int
    changes: int
    """Revisions that the events make; ``recorded`` is how many there are."""
    recorded: int
    """Both since the twin was last repaired, if it ever was."""
    differing: tuple[str, ...]
    """Sections that are not the same, byte for byte; empty: all are."""

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not self.differing and self.changes == self.recorded


@dataclass(frozen=True, slots=True)
class Repair:
    """A person's word that a twin shall become what its events make of it."""

    charger_id: str
    actor: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Repaired:
    """What came of it."""

    charger_id: str
    revision: int
    """Of the twin now; a repair that changed anything made a new one."""
    repaired: tuple[str, ...]
    """Sections that were written anew; empty: nothing was wrong, nothing was written."""


def with_late(twin: TwinState, late: Iterable[EventRecord], project: Projector) -> TwinState:
    """The twin with late reports in their place: as if each had come in when it happened."""
    for record in sorted(late, key=lambda record: record.observed_at):
        twin = replace(project(twin, replace(record, received_at=record.observed_at)), revision=twin.revision)
    return twin


def differing_sections(left: TwinState, right: TwinState) -> tuple[str, ...]:
    """The sections whose canonical bytes differ."""
    return tuple(
        name
        for name in SECTION_TYPES
        if canonical_json(getattr(left, name)) != canonical_json(getattr(right, name))
    )
