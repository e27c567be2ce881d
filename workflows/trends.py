"""Trends of one charger, and whether it departs from itself: a flag, no promise of prediction (F30). Pure.

The last days are compared with those before. A feature is *anomalous* only beyond a factor and beyond a
difference, so that a quiet charger is not flagged for its second reconnect; with too few days it is unknown.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from statistics import fmean

from storage.service import ServiceDay


class Trend(StrEnum):
    """What a feature says."""

    NORMAL = "normal"
    ANOMALOUS = "anomalous"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Bound:
    """How far a feature may depart from the charger's own days before."""

    times: float
    """At least so many times the mean before."""
    more: float
    """And at least by so much."""


@dataclass(frozen=True, slots=True)
class TrendRule:
    """Which days, how many of them, and the bounds."""

    recent: timedelta = timedelta(days=7)
    baseline: timedelta = timedelta(days=28)
    """Before the recent days."""
    recent_days: int = 3
    """With fewer days of which something is known, nothing is said."""
    baseline_days: int = 7
    known_s: float = 6 * 3600.0
    """A day counts when so much of it is known."""
    reconnects: Bound = Bound(3.0, 4.0)
    """A day, sockets."""
    faults: Bound = Bound(3.0, 1.0)
    """A day, connectors that became Faulted."""
    temperature: Bound = Bound(1.0, 10.0)
    """Highest of a day, degrees Celsius: so much warmer than before."""


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature, and its means; None: too few days are known."""

    name: str
    unit: str
    recent: float | None
    before: float | None
    recent_days: int
    baseline_days: int
    trend: Trend
    says: str


@dataclass(frozen=True, slots=True)
class Trends:
    """All of one charger."""

    flag: Trend
    features: tuple[Feature, ...]


Days = Sequence[tuple[date, ServiceDay]]


def judge(days: Days, today: date, rule: TrendRule) -> Trends:
    """The features of whole days before today, and the flag that they add up to.

    One that is anomalous flags the charger. Without reconnects or faults nothing is said of it; of
    temperature many a charger never tells.
    """
    link = _feature(
        "reconnects", "a day", days, today, (rule, rule.reconnects, lambda day: float(day.connects))
    )
    faults = _feature("faults", "a day", days, today, (rule, rule.faults, lambda day: float(day.faults)))
    warm = _feature(
        "temperature", "°C", days, today, (rule, rule.temperature, lambda day: day.temperature_max)
    )
    features = (link, faults, warm)
    if any(each.trend is Trend.ANOMALOUS for each in features):
        return Trends(Trend.ANOMALOUS, features)
    unknown = Trend.UNKNOWN in (link.trend, faults.trend)
    return Trends(Trend.UNKNOWN if unknown else Trend.NORMAL, features)


_Reading = tuple[TrendRule, Bound, Callable[[ServiceDay], float | None]]


def _feature(name: str, unit: str, days: Days, today: date, reading: _Reading) -> Feature:
    rule, bound, read = reading
    begin = today - rule.recent
    values: Mapping[bool, list[float]] = {True: [], False: []}
    for day, found in days:
        value = read(found)
        known = found.up_s + found.down_s + found.maintenance_s >= rule.known_s
        if value is not None and known and begin - rule.baseline <= day < today:
            values[day >= begin].append(value)
    recent, before = values[True], values[False]
    if len(recent) < rule.recent_days or len(before) < rule.baseline_days:
        says = f"{len(recent)} of {rule.recent_days} days, and {len(before)} of {rule.baseline_days} before"
        return Feature(
            name, unit, None, None, len(recent), len(before), Trend.UNKNOWN, f"only {says} are known"
        )
    now, then = fmean(recent), fmean(before)
    beyond = now >= then * bound.times and now - then >= bound.more
    trend = Trend.ANOMALOUS if beyond else Trend.NORMAL
    says = f"{now:.1f} {unit}, {then:.1f} before"
    return Feature(name, unit, now, then, len(recent), len(before), trend, says)
