"""Maintenance windows on a site's own wall clock, and what closes a site in between. Pure.

**A window opens at the first instant at which the wall clock shows its time or a later one on that day, and
closes at the first instant at which it shows its end.** So a time that a clock change skips is the instant of
the change, a time that comes twice is its first coming, and a window whose whole length is skipped does not
open that day. Intervals are half open, in UTC.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from re import compile as pattern
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

HORIZON = timedelta(days=62)
"""How far ahead the next opening is looked for."""
_DAY = timedelta(days=1)
_CLOCK = pattern(r"([01]\d|2[0-3]):([0-5]\d)")


class Day(StrEnum):
    """A day of the week, in the order of ``date.weekday``."""

    MON = "mon"
    TUE = "tue"
    WED = "wed"
    THU = "thu"
    FRI = "fri"
    SAT = "sat"
    SUN = "sun"


EVERY_DAY = tuple(Day)


@dataclass(frozen=True, slots=True)
class Window:
    """A recurring time in which updates may run. ``closes`` at or before ``opens`` is on the next day."""

    opens: str
    """``HH:MM``, as the clock on the site's wall shows it."""
    closes: str
    days: tuple[Day, ...] = EVERY_DAY
    """The days on which it opens."""

    @property
    def overnight(self) -> bool:
        """Whether it closes on the day after."""
        return self.closes <= self.opens


@dataclass(frozen=True, slots=True)
class Span:
    """From ``begins`` up to, and not including, ``ends``; UTC."""

    begins: datetime
    ends: datetime


class ClosureKind(StrEnum):
    """Why nothing may be installed for a while (X4)."""

    GRID = "grid"
    """A demand-response or other grid event."""
    TARIFF = "tariff"
    """A price; it closes for plans whose ``max_price`` is below it, and for everybody if it has none."""
    FREEZE = "freeze"
    """People said so."""


@dataclass(frozen=True, slots=True)
class Closure:
    """A time in which nothing is to be installed, at one site or (None) everywhere."""

    begins: datetime
    ends: datetime
    kind: ClosureKind
    reason: str
    site_id: str | None = None
    price: float | None = None
    """Of a tariff, in whatever unit the operator's plans use."""
    closure_id: str = ""

    def closes(self, site_id: str, max_price: float | None) -> bool:
        """Whether it concerns this site under a plan that pays so much."""
        if self.site_id not in (None, site_id):
            return False
        return self.price is None or (max_price is not None and self.price > max_price)


@dataclass(frozen=True, slots=True)
class Opening:
    """Whether work that takes a known time may begin now; if not, why, and when it may."""

    closed: str = ""
    """"": it may begin."""
    opens_at: datetime | None = None
    """None: it may now, or nobody can tell when."""


OPEN = Opening()


@lru_cache(maxsize=1024)
def known_zone(name: str) -> bool:
    """Whether windows can be computed there."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def window_problems(window: Window) -> list[str]:
    """What is wrong with one window by itself."""
    bad = [text for text in (window.opens, window.closes) if not _CLOCK.fullmatch(text)]
    found = [f"{text!r} is no time of day, as in 02:30" for text in bad]
    if not window.days:
        found.append("it has no days")
    return found


def first_instant(zone: ZoneInfo, day: date, clock: time) -> datetime:
    """The first instant (UTC) at which the wall clock shows this time or a later one on this day or later."""
    naive = datetime.combine(day, clock)
    early = naive.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if early.astimezone(zone).replace(tzinfo=None) == naive:
        return early
    # The clock skips it (PEP 495): the two readings of a skipped time lie on both sides of the change.
    low, high = naive.replace(tzinfo=zone, fold=1).astimezone(UTC), early
    before = low.astimezone(zone).utcoffset()
    while high - low > timedelta(seconds=1):
        middle = low + timedelta(seconds=(high - low) // timedelta(seconds=2))
        if middle.astimezone(zone).utcoffset() == before:
            low = middle
        else:
            high = middle
    return high


def spans(windows: Sequence[Window], zone: ZoneInfo, begin: datetime, end: datetime) -> list[Span]:
    """When any of these windows is open between two instants, merged, in order."""
    day, last = begin.astimezone(zone).date() - 2 * _DAY, end.astimezone(zone).date() + _DAY
    found: list[Span] = []
    while day <= last:
        for window in windows:
            if EVERY_DAY[day.weekday()] in window.days:
                opens = first_instant(zone, day, time.fromisoformat(window.opens))
                until = day + _DAY if window.overnight else day
                found.append(Span(opens, first_instant(zone, until, time.fromisoformat(window.closes))))
        day += _DAY
    return [span for span in _merged(found) if span.begins < end and span.ends > begin]


def without(open_spans: Iterable[Span], closed: Iterable[Span]) -> Iterator[Span]:
    """What is left of open spans where closed ones are cut out; both in order, the closed ones merged."""
    holes = _merged(closed)
    for span in open_spans:
        begins = span.begins
        for hole in holes:
            if hole.ends <= begins or hole.begins >= span.ends:
                continue
            if hole.begins > begins:
                yield Span(begins, hole.begins)
            begins = max(begins, hole.ends)
        if begins < span.ends:
            yield Span(begins, span.ends)


def _merged(given: Iterable[Span]) -> list[Span]:
    merged: list[Span] = []
    for span in sorted((span for span in given if span.ends > span.begins), key=lambda one: one.begins):
        if merged and span.begins <= merged[-1].ends:
            merged[-1] = Span(merged[-1].begins, max(merged[-1].ends, span.ends))
        else:
            merged.append(span)
    return merged


@dataclass(frozen=True, slots=True)
class Calendar:
    """When work may be done at one site under one plan."""

    site_id: str
    time_zone: str
    windows: tuple[Window, ...] = ()
    """Empty: at any time."""
    closures: tuple[Closure, ...] = ()
    max_price: float | None = None
    takes: timedelta = timedelta(0)
    """What is begun must be able to end before the site closes again."""

    def opening(self, now: datetime) -> Opening:
        """Whether work may begin now."""
        if not self.windows and not self.closures:
            return OPEN
        if self.windows and not known_zone(self.time_zone):
            return Opening(f"its site has no time zone that is known ({self.time_zone or 'none'})")
        first = self._first(now)
        if first is not None and first <= now:
            return OPEN
        return Opening(self._why(now), first)

    def room(self, begin: datetime, end: datetime) -> timedelta:
        """How long work may begin between two instants, all times together."""
        left = (
            min(span.ends - self.takes, end) - max(span.begins, begin)
            for span in self._open(begin, end + self.takes)
        )
        return sum((each for each in left if each > timedelta(0)), timedelta(0))

    def _open(self, begin: datetime, end: datetime) -> Iterator[Span]:
        always = [Span(begin, end)]
        found = _spans(self.windows, self.time_zone, begin, end) if self.windows else always
        closed = [Span(one.begins, one.ends) for one in self._closing()]
        return without(found, closed)

    def _closing(self) -> list[Closure]:
        return [one for one in self.closures if one.closes(self.site_id, self.max_price)]

    def _first(self, now: datetime) -> datetime | None:
        """When work may begin from now on at the earliest."""
        for span in self._open(now, now + HORIZON):
            begins = max(span.begins, now)
            if span.ends - begins >= self.takes:
                return begins
        return None

    def _why(self, now: datetime) -> str:
        for one in self._closing():
            if one.begins <= now < one.ends:
                return f"its site is closed ({one.kind.value}): {one.reason}"
        if self.windows and not _inside(_spans(self.windows, self.time_zone, now, now + _DAY), now):
            return f"its maintenance window is closed ({self.time_zone})"
        return "what is left before its site closes is too short for an update"


def _inside(found: Iterable[Span], at: datetime) -> bool:
    return any(span.begins <= at < span.ends for span in found)


def _spans(windows: tuple[Window, ...], zone: str, begin: datetime, end: datetime) -> Sequence[Span]:
    """As ``spans``, by whole days, because the sites of a zone ask the same thing over and over."""
    floor = begin.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    ceiling = end.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + _DAY
    known = _known_spans(windows, zone, floor, ceiling)
    return [span for span in known if span.ends > begin and span.begins < end]


@lru_cache(maxsize=512)
def _known_spans(windows: tuple[Window, ...], zone: str, begin: datetime, end: datetime) -> tuple[Span, ...]:
    return tuple(spans(windows, ZoneInfo(zone), begin, end))
