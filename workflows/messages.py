"""What workflows take and give. Frozen, small, and without lists of chargers: those live in PostgreSQL."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from activities.facts import RouteFacts
from storage.campaign import CampaignPhase, Outcome, Pace


@dataclass(frozen=True, slots=True)
class CampaignInput:
    """Which campaign; everything else is read from the store."""

    campaign_id: str


@dataclass(frozen=True, slots=True)
class CampaignStatus:
    """Where a campaign is, for people."""

    phase: CampaignPhase
    reason: str
    wave: int | None
    wave_name: str
    look: int
    approvals: tuple[str, ...]
    """Who said yes to what it waits for now."""


@dataclass(frozen=True, slots=True)
class WaveInput:
    """One wave of ``count`` targets."""

    campaign_id: str
    wave: int
    name: str
    count: int
    version: str
    pace: Pace
    early_stop_failures: int | None
    max_failure_share: float | None = None
    """Beyond it and beyond chance the wave stops; None in waves of versions without a bound."""


@dataclass(frozen=True, slots=True)
class WaveEnd:
    """How a wave or a shard ended; outcomes are in PostgreSQL."""

    failures: int = 0
    stopped: str = ""
    """Why it started no more chargers before it was through, "" if it was through."""
    halted: str = ""
    """Which proof did not hold; nothing more may be sent."""


@dataclass(frozen=True, slots=True)
class Retry:
    """A charger whose last attempt failed and that gets another."""

    charger_id: str
    attempt: int
    not_before: datetime
    issue: int
    """The directive of that attempt must be newer than this one."""
    marks: tuple["Mark", ...] = ()
    """Of the attempt that failed: why."""


@dataclass(frozen=True, slots=True)
class ShardMemory:
    """What a shard takes along when it continues as new."""

    issue: int = 0
    authorised_until: datetime | None = None
    failed: tuple[str, ...] = ()
    retries: tuple[Retry, ...] = ()
    streak: int = 0
    """Successes since the last failure."""
    updated: int = 0
    share: float = 1.0
    """Of what may be in flight otherwise, since our own machines were late (``strain``)."""
    undecided: int = 0
    """Who was sent the update while we came and went, and of whom nobody knows what became of it."""


@dataclass(frozen=True, slots=True)
class ShardInput:
    """One range of ordinals of a wave."""

    campaign_id: str
    wave: int
    shard: int
    first: int
    count: int
    version: str
    pace: Pace
    early_stop_failures: int | None
    deadline: datetime
    """After this nothing is started, and who was not touched is deferred."""
    lone: bool = False
    """The wave has no other shard to be told of failures here."""
    paused: bool = False
    memory: ShardMemory = field(default_factory=ShardMemory)
    max_failure_share: float | None = None
    """As of the wave; a shard that is not alone leaves the bound to its wave, which counts all of them."""


@dataclass(frozen=True, slots=True)
class ShardStatus:
    """Where a shard is, for people."""

    open: int
    in_flight: tuple[str, ...]
    failed: int
    paused: bool
    stopping: str


@dataclass(frozen=True, slots=True)
class ChargerUpdateInput:
    """One attempt on one charger."""

    campaign_id: str
    wave: int
    shard: int
    charger_id: str
    version: str
    route: RouteFacts
    attempt: int = 1
    last_attempt: bool = True
    deadline_seconds: float = 3600.0
    out_of_service: tuple[str, ...] = ()
    steady_seconds: float | None = None
    """So long it has to stay up with the version; None: its first boot with it is enough."""


@dataclass(frozen=True, slots=True)
class ChargerFetchInput:
    """One charger that fetches ahead of its install."""

    campaign_id: str
    wave: int
    shard: int
    charger_id: str
    version: str
    route: RouteFacts
    seconds: float
    """What the download may take."""
    install_seconds: float
    """What the install may take, if it begins that by itself."""
    steady_seconds: float | None = None
    """So long it has to stay up then; None: its first boot with the version is enough."""


class Mark(StrEnum):
    """What else there is to say of an attempt's end."""

    RETRY = "retry"
    """It failed, and another attempt may follow."""
    SUSPICIOUS = "suspicious"
    """The firmware may be to blame: counts towards an early stop at once."""
    HALT = "halt"
    """A proof did not hold: nothing more may be sent."""
    NETWORK = "network"
    """It is silent with its neighbours: the gate counts it, an early stop does not (X7)."""
    SESSION = "session"
    """It had to wait because a car is there."""
    FETCH = "fetch"
    """Why it failed: the image did not arrive."""
    REFUSED = "refused"
    """The charger said no."""
    STRAINED = "strained"
    """Its node is late with its work, or did not take the order at all."""
    SPENT = "spent"
    """Its directive was used for another request of it."""
    INSTALL = "install"
    """The image arrived, and could not be installed."""
    OVERDUE = "overdue"
    """Alive, and nothing came of it."""


def marks_of(said: Mapping[Mark, bool]) -> tuple[Mark, ...]:
    """Those that hold."""
    return tuple(mark for mark, holds in said.items() if holds)


@dataclass(frozen=True, slots=True)
class UpdateEnd:
    """How an attempt ended. ``outcome`` None: the charger goes back to waiting."""

    outcome: Outcome | None
    reason: str
    marks: tuple[Mark, ...] = ()
