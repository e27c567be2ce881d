"""How fast and how often a peer may be, and how often it may fail (F39), on a clock that is handed in."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

Monotonic = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Rate:
    """So many in a row, and so many a second in the long run; ``per_s`` 0: no limit."""

    per_s: float
    burst: float


class TokenBucket:
    """What one peer may still do now. It may run into debt: what has come in is never thrown away."""

    __slots__ = ("_at", "_monotonic", "_rate", "_tokens")

    def __init__(self, rate: Rate, monotonic: Monotonic) -> None:
        self._rate = rate
        self._monotonic = monotonic
        self._tokens = rate.burst
        self._at = monotonic()

    def take(self, cost: float = 1.0) -> float:
        """Take that much; the seconds to wait until the debt is paid, 0 if there is none."""
        if not self._rate.per_s:
            return 0.0
        self._refill()
        self._tokens -= cost
        return max(0.0, -self._tokens / self._rate.per_s)

    def covers(self, cost: float) -> bool:
        """Whether that much is surely there; what came in since the last look is not counted."""
        return not self._rate.per_s or self._tokens >= cost

    def try_take(self) -> bool:
        """Take one if there is one."""
        if not self._rate.per_s:
            return True
        self._refill()
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True

    @property
    def full(self) -> bool:
        """Whether the peer has been quiet for so long that nothing of it need be remembered."""
        self._refill()
        return self._tokens >= self._rate.burst

    def _refill(self) -> None:
        now = self._monotonic()
        self._tokens = min(self._rate.burst, self._tokens + (now - self._at) * self._rate.per_s)
        self._at = now


class Arrival(Enum):
    """Whether a peer may come in."""

    WELCOME = "welcome"
    TOO_OFTEN = "too often"
    """The first refusal of an episode, which lasts until the peer has been quiet for long enough."""
    STILL_TOO_OFTEN = "still too often"


class Arrivals:
    """How often each charger may open a socket. Bounded: the least recent are forgotten first."""

    def __init__(self, rate: Rate, monotonic: Monotonic, max_keys: int = 100_000) -> None:
        self._rate = rate
        self._monotonic = monotonic
        self._max_keys = max_keys
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()
        self._episodes: set[str] = set()

    def admit(self, key: str) -> Arrival:
        """Whether it may come in now."""
        bucket = self._buckets.pop(key, None) or TokenBucket(self._rate, self._monotonic)
        self._buckets[key] = bucket
        while len(self._buckets) > self._max_keys:
            self._episodes.discard(self._buckets.popitem(last=False)[0])
        if bucket.full:
            self._episodes.discard(key)
        if bucket.try_take():
            return Arrival.WELCOME
        arrival = Arrival.STILL_TOO_OFTEN if key in self._episodes else Arrival.TOO_OFTEN
        self._episodes.add(key)
        return arrival


class Doorway:
    """How many peers of one address may stand in the handshake at once, before they proved who they are."""

    def __init__(self, per_address: int) -> None:
        self._per_address = per_address
        self._inside: dict[str, int] = {}

    def enter(self, address: str) -> bool:
        """Whether one more may; who entered must leave."""
        inside = self._inside.get(address, 0)
        if self._per_address and inside >= self._per_address:
            return False
        self._inside[address] = inside + 1
        return True

    def leave(self, address: str) -> None:
        """One is through, or gone."""
        inside = self._inside.pop(address, 0) - 1
        if inside > 0:
            self._inside[address] = inside


class FailureLimit:
    """Counts failures per key in fixed windows; bounded, the oldest keys are forgotten first."""

    def __init__(
        self, limit: int, window_s: float, monotonic: Callable[[], float], max_keys: int = 10_000
    ) -> None:
        self._limit = limit
        self._window_s = window_s
        self._monotonic = monotonic
        self._max_keys = max_keys
        self._failures: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def exceeded(self, key: str) -> bool:
        """Whether this key has used up its failures in the current window."""
        return self._current(key)[1] >= self._limit

    def failed(self, key: str) -> None:
        """Count one more."""
        began, count = self._current(key)
        self._failures[key] = (began, count + 1)
        self._failures.move_to_end(key)
        while len(self._failures) > self._max_keys:
            self._failures.popitem(last=False)

    def _current(self, key: str) -> tuple[float, int]:
        now = self._monotonic()
        began, count = self._failures.get(key, (now, 0))
        return (began, count) if now - began < self._window_s else (now, 0)


class RecentKeys:
    """The keys seen last; bounded, the oldest are forgotten first."""

    def __init__(self, max_keys: int = 50_000) -> None:
        self._max_keys = max_keys
        self._keys: OrderedDict[str, None] = OrderedDict()

    def __contains__(self, key: str) -> bool:
        return key in self._keys

    def add(self, key: str) -> None:
        """Remember it as the latest."""
        self._keys[key] = None
        self._keys.move_to_end(key)
        while len(self._keys) > self._max_keys:
            self._keys.popitem(last=False)
