"""One campaign through the recorded weeks: who is updated when, who waits for what, who is never reached.

Whether a charger may be touched is asked of ``workflows.eligibility``, as a shard asks it. Minutes count from
the start of the campaign.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from heapq import heappop, heappush
from math import ceil
from random import Random

from activities.facts import SiteFacts, Situation
from workflows.eligibility import ChargerFacts, Ready, Skip, WaitUntil, assess
from workflows.whatif.study import Member, Study, away, charging, free
from workflows.whatif.weeks import Weeks

_LAND, _LOOK = 0, 1
_DAY = 24 * 60
"""After which one is looked at again of whom nobody can tell when: at every tick, a plan whose windows
never open would take hours to replay, and come to the same."""
_NO_ROOM = "its shard had too many under way"


@dataclass(slots=True)
class Run:
    """What one campaign came to."""

    minutes: int = 0
    """To its end."""
    waves: list[int] = field(default_factory=list)
    """When each gate opened."""
    updated: int = 0
    failed: int = 0
    deferred: int = 0
    """Chargers that waited at least once for a car."""
    blocked: dict[str, str] = field(default_factory=dict)
    """Chargers that a wave closed without, and why."""
    lost_wh: float = 0.0
    stopped: bool = False
    """By a gate, although nothing was wrong with the release."""


def replay(study: Study, weeks: Weeks, chance: Random) -> Run:
    """One campaign, from a source of chance."""
    run, place, now = Run(), _Facts(study), 0
    trial = _trial(study, chance)
    for number, members in enumerate(study.waves):
        wave = _Wave(study, weeks, chance, run, place)
        now = wave.roll_out(members, now)
        opened = _gate(study, number, now, wave.finished, trial)
        if opened is None:
            run.stopped, run.minutes = True, now
            return run
        now = opened
        run.waves.append(now)
    run.minutes = now
    return run


def _trial(study: Study, chance: Random) -> Sequence[float] | None:
    return study.gate_hours[chance.randrange(len(study.gate_hours))] if study.gate_hours else None


def _gate(
    study: Study, number: int, now: int, finished: Sequence[int], trial: Sequence[float] | None
) -> int | None:
    """When the gate opens at the earliest: it settles, chargers live as long as demanded, and it soaks."""
    policy, wave = study.plan.gate.health, study.plan.waves[number]
    opened = now + study.plan.pace.settle_seconds / 60
    if policy is not None and finished:
        # Hours count whole, from the first full one after the proof.
        lived = sum(ceil(each / 60) * 60 for each in finished) / len(finished)
        opened = max(opened, lived + policy.min_hours * 60)
    if trial is not None:
        if number >= len(trial):
            return None
        opened = max(opened, now + trial[number] * 60)
    return ceil(opened + wave.soak_seconds / 60)


class _Facts:
    """What is asked of the rules, built once for chargers that are alike."""

    def __init__(self, study: Study) -> None:
        self._artifact = study.artifact
        self._known: dict[tuple[int, int], Situation] = {}
        self._made = (free, charging, away)

    def of(self, member: Member, state: int, site: SiteFacts) -> ChargerFacts:
        """``state`` 0: free, 1: with a car, 2: not heard of."""
        key = (id(member.situation), state)
        situation = self._known.get(key)
        if situation is None:
            situation = self._known[key] = self._made[state](member.situation)
        return ChargerFacts(situation, self._artifact, site)


class _Wave:
    """One wave: its chargers, its shards' windows, its sites' budgets."""

    def __init__(self, study: Study, weeks: Weeks, chance: Random, run: Run, facts: _Facts) -> None:
        self._study, self._weeks, self._chance, self._run, self._facts = study, weeks, chance, run, facts
        pace = study.plan.pace
        self._tick = max(pace.tick_seconds / 60, 1 / 60)
        self._backoff = ceil(pace.retry_backoff_seconds / 60)
        self._heap: list[tuple[int, int, int]] = []
        self._down: Counter[str] = Counter()
        self._flying: Counter[int] = Counter()
        self._for_site: defaultdict[str, deque[int]] = defaultdict(deque)
        self._for_shard: defaultdict[int, deque[int]] = defaultdict(deque)
        self._attempts: Counter[int] = Counter()
        self._failing: set[int] = set()
        self._waited: set[int] = set()
        self._why: dict[int, str] = {}
        self.finished: list[int] = []

    def roll_out(self, members: Sequence[Member], begun: int) -> int:
        """When its last charger has its outcome, or it closes without some."""
        self._members, self._deadline = members, begun + int(self._study.plan.pace.wave_deadline_seconds / 60)
        self._heap = [(begun, _LOOK, place) for place in range(len(members))]
        last = begun
        while self._heap:
            minute, kind, place = heappop(self._heap)
            if kind == _LAND:
                self._land(place, minute)
                last = max(last, minute)
            elif minute < self._deadline:
                self._look(place, minute)
            elif self._attempts[place]:
                self._run.failed += 1
        self._run.deferred += len(self._waited)
        for place, why in self._why.items():
            self._run.blocked[members[place].charger_id] = why
        return max(last, self._deadline) if self._why else last

    def _look(self, place: int, minute: int) -> None:
        member = self._members[place]
        state, until = self._state(member, minute)
        now = self._study.start + timedelta(minutes=minute)
        answer = assess(self._facts.of(member, state, self._site(member.site_id, now)), now)
        if isinstance(answer, Ready):
            self._start(place, minute)
        elif isinstance(answer, Skip):
            self._why.pop(place, None)
        else:
            self._wait(place, answer, minute, until)

    def _site(self, site_id: str, now: datetime) -> SiteFacts:
        down, most = self._down[site_id], self._study.max_down.get(site_id, 1)
        calendar = self._study.calendars.get(site_id)
        if calendar is None:
            return SiteFacts(site_id, down, most)
        opening = calendar.opening(now)
        return SiteFacts(site_id, down, most, opening.closed, opening.opens_at)

    def _state(self, member: Member, minute: int) -> tuple[int, int]:
        heard = self._weeks.away_until(member, minute)
        if heard > minute:
            return 2, heard
        gone = self._weeks.charging_until(member, minute)
        return int(gone > minute), gone

    def _wait(self, place: int, answer: WaitUntil, minute: int, until: int) -> None:
        self._why[place] = answer.reason
        if answer.for_session:
            self._waited.add(place)
        if answer.for_site and self._down[self._members[place].site_id]:
            self._for_site[self._members[place].site_id].append(place)
            return
        if answer.when is None and until <= minute:
            until = minute + _DAY
        elif answer.when is not None:
            known = (answer.when - self._study.start) / timedelta(minutes=1)
            until = max(until, ceil(known))
        # A shard looks at every tick.
        again = ceil(ceil(max(until, minute + 1) / self._tick) * self._tick)
        if again < self._deadline:
            heappush(self._heap, (again, _LOOK, place))

    def _start(self, place: int, minute: int) -> None:
        member, shard = self._members[place], place // self._study.plan.pace.shard_size
        if self._flying[shard] >= self._study.plan.pace.window:
            self._why[place] = _NO_ROOM
            self._for_shard[shard].append(place)
            return
        self._why.pop(place, None)
        self._down[member.site_id] += 1
        self._flying[shard] += 1
        self._attempts[place] += 1
        lasts = self._study.attempt_minutes * self._chance.uniform(0.7, 1.6)
        takes = max(1, round(lasts + (self._study.plan.pace.steady_seconds or 0.0) / 60))
        if self._chance.random() < self._study.failure_share:
            self._failing.add(place)
        self._run.lost_wh += self._weeks.lost_wh(member, minute, minute + takes)
        heappush(self._heap, (minute + takes, _LAND, place))

    def _land(self, place: int, minute: int) -> None:
        site, shard = self._members[place].site_id, place // self._study.plan.pace.shard_size
        self._down[site] -= 1
        self._flying[shard] -= 1
        self._outcome(place, minute)
        self._wake(self._for_site[site], minute, all_of_them=True)
        self._wake(self._for_shard[shard], minute, all_of_them=not self._flying[shard])

    def _wake(self, queue: deque[int], minute: int, *, all_of_them: bool) -> None:
        """Whoever wakes may find something else in its way, so nobody's turn depends on one of them."""
        for _ in range(len(queue) if all_of_them else min(len(queue), 1)):
            heappush(self._heap, (minute, _LOOK, queue.popleft()))

    def _outcome(self, place: int, minute: int) -> None:
        if place not in self._failing:
            self._run.updated += 1
            self.finished.append(minute)
            return
        self._failing.discard(place)
        if self._attempts[place] < self._study.plan.pace.max_attempts:
            heappush(self._heap, (minute + self._backoff, _LOOK, place))
        else:
            self._run.failed += 1
