"""Breaking the glass: one person stops a release or everything at once, two put it back (S66).

Stopping is the safe direction, so it needs nobody's leave and no signature; what it must not be is quiet.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

EVERYTHING = "everything"
_RELEASE = "artifact/"
NEEDED_TO_RESTORE = 2
"""People, by name: two tokens of one person are one person. Whoever halted it may be one of them."""


def scope_of(artifact_id: str) -> str:
    """The scope of one withdrawn release."""
    return f"{_RELEASE}{artifact_id}"


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
    def artifact_id(self) -> str | None:
        """The release that is withdrawn; None: everything stands."""
        return self.scope.removeprefix(_RELEASE) if self.scope.startswith(_RELEASE) else None

    @property
    def sentence(self) -> str:
        """Why nothing moves, for whoever wonders."""
        what = "everything is halted" if self.artifact_id is None else "this release is withdrawn"
        return f"{what}: {self.actor} at {self.at:%Y-%m-%d %H:%M}Z: {self.reason}"


def covering(halts: Iterable[Halt], artifact_id: str) -> Halt | None:
    """The halt in force that stops this release, if any."""
    scopes = (EVERYTHING, scope_of(artifact_id))
    return next((halt for halt in halts if halt.lifted_at is None and halt.scope in scopes), None)


def enough(votes: Sequence[Vote]) -> bool:
    """Whether so many different people said that it may go on."""
    return len({vote.actor for vote in votes}) >= NEEDED_TO_RESTORE


class HaltStore(Protocol):
    """Halts; rows are never removed."""

    async def pull(self, scope: str, actor: str, reason: str, at: datetime) -> Halt:
        """In force when this returns. One that is in force for the scope already stands and is returned."""

    async def restore(self, halt_id: int, vote: Vote) -> Halt:
        """One person's word; the one that makes it enough lifts the halt. The same person counts once.

        Raises NotFound, and Conflict when it is lifted already.
        """

    async def in_force(self) -> Sequence[Halt]:
        """Oldest first."""

    async def recent(self, *, limit: int = 100) -> Sequence[Halt]:
        """Also lifted ones, latest first."""

    async def covering(self, artifact_id: str) -> Halt | None:
        """The halt in force that stops this release, if any."""

    async def unrecorded(self) -> Sequence[Halt]:
        """Those that are not in the audit log yet, because the process died in between."""

    async def mark_recorded(self, halt_id: int) -> None:
        """The audit log has it."""
