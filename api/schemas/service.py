"""How chargers served, at the door."""

from datetime import date, datetime

from pydantic import Field

from api.schemas.common import Reply
from api.service import Served
from storage.service import GroupBy, Metering, ServiceReport
from workflows.service_figures import Figures
from workflows.trends import Trend


class FiguresReply(Reply):
    """null: nothing is known to make it of."""

    uptime: float | None = Field(description="Share of up in up and down; maintenance is neither.")
    utilisation: float | None = Field(description="Share of the known time in which a session was open.")
    maintenance: float | None = Field(description="Share of the known time that was planned absence.")
    known: float | None = Field(description="Share of the time of which anything is known.")
    faults_per_day: float | None = Field(description="Of one charger: connectors that became Faulted.")
    sessions_per_day: float | None = Field(description="Of one charger.")
    mttr_s: float | None = Field(description="Mean time to repair of the failures that ended, in seconds.")


class SumsReply(Reply):
    """What the figures are made of. Seconds of a charger are shared by its connectors."""

    up_s: float
    down_s: float
    maintenance_s: float
    unknown_s: float
    in_use_s: float
    energy_wh: float
    repair_s: float
    repairs: int
    faults: int
    sessions: int
    connects: int
    temperature_n: int
    temperature_sum: float
    temperature_max: float | None


class ServiceGroupReply(Reply):
    """Chargers that have the same value."""

    value: str = Field(description="Empty: not known.")
    chargers: int
    failing: int = Field(description="Of them, now.")
    figures: FiguresReply
    sums: SumsReply

    @classmethod
    def of(cls, found: Served) -> "ServiceGroupReply":
        """The reply for a group."""
        group = found.group
        return cls(
            value=group.value,
            chargers=group.chargers,
            failing=group.failing,
            figures=FiguresReply.model_validate(found.figures),
            sums=SumsReply.model_validate(group.total),
        )


class ServiceReply(Reply):
    """Uptime, utilisation, faults, sessions and time to repair, from stored events."""

    by: GroupBy
    since: date = Field(description="The first day, UTC.")
    until: datetime = Field(description="Everything of before is counted.")
    counted: bool = Field(description="Whether an observer ever ran; if not, nothing is known.")
    groups: tuple[ServiceGroupReply, ...]

    @classmethod
    def of(cls, by: GroupBy, report: ServiceReport, groups: tuple[Served, ...]) -> "ServiceReply":
        """The reply for a report."""
        return cls(
            by=by,
            since=report.since,
            until=report.until,
            counted=report.watermark.through is not None,
            groups=tuple(ServiceGroupReply.of(each) for each in groups),
        )


class ServiceDayReply(Reply):
    """One charger in one day."""

    day: date
    figures: FiguresReply
    sums: SumsReply

    @classmethod
    def of(cls, day: date, sums: object, found: Figures) -> "ServiceDayReply":
        """The reply for a day."""
        return cls(day=day, figures=FiguresReply.model_validate(found), sums=SumsReply.model_validate(sums))


class RegisterReply(Reply):
    """The latest reading of an energy register."""

    wh: float
    at: datetime = Field(description="By the charger's clock.")
    received_at: datetime


class ReadingReply(Reply):
    """The latest value of something else."""

    value: float
    unit: str = Field(description="As reported; empty: the measurand's own.")
    at: datetime = Field(description="By the charger's clock.")
    received_at: datetime


class MeteringReply(Reply):
    """What a charger's meters say: latest values and one sum. The series is in its events."""

    charger_id: str
    delivered_wh: float = Field(description="Counted from its registers since the first reading.")
    since: datetime | None = Field(description="That first reading, by our clock; null: none ever came.")
    registers: dict[str, RegisterReply] = Field(description="By EVSE.")
    readings: dict[str, ReadingReply] = Field(description="By `EVSE/measurand`, and phase where told.")

    @classmethod
    def of(cls, charger_id: str, found: Metering) -> "MeteringReply":
        """The reply for one charger."""
        return cls(
            charger_id=charger_id,
            delivered_wh=found.delivered_wh,
            since=found.since,
            registers={key: RegisterReply.model_validate(each) for key, each in found.registers.items()},
            readings={key: ReadingReply.model_validate(each) for key, each in found.readings.items()},
        )


class FeatureReply(Reply):
    """One feature: the mean of its last days, and of those before."""

    name: str
    unit: str
    recent: float | None
    before: float | None
    recent_days: int
    baseline_days: int
    trend: Trend
    says: str


class TrendsReply(Reply):
    """Whether a charger departs from its own days before. A flag, no prediction."""

    charger_id: str
    flag: Trend = Field(description="`unknown`: too few days are known.")
    features: tuple[FeatureReply, ...]
