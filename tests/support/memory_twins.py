"""A double of the twin store, for unit tests only; what it promises is proven on PostgreSQL."""

from collections.abc import Sequence
from dataclasses import replace

from storage.anomaly import Anomaly
from storage.codec import apply_patch
from storage.desired import Answers, DesiredChange, DesiredSection
from storage.drift import Drift, DriftState
from storage.errors import InvalidInput, NotFound, StaleVersion
from storage.past import Origin, PastQuestion, PastTwin, Rebuilt
from storage.ports import Page
from storage.twin_schema import DESIRABLE, Severity, desired_problems
from tests.support.memory import page_of
from tests.support.memory_chargers import MemoryChargers


class MemoryTwins:
    def __init__(self, chargers: MemoryChargers) -> None:
        self._chargers = chargers
        self.sections: dict[tuple[str, str], DesiredSection] = {}
        self.all_drifts: list[Drift] = []
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

    def _section(self, charger_id: str, section: str) -> DesiredSection:
        return self.sections.get((charger_id, section), DesiredSection(charger_id, section))
