"""What a fleet did in the weeks before: when cars were there, when nothing was heard, what its hours counted.

Forecasts replay it. Nothing here decides about a charger: that is the twin's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from storage.health import HealthHour

WEEK_HOURS = 168


@dataclass(frozen=True, slots=True)
class Recorded:
    """One charger. Minutes and hours count from the beginning of the recording; sessions in order."""

    charger_id: str
    begins: Sequence[int] = ()
    """Minutes at which sessions began ..."""
    ends: Sequence[int] = ()
    """... and were over."""
    energy_wh: Sequence[int] = ()
    """What each delivered; 0 where no two readings are known."""
    heard: Sequence[int] = ()
    """Hours in which it sent anything; empty: nothing was ever heard of it."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """A forecast as kept: of exactly one plan and cohort."""

    plan_digest: str
    made_at: datetime
    body: dict[str, Any]


class RecordingStore(Protocol):
    """Reading recordings, and keeping what was forecast from them."""

    async def begun(self, since: datetime) -> datetime | None:
        """The first hour that anything is known of since then; None: nothing is."""

    async def read(self, charger_ids: Sequence[str], since: datetime, until: datetime) -> Sequence[Recorded]:
        """Of these chargers, in their order; both ends are whole hours."""

    async def hours(
        self, charger_ids: Sequence[str], since: datetime, until: datetime
    ) -> Mapping[str, Mapping[int, HealthHour]]:
        """Every counter of each hour in which there was anything to count."""

    async def keep(self, forecast: Forecast) -> None:
        """Instead of an earlier one of the same plan. Old ones that no campaign came from are forgotten."""

    async def forecast(self, plan_digest: str) -> Forecast | None:
        """The one of exactly this plan and cohort, if there is any."""
