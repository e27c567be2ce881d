"""Things that are due at times of their own, a hundred thousand of them: a wheel of slots.

A timer of the event loop for each idle socket costs more than all that the socket does. Here one walk over
what is due serves them all: to put, to move and to take out cost the same however many there are.
"""

import math
from typing import Generic, TypeVar

Thing = TypeVar("Thing")


class Wheel(Generic[Thing]):
    """Each thing is in it at most once. Times are seconds of whatever clock its user keeps."""

    def __init__(self, tick_s: float) -> None:
        """Nothing comes early; who looks at every tick gets nothing more than two ticks late."""
        self._tick_s = tick_s
        self._slots: dict[int, dict[Thing, None]] = {}
        self._places: dict[Thing, int] = {}
        self._hand: int | None = None
        """The slot that was looked at last; nothing is in one before it."""

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, thing: Thing) -> bool:
        return thing in self._places

    def put(self, thing: Thing, due: float) -> None:
        """Put it in, or move it. What is overdue comes at the next tick, so that no walk goes in circles."""
        self.remove(thing)
        slot = math.ceil(due / self._tick_s)
        if self._hand is not None:
            slot = max(slot, self._hand + 1)
        self._slots.setdefault(slot, {})[thing] = None
        self._places[thing] = slot

    def remove(self, thing: Thing) -> None:
        """Take it out, if it is in it."""
        slot = self._places.pop(thing, None)
        if slot is None:
            return
        here = self._slots[slot]
        del here[thing]
        if not here:
            del self._slots[slot]

    def take(self, now: float) -> Thing | None:
        """Take out the next that is due, the longest overdue first; None: nothing is."""
        last = math.floor(now / self._tick_s)
        if self._hand is None:
            self._hand = min(self._slots, default=last)
        self._hand = min(self._hand, last)  # nothing is walked yet, or the clock was set back
        while self._slots:
            for thing in self._slots.get(self._hand, ()):
                self.remove(thing)
                return thing
            if self._hand == last:
                return None
            gap = last - self._hand > len(self._slots)
            self._hand = min(last, *self._slots) if gap else self._hand + 1
        self._hand = last
        return None
