"""The future as recorded weeks in another order, for everybody or for each site by itself.

Storms and holidays are everybody's, a site's router is its own, and no recording tells which it was: half of
the replays draw one order for all, half of them one for each site. Who is silent as the recording ends stays
so for as long as silences went on that had become as old.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from random import Random

from storage.recording import WEEK_HOURS, Recorded
from workflows.whatif.study import Member

WEEK = WEEK_HOURS * 60
MAX_WEEKS = 60
_SILENT_HOURS = 3
"""A silence that is younger as the recording ends is none."""
_LONGEST = MAX_WEEKS * WEEK


@dataclass(frozen=True, slots=True)
class Silences:
    """How long nothing was heard of chargers, in hours and in order."""

    ended: Sequence[int] = ()
    going_on: Sequence[int] = ()
    """As old as they are when the recording ends."""

    @classmethod
    def of(cls, members: Iterable[Member], weeks: int) -> "Silences":
        """Every silence of at least three hours."""
        ended: list[int] = []
        going_on: list[int] = []
        for member in members:
            heard = member.recorded.heard
            ended += [
                after - before - 1 for before, after in pairwise(heard) if after - before > _SILENT_HOURS
            ]
            age = _age(member.recorded, weeks)
            if heard and age >= _SILENT_HOURS:
                going_on.append(age)
        return cls(sorted(ended), sorted(going_on))

    def left(self, age: int, chance: Random) -> int:
        """Further hours of a silence that is so old: as one went on that had become as old."""
        place = bisect_left(self.ended, age)
        ended, unknown = len(self.ended) - place, len(self.going_on) - bisect_left(self.going_on, age)
        drawn = chance.randrange(max(ended + unknown, 1))
        if drawn < ended:
            return self.ended[place + drawn] - age
        # Of those that go on nothing is known but that they did: about as long again.
        luck = chance.random()
        return min(int(age * luck / (1 - luck)), _LONGEST // 60)


def _age(one: Recorded, weeks: int) -> int:
    return weeks * WEEK_HOURS - 1 - (one.heard[-1] if one.heard else -1)


class Weeks:
    """Which recorded week each week to come is."""

    def __init__(self, recorded: int, chance: Random | None = None, silences: Silences | None = None) -> None:
        """Drawn at random; without chance, the recorded ones as they were, over and over."""
        self._recorded = recorded
        self._silences = silences or Silences()
        self._chance = chance
        self._alike = chance is not None and chance.random() < 0.5
        self._orders: dict[str, list[int]] = {}
        self._silent: dict[tuple[str, int], int] = {}

    def away_until(self, member: Member, minute: int) -> int:
        """When it may be heard again; the minute itself if it is heard then. Whole hours."""
        if minute < (silent := self._silent_until(member)):
            return silent
        there = self._there(member, minute)
        heard, hour = member.recorded.heard, there // 60
        place = bisect_left(heard, hour)
        if place < len(heard) and heard[place] == hour:
            return minute
        left = WEEK - there % WEEK
        if place == len(heard):
            return minute + left
        return minute + min(heard[place] * 60 - there, left)

    def charging_until(self, member: Member, minute: int) -> int:
        """When its car is gone; the minute itself if there is none."""
        there, one = self._there(member, minute), member.recorded
        place = bisect_right(one.begins, there) - 1
        if place < 0 or one.ends[place] <= there:
            return minute
        return minute + min(one.ends[place] - there, WEEK - there % WEEK)

    def lost_wh(self, member: Member, since: int, until: int) -> float:
        """What cars that come within a span do not get, by the share of their session that is gone."""
        one, begin = member.recorded, self._there(member, since)
        end, lost = begin + until - since, 0.0
        for place in range(bisect_left(one.begins, begin), bisect_left(one.begins, end)):
            length = max(one.ends[place] - one.begins[place], 1)
            lost += one.energy_wh[place] * min(1.0, (end - one.begins[place]) / length)
        return lost

    def _there(self, member: Member, minute: int) -> int:
        """The recorded minute behind one to come."""
        week, within = divmod(minute, WEEK)
        if self._chance is None:
            return week % self._recorded * WEEK + within
        site = "" if self._alike else member.site_id
        order = self._orders.get(site)
        if order is None:
            order = [self._chance.randrange(self._recorded) for _ in range(MAX_WEEKS)]
            self._orders[site] = order
        return order[min(week, MAX_WEEKS - 1)] * WEEK + within

    def _silent_until(self, member: Member) -> int:
        """Chargers of a site that fell silent together come back together."""
        if self._chance is None:
            return 0
        age = _age(member.recorded, self._recorded)
        if age < _SILENT_HOURS:
            return 0
        key = (member.site_id, age)
        known = self._silent.get(key)
        if known is None:
            left = self._silences.left(age, self._chance) if member.recorded.heard else _LONGEST // 60
            known = self._silent[key] = left * 60
        return known
