"""The garbage collector, tuned for a process that holds many sockets, or makes many short-lived objects.

With Python's own thresholds it looks through the fleet's objects several times a second: a third of a
node's time, measured under the ingest bench. What a message leaves is freed by its reference count; cycles
are rare here (exceptions, closed sockets), so that looking for them seldom costs little memory.
"""

import gc

YOUNG = 50_000
"""New objects between two looks at the youngest ones; Python's own: 700."""
MIDDLE = 20
OLD = 50


def tune() -> None:
    """Call once, when everything is imported and started: what is there by then is never looked at again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, MIDDLE, OLD)


CLOSED = 2000


class Litter:
    """Closed sockets are cycles that lived long; nothing but a whole collection finds them.

    Seventeen KiB each, measured in the soak; so one collection for every two thousand of them.
    """

    def __init__(self) -> None:
        self._closed = 0

    def add(self) -> None:
        """One more socket is closed."""
        self._closed += 1
        if self._closed >= CLOSED:
            self._closed = 0
            gc.collect()
