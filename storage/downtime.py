"""The ledger of planned downtime: what a charger may be away for us, what it was, when more comes free (X13).

Pure. The judge, the preview and everybody who looks use these figures, so that nobody is told another number
than the one that counted.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from storage.upkeep import Booking, SiteRules

_MINUTE = 60
_SPECK = 0.001
"""Seconds that are none: 3 % of 30 days are no whole number in floats."""


@dataclass(frozen=True, slots=True)
class Account:
    """One charger under its site's obligation, at one instant."""

    rules: SiteRules
    now: datetime
    bookings: tuple[Booking, ...] = ()
    """Those that count, oldest first."""

    @property
    def since(self) -> datetime:
        """When the period began that ends now."""
        return self.now - self._period

    @property
    def spent(self) -> float:
        """Seconds of planned downtime within the period."""
        return sum(booking.within(self.since) for booking in self.bookings)

    @property
    def left(self) -> float:
        """Seconds that it may still be away; infinite without a floor."""
        return max(0.0, self.rules.downtime_allowed - self.spent)

    def room_for(self, takes: float) -> datetime | None:
        """When so many seconds are left: now, or once enough has gone by; None: the floor never allows it.

        If nothing more is spent until then. In whole minutes, so that at that instant there is room indeed.
        """
        allowed = self.rules.downtime_allowed
        if takes > allowed + _SPECK:
            return None
        over = self.spent - (allowed - takes)
        if over <= _SPECK:
            return self.now
        return self._gone(over) + self._period

    @property
    def _period(self) -> timedelta:
        return timedelta(days=self.rules.uptime_days)

    def _gone(self, seconds: float) -> datetime:
        """When so many of the seconds that count lay before the beginning of the period."""
        opened = Counter(max(one.began, self.since) for one in self.bookings)
        ended = Counter(one.ended for one in self.bookings)
        edges = sorted(opened.keys() | ended.keys())
        open_now = 0
        for begin, end in pairwise(edges):
            # Bookings of one charger do not overlap but where clocks were set; each counts all the same.
            open_now += opened[begin] - ended[begin]
            here = (end - begin).total_seconds() * open_now
            if open_now and here > seconds - _SPECK:
                return _next_minute(begin + timedelta(seconds=seconds / open_now))
            seconds -= here
        return _next_minute(edges[-1])


def account(rules: SiteRules, bookings: Sequence[Booking], now: datetime) -> Account:
    """The account of a charger at a site with these rules; what lies before its period counts no more."""
    since = now - timedelta(days=rules.uptime_days)
    counting = [one for one in bookings if one.within(since) > 0]
    return Account(rules, now, tuple(sorted(counting, key=lambda one: one.began)))


def _next_minute(at: datetime) -> datetime:
    """The first whole minute that is not before it."""
    return datetime.fromtimestamp(-(-at.timestamp() // _MINUTE) * _MINUTE, UTC)
