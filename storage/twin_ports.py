"""What is asked of the engine about twins beyond ``ports``, which is long enough."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from storage.anomaly import Anomaly
from storage.configuration import ConfigurationJob, ConfigurationLine, JobState, LineState
from storage.desired import Answers, DesiredChange, DesiredSection
from storage.drift import Drift, DriftFacts, DriftState
from storage.past import Origin, PastQuestion, PastTwin, Rebuilt, Repair, Repaired
from storage.ports import Page
from storage.twin_schema import Severity


class DesiredStore(Protocol):
    """The desired side of twins."""

    async def desired(self, charger_id: str) -> Sequence[DesiredSection]:
        """Every section that has a desired side, by name; raise NotFound for an unknown charger."""

    async def desired_variables(self, charger_ids: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
        """What is desired of their variables; chargers of whom nothing is are left out."""

    async def set_desired(self, change: DesiredChange) -> DesiredSection:
        """The section with its new version; what changes nothing keeps the old one.

        Raises NotFound, StaleVersion (somebody else wrote first), InvalidInput (outside the schema),
        SectionTooLarge.
        """

    async def answer(self, given: Answers) -> DesiredSection:
        """Note what a charger said; answers to values that are no longer desired so are dropped."""


class DriftStore(Protocol):
    """Chargers that are not what they said they would be."""

    async def drift_facts(self, *, limit: int = 500) -> Sequence[DriftFacts]:
        """Chargers whose sides changed since they were judged, or whose drift may have come of age."""

    async def note_drift(self, facts: DriftFacts, drifts: Sequence[Drift], at: datetime) -> Sequence[Drift]:
        """Write what was judged. Returns the drifts that became open or closed by this very write."""

    async def drifts(
        self,
        *,
        charger_id: str | None = None,
        states: Sequence[DriftState] = (DriftState.OPEN,),
        severity: Severity | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[Drift]:
        """Newest first."""


class AnomalyStore(Protocol):
    """What was reported and kept out of twins."""

    async def anomalies(self, charger_id: str | None = None, *, limit: int = 200) -> Sequence[Anomaly]:
        """Latest first; None: of the whole fleet."""


class PastStore(Protocol):
    """Twins as they were."""

    async def past(self, charger_id: str, question: PastQuestion) -> PastTwin:
        """The twin as it was. Raises NotFound for an unknown charger, or a revision it does not have yet."""

    async def origin(self, charger_id: str, path: str, *, side: str = "reported") -> Origin:
        """The latest mutation that set a path, with its event and frames. Raises NotFound."""

    async def summarise(self, *, limit: int = 200) -> int:
        """Write the snapshots that are due for up to ``limit`` chargers; how many were written."""

    async def rebuild(self, charger_id: str) -> Rebuilt:
        """The twin made anew from all its stored events, held against the one in use. Raises NotFound."""

    async def rebuild_page(self, *, limit: int = 20, cursor: str | None = None) -> Page[Rebuilt]:
        """The same of every twin, by charger id, each at an instant of its own; a page may be short."""

    async def repair(self, given: Repair) -> Repaired:
        """Make the twin in use what its events make of it, as a revision like any other, audited.

        Nothing is written where nothing differs. Raises NotFound.
        """


class ConfigurationStore(Protocol):
    """Jobs that bring values to many chargers."""

    async def open_configuration(self, job: ConfigurationJob, charger_ids: Sequence[str]) -> ConfigurationJob:
        """Write it down with a line for each charger; a job that is there already stands and is returned."""

    async def configuration(self, configuration_id: str) -> ConfigurationJob:
        """With its counts. Raises NotFound."""

    async def configurations(self, *, limit: int = 50) -> Sequence[ConfigurationJob]:
        """Newest first, without counts."""

    async def configuration_lines(
        self,
        configuration_id: str,
        *,
        state: LineState | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[ConfigurationLine]:
        """By ordinal."""

    async def configuration_line(self, configuration_id: str, ordinal: int) -> ConfigurationLine:
        """One line. Raises NotFound."""

    async def undesired(self, configuration_id: str, *, limit: int = 200) -> Sequence[ConfigurationLine]:
        """Lines whose values are not desired of their charger yet."""

    async def deliverable(
        self, configuration_id: str, *, after: int = -1, limit: int = 50
    ) -> Sequence[ConfigurationLine]:
        """Waiting lines past an ordinal whose charger is connected and in no maintenance now."""

    async def move_line(self, line: ConfigurationLine) -> bool:
        """Write a waiting line as it is given; whether it was waiting."""

    async def close_configuration(
        self, configuration_id: str, state: JobState, rest: LineState, at: datetime
    ) -> bool:
        """End a job; lines that still wait end as ``rest``. The first end stands; whether this was it."""


class TwinStore(DesiredStore, DriftStore, AnomalyStore, PastStore, ConfigurationStore, Protocol):
    """Everything about twins beyond the view of a charger."""
