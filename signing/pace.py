"""How often something may be done. No I/O."""

from signing.errors import TooHasty
from storage.clock import Clock


class Pace:
    """A bucket of signatures that fills evenly. ``None``: no limit."""

    def __init__(self, per_minute: int | None, clock: Clock) -> None:
        self._limit = per_minute
        self._clock = clock
        self._left = float(per_minute or 0)
        self._at = clock()

    def take(self, what: str) -> None:
        """Raises TooHasty."""
        self.check(what)
        self._left -= 1

    def check(self, what: str) -> None:
        """The same without doing it, for who has much to do before. Raises TooHasty."""
        if self._limit is None:
            self._left = 1
            return
        now = self._clock()
        passed = max(0.0, (now - self._at).total_seconds())
        self._left, self._at = min(float(self._limit), self._left + passed * self._limit / 60), now
        if self._left < 1:
            raise TooHasty(
                f"{what} at most {self._limit} times a minute (S64).",
                hint="It goes on by itself. If nobody released that much, find out who asks.",
            )
