"""What is asked of the engine about twins beyond ``ports``, which is long enough."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from storage.anomaly import Anomaly
from storage.desired import Answers, DesiredChange, DesiredSection
from storage.drift import Drift, DriftFacts, DriftState
from storage.ports import Page
from storage.twin_schema import Severity


class DesiredStore(Protocol):
    """The desired side of twins."""

    async def desired(self, charger_id: str) -> Sequence[DesiredSection]:
        """Every section that has a desired side, by name; raise NotFound for an unknown charger."""

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


class TwinStore(DesiredStore, DriftStore, AnomalyStore, Protocol):
    """Everything about twins beyond the view of a charger."""
