"""A charger's move, carried out and put on its timeline."""

from dataclasses import dataclass

from temporalio import activity

from activities.errors import mapped
from csms.projection import project
from storage.clock import Clock
from storage.events import NO_SESSION_EPOCH, EventRecord
from storage.note import NoteAdded, NoteKind
from storage.ownership import Move, MoveState
from storage.ports import IngestStore
from storage.registry_ports import RegistryStore


@dataclass(frozen=True, slots=True)
class MoveEnd:
    """What became of a move. ``told``: what its timeline will say."""

    done: bool
    why: str
    told: str = ""


@dataclass(frozen=True, slots=True)
class MoveNote:
    """A move that is done, for the timeline."""

    move_id: str
    charger_id: str
    text: str


class MoveActivities:
    """On any worker."""

    def __init__(self, moves: RegistryStore, ingest: IngestStore, clock: Clock) -> None:
        self._moves = moves
        self._ingest = ingest
        self._clock = clock

    @activity.defn
    @mapped
    async def apply_move(self, move_id: str) -> MoveEnd:
        """Do it or refuse it; again, the same answer."""
        move = await self._moves.apply_move(move_id, self._clock())
        return MoveEnd(move.state is MoveState.DONE, move.why, in_words(move))

    @activity.defn
    @mapped
    async def note_move(self, given: MoveNote) -> None:
        """Put it on the charger's timeline, once."""
        now, key = self._clock(), f"move:{given.move_id}"
        note = NoteAdded(NoteKind.NOTE, given.text, "ampwave", given.move_id)
        record = EventRecord(given.charger_id, note, now, now, NO_SESSION_EPOCH, key)
        await self._ingest.commit([], [record], project)


def in_words(move: Move) -> str:
    """What it changed, by whom and why."""
    changed = [
        f"{name.removesuffix('_id')} from {move.before.get(name) or 'nothing'} to {value or 'nothing'}"
        for name, value in move.values.items()
        if move.before.get(name) != value
    ]
    return f"Moved by {move.actor}: {', '.join(changed)}. {move.reason}"
