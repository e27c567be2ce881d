"""Canonical commands about reports and monitors of the device model, 2.x only (B07, B08, N02-N06). Pure."""

from dataclasses import dataclass
from enum import StrEnum


class ReportBase(StrEnum):
    """OCPP 2.x ReportBaseEnumType."""

    CONFIGURATION = "ConfigurationInventory"
    FULL = "FullInventory"
    SUMMARY = "SummaryInventory"


@dataclass(frozen=True, slots=True)
class GetBaseReport:
    """Have everything reported (2.x B07)."""

    request_id: int
    base: ReportBase = ReportBase.FULL


class ComponentCriterion(StrEnum):
    """OCPP 2.x ComponentCriterionEnumType."""

    ACTIVE = "Active"
    AVAILABLE = "Available"
    ENABLED = "Enabled"
    PROBLEM = "Problem"


@dataclass(frozen=True, slots=True)
class GetReport:
    """Have some of it reported (2.x B08): ``names`` are ``Component`` or ``Component.Variable``."""

    request_id: int
    names: tuple[str, ...] = ()
    criteria: tuple[ComponentCriterion, ...] = ()


class MonitorKind(StrEnum):
    """OCPP 2.x MonitorEnumType; the last two are 2.1's."""

    UPPER_THRESHOLD = "UpperThreshold"
    LOWER_THRESHOLD = "LowerThreshold"
    DELTA = "Delta"
    PERIODIC = "Periodic"
    PERIODIC_CLOCK_ALIGNED = "PeriodicClockAligned"
    TARGET_DELTA = "TargetDelta"
    TARGET_DELTA_RELATIVE = "TargetDeltaRelative"


@dataclass(frozen=True, slots=True)
class MonitorSetting:
    """A monitor to be set; ``monitor_id`` replaces that one. Severity 0 (danger) to 9 (debug)."""

    name: str
    kind: MonitorKind
    value: float
    severity: int
    monitor_id: int | None = None
    transaction_only: bool = False


@dataclass(frozen=True, slots=True)
class SetVariableMonitoring:
    """Set monitors (2.x N04); ``items`` of the answer names each ``Component.Variable#id``."""

    settings: tuple[MonitorSetting, ...]


@dataclass(frozen=True, slots=True)
class ClearVariableMonitoring:
    """Remove monitors (2.x N06)."""

    monitor_ids: tuple[int, ...]


class MonitoringBase(StrEnum):
    """OCPP 2.x MonitoringBaseEnumType."""

    ALL = "All"
    FACTORY_DEFAULT = "FactoryDefault"
    HARD_WIRED_ONLY = "HardWiredOnly"


@dataclass(frozen=True, slots=True)
class SetMonitoringBase:
    """Which monitors are there at all (2.x N03)."""

    base: MonitoringBase


@dataclass(frozen=True, slots=True)
class SetMonitoringLevel:
    """Report events of this severity and graver ones (2.x N05)."""

    severity: int


class MonitoringCriterion(StrEnum):
    """OCPP 2.x MonitoringCriterionEnumType."""

    THRESHOLD = "ThresholdMonitoring"
    DELTA = "DeltaMonitoring"
    PERIODIC = "PeriodicMonitoring"


@dataclass(frozen=True, slots=True)
class GetMonitoringReport:
    """Have the monitors reported (2.x N02)."""

    request_id: int
    names: tuple[str, ...] = ()
    criteria: tuple[MonitoringCriterion, ...] = ()


MonitoringCommand = (
    GetBaseReport
    | GetReport
    | SetVariableMonitoring
    | ClearVariableMonitoring
    | SetMonitoringBase
    | SetMonitoringLevel
    | GetMonitoringReport
)
