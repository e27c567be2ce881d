"""Whose a charger is and where it belongs: operator, site, group of sites, location, installer (F3).

Told at registration. From then on it changes by a move alone, which is on record with what was before, and
which waits for nobody: while maintenance or a campaign has the charger, it is refused.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Ownership:
    """What is known beside the site; None: nobody said."""

    operator: str | None = None
    """Who runs it: a label, which restricts nobody's access."""
    site_group: str | None = None
    location: str | None = None
    """Where at the site: a bay, a floor, an address."""
    installer: str | None = None


SITE = "site_id"
OWNERSHIP_FIELDS = (SITE, *(each.name for each in fields(Ownership)))
MOVE_HINT = "It changes by a move, which is on record: ampwave charger move."


class MoveState(StrEnum):
    """What became of a move."""

    REQUESTED = "requested"
    DONE = "done"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Move:
    """One change of whose a charger is or where it belongs."""

    move_id: str
    charger_id: str
    expected_version: int
    """``Charger.ownership_version`` as it was read."""
    values: Mapping[str, str | None]
    """New values by ``OWNERSHIP_FIELDS``; what is left out stays."""
    actor: str
    reason: str
    requested_at: datetime
    state: MoveState = MoveState.REQUESTED
    before: Mapping[str, str | None] = field(default_factory=dict)
    """What those fields were, once it is done."""
    why: str = ""
    """Why it was refused."""
    finished_at: datetime | None = None


class MoveStore(Protocol):
    """Moves and their history. Nothing else changes whose a registered charger is."""

    async def request_move(self, given: Move) -> Move:
        """Write it down; the same id again is the same move, however far it is.

        Raises NotFound (charger, site), StaleVersion, Conflict (it is retired, or the id is another move's),
        InvalidInput (nothing would change).
        """

    async def apply_move(self, move_id: str, at: datetime) -> Move:
        """Do it or refuse it, audited, in one transaction; one that is over stays as it is."""

    async def refuse_move(self, move_id: str, why: str, at: datetime) -> Move:
        """Refuse it, unless it is over."""

    async def moves(self, charger_id: str, *, limit: int = 100) -> Sequence[Move]:
        """Of one charger, newest first."""
