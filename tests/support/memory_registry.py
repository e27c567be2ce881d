"""In-memory doubles of the ports for names, identities and notes: for unit tests of the api only."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from storage.charger import Charger
from storage.errors import Conflict, NotFound, StaleVersion
from storage.events import EventRecord, FrameRecord, StoredEvent
from storage.identifiers import Identifier, Reidentification
from storage.privacy import Erased, Erasure
from storage.trust import Acceptance
from tests.support.memory_chargers import MemoryChargers


class MemoryRegistry:
    """Names and what was asked of it."""

    def __init__(self, chargers: MemoryChargers) -> None:
        self.rows: dict[tuple[str, str], Identifier] = {}
        self.accepted: list[Acceptance] = []
        self.doubted: frozenset[str] = frozenset()
        self._chargers = chargers

    async def identify(self, given: Identifier) -> Identifier:
        known = self.rows.setdefault((given.namespace, given.value), given)
        if known.subject != given.subject:
            raise Conflict(f"{given.value!r} is {known.subject} already.")
        return known

    async def forget(self, namespace: str, value: str) -> Identifier:
        found = await self.lookup(namespace, value)
        del self.rows[namespace, value]
        return found

    async def lookup(self, namespace: str, value: str) -> Identifier:
        if (namespace, value) not in self.rows:
            raise NotFound(f"{namespace} identifier", value)
        return self.rows[namespace, value]

    async def names(self, subject: str) -> Sequence[Identifier]:
        return [each for each in self.rows.values() if each.subject == subject]

    async def reidentify(self, given: Reidentification) -> Charger:
        charger = (await self._chargers.get(given.charger_id)).charger
        if charger.identity_version != given.expected_version:
            raise StaleVersion("Somebody else changed it first.")
        values: dict[str, Any] = dict(given.values)
        return replace(charger, **values, identity_version=charger.identity_version + 1)

    async def accept(self, given: Acceptance) -> Sequence[str]:
        found = sorted(self.doubted & set(given.paths))
        if not found:
            raise Conflict("Nothing of this is in doubt.")
        self.accepted.append(given)
        return found


class MemoryPrivacy:
    """What it was asked to erase."""

    def __init__(self) -> None:
        self.erased: list[Erasure] = []

    async def forget_sessions(self, before: datetime, *, limit: int = 5000) -> int:
        return 0

    async def forget_tokens(self, before: datetime, *, limit: int = 5000) -> int:
        return 0

    async def erase(self, given: Erasure) -> Erased:
        self.erased.append(given)
        return Erased(2, 1)


class MemoryIngest:
    """Events as they were handed in; a key that was used once is dropped."""

    def __init__(self) -> None:
        self.events: list[EventRecord] = []

    async def commit(
        self, frames: Sequence[FrameRecord], events: Sequence[EventRecord], project: Any
    ) -> Sequence[StoredEvent]:
        keys = {event.dedupe_key for event in self.events if event.dedupe_key}
        new = [event for event in events if event.dedupe_key not in keys]
        self.events += new
        return [
            StoredEvent(1, each.charger_id, each.kind, {}, each.observed_at, each.received_at) for each in new
        ]
