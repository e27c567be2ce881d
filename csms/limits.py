"""Counting failures, so that guessing takes longer than it is worth (F39)."""

from collections import OrderedDict
from collections.abc import Callable


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
