"""A charger's timeline: events, changes of its twin and people's commands, merged by our clock.

Each of the three is read backwards along its own index from its own place, so that the last page of a year
costs what the first one does; a cursor holds the three places.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.chronicle import Entry, Source, TimelineQuestion
from storage.events import ConnectorStatus, EventKind
from storage.ports import Page
from storage.postgres import cursor as cursors

_END = datetime.max.replace(tzinfo=UTC)
_LAST = 10**18 - 1
_AFTER_ALL_NAMES = "~"

_EVENTS = text(f"""
    SELECT received_at, sequence, kind, body, observed_at FROM event
    WHERE charger_id = :charger AND (received_at, sequence) < (:event_at, :sequence) AND received_at >= :since
      AND (kind = ANY(:kinds)
           OR (:faults AND kind = '{EventKind.CONNECTOR_STATUS_CHANGED}'
               AND body ->> 'status' = '{ConnectorStatus.FAULTED}')
           OR (:resets AND kind IN ('{EventKind.COMMAND_SENT}', '{EventKind.COMMAND_ANSWERED}')
               AND body ->> 'action' = 'Reset'))
    ORDER BY received_at DESC, sequence DESC LIMIT :limit
""")  # noqa: S608 - words of ours
_CHANGES = text("""
    SELECT received_at, revision, section, side, patch, actor, cause, observed_at FROM twin_history
    WHERE charger_id = :charger AND (revision, section, side) < (:revision, :section, :side)
      AND received_at >= :since AND received_at < :until AND (:changes OR side = 'desired')
    ORDER BY revision DESC, section DESC, side DESC LIMIT :limit
""")
_COMMANDS = text("""
    SELECT requested_at, command_id, command, parameters, actor, outcome, finished_at FROM operator_command
    WHERE charger_id = :charger AND (requested_at, command_id) < (:command_at, :command)
      AND requested_at >= :since
    ORDER BY requested_at DESC, command_id DESC LIMIT :limit
""")


@dataclass(frozen=True, slots=True)
class _Place:
    """Behind which event, change and command the page begins."""

    event_at: datetime
    command_at: datetime
    sequence: int = _LAST
    revision: int = _LAST
    section: str = _AFTER_ALL_NAMES
    side: str = _AFTER_ALL_NAMES
    command: str = ""

    @classmethod
    def first(cls, until: datetime | None) -> "_Place":
        return cls(until or _END, until or _END, sequence=0 if until else _LAST)

    @classmethod
    def decoded(cls, cursor: str) -> "_Place":
        event_at, command_at, sequence, revision, section, side, command = cursors.decode(cursor, 7)
        return cls(
            cursors.instant(event_at),
            cursors.instant(command_at),
            cursors.whole(sequence),
            cursors.whole(revision),
            section,
            side,
            command,
        )

    def encoded(self) -> str:
        return cursors.encode(
            self.event_at.isoformat(),
            self.command_at.isoformat(),
            str(self.sequence),
            str(self.revision),
            self.section,
            self.side,
            self.command,
        )


@dataclass(frozen=True, slots=True)
class _Found:
    """An entry, and how it moves the place on."""

    entry: Entry
    moved: dict[str, Any]


async def read_chronicle(
    connection: AsyncConnection, charger_id: str, question: TimelineQuestion, limit: int, cursor: str | None
) -> Page[Entry]:
    """One page; see ``storage.chronicle.ChronicleStore``."""
    place = _Place.decoded(cursor) if cursor else _Place.first(question.until)
    given = {
        "charger": charger_id,
        "limit": limit + 1,
        "since": question.since or datetime.min.replace(tzinfo=UTC),
        "until": question.until or _END,
        **{name: getattr(place, name) for name in place.__slots__},
    }
    lanes = [
        [_of_command(charger_id, row) for row in await _commands(connection, question, given)],
        [_of_change(charger_id, row) for row in await _changes(connection, question, given)],
        [_of_event(charger_id, row) for row in await _events(connection, question, given)],
    ]
    merged = list(_merged(lanes, limit + 1))
    for found in merged[:limit]:
        place = replace(place, **found.moved)
    more = place.encoded() if len(merged) > limit else None
    return Page(tuple(found.entry for found in merged[:limit]), more)


def _merged(lanes: Sequence[list[_Found]], limit: int) -> Iterator[_Found]:
    """The newest head of all lanes, again and again; each lane keeps its order."""
    heads = [0] * len(lanes)
    for _ in range(limit):
        waiting = [n for n, lane in enumerate(lanes) if heads[n] < len(lane)]
        if not waiting:
            return
        # Of one instant the first lane comes first: max takes the first of equals.
        newest = max(waiting, key=lambda n: lanes[n][heads[n]].entry.received_at)
        yield lanes[newest][heads[newest]]
        heads[newest] += 1


async def _events(
    connection: AsyncConnection, question: TimelineQuestion, given: dict[str, Any]
) -> Sequence[Row[*tuple[Any, ...]]]:
    if not (question.kinds or question.faults or question.resets):
        return ()
    names = ("charger", "limit", "since", "event_at", "sequence")
    asked = {
        "kinds": [kind.value for kind in question.kinds],
        "faults": question.faults,
        "resets": question.resets,
    }
    return (await connection.execute(_EVENTS, {**{name: given[name] for name in names}, **asked})).all()


async def _changes(
    connection: AsyncConnection, question: TimelineQuestion, given: dict[str, Any]
) -> Sequence[Row[*tuple[Any, ...]]]:
    if not (question.changes or question.desires):
        return ()
    names = ("charger", "limit", "since", "until", "revision", "section", "side")
    asked = {**{name: given[name] for name in names}, "changes": question.changes}
    return (await connection.execute(_CHANGES, asked)).all()


async def _commands(
    connection: AsyncConnection, question: TimelineQuestion, given: dict[str, Any]
) -> Sequence[Row[*tuple[Any, ...]]]:
    if not question.commands:
        return ()
    names = ("charger", "limit", "since", "command_at", "command")
    return (await connection.execute(_COMMANDS, {name: given[name] for name in names})).all()


def _of_event(charger_id: str, row: Row[*tuple[Any, ...]]) -> _Found:
    entry = Entry(
        Source.EVENT, charger_id, row.kind, row.body, row.observed_at, row.received_at, sequence=row.sequence
    )
    return _Found(entry, {"event_at": row.received_at, "sequence": row.sequence})


def _of_change(charger_id: str, row: Row[*tuple[Any, ...]]) -> _Found:
    entry = Entry(
        source=Source.TWIN,
        charger_id=charger_id,
        kind="twin_changed",
        body={"section": row.section, "side": row.side, "patch": row.patch},
        observed_at=row.observed_at,
        received_at=row.received_at,
        revision=row.revision,
        actor=row.actor,
        cause=row.cause,
    )
    return _Found(entry, {"revision": row.revision, "section": row.section, "side": row.side})


def _of_command(charger_id: str, row: Row[*tuple[Any, ...]]) -> _Found:
    outcome = row.outcome or {}
    entry = Entry(
        source=Source.COMMAND,
        charger_id=charger_id,
        kind=row.command,
        body={
            "command_id": row.command_id,
            "parameters": row.parameters,
            "state": outcome.get("state", "requested"),
            "status": outcome.get("status"),
            "reason": outcome.get("reason"),
        },
        observed_at=row.requested_at,
        received_at=row.requested_at,
        actor=row.actor,
    )
    return _Found(entry, {"command_at": row.requested_at, "command": row.command_id})
