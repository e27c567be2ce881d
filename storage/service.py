"""How chargers served: time up, down and in maintenance, sessions, faults, energy; by charger and day.

Days are of the server's clock, UTC. Everything adds up, so that any set of chargers over any days is a sum.
Time in which nobody could tell is *unknown* (F104): neither up nor down. Down for work that we did or ordered
is maintenance, and no failure (F114).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from datetime import date, datetime
from enum import StrEnum
from operator import add, attrgetter
from typing import Protocol

from storage.charger import STALE_AFTER
from storage.events import StoredEvent
from storage.health import Watermark


@dataclass(frozen=True, slots=True)
class ServiceDay:
    """One charger in one day on one firmware version. Seconds of a charger are shared by its connectors."""

    up_s: float = 0.0
    """A connector could be used; with two, of which one could, half of the time."""
    down_s: float = 0.0
    """It could not, and nobody planned that."""
    maintenance_s: float = 0.0
    """It could not, because of an update, a restart or a change of availability that we asked for."""
    unknown_s: float = 0.0
    in_use_s: float = 0.0
    """A session was open."""
    energy_wh: float = 0.0
    """Delivered, by the registers of its meters."""
    repair_s: float = 0.0
    """From its beginning to its end, of every failure that ended on this day."""
    repairs: int = 0
    faults: int = 0
    """Connectors that became Faulted."""
    sessions: int = 0
    """Sessions that began."""
    connects: int = 0
    """Sockets that it opened."""
    temperature_n: int = 0
    temperature_sum: float = 0.0
    """Of readings in degrees Celsius."""
    temperature_max: float | None = None
    """The one field that does not add up."""

    def merged(self, other: "ServiceDay") -> "ServiceDay":
        """Both together; in any order and grouping the same."""
        known = [each.temperature_max for each in (self, other) if each.temperature_max is not None]
        summed = dict(zip(SUMMED, map(add, _sums(self), _sums(other)), strict=True))
        return ServiceDay(**summed, temperature_max=max(known, default=None))


SUMMED = tuple(each.name for each in fields(ServiceDay) if each.name != "temperature_max")
_sums = attrgetter(*SUMMED)


@dataclass(frozen=True, slots=True)
class Standing:
    """How a charger stands from one instant on, until something is heard: enough to count time by."""

    at: datetime
    """Up to here all time is counted."""
    version: str = ""
    """Empty: not known."""
    online: bool = False
    up: float | None = None
    """Share of its connectors that can be used; None: nobody can tell."""
    parked: float = 0.0
    """Share that we took out of service."""
    in_use: float = 0.0
    planned_until: datetime | None = None
    """What is down until then was planned."""
    failing_since: datetime | None = None
    stale_s: float = STALE_AFTER.total_seconds()
    """Of a live socket that says nothing for longer, nobody can tell."""


def spent(standing: Standing, begin: datetime, end: datetime) -> ServiceDay:
    """The time between two instants, by how it stood; too long without a word on a live socket is unknown."""
    whole = (end - begin).total_seconds()
    if whole <= 0:
        return ServiceDay()
    up = standing.up
    if up is None or (standing.online and (end - standing.at).total_seconds() > standing.stale_s):
        return ServiceDay(unknown_s=whole)
    planned = min(max(((standing.planned_until or begin) - begin).total_seconds(), 0.0), whole)
    # Out of service through us: that part is planned however long it lasts.
    away = max(0.0, 1.0 - up - standing.parked)
    return ServiceDay(
        up_s=up * whole,
        down_s=away * (whole - planned),
        maintenance_s=standing.parked * whole + away * planned,
        in_use_s=standing.in_use * whole,
    )


@dataclass(frozen=True, slots=True)
class Register:
    """The latest reading of an EVSE's energy register."""

    wh: float
    at: datetime
    """By the charger's clock, never in our future."""
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Reading:
    """The latest value of something else that is measured."""

    value: float
    unit: str
    at: datetime
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Metering:
    """What its meters say: latest values and one sum. The series itself is in the events (F7)."""

    registers: dict[str, Register] = field(default_factory=dict)
    """By EVSE."""
    readings: dict[str, Reading] = field(default_factory=dict)
    """By ``EVSE/measurand``: power, current, voltage, temperature, state of charge."""
    delivered_wh: float = 0.0
    """Counted by us from the first reading on."""
    since: datetime | None = None
    """Server time of that first reading; None: no reading ever came."""


@dataclass(frozen=True, slots=True)
class ServiceMemory:
    """What the fold remembers of a charger from one event to the next; bounded whatever it sends."""

    sequence: int = 0
    standing: Standing | None = None
    connected: bool = False
    silent: bool = False
    connectors: dict[str, str] = field(default_factory=dict)
    parked: tuple[str, ...] = ()
    open: dict[str, int] = field(default_factory=dict)
    """EVSE of each open session."""
    ended: tuple[str, ...] = ()
    update_at: datetime | None = None
    """An update was accepted and is not over."""
    availability_at: datetime | None = None
    """We changed its availability last."""
    metering: Metering = field(default=Metering())


DayKey = tuple[str, date, str]
"""Charger, day, firmware version."""


@dataclass(frozen=True, slots=True)
class ServiceChange:
    """What a batch of events adds to days, and what is to be remembered."""

    days: dict[DayKey, ServiceDay]
    memories: dict[str, ServiceMemory]


ServiceFold = Callable[[dict[str, ServiceMemory], Sequence[StoredEvent]], ServiceChange]
"""Pure. It is given what is remembered of the chargers in the batch."""


class GroupBy(StrEnum):
    """What service is summed by."""

    SITE = "site"
    VERSION = "version"
    MODEL = "model"
    OPERATOR = "operator"
    CHARGER = "charger"


@dataclass(frozen=True, slots=True)
class ServiceGroup:
    """Chargers that have the same value, over some days."""

    value: str
    """Empty: not known."""
    chargers: int
    failing: int
    """Of them, now."""
    total: ServiceDay


@dataclass(frozen=True, slots=True)
class ServiceReport:
    """Service over some days, up to an instant."""

    since: date
    until: datetime
    """Everything of before is counted."""
    watermark: Watermark
    groups: tuple[ServiceGroup, ...]


class ServiceStore(Protocol):
    """Reading how chargers served."""

    async def report(
        self, by: GroupBy, since: date, now: datetime, *, charger_ids: Sequence[str] | None = None
    ) -> ServiceReport:
        """Every group from that day on; ``charger_ids`` None: the whole fleet."""

    async def days(self, charger_id: str, since: date, now: datetime) -> Sequence[tuple[date, ServiceDay]]:
        """One charger day by day, oldest first; days of which nothing is known are left out."""

    async def metering(self, charger_id: str) -> Metering:
        """What its meters said last."""
