"""When somebody of ours listened to chargers, as nodes wrote it down. Pure.

Every node marks now and then that it listens. Marks that follow each other closely are one span, and a span
that ends is as much as anybody knows: a machine that is switched off writes nothing any more. What no span
covers is a break, in which no charger could have told us anything.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

MARK_EVERY = timedelta(seconds=5)
"""So often a node says that it listens."""
CLOSELY = timedelta(seconds=15)
"""Marks that far apart follow each other: a node may be slow. Longer without one is a break."""
TOO_SHORT = timedelta(seconds=60)
"""Whoever listens for less than this between two breaks is not reached by anybody: they are one break."""
KEPT = timedelta(days=400)
"""For so long spans are kept, so that what was judged by them can be judged again."""


@dataclass(frozen=True, slots=True)
class Span:
    """Without a break, some node listened."""

    began_at: datetime
    until: datetime
    """Its last mark."""


@dataclass(frozen=True, slots=True)
class Listened:
    """What is stored of it."""

    now: datetime
    """By the clock that wrote the marks."""
    first: datetime | None = None
    """The first mark that is kept; of what was before nothing is known. None: nobody ever marked."""
    spans: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True)
class Break:
    """Nobody of ours listened."""

    since: datetime
    until: datetime | None
    """None: nobody does yet."""

    def ends(self, now: datetime) -> datetime:
        """When it ended; of one that lasts, now. Never before it began: two clocks may differ."""
        return max(self.since, now) if self.until is None else self.until


def breaks(listened: Listened, since: datetime) -> tuple[Break, ...]:
    """The breaks from this instant on, in their order. Where nothing was ever marked none is known."""
    if listened.first is None:
        return ()
    found: list[Break] = []
    heard = max(since, listened.first)
    for span in sorted(listened.spans, key=lambda span: span.began_at):
        if span.began_at - heard > CLOSELY:
            _add(found, Break(heard, span.began_at))
        heard = max(heard, span.until)
    if listened.now - heard > CLOSELY:
        _add(found, Break(heard, None))
    return tuple(found)


def _add(found: list[Break], one: Break) -> None:
    """Behind the others; together with the last where too little is between them."""
    last = found[-1] if found else None
    if last is not None and last.until is not None and one.since - last.until < TOO_SHORT:
        found[-1] = Break(last.since, one.until)
    else:
        found.append(one)
