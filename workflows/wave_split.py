"""Who comes in which wave: lists first, then queries, then counts, then shares of the rest. Pure.

A wave is made up in one way (``storage.campaign.WavePlan``); the draw is one seed's, whatever the order in
which chargers were read.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from storage.campaign import CampaignPlan, WavePlan
from workflows.draw import Lot, draw, wave_sizes
from workflows.partial import where_read

T = TypeVar("T")

SHARE_TOLERANCE = 1e-6
_NAMED = 5
"""So many names in a sentence; the rest is a number."""
_STRIDE = 1_000_003
"""Between the seeds of the draws of one plan."""


@dataclass(slots=True)
class Split(Generic[T]):
    """The waves as drawn, and why they cannot be."""

    waves: list[list[T]]
    problems: list[str] = field(default_factory=list)


def split(
    plan: CampaignPlan,
    lots: Sequence[Lot[T]],
    matches: Mapping[str, frozenset[str]],
    left_out: Mapping[str, str],
) -> Split[T]:
    """Draw the waves.

    Args:
        plan: with at least one wave.
        lots: the chargers that can get the artifact.
        matches: who matches, by the query of a wave.
        left_out: the others that the plan's filter matched, each with its reason.
    """
    splitter = _Splitter(plan, lots)
    splitter.take_lists(left_out)
    splitter.take_queries(matches)
    splitter.take_the_rest()
    for wave, members in zip(plan.waves, splitter.found.waves, strict=True):
        if lots and not members and not splitter.told(wave):
            splitter.say(wave, f"would be empty: {len(lots)} chargers are too few")
    return splitter.found


def named(names: Sequence[str]) -> str:
    """The first few, and how many more."""
    shown = ", ".join(names[:_NAMED])
    return shown if len(names) <= _NAMED else f"{shown} and {len(names) - _NAMED} more"


class _Splitter(Generic[T]):
    def __init__(self, plan: CampaignPlan, lots: Sequence[Lot[T]]) -> None:
        self._plan = plan
        self._pool = {lot.name: lot for lot in sorted(lots, key=lambda lot: lot.name)}
        self._fitting = frozenset(self._pool)
        self._told: set[str] = set()
        self.found: Split[T] = Split([[] for _ in plan.waves])

    def say(self, wave: WavePlan, what: str) -> None:
        self._told.add(wave.name)
        self.found.problems.append(f"wave {wave.name!r} {what}")

    def told(self, wave: WavePlan) -> bool:
        return wave.name in self._told

    def take_lists(self, left_out: Mapping[str, str]) -> None:
        """Exactly who is named; whoever cannot come is named back, with the reason."""
        for place, wave in enumerate(self._plan.waves):
            if wave.charger_ids is None:
                continue
            names = list(dict.fromkeys(wave.charger_ids))
            here = [name for name in names if name in self._pool]
            twice = [name for name in names if name in self._fitting and name not in self._pool]
            strange = [name for name in names if name not in self._fitting and name not in left_out]
            if twice:
                self.say(wave, f"names chargers that an earlier wave has: {named(twice)}")
            if strange:
                self.say(wave, f"names chargers that targets does not match: {named(strange)}")
            for name in (name for name in names if name in left_out):
                self.say(wave, f"names {name}, which is left out: {left_out[name]}")
            self.found.waves[place] = self._draw(here, [len(here)], place)[0]

    def take_queries(self, matches: Mapping[str, frozenset[str]]) -> None:
        """Of those that match and are free, as many as the wave says."""
        for place, wave in enumerate(self._plan.waves):
            if wave.query is None or wave.charger_ids is not None:
                continue
            if wave.query not in matches:
                self._told.add(wave.name)  # It cannot be asked, which the plan's own check says.
                continue
            free = [name for name in self._pool if name in matches[wave.query]]
            size = len(free)
            if wave.count is not None:
                size = wave.count
            elif wave.share > 0:
                size = min(len(free), max(1, round(wave.share * len(free))))
            if size > len(free):
                self.say(wave, f"wants {size} chargers, and {len(free)} match its query and are free")
            elif not free:
                self.say(wave, "would be empty: nobody who is free matches its query")
            else:
                self.found.waves[place] = self._draw(free, [size, len(free) - size], place)[0]

    def take_the_rest(self) -> None:
        """Counts, then shares of what is left."""
        plain = [(n, wave) for n, wave in enumerate(self._plan.waves) if _is_plain(wave)]
        counts = sum(wave.count or 0 for _, wave in plain)
        free = len(self._pool) - counts
        if free < 0:
            says = f"{counts} chargers are asked for by count, and {len(self._pool)} are free"
            self.found.problems.append(says)
            self._told |= {wave.name for _, wave in plain}
            return
        shared = [wave for _, wave in plain if wave.count is None]
        sizes = iter(wave_sizes(free, [wave.share for wave in shared]))
        wanted = [wave.count if wave.count is not None else next(sizes) for _, wave in plain]
        if not shared and free > 0 and not self.found.problems and not self._told:
            who = "1 charger is" if free == 1 else f"{free} chargers are"
            what = "in no wave: add one with share 100 %, or narrow targets"
            self.found.problems.append(f"{who} {what}")
        drawn = self._draw(list(self._pool), wanted, -1)
        for (place, _), members in zip(plain, drawn, strict=True):
            self.found.waves[place] = members

    def _draw(self, names: Sequence[str], sizes: Sequence[int], place: int) -> list[list[T]]:
        """Take some out of the pool, at random; the last of two sizes stays in it."""
        seed = self._plan.seed + _STRIDE * (place + 1)
        lots = [self._pool[name] for name in names]
        pairs = draw([Lot(lot.name, lot.model, lot.site, (lot.name, lot.item)) for lot in lots], sizes, seed)
        gone = pairs[:1] if place >= 0 else pairs
        for name, _ in (pair for wave in gone for pair in wave):
            del self._pool[name]
        return [[item for _, item in wave] for wave in pairs]


def _is_plain(wave: WavePlan) -> bool:
    return wave.charger_ids is None and wave.query is None


def share_problems(plan: CampaignPlan) -> list[str]:
    """Waves that do not add up, by the plan alone."""
    found: list[str] = []
    for wave in plan.waves:
        with where_read():
            found += _way_problems(wave)
    with where_read():
        found += _sum_problems(plan)
    with where_read():
        found += _list_problems(plan)
    return found


def _sum_problems(plan: CampaignPlan) -> list[str]:
    shares = [wave.share for wave in plan.waves if _is_plain(wave) and wave.count is None]
    # Written so that a share that is not a number is a problem, too.
    if not shares or abs(sum(shares) - 1.0) <= SHARE_TOLERANCE:
        return []
    whose = "the waves' shares"
    if len(shares) < len(plan.waves):
        whose = "the shares of waves without a list, query or count"
    return [f"{whose} must add up to 1, not {sum(shares):g}"]


def _list_problems(plan: CampaignPlan) -> list[str]:
    listed = [name for wave in plan.waves for name in wave.charger_ids or ()]
    twice = sorted(name for name, times in Counter(listed).items() if times > 1)
    return [f"charger_ids of waves name chargers more than once: {named(twice)}"] if twice else []


def _way_problems(wave: WavePlan) -> list[str]:
    """A wave is made up in one way."""
    found = []
    if wave.charger_ids is not None:
        if not wave.charger_ids:
            found.append("charger_ids must not be empty")
        if wave.query is not None or wave.count is not None or wave.share:
            found.append("charger_ids says exactly who: leave out query, count and share")
    elif wave.count is not None:
        if wave.count < 1:
            found.append("count must be at least 1")
        if wave.share:
            found.append("give a count or a share, not both")
    elif not wave.share > 0 and (wave.query is None or wave.share < 0):
        found.append("share must be above 0")
    elif wave.query is not None and wave.share > 1:
        found.append("share must be at most 1")
    return [f"wave {wave.name!r}: {problem}" for problem in found]
