"""Seats for requests that cost much: so many at once in this process, and whoever comes then is told."""

from collections.abc import Callable


class Seats:
    """Used with ``with``, which raises ``refusal`` of the limit where no seat is free."""

    def __init__(self, limit: int, refusal: Callable[[int], Exception]) -> None:
        self._limit = limit
        self._refusal = refusal
        self._taken = 0

    def __enter__(self) -> None:
        """Take one."""
        if self._taken >= self._limit:
            raise self._refusal(self._limit)
        self._taken += 1

    def __exit__(self, *_: object) -> None:
        """One less."""
        self._taken -= 1
