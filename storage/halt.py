"""Breaking the glass: one person stops everything at once, two put it back (S66).

Stopping is the safe direction, so it needs nobody's leave and no signature; what it must not be is quiet.
A single image or signing certificate is withdrawn instead: ``storage.withdrawal``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from storage.audit import AuditEntry

EVERYTHING = "everything"
NEEDED_TO_RESTORE = 2
"""People, by name: two tokens of one person are one person. Whoever halted it may be one of them."""


@dataclass(frozen=True, slots=True)
class Vote:
    """One person's word that it may go on."""

    actor: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Halt:
    """In force from the moment it is stored until two people restored it."""

    halt_id: int
    scope: str
    actor: str
    reason: str
    at: datetime
    votes: tuple[Vote, ...] = ()
    lifted_at: datetime | None = None

    @property
    def sentence(self) -> str:
        """Why nothing moves, for whoever wonders."""
        return f"everything is halted: {self.actor} at {self.at:%Y-%m-%d %H:%M}Z: {self.reason}"


def enough(votes: Sequence[Vote]) -> bool:
    """Whether so many different people said that it may go on."""
    return len({vote.actor for vote in votes}) >= NEEDED_TO_RESTORE


OnRecord = Callable[[Halt], AuditEntry]
"""What the audit log is told, from the halt as it is then."""


class HaltStore(Protocol):
    """Halts; rows are never removed."""

    async def pull(self, scope: str, actor: str, reason: str, at: datetime) -> Halt:
        """In force when this returns. One that is in force for the scope already stands and is returned.

        Words said for its end before are void: whoever said them did not know of this.
        """

    async def restore(self, halt_id: int, vote: Vote, on_record: OnRecord) -> Halt:
        """One person's word; the one that makes it enough lifts the halt. The same person counts once.

        It is in the audit log, or it was not said. Raises NotFound, and Conflict when it is lifted already.
        """

    async def in_force(self) -> Sequence[Halt]:
        """Oldest first."""

    async def recent(self, *, limit: int = 100) -> Sequence[Halt]:
        """Also lifted ones, latest first."""

    async def standing(self) -> Halt | None:
        """The halt in force that stops everything, if any."""

    async def unrecorded(self) -> Sequence[Halt]:
        """Those that are not in the audit log yet, because the process died in between."""

    async def mark_recorded(self, halt_id: int) -> None:
        """The audit log has it."""
