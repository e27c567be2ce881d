"""What is asked of the engines about many chargers, or about all that one went through; see ``ports``."""

from typing import TYPE_CHECKING, Protocol

from storage.charger import ChargerFilter, FleetGroups, GroupQuestion
from storage.chronicle import Entry, TimelineQuestion
from storage.credentials import CredentialStore

if TYPE_CHECKING:
    from storage.ports import Page


class CountingStore(CredentialStore, Protocol):
    """The fleet in numbers of somebody's choice; what else is asked of chargers builds on it."""

    async def count_by(self, where: ChargerFilter, question: GroupQuestion) -> FleetGroups:
        """Groups by size, the largest first. Raises QueryError, or QueryTooBroad."""


class ChronicleStore(Protocol):
    """All that concerns one charger, on one timeline."""

    async def chronicle(
        self, charger_id: str, question: TimelineQuestion, *, limit: int = 100, cursor: str | None = None
    ) -> "Page[Entry]":
        """Events, changes of the twin and people's commands, newest first by our clock.

        Of one instant first what people did, then the change, then the event that caused it.
        """
