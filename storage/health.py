"""Health signals: counters of each charger and hour, by the server's clock, folded from events.

Counters add up, so any window over any set of chargers is a sum, and the baseline of a charger is the
same sum over its days before. Minutes in which a charger was not heard are *unknown* (F104): they
are neither healthy nor faulty, and whoever judges must look at ``heard_minutes`` first.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from functools import lru_cache
from operator import add, attrgetter

from storage.health_time import REAL


@dataclass(frozen=True, slots=True)
class HealthHour:
    """One charger in one hour. Every field adds up, except the three that say otherwise."""

    heard: int = 0
    """A bit for each minute in which the charger sent something; joined by *or*."""
    skew_min_s: float | None = None
    """The smallest absolute clock skew of the hour: queued messages are late, live ones are not. Minimum."""
    return_max_s: float | None = None
    """The longest that it took to come back after an update. Maximum."""
    messages: int = 0
    """Messages that told a fact."""
    errors: int = 0
    """Frames that broke a rule, and error replies to our calls."""
    boots: int = 0
    boot_loops: int = 0
    """Boots that were the third or a later one within 15 minutes."""
    connects: int = 0
    """Authenticated sockets; every one after the first is a reconnect."""
    silences: int = 0
    """Times that it fell silent on a living socket and did not answer a probe."""
    probes: int = 0
    """Triggers that we sent."""
    probes_answered: int = 0
    """Of those, answered within 10 seconds."""
    updates: int = 0
    """Updates that the charger accepted."""
    returns: int = 0
    """Boots that ended the absence of an update."""
    went_faulted: int = 0
    """Connectors that became Faulted."""
    went_unavailable: int = 0
    """Connectors that became Unavailable without our asking."""
    attempts: int = 0
    """Sessions that began; they count in the hour of their beginning, whenever their fate is known."""
    attempts_ok: int = 0
    """Energy flowed within five minutes."""
    attempts_failed: int = 0
    """It certainly did not."""
    stops: int = 0
    abnormal_stops: int = 0
    meter_backwards: int = 0
    """Readings of an EVSE's register below one before."""
    open_at_boot: int = 0
    """Sessions that were open when it restarted."""
    closed_after_boot: int = 0
    """Of those, their end was told afterwards."""
    profile_drops: int = 0
    """Connections with a lower security profile than the one before."""

    def merged(self, other: "HealthHour") -> "HealthHour":
        """Both together; in any order and grouping the same."""
        return HealthHour(
            self.heard | other.heard,
            _either(min, self.skew_min_s, other.skew_min_s),
            _either(max, self.return_max_s, other.return_max_s),
            *map(add, _counts(self), _counts(other)),
        )


@lru_cache(maxsize=120)
def heard_in(minute: int, *, again: bool) -> HealthHour:
    """One message, or one more fact ``again`` of it. Most events are heartbeats, and add nothing else."""
    return HealthHour(heard=1 << minute, messages=0 if again else 1)


COUNTERS = tuple(
    each.name for each in fields(HealthHour) if each.name not in {"heard", "skew_min_s", "return_max_s"}
)
"""The fields that are summed: all but the first three."""
_counts = attrgetter(*COUNTERS)


def _either(choose: Callable[[float, float], float], left: float | None, right: float | None) -> float | None:
    if left is None or right is None:
        return right if left is None else left
    return choose(left, right)


@dataclass(frozen=True, slots=True)
class Attempt:
    """A session that is watched for energy."""

    began_at: datetime
    meter_wh: float | None = None
    dry_at: datetime | None = None
    """When a reading last showed that no energy had flowed since the one before."""


@dataclass(frozen=True, slots=True)
class HealthMemory:
    """What the fold remembers of one charger from one event to the next. Bounded whatever it sends."""

    sequence: int = 0
    """The last event that was counted; one with this number or a lower one changes nothing."""
    message_at: datetime | None = None
    boots: tuple[datetime, ...] = ()
    profile: int | None = None
    connectors: dict[str, str] = field(default_factory=dict)
    registers: dict[str, float] = field(default_factory=dict)
    open: tuple[str, ...] = ()
    """Transaction ids of open sessions."""
    open_at_boot: tuple[str, ...] = ()
    attempts: dict[str, Attempt] = field(default_factory=dict)
    probes: dict[str, datetime] = field(default_factory=dict)
    update_at: datetime | None = None
    """An update was accepted, and it has not gone away for it yet."""
    update_id: int | None = None
    """The number of its request, which a failure repeats; plain 1.6 has none."""
    left_at: datetime | None = None
    """It went away for an update, and is not back yet."""
    cut_at: datetime | None = None
    """Its socket closed last while the update ran."""
    parked: tuple[str, ...] = ()
    """Connectors that could be used and became Unavailable for the update."""
    parked_since: datetime | None = None
    """When the update was over that they wait for."""
    clock_off_s: float | None = None
    """How wrong its clock is, while it is too wrong to take a time from."""
    availability_at: datetime | None = None
    """We changed its availability last."""


@dataclass(frozen=True, slots=True)
class HealthChange:
    """What a batch of events adds: to hours, and to what is remembered."""

    hours: dict[tuple[str, datetime], HealthHour]
    memories: dict[str, HealthMemory]


@dataclass(frozen=True, slots=True)
class Watermark:
    """How far a projection has read: every event up to ``sequence``, and all of before ``through``."""

    sequence: int = 0
    through: datetime | None = None
    """Server time; None: it never ran."""


@dataclass(frozen=True, slots=True)
class ChargerSignals:
    """One charger over a window, and over its baseline before."""

    charger_id: str
    window: HealthHour
    """Summed; ``heard`` means nothing here, see the minutes."""
    baseline: HealthHour
    heard_minutes: int
    baseline_heard_minutes: int
    most_connects: int
    """In one hour of the window."""
    last_session_at: datetime | None
    """The hour of its latest session, window and baseline together."""
    peer_attempts: int
    """Sessions that began at the other chargers of its site within the window."""
    awaiting_return_since: datetime | None = None
    """It went away for an update and is not back."""
    online: bool = False
    silent: bool = False
    heard_hours: int = 0
    """Hours of the window in which anything was heard."""
    baseline_heard_hours: int = 0
    """Hours of the baseline in which anything was heard: the time that its counts belong to."""


@dataclass(frozen=True, slots=True)
class SpanQuery:
    """One charger over a span of its own: whole hours from ``since``, and the days before ``before``."""

    charger_id: str
    since: datetime
    before: datetime


@dataclass(frozen=True, slots=True)
class ChargerSpan:
    """One charger over its span and its baseline, summed; ``heard`` means nothing in the sums."""

    charger_id: str
    vendor: str
    model: str
    hardware_revision: str | None
    site_id: str
    hours: int
    heard_hours: int
    """In which it sent anything."""
    window: HealthHour
    base_hours: int
    """From its first known hour within the baseline."""
    base_heard_hours: int
    baseline: HealthHour
    lately: bool
    """It was heard in the last day of its baseline."""


@dataclass(frozen=True, slots=True)
class FleetSpans:
    """Spans of many chargers, and how far the projection had come."""

    watermark: Watermark
    chargers: tuple[ChargerSpan, ...]


@dataclass(frozen=True, slots=True)
class FleetSignals:
    """Any set of chargers, read at one instant together with how far the projection had come."""

    watermark: Watermark
    since: datetime
    until: datetime
    baseline_since: datetime
    chargers: tuple[ChargerSignals, ...]
    hour: timedelta = REAL.hour
    """How long the hours are that are counted."""
