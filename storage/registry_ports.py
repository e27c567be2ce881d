"""What is asked of the engine about who is who, and whether to believe it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from storage.charger import Charger
from storage.identifiers import Identifier, Reidentification
from storage.ownership import MoveStore
from storage.privacy import Erased, Erasure
from storage.trust import Acceptance
from storage.watching import Progress


class TrustStore(Protocol):
    """Doubts about chargers, kept by the observer."""

    async def advance_trust(self, *, limit: int = 1000) -> Progress:
        """One step: look at every charger that the next events are about."""

    async def recheck(self, *, limit: int = 500) -> int:
        """Look at chargers in doubt again; how many doubts opened or closed."""


class PrivacyStore(Protocol):
    """What is kept of people."""

    async def forget_sessions(self, before: datetime, *, limit: int = 5000) -> int:
        """Remove records of sessions that are over and were last heard of before then; how many."""

    async def forget_tokens(self, before: datetime, *, limit: int = 5000) -> int:
        """Take id tokens' hashes out of what is older; how many events were looked at."""

    async def erase(self, given: Erasure) -> Erased:
        """Take one token's hash out of everything, audited."""


class RegistryStore(MoveStore, Protocol):
    """Identifiers, identities, and moves."""

    async def identify(self, given: Identifier) -> Identifier:
        """Give a subject a name; the same again changes nothing.

        Raises NotFound (no such site or charger), Conflict (the name is another subject's).
        """

    async def forget(self, namespace: str, value: str) -> Identifier:
        """Take a name away; what it was. Raises NotFound."""

    async def lookup(self, namespace: str, value: str) -> Identifier:
        """Whose name it is. Raises NotFound."""

    async def names(self, subject: str) -> Sequence[Identifier]:
        """The names of a site, or of a charger with its EVSEs and connectors."""

    async def reidentify(self, given: Reidentification) -> Charger:
        """Change what was registered and audit it, in one transaction.

        Raises NotFound, StaleVersion (somebody else changed it first), Conflict (the serial number is another
        charger's, or it is in maintenance or retired), InvalidInput (nothing would change).
        """

    async def accept(self, given: Acceptance) -> Sequence[str]:
        """Hold what a charger reports of these paths to be right, audited; the paths that were in doubt."""
