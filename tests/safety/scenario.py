"""What one campaign is made of and what happens to it: drawn from a seed, and made smaller to be read."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

from tests.safety.controller import MOODS
from tests.safety.station import BAD_IMAGE, HASTE, Habit, Nature

HOUR = 3600.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Act:
    """Something that happens, and when (simulated seconds)."""

    at: float
    what: str
    whom: str = ""
    seconds: float = 0.0

    def __str__(self) -> str:
        return " ".join(
            part for part in (self.what, self.whom, f"for {self.seconds:.0f} s" * (self.seconds > 0)) if part
        )


@dataclass(frozen=True, slots=True)
class Odds:
    """How often something goes wrong at a step."""

    store_away: float = 0.0
    reply_lost: float = 0.0
    store_slow: float = 0.0
    command_lost: float = 0.0
    answer_lost: float = 0.0
    message_repeated: float = 0.0
    commit_slow: float = 0.0
    signal_repeated: float = 0.0
    signal_late: float = 0.0
    killed_at_work: float = 0.0
    """The process of an activity dies while it is at it."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One campaign and its fate."""

    seed: int
    natures: tuple[Nature, ...]
    site_sizes: tuple[int, ...]
    max_down: int
    waves: int
    shard_size: int
    window: int
    rollback: bool
    max_failure_share: float
    early_stop: int
    min_attempts: int
    attempt_seconds: float
    max_attempts: int
    wave_seconds: float
    long_history: int
    rival: bool
    """A second campaign wants some of the same chargers."""
    needs_approval: bool
    soak: bool
    acts: tuple[Act, ...] = ()
    odds: Odds = Odds()
    end_seconds: float = 0.0
    """After its begin; 0: it has no end."""
    end_behaviour: str = ""
    rehearse: int = 0
    ahead_seconds: float = 0.0
    """So long may a charger take to fetch its image ahead of its install; 0: it fetches as it installs."""
    closed_seconds: float = 0.0
    """So long every site is closed, from the beginning on."""
    frozen: bool = False
    """By people, so that nothing is fetched either; otherwise by the grid."""
    chain: bool = False
    """A second campaign comes after the first, charger by charger."""
    feeder_kw: float = 0.0
    """All sites hang on one supply, and this comes back on it in a minute at most; 0: nobody counts."""
    controller: str = ""
    """What the local controller of every site makes of an image; "": there is none."""
    steady_seconds: float = 0.0
    """So long a charger has to stay up before it is updated; 0: its first boot is enough."""

    @property
    def chargers(self) -> tuple[str, ...]:
        return tuple(nature.name for nature in self.natures)


def draw(seed: int) -> Scenario:
    """The campaign of this seed."""
    newest = _newest(random.Random(seed ^ 0xA4EAD), former(seed))
    shut = _shut(random.Random(seed ^ 0x5407), _steady(random.Random(seed ^ 0x57EAD), newest))
    return _switched_off(random.Random(seed ^ 0x0FF), shut)


def former(seed: int) -> Scenario:
    """The same without what came last: fetching ahead, followers, feeders, local controllers, staying up."""
    rng = random.Random(seed)
    count = rng.choice((3, 4, 5, 6, 6, 8, 8, 10, 12))
    sites = max(1, count // rng.choice((1, 2, 3)))
    bad = rng.random() < 0.25
    natures = tuple(_nature(rng, number, sites, bad) for number in range(count))
    horizon = 1.5 * HOUR
    calm = rng.random() < 0.05
    return _later(
        random.Random(seed ^ 0x1A7E), _drawn(rng, seed, natures, (count, sites), horizon, calm=calm)
    )


def _later(rng: random.Random, scenario: Scenario) -> Scenario:
    """What was thought of later has a chance of its own, so that the rest of a seed stays what it was."""
    rehearse = rng.choice((1, 2)) if scenario.rollback and scenario.waves > 1 and rng.random() < 0.3 else 0
    behaviour = rng.choice(("", "stop", "pause", "roll_back_failed", "roll_back"))
    if behaviour.startswith("roll_back") and not scenario.rollback:
        behaviour = "pause"
    ends = rng.choice((300.0, 900.0, 2400.0, 5400.0)) * rng.uniform(0.5, 1.5) if rng.random() < 0.2 else 0.0
    acts = list(scenario.acts)
    if ends and rng.random() < 0.4:
        acts.append(Act(rng.uniform(0, ends), "extend", seconds=rng.uniform(60, 5400)))
    acts += [
        Act(_moment(rng, 1200.0), "recall", rng.choice(scenario.natures).name)
        for _ in range(rng.choice((0, 0, 0, 1, 2)))
    ]
    ordered = tuple(sorted(acts, key=lambda act: act.at))
    return replace(scenario, acts=ordered, rehearse=rehearse, end_seconds=ends, end_behaviour=behaviour)


def _newest(rng: random.Random, scenario: Scenario) -> Scenario:
    """The same once more: a chance of its own, and chargers that are otherwise as they were."""
    ahead = rng.choice((60.0, 300.0, 900.0)) if rng.random() < 0.25 else 0.0
    closed = rng.choice((240.0, 900.0, 2400.0)) if rng.random() < (0.7 if ahead else 0.04) else 0.0
    feeds = rng.random() < 0.15
    natures = tuple(
        replace(
            nature,
            haste=rng.choice(HASTE) if ahead else "",
            takes_nothing=bool(ahead) and rng.random() < 0.7,
            power_kw=rng.choice((11.0, 22.0, 50.0)) if feeds else 0.0,
        )
        for nature in scenario.natures
    )
    largest = max(nature.power_kw for nature in natures)
    return replace(
        scenario,
        natures=natures,
        ahead_seconds=ahead,
        closed_seconds=closed,
        frozen=bool(closed) and rng.random() < 0.2,
        chain=not scenario.rival and rng.random() < 0.15,
        feeder_kw=largest * rng.choice((1.0, 1.5, 2.5)),
        controller=rng.choice(MOODS) if rng.random() < 0.15 else "",
    )


def _steady(rng: random.Random, scenario: Scenario) -> Scenario:
    """The same, in part of the plans, with chargers that have to stay up: longer than a loop pauses.

    Some of them loop for longer than an attempt may take, or install so slowly that they prove it late.
    """
    if rng.random() >= 0.3:
        return scenario
    seconds = rng.choice((20.0, 60.0, 120.0))
    natures = tuple(_restless(rng, nature) if rng.random() < 0.15 else nature for nature in scenario.natures)
    return replace(scenario, steady_seconds=seconds, natures=natures)


def _restless(rng: random.Random, nature: Nature) -> Nature:
    if rng.random() < 0.4:
        return replace(nature, slow=rng.uniform(100.0, 900.0))
    habit = rng.choice((Habit.LOOPS, Habit.LOOPS_THEN_RUNS))
    return replace(nature, habits=(habit, *nature.habits), loops=rng.choice((3, 10, 40)))


def _shut(rng: random.Random, scenario: Scenario) -> Scenario:
    """The same, now and then, with people who freeze every site in the middle of it."""
    if rng.random() >= 0.08:
        return scenario
    acts = (*scenario.acts, Act(_moment(rng, HOUR), "shut", seconds=rng.uniform(30.0, 900.0)))
    return replace(scenario, acts=tuple(sorted(acts, key=lambda act: act.at)))


def _switched_off(rng: random.Random, scenario: Scenario) -> Scenario:
    """The same, now and then, with all of our own system away: mostly for longer than an attempt may take.

    Some come back only to go again.
    """
    if rng.random() >= 0.12:
        return scenario
    at, acts = _moment(rng, HOUR), list(scenario.acts)
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        seconds = scenario.attempt_seconds * rng.uniform(0.1, rng.choice((1.0, 4.0)))
        acts.append(Act(at, "switch off", seconds=seconds))
        at += seconds + rng.uniform(20.0, rng.choice((200.0, 1500.0)))
    return replace(scenario, acts=tuple(sorted(acts, key=lambda act: act.at)))


def _drawn(
    rng: random.Random,
    seed: int,
    natures: tuple[Nature, ...],
    sizes: tuple[int, int],
    horizon: float,
    *,
    calm: bool,
) -> Scenario:
    count, sites = sizes
    return Scenario(
        seed=seed,
        natures=natures,
        site_sizes=tuple(sum(number % sites == site for number in range(count)) for site in range(sites)),
        max_down=rng.choice((1, 1, 2)),
        waves=rng.choice((1, 2, 2, 3)),
        shard_size=rng.choice((2, 4, 500)),
        window=rng.choice((1, 3, 200)),
        rollback=rng.random() < 0.6,
        max_failure_share=rng.choice((0.05, 0.34, 0.6)),
        early_stop=rng.choice((1, 2, 3, 50)),
        min_attempts=rng.choice((1, 1, 2, 3)),
        attempt_seconds=rng.choice((300.0, 900.0, 900.0)),
        max_attempts=rng.choice((1, 2, 2)),
        wave_seconds=rng.choice((0.5, 1.0, 2.0)) * HOUR,
        long_history=rng.choice((60, 150, 100_000, 100_000)),
        rival=rng.random() < 0.15,
        needs_approval=rng.random() < 0.15,
        soak=rng.random() < 0.15,
        acts=() if calm else tuple(sorted(_acts(rng, natures, horizon), key=lambda act: act.at)),
        odds=Odds() if calm else _odds(rng),
    )


def _nature(rng: random.Random, number: int, sites: int, bad: bool) -> Nature:
    return Nature(
        name=f"CP{number:02d}",
        site=f"site-{number % sites}",
        habits=_habits(rng, bad),
        needs_reset=rng.random() < 0.12,
        flat=rng.random() < 0.35,
        skew=rng.choice((0.0, 0.0, 0.0, -4000.0, 4000.0, rng.uniform(-60, 60))),
        out_before=rng.choice(((), (), (), (), (1,), (2,), (1, 2))),
        worst_moment=rng.choice(("", "", "", "", "before drain", "after drain")),
        offline_until=rng.choice((0.0,) * 8 + (rng.uniform(0, 2000), 1e9)),
        visits=_visits(rng),
        reservations=((rng.uniform(0, 1500), rng.uniform(60, 900)),) if rng.random() < 0.1 else (),
    )


def _habits(rng: random.Random, bad: bool) -> tuple[Habit, ...]:
    if bad and rng.random() < 0.7:
        return (rng.choice(BAD_IMAGE), Habit.GOOD)
    if rng.random() < 0.65:
        return (Habit.GOOD,)
    first = rng.choice(tuple(Habit))
    return (first, rng.choice((Habit.GOOD, Habit.GOOD, first, rng.choice(tuple(Habit)))))


def _visits(rng: random.Random) -> tuple[tuple[float, float, int], ...]:
    if rng.random() < 0.6:
        return ()
    first = rng.choice((0.0, rng.uniform(0, 400), rng.uniform(0, 3000)))
    return ((first, rng.uniform(30, 1800), rng.choice((1, 2))),)


def _odds(rng: random.Random) -> Odds:
    """Each kind of trouble in some campaigns, so that none hides another in all of them."""

    def some(share: float, *values: float) -> float:
        return rng.choice(values) if rng.random() < share else 0.0

    return Odds(
        store_away=some(0.3, 0.002, 0.01, 0.04),
        reply_lost=some(0.3, 0.002, 0.01, 0.04),
        store_slow=some(0.2, 0.005, 0.02),
        command_lost=some(0.3, 0.02, 0.15),
        answer_lost=some(0.3, 0.02, 0.15),
        message_repeated=some(0.3, 0.05, 0.3),
        commit_slow=some(0.3, 0.02, 0.1),
        signal_repeated=some(0.3, 0.2),
        signal_late=some(0.3, 0.2, 1.0),
        killed_at_work=some(0.35, 0.01, 0.05),
    )


_DISASTERS = (
    "kill worker",
    "kill node-1",
    "kill node-2",
    "kill signer",
    "evict",
    "evict",
    "freeze node-1",
    "freeze node-2",
    "cut off node-1",
    "cut off node-2",
    "store away",
    "relay away",
    "power cut",
    "line cut",
    "line cut",
    "other maintenance",
)
_PEOPLE = ("pause", "resume", "abort", "abort and roll back", "skip", "halt", "withdraw", "cancel", "forge")


def _acts(rng: random.Random, natures: tuple[Nature, ...], horizon: float) -> Iterator[Act]:
    for _ in range(rng.choice((0, 1, 2, 4, 8))):
        what, at = rng.choice(_DISASTERS), _moment(rng, horizon)
        yield Act(at, what, rng.choice(natures).name, _lasts(rng, what))
    for _ in range(rng.choice((0, 0, 0, 1, 1, 2))):
        what, at = rng.choice(_PEOPLE), _moment(rng, horizon)
        yield Act(at, what, rng.choice(natures).name, rng.uniform(10, 900))
        if what == "pause":
            yield Act(at + rng.uniform(0.2, 900), "resume")


def _moment(rng: random.Random, horizon: float) -> float:
    """Mostly early, where most of a campaign happens."""
    return rng.uniform(0, rng.choice((20.0, 120.0, 600.0, horizon)))


def _lasts(rng: random.Random, what: str) -> float:
    if what.startswith("kill"):
        return rng.choice((rng.uniform(0.1, 3.0), rng.uniform(1.0, 60.0), rng.uniform(60.0, 400.0)))
    if what in ("evict", "line cut", "power cut"):
        return 0.0
    return rng.choice((rng.uniform(0.5, 10.0), rng.uniform(5.0, 120.0), rng.uniform(60.0, 600.0)))


def smaller(scenario: Scenario) -> Iterator[Scenario]:
    """The same with one thing less, the largest steps first."""
    if scenario.acts:
        yield replace(scenario, acts=())
    for place in range(len(scenario.acts)):
        yield replace(scenario, acts=_without(scenario.acts, place))
    for field in fields(Odds):
        if getattr(scenario.odds, field.name):
            yield replace(scenario, odds=replace(scenario.odds, **{field.name: 0.0}))
    for name, usual in _USUAL.items():
        if getattr(scenario, name) != usual:
            yield replace(scenario, **{name: usual})
    yield from _fewer(scenario)


_USUAL: dict[str, Any] = {
    "rival": False,
    "needs_approval": False,
    "soak": False,
    "waves": 1,
    "rehearse": 0,
    "end_seconds": 0.0,
    "long_history": 100_000,
    "ahead_seconds": 0.0,
    "closed_seconds": 0.0,
    "chain": False,
    "feeder_kw": 0.0,
    "controller": "",
    "steady_seconds": 0.0,
}


def _fewer(scenario: Scenario) -> Iterator[Scenario]:
    """One charger less, or a charger with one oddity less."""
    natures = scenario.natures
    if len(natures) > 1:
        for place in range(len(natures) - 1, -1, -1):
            yield replace(scenario, natures=_without(natures, place))
    for place, nature in enumerate(natures):
        plain = Nature(nature.name, nature.site)
        for field in fields(Nature):
            usual = getattr(plain, field.name)
            if getattr(nature, field.name) != usual:
                changed = replace(nature, **{field.name: usual})
                yield replace(scenario, natures=(*natures[:place], changed, *natures[place + 1 :]))


def _without(things: tuple[T, ...], place: int) -> tuple[T, ...]:
    return things[:place] + things[place + 1 :]
