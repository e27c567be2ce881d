"""What can be known of a campaign at some hour: outcomes, and counts of both groups. Pure.

It measures as ``activities.health`` does: an updated charger from the hour after its proof, each of the
others from the same hour as an updated one of its model, dealt out in turn; before that, its own two weeks.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from activities.evidence import Counts, Evidence, Sample
from activities.facts import GroupFacts, WaveFacts
from activities.sampling import summarise
from workflows.trial.world import BASELINE_HOURS, Unit, World

_FAULT_LASTS = 6
_HEARD_WITHIN = 24
"""Only chargers count that were heard in the day before."""


@dataclass(frozen=True, slots=True)
class Row:
    """One charger as it is watched: since when, and on which version."""

    unit: Unit
    since: int
    updated: bool

    def count(self, signal: str, until: int) -> tuple[int, int]:
        """Hits and exposure since."""
        tracks = self.unit.new if self.updated else self.unit.old
        return tracks[signal].count(self.since, until)

    def counts(self, until: int) -> list[tuple[int, int]]:
        """Of every signal."""
        tracks, since = self.unit.new if self.updated else self.unit.old, self.since
        return [track.count(since, until) for track in tracks.values()]

    def before(self) -> list[tuple[int, int]]:
        """The same of its own days before."""
        start, end = max(self.since - BASELINE_HOURS, 0), self.since - 1
        return [track.count(start, end) for track in self.unit.old.values()]


@dataclass(slots=True)
class View:
    """A campaign under way."""

    world: World
    waves: Sequence[Sequence[Unit]]
    wave: int = 0
    now: int = BASELINE_HOURS
    updated: dict[str, int] = field(default_factory=dict)
    """Names with the hour of their proof."""
    tried: set[str] = field(default_factory=set)
    succeeded: int = 0
    """Attempts of this wave."""
    failed: int = 0
    excluded: str = ""
    """Why models left the campaign."""
    _before: dict[tuple[str, int], list[tuple[int, int]]] = field(default_factory=dict)
    """Days before do not change from look to look."""

    def attempt(self, unit: Unit, hour: int) -> None:
        """One charger's turn."""
        self.now = hour
        self.tried.add(unit.name)
        if unit.installs:
            self.updated[unit.name] = hour
            self.succeeded += 1
        else:
            self.failed += 1

    def begin(self, wave: int) -> None:
        """The next wave."""
        self.wave, self.succeeded, self.failed = wave, 0, 0

    def exclude(self, segments: Sequence[str], reason: str) -> None:
        """Models leave: those of them whose turn has not come keep what they have."""
        if segments:
            self.excluded = reason
            later = [[unit for unit in wave if unit.model.name not in segments] for wave in self.waves]
            self.waves = [*self.waves[: self.wave + 1], *later[self.wave + 1 :]]

    @property
    def last(self) -> bool:
        """Whether nobody is left for a later wave."""
        return not any(self.waves[self.wave + 1 :])

    def harmed(self) -> int:
        """Chargers that the release did something to until now."""
        bricks = self.world.harm.installs > 0
        touched = (unit for unit in self._all() if unit.harmed and unit.name in self.tried)
        return sum(unit.installs is not bricks for unit in touched)

    def rows(self) -> list[Row]:
        """Both groups, those not updated yet with the windows of their model dealt out."""
        rows: list[Row] = []
        by_model: defaultdict[str, list[int]] = defaultdict(list)
        for unit in self._all():
            if unit.name in self.updated:
                since = self.updated[unit.name] + 1
                rows.append(Row(unit, since, updated=True))
                by_model[unit.model.name].append(since)
        dealt: defaultdict[str, int] = defaultdict(int)
        for unit in self._waiting():
            windows = by_model[unit.model.name]
            if windows:
                since = windows[dealt[unit.model.name] % len(windows)]
                dealt[unit.model.name] += 1
                rows.append(Row(unit, since, updated=False))
        return rows

    def evidence(self) -> Evidence:
        """What the gate is given."""
        rows = [row for row in self.rows() if self._lately(row)]
        signals = list(rows[0].unit.old) if rows else []
        now = [row.counts(self.now) for row in rows]
        before = [self._baseline(row) for row in rows]
        return summarise(
            Sample(
                strata=[row.unit.stratum for row in rows],
                sites=[row.unit.site for row in rows],
                treated=[row.updated for row in rows],
                minutes=[max(self.now - row.since, 0) * 60 for row in rows],
                heard=[self._heard(row) for row in rows],
                signals={
                    name: Counts(
                        hits=[each[place][0] for each in now],
                        exposure=[each[place][1] for each in now],
                        base_hits=[each[place][0] for each in before],
                        base_exposure=[each[place][1] for each in before],
                    )
                    for place, name in enumerate(signals)
                },
            ),
            last=self.last,
        )

    def facts(self) -> WaveFacts:
        """The outcomes of this wave, and how everybody is at this hour."""
        attempted = self.succeeded + self.failed
        return WaveFacts(
            self.wave,
            total=len(self.waves[self.wave]),
            unfinished=len(self.waves[self.wave]) - attempted,
            updated=self.succeeded,
            failed=self.failed,
            treated=self._group(unit for unit in self._all() if unit.name in self.updated),
            control=self._group(self._waiting()),
            baseline=GroupFacts(len(self.world.units), len(self.world.units), 0, len(self.world.units), 0),
        )

    def _all(self) -> Iterable[Unit]:
        return (unit for wave in self.waves for unit in wave)

    def _waiting(self) -> Iterable[Unit]:
        return (unit for wave in self.waves[self.wave + 1 :] for unit in wave)

    def _baseline(self, row: Row) -> list[tuple[int, int]]:
        key = (row.unit.name, row.since)
        found = self._before.get(key)
        if found is None:
            found = self._before[key] = row.before()
        return found

    def _lately(self, row: Row) -> bool:
        silent, _ = row.unit.old["unheard"].count(row.since - _HEARD_WITHIN, row.since)
        return silent < _HEARD_WITHIN

    def _heard(self, row: Row) -> bool:
        silent, hours = row.count("unheard", self.now)
        return silent < hours

    def _group(self, units: Iterable[Unit]) -> GroupFacts:
        size = offline = faulted = 0
        for unit in units:
            tracks = unit.new if unit.name in self.updated else unit.old
            size += 1
            if _any(tracks["unheard"].hits, self.now - 1, self.now):
                offline += 1
            elif _any(tracks["faults"].hits, self.now - _FAULT_LASTS, self.now):
                faulted += 1
        return GroupFacts(size, size, offline, size - offline, faulted)


def _any(hours: Sequence[int], since: int, until: int) -> bool:
    place = bisect_left(hours, since)
    return place < len(hours) and hours[place] < until
