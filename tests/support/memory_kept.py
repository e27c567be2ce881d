"""What chargers were before their updates, in memory."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from storage.campaign import TERMINAL_CAMPAIGN_PHASES, TargetPhase
from storage.kept import OWED, RUNS_IT, Kept, Owed

Key = tuple[str, int, str]
_ORDER = '[2,"m","UpdateFirmware",{}]'


@dataclass
class _State:
    tries: int = 0
    next_at: datetime | None = None
    spoilt: bool = False


class MemoryKept:
    """``campaigns``: where its targets are; without them nobody is owed anything."""

    def __init__(self, campaigns: Any = None, held: Callable[[str], bool] = lambda _: False) -> None:
        self.rows: dict[Key, Kept] = {}
        self.states: dict[Key, _State] = {}
        self.frames: dict[str, list[str]] = {}
        """What left for each charger since, as the journal has it; nothing here: its order alone."""
        self.cut: set[str] = set()
        """Of whom the journal has not all of that any more."""
        self._campaigns = campaigns
        self._held = held

    async def keep(self, kept: Kept) -> None:
        self.rows.setdefault((kept.campaign_id, kept.wave, kept.charger_id), kept)

    async def get(self, campaign_id: str, wave: int, charger_id: str) -> Kept | None:
        return self.rows.get((campaign_id, wave, charger_id))

    async def forget(self, campaign_id: str, wave: int, charger_id: str) -> None:
        self._drop((campaign_id, wave, charger_id))

    async def owed(self, at: datetime, *, limit: int) -> Sequence[Owed]:
        found = [one for key in self.rows if (one := self._owed(key, at)) is not None]
        return sorted(found, key=lambda one: (one.next_at is not None, one.next_at))[:limit]

    async def looked_at(self, owed: Sequence[Owed], at: datetime) -> None:
        for one in owed:
            state = self.states.setdefault(_key(one), _State())
            state.next_at = max(state.next_at or at, at)

    def _owed(self, key: Key, at: datetime) -> Owed | None:
        target, state = self._target(key), self.states.get(key, _State())
        if target is None or target.phase is not TargetPhase.DONE or target.outcome not in RUNS_IT:
            return None
        if state.spoilt or self._held(key[2]) or (state.next_at and state.next_at > at):
            return None
        since = target.finished_at or self.rows[key].taken_at
        sent = target.dispatched_at is not None
        return Owed(*key, target.to_version, sent, since, state.tries, state.next_at)

    async def count_try(self, owed: Owed, next_at: datetime) -> None:
        state = self.states.setdefault(_key(owed), _State())
        state.tries, state.next_at = state.tries + 1, next_at

    async def settle(self, owed: Owed, words: str, *, spoilt: bool = False) -> None:
        key, target = _key(owed), self._target(_key(owed))
        if key in self.rows and target is not None and not self.states.get(key, _State()).spoilt:
            said = target.reason.replace(OWED, words)
            if OWED not in target.reason:
                said = f"{target.reason}; {words}"
            self._campaigns.target_rows[key] = replace(target, reason=said)
        if spoilt:
            self.states.setdefault(key, _State()).spoilt = True
        else:
            self._drop(key)

    async def spoilt(self, campaign_id: str, wave: int) -> frozenset[str]:
        spoilt = [key for key, state in self.states.items() if state.spoilt]
        return frozenset(key[2] for key in spoilt if key[:2] == (campaign_id, wave))

    async def set_since(self, charger_id: str, at: datetime) -> Sequence[str]:
        del at
        return self.frames.get(charger_id, [_ORDER])

    async def reaches(self, charger_id: str, at: datetime) -> bool:
        del at
        return charger_id not in self.cut

    async def sweep(self) -> int:
        gone = [key for key in self.rows if self._is_over(key) and not self._held(key[2])]
        for key in gone:
            self._drop(key)
        return len(gone)

    def _is_over(self, key: Key) -> bool:
        target = self._target(key)
        if target is None or target.phase is not TargetPhase.DONE:
            return False
        over = self._campaigns.rows[key[0]].phase in TERMINAL_CAMPAIGN_PHASES
        return target.outcome not in RUNS_IT or (over and self.states.get(key, _State()).spoilt)

    def _target(self, key: Key) -> Any:
        return self._campaigns.target_rows.get(key) if self._campaigns else None

    def _drop(self, key: Key) -> None:
        self.rows.pop(key, None)
        self.states.pop(key, None)


def _key(owed: Owed) -> Key:
    return owed.campaign_id, owed.wave, owed.charger_id
