"""When each wave, and each charger in it, can begin at the earliest; and whether a plan fits at all. Pure.

Nobody knows when people approve and how long a wave takes, so a wave begins at the earliest when the ones
before it could be through, if all goes well: every charger of them updated at once, then what a gate demands
to be lived, settling and soak.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cached_property

from activities.circumstances import Openings, calendar_of
from storage.campaign import CampaignPlan
from storage.charger import Charger, Site
from storage.health_time import REAL, HealthTime
from storage.windows import OPEN, Closure, Opening, Window, known_zone
from workflows.eligibility import RULES, ChargerFacts, WaitUntil, first_of
from workflows.wave_split import named

_LONGEST_S = 366 * 86_400.0
_LASTING = tuple(rule for rule in RULES if rule.lasting and rule.name != "calendar")


@dataclass(frozen=True, slots=True)
class Slot:
    """When one charger can begin, and what it waits for."""

    begins: datetime | None
    """None: when somebody has said or done something."""
    says: str = ""
    """Empty: from the beginning of its wave on."""


@dataclass(frozen=True, slots=True)
class _Turn:
    """One site in one wave: when it opens, and how many rounds its chargers need."""

    opens: datetime
    rounds: int
    chargers: int


class Timetable:
    """The earliest times of one plan."""

    def __init__(
        self,
        plan: CampaignPlan,
        sites: Mapping[str, Site],
        closures: Sequence[Closure],
        now: datetime,
        waves: Sequence[Sequence[Charger]] = (),
        *,
        time: HealthTime = REAL,
    ) -> None:
        self._time = time
        self._there = [Counter(charger.site_id for charger in wave) for wave in waves]
        self._plan = plan
        self._sites = sites
        self._closures = tuple(closures)
        self._now = now
        self._latest = now + timedelta(days=3660)
        self._openings = Openings(plan, closures)
        self._begins: dict[int, datetime] = {}
        self._turned: dict[int, list[_Turn]] = {}

    @cached_property
    def _start(self) -> datetime:
        start, now = self._plan.start_at, self._now
        return min(max(now, start) if start and start.tzinfo else now, self._latest)

    @cached_property
    def _steady(self) -> timedelta:
        return _lasting(self._plan)

    def begins(self, wave: int) -> datetime:
        """When a wave can begin at the earliest."""
        if wave not in self._begins:
            self._begins[wave] = self._computed(wave)
        return self._begins[wave]

    def first(self, wave: int) -> datetime:
        """When the first of its chargers can begin: as soon as one of its sites is open."""
        return min(self._opened(wave), default=self.begins(wave))

    def _computed(self, wave: int) -> datetime:
        """After the one before: each of its sites has opened by then, or its deadline was over."""
        if wave == 0:
            return self._start
        plan, former = self._plan, self._plan.waves[wave - 1]
        settle, rests = plan.pace.settle_seconds, former.soak_seconds
        if plan.rehearse_rollback and wave == 1:
            # Back and forward again, at no time at all but for what has to last.
            rests += 2 * (settle + self._steady.total_seconds())
        through = min(
            max(self._through(wave - 1), default=self.begins(wave - 1)),
            self.begins(wave - 1) + _deadline(plan),
        )
        judged = max(through + _span(settle), self._lived(wave))
        return min(self._latest, judged + _span(rests))

    def _lived(self, wave: int) -> datetime:
        """When those updated before a wave have lived what a gate demands: on average, all of them together.

        Where nobody is known to be in a wave, what the first ones have to live.
        """
        policy = self._plan.gate.health
        if policy is None:
            return self._start
        turns = [turn for former in range(wave) for turn in self._turns(former)]
        deadline = _deadline(self._plan)
        late = [
            turn.opens - self._start + min((turn.rounds + 1) / 2 * self._steady, deadline) for turn in turns
        ]
        chargers = [turn.chargers for turn in turns]
        # In seconds: the sum of a large fleet's is longer than a timedelta.
        waited = sum(count * each.total_seconds() for count, each in zip(chargers, late, strict=True))
        lived = self._time.span(min(policy.min_hours, _LONGEST_S / 3600))
        return self._start + timedelta(seconds=waited / max(1, sum(chargers))) + lived

    def _opened(self, wave: int) -> list[datetime]:
        return [turn.opens for turn in self._turns(wave)]

    def _through(self, wave: int) -> list[datetime]:
        """When each site is through at the earliest: an update takes no time, but has to last."""
        deadline = _deadline(self._plan)
        return [turn.opens + min(turn.rounds * self._steady, deadline) for turn in self._turns(wave)]

    def _turns(self, wave: int) -> "list[_Turn]":
        """Of each site of a wave."""
        if wave not in self._turned:
            begins = self.begins(wave)
            there = self._there[wave] if wave < len(self._there) else {}
            self._turned[wave] = [
                _Turn(self._opening(site_id, wave).opens_at or begins, self._rounds(site_id, count), count)
                for site_id, count in sorted(there.items())
            ]
        return self._turned[wave]

    def _rounds(self, site_id: str, count: int) -> int:
        return -(-count // max(1, self._site(site_id).max_down))

    def last(self, wave: int) -> datetime:
        """When the last one can have its turn, once those before it at its site have stayed up."""
        turns = max((turn.rounds for turn in self._turns(wave)), default=1)
        return self.first(wave) + min((turns - 1) * self._steady, _deadline(self._plan))

    def slot(self, wave: int, facts: ChargerFacts) -> Slot:
        """One charger of a wave."""
        begins = self.begins(wave)
        opening = self._opening(facts.site.site_id, wave)
        waits = first_of(_LASTING, facts, begins)
        if isinstance(waits, WaitUntil):
            if waits.when is None:
                return Slot(None, waits.reason)
            begins = max(begins, waits.when)
            opening = self._at(facts.site.site_id, begins)
            reason = waits.reason
        else:
            reason = opening.closed
        if opening.closed:
            if opening.opens_at is None:
                return Slot(None, opening.closed)
            begins = max(begins, opening.opens_at)
        if not reason and begins <= self._start:
            return Slot(begins)
        return Slot(begins, f"not before {begins:%Y-%m-%d %H:%M} UTC{': ' if reason else ''}{reason}")

    def problems(self, waves: Sequence[Sequence[Charger]]) -> list[str]:
        """Sites without a time zone, sites that do not open while a wave runs, or not for long enough."""
        plan = self._plan
        if not plan.windows and not self._closures:
            return self._all_crowded(waves)
        there = {charger.site_id for wave in waves for charger in wave}
        lost = sorted(name for name in there if not known_zone(self._site(name).time_zone))
        if plan.windows and lost:
            known = "has" if len(lost) == 1 else "have"
            zones = f"windows are on each site's own clock, and {named(lost)} {known} no time zone that is"
            return [f"{zones} known: ampwave site add SITE --time-zone ZONE"]
        found = []
        for place, wave in enumerate(waves):
            found += self._shut(place, Counter(charger.site_id for charger in wave))
        return found + self._all_crowded(waves)

    def _all_crowded(self, waves: Sequence[Sequence[Charger]]) -> list[str]:
        """Nothing is looked at where a plan does not ask that chargers stay up."""
        return [text for place in range(len(waves)) for text in self._crowded(place)] if self._steady else []

    def _crowded(self, wave: int) -> list[str]:
        """Sites that cannot be through within a wave, if every update took no longer than it has to last."""
        plan, begin = self._plan, self.begins(wave)
        end = begin + _deadline(plan)
        crowded = []
        for site_id, count in sorted(self._there[wave].items()):
            needs = (self._rounds(site_id, count) - 1) * self._steady
            room = self._room(site_id, begin, end) if needs else needs
            if timedelta(0) < room < needs:
                crowded.append(site_id)
        if not crowded:
            return []
        ends = f"wave {plan.waves[wave].name!r} ends {end:%Y-%m-%d %H:%M} UTC"
        why = f"so few may be away at once, each for pace.steady ({self._steady}) at the least"
        what = "give it a longer pace.wave_deadline or windows, a shorter pace.steady or more waves"
        return [f"{ends} before everybody can have had a turn at {named(crowded)}: {why}; {what}"]

    def _room(self, site_id: str, begin: datetime, end: datetime) -> timedelta:
        """How long work may begin there between two instants."""
        calendar = calendar_of(self._site(site_id), self._plan, self._openings.closures(site_id))
        return calendar.room(begin, end)

    def warnings(self, waves: Sequence[Sequence[Charger]]) -> list[str]:
        """Sites where a wave fits only if its updates take less than they may."""
        plan = self._plan
        if not plan.windows and not self._closures:
            return []
        tight: list[str] = []
        for place, wave in enumerate(waves):
            begin = self.begins(place)
            end = begin + _deadline(plan)
            for site_id, count in sorted(Counter(charger.site_id for charger in wave).items()):
                rounds = self._rounds(site_id, count)
                takes = timedelta(seconds=min(plan.pace.attempt_deadline_seconds, _LONGEST_S))
                if rounds > 1 and self._room(site_id, begin, end) < (rounds - 1) * takes:
                    tight.append(site_id)
        if not tight:
            return []
        sites = named(list(dict.fromkeys(tight)))
        late = f"At {sites} a wave ends before everybody had a turn, if every update takes as long as it may"
        return [f"{late}: who is left is deferred."]

    def _shut(self, wave: int, sites: Mapping[str, int]) -> list[str]:
        """Which sites never open within a wave, by their reason."""
        plan, begin = self._plan, self.begins(wave)
        end = begin + _deadline(plan)
        shut: defaultdict[str, list[str]] = defaultdict(list)
        for site_id in sorted(sites):
            opening = self._opening(site_id, wave)
            if opening.closed and (opening.opens_at is None or opening.opens_at >= end):
                # Without the zone, in which sites differ.
                reason = opening.closed.replace(f" ({self._site(site_id).time_zone})", "")
                shut[reason].append(site_id)
        name = plan.waves[wave].name
        return [
            f"wave {name!r} cannot reach {sum(sites[one] for one in names)} chargers at {named(names)} "
            f"before it ends {end:%Y-%m-%d %H:%M} UTC: {self._why(reason)}"
            for reason, names in shut.items()
        ]

    def _why(self, reason: str) -> str:
        """The reason, and where no window is long enough, that."""
        windows, takes = self._plan.windows, timedelta(seconds=self._plan.pace.attempt_deadline_seconds)
        if not windows:
            return reason
        long = "" if any(_lasts(window) >= takes for window in windows) else ", and no window is that long"
        return f"{reason}; an update may take {in_words(takes)} (pace.attempt_deadline){long}"

    def _opening(self, site_id: str, wave: int) -> Opening:
        return self._at(site_id, self.begins(wave))

    def _at(self, site_id: str, at: datetime) -> Opening:
        if not self._plan.windows and not self._closures:
            return OPEN
        return self._openings.of(self._site(site_id), at)

    def _site(self, site_id: str) -> Site:
        return self._sites.get(site_id) or Site(site_id, site_id, "")


def in_words(span: timedelta) -> str:
    """As people say it: ``90 minutes``, ``2 hours``."""
    for unit, seconds in (("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1)):
        count = span.total_seconds() / seconds
        if count == int(count) and count >= 1:
            return f"{count:.0f} {unit}{'' if count == 1 else 's'}"
    return f"{span.total_seconds():g} seconds"


def _lasts(window: Window) -> timedelta:
    """By the wall clock, on a day without a change of it."""
    opens, closes = (
        datetime.combine(date.min, time.fromisoformat(at)) for at in (window.opens, window.closes)
    )
    return closes - opens if closes > opens else closes - opens + timedelta(days=1)


def _lasting(plan: CampaignPlan) -> timedelta:
    """How long a charger has to stay up; one that a rule refuses is none."""
    seconds = plan.pace.steady_seconds
    return (
        timedelta(seconds=min(seconds, _LONGEST_S)) if seconds is not None and seconds > 0 else timedelta(0)
    )


def _span(seconds: float) -> timedelta:
    """Never so long that no calendar has its end."""
    return timedelta(seconds=min(seconds, _LONGEST_S * 10))


def _deadline(plan: CampaignPlan) -> timedelta:
    return timedelta(seconds=min(plan.pace.wave_deadline_seconds, _LONGEST_S))
