"""Chargers with what happens to them hour by hour, with the release and without it. Pure, from a seed.

Both histories come from the same random numbers: whatever wave a charger is drawn into, and whichever rule
decides, the same car fails to charge on it in the same hour unless the release is the reason. So rules are
compared on the same worlds, and a world is built once for all of them.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from random import Random

from workflows.trial.shapes import FleetShape, Harm, Model

BASELINE_HOURS = 14 * 24
"""Of every history, before the campaign starts."""
_HOURLY = (1, 1, 1, 1, 1, 2, 4, 8, 9, 8, 7, 7, 8, 7, 7, 8, 10, 12, 12, 10, 7, 5, 3, 2)
_WEEKEND = 0.8
NIGHT = frozenset((20, 21, 22, 23, 0, 1, 2, 3, 4, 5))
_SPELL_HOURS = 6
_MESSAGES_PER_HOUR = 20

RARE: dict[str, float] = {
    "unavailable": 0.008,
    "silences": 0.004,
    "clock": 0.002,
    "meter_backwards": 0.0005,
    "lower_profile": 0.0003,
}
"""Per charger and day; whether they happened at all is what counts."""

Hours = Sequence[int]


@dataclass(frozen=True, slots=True)
class Track:
    """One signal of one charger: the hours of its hits, and of what they are hits of."""

    hits: Hours
    cases: Hours | None = None
    """None: each hour is a case."""
    per_hour: int = 1
    once: bool = False
    """Only whether it happened at all counts."""

    def count(self, since: int, until: int) -> tuple[int, int]:
        """Hits and exposure from one hour to before another."""
        if until <= since:
            return 0, 0
        hits = bisect_left(self.hits, until) - bisect_left(self.hits, since)
        if self.once:
            return int(hits > 0), 1
        if self.cases is None:
            return hits, (until - since) * self.per_hour
        return hits, bisect_left(self.cases, until) - bisect_left(self.cases, since)


@dataclass(frozen=True, slots=True)
class Unit:
    """One charger."""

    name: str
    model: Model
    stratum: str
    site: str
    old: Mapping[str, Track]
    new: Mapping[str, Track]
    """Under the release; the same objects where it changes nothing."""
    installs: bool
    """Whether the attempt works out."""
    delay: float
    """When in the rollout of its wave it is idle, from 0 to 1."""
    harmed: bool
    """Whether the release does anything to it."""


@dataclass(frozen=True, slots=True)
class World:
    """A fleet, its release and all that will happen."""

    units: tuple[Unit, ...]
    harm: Harm
    hours: int


@dataclass(frozen=True, slots=True)
class _Times:
    """What everybody shares."""

    hours: int
    weights: Sequence[float]
    """Cumulated: when cars come."""
    days: Sequence[float]
    """How bad a day is, for everybody."""
    out: frozenset[int]
    """Hours in which the back end is away."""


@dataclass(frozen=True, slots=True)
class _Maker:
    shape: FleetShape
    harm: Harm
    times: _Times
    chance: Random


def build(shape: FleetShape, harm: Harm, days: int, seed: int) -> World:
    """A world of the baseline and so many days."""
    chance = Random(seed)  # noqa: S311 - reproducible, not a secret
    hours = BASELINE_HOURS + days * 24
    make = _Maker(shape, harm, _times(shape, hours, chance), chance)
    sites = [_site(make) for _ in range(shape.sites)]
    models = chance.choices(shape.models, [model.share for model in shape.models], k=shape.chargers)
    units = [
        _unit(make, number, model, number % len(sites), sites[number % len(sites)])
        for number, model in enumerate(models)
    ]
    return World(tuple(units), harm, hours)


def _times(shape: FleetShape, hours: int, chance: Random) -> _Times:
    spread = shape.day_spread
    days = [chance.lognormvariate(-spread * spread / 2, spread) for _ in range(hours // 24 + 1)]
    return _Times(hours, _week(hours), days, frozenset(spells(shape.backend_outages, hours, chance)))


@lru_cache(maxsize=8)
def _week(hours: int) -> Sequence[float]:
    return list(
        accumulate(_HOURLY[hour % 24] * (_WEEKEND if hour // 24 % 7 >= 5 else 1.0) for hour in range(hours))
    )


def spells(per_day: float, hours: int, chance: Random, length: float = _SPELL_HOURS) -> set[int]:
    """Hours within spells that begin at random and last ``length`` on average."""
    found: set[int] = set()
    for start in moments(per_day, hours, chance):
        end = start + 1 + int(chance.expovariate(1 / max(length - 0.5, 0.5)))
        found.update(range(start, min(end, hours)))
    return found


def moments(per_day: float, hours: int, chance: Random) -> list[int]:
    """Hours at which something that happens so often happens, in order."""
    if per_day <= 0:
        return []
    found, at = [], chance.expovariate(per_day / 24)
    while at < hours:
        found.append(int(at))
        at += chance.expovariate(per_day / 24)
    return found


@dataclass(frozen=True, slots=True)
class _Site:
    worse: float
    out: frozenset[int]


def _site(make: _Maker) -> _Site:
    spread = make.shape.site_spread
    worse = make.chance.lognormvariate(-spread * spread / 2, spread)
    return _Site(worse, frozenset(spells(make.shape.site_outages, make.times.hours, make.chance)))


def _unit(make: _Maker, number: int, model: Model, site: int, place: _Site) -> Unit:
    chance, harm = make.chance, make.harm
    hit = not harm.harmless and (not harm.model or harm.model == model.name)
    revision = model.revisions[number // make.shape.sites % len(model.revisions)]
    old, new = _histories(make, model, place)
    fails = make.shape.install_failures + (harm.installs if hit else 0.0)
    return Unit(
        name=f"C{number:06}",
        model=model,
        stratum=f"{model.name}|{revision}",
        site=f"s{site}",
        old=old,
        new=new if hit else old,
        installs=chance.random() >= fails,
        delay=chance.random(),
        harmed=hit,
    )


def _histories(make: _Maker, model: Model, place: _Site) -> tuple[dict[str, Track], dict[str, Track]]:
    shape, harm, hours, chance = make.shape, make.harm, make.times.hours, make.chance
    own = make.times.out | place.out | spells(shape.offline_spells, hours, chance)
    # An hour more of silence for each hour that harm is to bring, in spells.
    more = spells(harm.offline * 24 / _SPELL_HOURS, hours, chance)
    loops = moments(harm.boot_loops, hours, chance)
    seldom = moments(0.0005, hours, chance)
    old, new = _sessions(make, model, place, frozenset(loops))
    faults = moments(shape.faults, hours, chance)
    later = sorted(faults + moments(harm.faults, hours, chance))
    boots = moments(0.05, hours, chance)
    old |= {"unheard": Track(sorted(own)), "faults": Track(faults, once=True)}
    new |= {"unheard": Track(sorted(own | more)), "faults": Track(later, once=True)}
    old |= {"boots": Track(sorted(boots + seldom)), "boot_loops": Track(seldom, once=True)}
    new |= {
        "boots": Track(sorted(boots + seldom + loops)),
        "boot_loops": Track(sorted(seldom + loops), once=True),
    }
    unchanged = _unchanged(make, own)
    return old | unchanged, new | unchanged


def _unchanged(make: _Maker, away: AbstractSet[int]) -> dict[str, Track]:
    """Signals that no release here changes: they are looked at all the same, and may be wrong by chance."""
    hours, chance = make.times.hours, make.chance
    nervous = chance.gammavariate(1.0, 0.4)
    returns = [hour for hour in away if hour - 1 not in away]
    found = {name: Track(moments(rate, hours, chance), once=True) for name, rate in RARE.items()}
    restarts = moments(0.02, hours, chance)
    found["reconnects"] = Track(sorted(returns + moments(nervous, hours, chance)))
    found["protocol_errors"] = Track(moments(nervous, hours, chance), per_hour=_MESSAGES_PER_HOUR)
    found["lost_stops"] = Track([hour for hour in restarts if chance.random() < 0.1], restarts)
    return found


def _sessions(
    make: _Maker, model: Model, place: _Site, loops: frozenset[int]
) -> tuple[dict[str, Track], dict[str, Track]]:
    shape, times, chance = make.shape, make.times, make.chance
    often = chance.gammavariate(4.0, shape.sessions / 4.0) * times.hours / 24
    count = max(0, round(chance.normalvariate(often, often**0.5)))
    came = sorted(chance.choices(range(times.hours), cum_weights=times.weights, k=count))
    usual = _own_rate(shape, model, place, chance)
    more, night_only = make.harm.sessions, make.harm.after_hours
    failed, worse, stopped = [], [], []
    draw, days, out = chance.random, times.days, times.out
    for hour in came:
        luck = draw()
        if luck < usual * days[hour // 24] or (hour in out and luck < 0.8):
            failed.append(hour)
            worse.append(hour)
        else:
            added = more if not night_only or hour % 24 in NIGHT else 0.0
            if luck > 1 - added or hour in loops:
                worse.append(hour)
        if draw() < shape.abnormal_stops:
            stopped.append(hour)
    stops = Track(stopped, came)
    return (
        {"session_failures": Track(failed, came), "abnormal_stops": stops},
        {"session_failures": Track(worse, came), "abnormal_stops": stops},
    )


def _own_rate(shape: FleetShape, model: Model, place: _Site, chance: Random) -> float:
    """How often sessions of one charger fail: a beta distribution around its model's and site's mean."""
    mean = min(max(shape.session_failures * model.worse * place.worse, 1e-6), 0.9)
    if shape.alike <= 0:
        return mean
    size = 1 / shape.alike - 1
    return chance.betavariate(mean * size, (1 - mean) * size)
