"""A double of the twin store, for unit tests only; what it promises is proven on PostgreSQL."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from storage.anomaly import Anomaly
from storage.codec import apply_patch
from storage.configuration import ConfigurationJob, ConfigurationLine, JobState, LineState
from storage.desired import Answers, DesiredChange, DesiredSection
from storage.drift import Drift, DriftFacts, DriftState
from storage.errors import InvalidInput, NotFound, StaleVersion
from storage.past import Origin, PastQuestion, PastTwin, Rebuilt, Repair, Repaired
from storage.ports import Page
from storage.twin_schema import DESIRABLE, Severity, desired_problems
from tests.support.memory import page_of


class MemoryTwins:
    def __init__(self, chargers: Any) -> None:
        self._chargers = chargers
        self.sections: dict[tuple[str, str], DesiredSection] = {}
        self.all_drifts: list[Drift] = []
        self.jobs: dict[str, ConfigurationJob] = {}
        self.lines: dict[str, list[ConfigurationLine]] = {}
        self.asked: list[PastQuestion] = []
        self.origins: dict[tuple[str, str], Origin] = {}
        self.differing: tuple[str, ...] = ()
        self.all_anomalies: list[Anomaly] = []

    async def desired(self, charger_id: str) -> Sequence[DesiredSection]:
        await self._chargers.get(charger_id)
        return [self._section(charger_id, name) for name in DESIRABLE]

    async def set_desired(self, change: DesiredChange) -> DesiredSection:
        await self._chargers.get(change.charger_id)
        before = self._section(change.charger_id, change.section)
        if before.version != change.expected_version:
            raise StaleVersion(f"It has version {before.version}.")
        desired = apply_patch(before.desired if change.merge else {}, dict(change.body))
        if problems := desired_problems(change.section, desired):
            raise InvalidInput("It breaks the schema.", problems)
        if desired == before.desired:
            return before
        after = replace(before, desired=desired, version=before.version + 1)
        self.sections[change.charger_id, change.section] = after
        return after

    async def answer(self, given: Answers) -> DesiredSection:
        return self._section(given.charger_id, given.section)

    async def drift_facts(self, *, limit: int = 500) -> Sequence[DriftFacts]:
        del limit
        return []

    async def summarise(self, *, limit: int = 200) -> int:
        del limit
        return 0

    async def drifts(
        self,
        *,
        charger_id: str | None = None,
        states: Sequence[DriftState] = (DriftState.OPEN,),
        severity: Severity | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[Drift]:
        found = [
            each
            for each in self.all_drifts
            if charger_id in (None, each.charger_id)
            and each.state in states
            and severity in (None, each.severity)
        ]
        return page_of(found, limit, cursor)

    async def anomalies(self, charger_id: str | None = None, *, limit: int = 200) -> Sequence[Anomaly]:
        return [each for each in self.all_anomalies if charger_id in (None, each.charger_id)][:limit]

    async def past(self, charger_id: str, question: PastQuestion) -> PastTwin:
        view = await self._chargers.get(charger_id)
        if question.revision is not None and question.revision > view.twin.revision:
            raise NotFound("revision", str(question.revision))
        self.asked.append(question)
        return PastTwin(view.twin, view.last_message_at, {}, (7,) if question.true_at else ())

    async def origin(self, charger_id: str, path: str, *, side: str = "reported") -> Origin:
        await self._chargers.get(charger_id)
        found = self.origins.get((path, side))
        if found is None:
            raise NotFound("value", path)
        return found

    async def rebuild(self, charger_id: str) -> Rebuilt:
        await self._chargers.get(charger_id)
        return Rebuilt(charger_id, 9, 4, 4, self.differing)

    async def rebuild_page(self, *, limit: int = 20, cursor: str | None = None) -> Page[Rebuilt]:
        names = page_of(sorted(self._chargers.all), limit, cursor)
        return Page(tuple([await self.rebuild(name) for name in names.items]), names.next_cursor)

    async def repair(self, given: Repair) -> Repaired:
        view = await self._chargers.get(given.charger_id)
        repaired, self.differing = self.differing, ()
        return Repaired(given.charger_id, view.twin.revision + bool(repaired), repaired)

    async def open_configuration(self, job: ConfigurationJob, charger_ids: Sequence[str]) -> ConfigurationJob:
        if job.configuration_id not in self.jobs:
            self.jobs[job.configuration_id] = replace(job, counts={"waiting": len(charger_ids)})
            self.lines[job.configuration_id] = [
                ConfigurationLine(job.configuration_id, place, each) for place, each in enumerate(charger_ids)
            ]
        return self.jobs[job.configuration_id]

    async def configuration(self, configuration_id: str) -> ConfigurationJob:
        if configuration_id not in self.jobs:
            raise NotFound("configuration", configuration_id)
        return self.jobs[configuration_id]

    async def configurations(self, *, limit: int = 50) -> Sequence[ConfigurationJob]:
        return list(self.jobs.values())[:limit]

    async def configuration_lines(
        self,
        configuration_id: str,
        *,
        state: LineState | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[ConfigurationLine]:
        lines = [each for each in self.lines[configuration_id] if state in (None, each.state)]
        return page_of(lines, limit, cursor)

    async def configuration_line(self, configuration_id: str, ordinal: int) -> ConfigurationLine:
        return self.lines[configuration_id][ordinal]

    async def undesired(self, configuration_id: str, *, limit: int = 200) -> Sequence[ConfigurationLine]:
        return [each for each in self._waiting(configuration_id) if each.desired_version is None][:limit]

    async def deliverable(
        self, configuration_id: str, *, after: int = -1, limit: int = 50
    ) -> Sequence[ConfigurationLine]:
        due = [each for each in self._waiting(configuration_id) if each.desired_version is not None]
        return [each for each in due if each.ordinal > after][:limit]

    async def move_line(self, line: ConfigurationLine) -> bool:
        lines = self.lines[line.configuration_id]
        lines[line.ordinal] = line
        counts = Counter(each.state.value for each in lines)
        job = self.jobs[line.configuration_id]
        self.jobs[line.configuration_id] = replace(job, counts=dict(counts))
        return True

    def _waiting(self, configuration_id: str) -> list[ConfigurationLine]:
        return [each for each in self.lines[configuration_id] if each.state is LineState.WAITING]

    async def close_configuration(
        self, configuration_id: str, state: JobState, rest: LineState, at: datetime
    ) -> bool:
        job = self.jobs[configuration_id]
        if job.state is not JobState.RUNNING:
            return False
        self.jobs[configuration_id] = replace(job, state=state, finished_at=at)
        self.lines[configuration_id] = [replace(each, state=rest) for each in self.lines[configuration_id]]
        return True

    def _section(self, charger_id: str, section: str) -> DesiredSection:
        return self.sections.get((charger_id, section), DesiredSection(charger_id, section))
