"""One timeline of each charger: what it reported, what changed in its twin, what people did to it (F10)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from enum import StrEnum
from typing import Any

from storage.errors import InvalidInput
from storage.events import EventKind


class Source(StrEnum):
    """Where an entry is kept."""

    EVENT = "event"
    """Something happened."""
    TWIN = "twin"
    """A section of the twin changed, on one of its sides."""
    COMMAND = "command"
    """A person asked something of the charger."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the timeline."""

    source: Source
    charger_id: str
    kind: str
    """Of an event its kind, of a change ``twin_changed``, of a command its name."""
    body: dict[str, Any]
    observed_at: datetime
    received_at: datetime
    sequence: int | None = None
    """Of an event."""
    revision: int | None = None
    """Of a change: the twin's."""
    actor: str | None = None
    """Who did it, where it was no report."""
    cause: str | None = None
    """Of a change: the event, or the act."""


class Group(StrEnum):
    """What people look for, in a word."""

    EVENT = "event"
    ALARM = "alarm"
    """Security and monitoring events, connectors that became Faulted, silence, stuck sessions, clocks."""
    RESET = "reset"
    """Boots, and the resets that we sent."""
    ERROR = "error"
    """Frames that broke a rule, refused connections, tolerated deviations, throttling."""
    ACT = "act"
    """What people did: commands, and what they desire of the twin."""
    CHANGE = "change"
    """Every change of the twin, whatever caused it."""


_KINDS: dict[Group, tuple[EventKind, ...]] = {
    Group.EVENT: tuple(EventKind),
    Group.ALARM: (
        EventKind.SECURITY_EVENT_REPORTED,
        EventKind.MONITORED_EVENT_REPORTED,
        EventKind.CHARGER_FELL_SILENT,
        EventKind.SESSION_STUCK,
        EventKind.CLOCK_DRIFT_CHANGED,
    ),
    Group.RESET: (EventKind.CHARGER_BOOTED,),
    Group.ERROR: (
        EventKind.FRAME_REJECTED,
        EventKind.CONNECTION_REFUSED,
        EventKind.DEVIATION_TOLERATED,
        EventKind.CHARGER_THROTTLED,
    ),
}


@dataclass(frozen=True, slots=True)
class TimelineQuestion:
    """What of a timeline is asked for."""

    kinds: tuple[EventKind, ...] = tuple(EventKind)
    faults: bool = False
    """Also connectors that became Faulted."""
    resets: bool = False
    """Also resets that were sent."""
    commands: bool = False
    desires: bool = False
    """Changes of what people desire."""
    changes: bool = False
    """All changes of the twin."""
    since: datetime | None = None
    until: datetime | None = None
    """Both by the server's clock; not the end itself."""


def question_of(
    words: Sequence[str], *, since: datetime | None = None, until: datetime | None = None
) -> TimelineQuestion:
    """From groups and kinds of events by name; nothing named means all events. Raises InvalidInput."""
    names = [word.strip() for word in words] or [Group.EVENT.value]
    unknown = [name for name in names if name not in (*Group, *EventKind)]
    if unknown:
        raise InvalidInput("The timeline has no such entries.", [_unknown(name) for name in unknown])
    groups = {Group(name) for name in names if name in tuple(Group)}
    kinds = {EventKind(name) for name in names if name in tuple(EventKind)}
    kinds.update(kind for group in groups for kind in _KINDS.get(group, ()))
    return TimelineQuestion(
        kinds=tuple(sorted(kinds)),
        faults=Group.ALARM in groups,
        resets=Group.RESET in groups,
        commands=Group.ACT in groups,
        desires=Group.ACT in groups,
        changes=Group.CHANGE in groups,
        since=since,
        until=until,
    )


def _unknown(name: str) -> str:
    near = get_close_matches(name, [*Group, *EventKind], n=1, cutoff=0.6)
    meant = f"; did you mean {near[0]}?" if near else ""
    return f"what: {name!r} is neither one of {', '.join(Group)}, nor a kind of event{meant}"
