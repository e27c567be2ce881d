"""What technicians and other systems note on a charger's timeline: visits, tickets, RMA (F24).

A note is an event like any other: on the timeline, in the stream, in the evidence, and never changed.
"""

from dataclasses import dataclass
from enum import StrEnum


class NoteKind(StrEnum):
    """What a note is about."""

    NOTE = "note"
    TICKET = "ticket"
    VISIT = "visit"
    RMA = "rma"


@dataclass(frozen=True, slots=True)
class NoteAdded:
    """Somebody noted something; it was observed when it happened, which may be long before."""

    note: NoteKind
    text: str
    author: str
    """Who handed it in, by token."""
    reference: str = ""
    """The number of the ticket or RMA in the system that has it."""
