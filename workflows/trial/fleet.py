"""A user's own fleet as a world: what health hours counted, week by week in a new order. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from activities.measures import SKEW_S
from storage.health import HealthHour
from storage.recording import WEEK_HOURS
from workflows.trial.shapes import Harm, Model
from workflows.trial.world import BASELINE_HOURS, NIGHT, Track, Unit, World, moments, spells


@dataclass(frozen=True, slots=True)
class Charger:
    """One charger's recorded signals."""

    charger_id: str
    model: str
    """``vendor/model``."""
    hardware: str
    site: str
    tracks: Mapping[str, Track]
    kind: str = ""
    """Of its site, where one is known."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """Chargers over whole weeks."""

    weeks: int
    chargers: Sequence[Charger]


def tracks_of(hours: Mapping[int, HealthHour], weeks: int) -> dict[str, Track]:
    """The signals of a gate from counters of hours; the same as ``activities.measures`` takes from sums."""
    messages = sum(hour.messages for hour in hours.values())
    unheard = [place for place in range(weeks * WEEK_HOURS) if place not in hours or not hours[place].heard]
    heard = max(weeks * WEEK_HOURS - len(unheard), 1)
    return {
        "session_failures": Track(
            _times(hours, lambda hour: hour.attempts_failed),
            _times(hours, lambda hour: hour.attempts_failed + hour.attempts_ok),
        ),
        "abnormal_stops": Track(
            _times(hours, lambda hour: hour.abnormal_stops), _times(hours, lambda hour: hour.stops)
        ),
        "unheard": Track(unheard),
        "faults": Track(_times(hours, lambda hour: hour.went_faulted > 0), once=True),
        "unavailable": Track(_times(hours, lambda hour: hour.went_unavailable > 0), once=True),
        "boots": Track(_times(hours, lambda hour: hour.boots > 0)),
        "boot_loops": Track(_times(hours, lambda hour: hour.boot_loops > 0), once=True),
        "reconnects": Track(_times(hours, lambda hour: hour.connects > 0)),
        "silences": Track(_times(hours, lambda hour: hour.silences > 0), once=True),
        "probes": Track(
            _times(hours, lambda hour: max(hour.probes - hour.probes_answered, 0)),
            _times(hours, lambda hour: hour.probes),
        ),
        "protocol_errors": Track(
            _times(hours, lambda hour: min(hour.errors, hour.messages)),
            per_hour=max(round(messages / heard), 1),
        ),
        "clock": Track(_times(hours, lambda hour: (hour.skew_min_s or 0.0) > SKEW_S), once=True),
        "meter_backwards": Track(_times(hours, lambda hour: hour.meter_backwards > 0), once=True),
        "lost_stops": Track(
            _times(hours, lambda hour: max(hour.open_at_boot - hour.closed_after_boot, 0)),
            _times(hours, lambda hour: hour.open_at_boot),
        ),
        "lower_profile": Track(_times(hours, lambda hour: hour.profile_drops > 0), once=True),
    }


def _times(hours: Mapping[int, HealthHour], count: Callable[[HealthHour], int]) -> list[int]:
    return [place for place in sorted(hours) for _ in range(int(count(hours[place])))]


def world_of(fleet: Fleet, harm: Harm, days: int, seed: int, install_failures: float = 0.01) -> World:
    """The recorded weeks in an order drawn for everybody together, so that a bad day stays everybody's."""
    chance = Random(seed)  # noqa: S311 - reproducible, not a secret
    hours = BASELINE_HOURS + days * 24
    order = [chance.randrange(fleet.weeks) for _ in range(hours // WEEK_HOURS + 1)]
    shares: dict[str, int] = {}
    for charger in fleet.chargers:
        shares[charger.model] = shares.get(charger.model, 0) + 1
    models = {name: Model(name, count / len(fleet.chargers)) for name, count in shares.items()}
    units = []
    for charger in fleet.chargers:
        hit = not harm.harmless and (not harm.model or harm.model == charger.model)
        old = {name: _reordered(track, order, hours) for name, track in charger.tracks.items()}
        units.append(
            Unit(
                name=charger.charger_id,
                model=models[charger.model],
                stratum="|".join(filter(None, (charger.model, charger.hardware, charger.kind))),
                site=charger.site,
                old=old,
                new=harmed(old, harm, hours, chance) if hit else old,
                installs=chance.random() >= install_failures + (harm.installs if hit else 0.0),
                delay=chance.random(),
                harmed=hit,
            )
        )
    return World(tuple(units), harm, hours)


def _reordered(track: Track, order: Sequence[int], hours: int) -> Track:
    cases = None if track.cases is None else _stitched(track.cases, order, hours)
    return Track(_stitched(track.hits, order, hours), cases, track.per_hour, track.once)


def _stitched(places: Sequence[int], order: Sequence[int], hours: int) -> list[int]:
    by_week: dict[int, list[int]] = {}
    for place in places:
        by_week.setdefault(place // WEEK_HOURS, []).append(place % WEEK_HOURS)
    found = [week * WEEK_HOURS + within for week, old in enumerate(order) for within in by_week.get(old, ())]
    return [place for place in found if place < hours]


def harmed(old: Mapping[str, Track], harm: Harm, hours: int, chance: Random) -> dict[str, Track]:
    """The same charger under a release that does harm to it."""
    sessions, loops = old["session_failures"], moments(harm.boot_loops, hours, chance)
    failed = _more_failures(sessions, harm, frozenset(loops), chance)
    away = frozenset(old["unheard"].hits) | spells(harm.offline * 4, hours, chance)
    return {
        **old,
        "session_failures": Track(failed, sessions.cases),
        "unheard": Track(sorted(away)),
        "faults": _joined(old["faults"], moments(harm.faults, hours, chance)),
        "boots": _joined(old["boots"], loops),
        "boot_loops": _joined(old["boot_loops"], loops),
    }


def _joined(track: Track, more: Sequence[int]) -> Track:
    return Track(sorted([*track.hits, *more]), track.cases, track.per_hour, track.once)


def _more_failures(track: Track, harm: Harm, loops: frozenset[int], chance: Random) -> list[int]:
    left, found = list(reversed(track.hits)), []
    for hour in track.cases or ():
        if left and left[-1] == hour:
            found.append(left.pop())
        elif hour in loops or _worse(harm, hour, chance):
            found.append(hour)
    return found


def _worse(harm: Harm, hour: int, chance: Random) -> bool:
    added = harm.sessions if not harm.after_hours or hour % 24 in NIGHT else 0.0
    return chance.random() < added
