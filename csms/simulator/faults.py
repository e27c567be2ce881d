"""Faults of network, power, clock and charger, as data; who is struck is a hash of the seed."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from csms.simulator.firmware import chance
from csms.simulator.network import NetworkHabits
from csms.simulator.pace import STRICT
from csms.simulator.stages import Stage


class FaultKind(StrEnum):
    """What may go wrong. Images that fail are ``firmware.Script``; habits are ``personality``."""

    # At a moment: when the update reaches ``stage``, or ``after_s`` from switching on, for ``for_s``. Once.
    DROP_SOCKET = "drop_socket"
    """The network is lost, without a close frame."""
    HALF_OPEN = "half_open"
    """The charger leaves its socket as it is and comes again on another; no end is told that it is over."""
    POWER_CUT = "power_cut"
    """Off for ``for_s`` (0: as long as a restart takes), whatever it is doing."""
    SILENCE = "silence"
    """The application hangs for ``for_s`` (0: for ever): pings are answered, nothing else is."""
    CONNECTOR_FAULT = "connector_fault"
    """The first outlet reports an error for ``for_s`` (0: for ever)."""
    # All the time.
    LOSE_FRAME = "lose_frame"
    """A frame (a call of ``action``, None: any) is lost on its way, each with the chance ``amount``."""
    DUPLICATE_FRAME = "duplicate_frame"
    """Every call of ``action`` (None: every call) leaves twice, with the same id."""
    REORDER_FRAME = "reorder_frame"
    """Two calls that wait leave in the other order, each time with the chance ``amount``."""
    DELAY_FRAME = "delay_frame"
    """Every frame leaves ``amount`` seconds late."""
    CLOCK_SKEW = "clock_skew"
    """Its clock is ``amount`` seconds ahead."""
    CLOCK_UNSET = "clock_unset"
    """It counts from 1970 after every start, its first words after the boot included (MicroOcpp#311)."""
    SLOW_LINK = "slow_link"
    """Images come at ``amount`` bytes a second."""
    BREAK_DOWNLOAD = "break_download"
    """The first transfer of an image ends after ``amount`` bytes."""
    # Of an update.
    RESET_CONFIGURATION = "reset_configuration"
    """A new image forgets all that was configured, but for the password."""
    PROFILE_DOWNGRADE = "profile_downgrade"
    """A new image comes back without any credentials, ``amount`` times (0: three), before it remembers."""
    # Of what a local controller offers.
    FULL_DISK = "full_disk"
    """It has no room for an image: DownloadFailed."""
    SPOILT_IMAGE = "spoilt_image"
    """Its disk spoils what it fetched: InvalidChecksum."""
    NO_FILE_SERVER = "no_file_server"
    """Its file server does not start: PublishFailed."""
    UNSERVED = "unserved"
    """It says Published, and whoever asks there finds nothing."""
    # Of another way to the server.
    ONE_SLOT = "one_slot"
    """It has no slot beside the one in use (2.x)."""
    PRIORITY_REFUSED = "priority_refused"
    """It takes a connection, and refuses to try it first (2.x)."""
    NETWORK_FALLBACK = "network_fallback"
    """What it is given does not work for it; after ``amount`` (0: three) failures it takes the old way."""
    STRANDED = "stranded"
    """What it is given does not work for it, and it has forgotten the old way."""


MOMENTS = frozenset(
    {
        FaultKind.DROP_SOCKET,
        FaultKind.HALF_OPEN,
        FaultKind.POWER_CUT,
        FaultKind.SILENCE,
        FaultKind.CONNECTOR_FAULT,
    }
)
_CHANCES = frozenset({FaultKind.LOSE_FRAME, FaultKind.REORDER_FRAME})
_DOWNGRADES = 3


@dataclass(frozen=True, slots=True)
class NetworkFault:
    """One fault and the share of chargers it strikes, 0 to 1."""

    __pydantic_config__ = STRICT

    kind: FaultKind
    share: float = 1.0
    stage: Stage | None = None
    action: str | None = None
    amount: float = 0.0
    after_s: float = 0.0
    for_s: float = 0.0

    def problems(self) -> list[str]:
        """What is wrong with it, as ``entry: why``."""
        found = []
        if not 0 <= self.share <= 1:
            found.append(f"share: {self.share:g} is no share, 0 to 1")
        if self.kind in _CHANCES and not 0 <= self.amount <= 1:
            found.append(f"amount: {self.amount:g} is no chance, 0 to 1")
        if self.kind is FaultKind.SLOW_LINK and self.amount <= 0:
            found.append("amount: a slow link needs its bytes a second")
        if self.stage is not None and self.kind not in MOMENTS:
            found.append(f"stage: {self.kind.value} has no moment")
        if not all(map(math.isfinite, (self.after_s, self.for_s, self.amount))):
            found.append("after_s, for_s, amount: each is a number, and has an end")
        if min(self.after_s, self.for_s) < 0 or (self.amount < 0 and self.kind is not FaultKind.CLOCK_SKEW):
            found.append("after_s, for_s, amount: none may be negative")
        return found


PUBLISHING = frozenset(
    {FaultKind.FULL_DISK, FaultKind.SPOILT_IMAGE, FaultKind.NO_FILE_SERVER, FaultKind.UNSERVED}
)
"""Faults that only a local controller has."""


@dataclass(frozen=True, slots=True)
class Incident:
    """A fault with a moment, as it strikes one charger."""

    kind: FaultKind
    stage: Stage | None
    after_s: float
    for_s: float


@dataclass(frozen=True, slots=True)
class Afflictions:
    """The faults that strike one charger."""

    incidents: tuple[Incident, ...] = ()
    duplicates: frozenset[str | None] = frozenset()
    losses: tuple[tuple[str | None, float], ...] = ()
    reorder: float = 0.0
    delay_s: float = 0.0
    skew_s: float = 0.0
    clock_unset: bool = False
    bytes_per_s: float | None = None
    break_after: int | None = None
    forgets: bool = False
    downgrades: int = 0
    publishing: frozenset[FaultKind] = frozenset()
    network: NetworkHabits = field(default_factory=NetworkHabits)

    def duplicated(self, action: str) -> bool:
        """Whether a call of this action leaves twice."""
        return action in self.duplicates or None in self.duplicates

    def lost(self, action: str | None, rng: random.Random) -> bool:
        """Whether this frame is lost; ``action`` None: an answer."""
        return any(
            rng.random() < likely for wanted, likely in self.losses if wanted is None or wanted == action
        )


def afflictions(faults: Sequence[NetworkFault], seed: int, charger_id: str) -> Afflictions:
    """Which faults strike this charger."""
    struck = [
        fault
        for number, fault in enumerate(faults)
        if chance(seed, "fault", number, charger_id) < fault.share
    ]

    def of(kind: FaultKind) -> list[NetworkFault]:
        return [fault for fault in struck if fault.kind is kind]

    breaks = [int(fault.amount) for fault in of(FaultKind.BREAK_DOWNLOAD)]
    rates = [fault.amount for fault in of(FaultKind.SLOW_LINK)]
    return Afflictions(
        incidents=tuple(
            Incident(fault.kind, fault.stage, fault.after_s, fault.for_s)
            for fault in struck
            if fault.kind in MOMENTS
        ),
        duplicates=frozenset(fault.action for fault in of(FaultKind.DUPLICATE_FRAME)),
        losses=tuple((fault.action, fault.amount) for fault in of(FaultKind.LOSE_FRAME)),
        reorder=max((fault.amount for fault in of(FaultKind.REORDER_FRAME)), default=0.0),
        delay_s=sum(fault.amount for fault in of(FaultKind.DELAY_FRAME)),
        skew_s=sum(fault.amount for fault in of(FaultKind.CLOCK_SKEW)),
        clock_unset=bool(of(FaultKind.CLOCK_UNSET)),
        bytes_per_s=min(rates, default=None),
        break_after=min(breaks, default=None),
        forgets=bool(of(FaultKind.RESET_CONFIGURATION)),
        publishing=frozenset(fault.kind for fault in struck) & PUBLISHING,
        network=NetworkHabits(
            slots=1 if of(FaultKind.ONE_SLOT) else NetworkHabits().slots,
            attempts=max((int(each.amount) for each in of(FaultKind.NETWORK_FALLBACK)), default=0)
            or NetworkHabits().attempts,
            refuses_priority=bool(of(FaultKind.PRIORITY_REFUSED)),
            falls_back=bool(of(FaultKind.NETWORK_FALLBACK)),
            stranded=bool(of(FaultKind.STRANDED)),
        ),
        downgrades=sum(int(fault.amount) or _DOWNGRADES for fault in of(FaultKind.PROFILE_DOWNGRADE)),
    )
