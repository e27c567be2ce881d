"""In-memory doubles of the ports for names, identities and notes: for unit tests of the api only."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from storage.charger import Charger
from storage.errors import Conflict, NotFound, StaleVersion
from storage.events import EventRecord, FrameRecord, StoredEvent
from storage.identifiers import Identifier, Reidentification
from storage.ownership import Move, MoveState
from storage.privacy import Erased, Erasure
from storage.trust import Acceptance
from tests.support.memory_chargers import MemoryChargers


class MemoryRegistry:
    """Names and what was asked of it."""

    def __init__(self, chargers: MemoryChargers) -> None:
        self.rows: dict[tuple[str, str], Identifier] = {}
        self.accepted: list[Acceptance] = []
        self.doubted: frozenset[str] = frozenset()
        self.all_moves: dict[str, Move] = {}
        self.obstacle: str | None = None
        self.now = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
        self._chargers = chargers

    async def request_move(self, given: Move) -> Move:
        charger = (await self._chargers.get(given.charger_id)).charger
        if given.move_id not in self.all_moves and charger.ownership_version != given.expected_version:
            raise StaleVersion("Somebody else moved it first.")
        return self.all_moves.setdefault(given.move_id, given)

    async def apply_move(self, move_id: str, at: datetime) -> Move:
        if self.obstacle is not None:
            return await self.refuse_move(move_id, self.obstacle, at)
        move = self.all_moves[move_id]
        view = await self._chargers.get(move.charger_id)
        charger, values = view.charger, dict(move.values)
        site_id = values.pop("site_id", charger.site_id)
        owned = replace(charger.ownership, **values)
        after = replace(
            charger,
            site_id=site_id,
            ownership=owned,
            ownership_version=charger.ownership_version + 1,
        )
        self._chargers.all[move.charger_id] = replace(view, charger=after)
        before = {name: getattr(charger.ownership, name, charger.site_id) for name in move.values}
        done = replace(move, state=MoveState.DONE, before=before, finished_at=at)
        self.all_moves[move_id] = done
        return done

    async def refuse_move(self, move_id: str, why: str, at: datetime) -> Move:
        refused = replace(self.all_moves[move_id], state=MoveState.REFUSED, why=why, finished_at=at)
        self.all_moves[move_id] = refused
        return refused

    async def moves(self, charger_id: str, *, limit: int = 100) -> Sequence[Move]:
        found = [each for each in self.all_moves.values() if each.charger_id == charger_id]
        return found[::-1][:limit]

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
