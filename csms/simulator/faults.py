"""Faults of the network and the clock, as data; who is struck is a hash of the seed."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from csms.simulator.firmware import chance
from csms.simulator.pace import STRICT
from csms.simulator.stages import Stage


class FaultKind(StrEnum):
    """What may go wrong between a charger and the server."""

    DROP_SOCKET = "drop_socket"
    """Once, when the update reaches ``stage``."""
    DUPLICATE_FRAME = "duplicate_frame"
    """Every call of ``action`` (None: every call) leaves twice, with the same id."""
    DELAY_FRAME = "delay_frame"
    """Every frame leaves ``amount`` seconds late."""
    CLOCK_SKEW = "clock_skew"
    """Its clock is ``amount`` seconds ahead."""
    BREAK_DOWNLOAD = "break_download"
    """The first transfer of an image ends after ``amount`` bytes."""


@dataclass(frozen=True, slots=True)
class NetworkFault:
    """One fault and the share of chargers it strikes, 0 to 1."""

    __pydantic_config__ = STRICT

    kind: FaultKind
    share: float = 1.0
    stage: Stage | None = None
    action: str | None = None
    amount: float = 0.0


@dataclass(frozen=True, slots=True)
class Afflictions:
    """The faults that strike one charger."""

    drops: frozenset[Stage] = frozenset()
    duplicates: frozenset[str | None] = frozenset()
    delay_s: float = 0.0
    skew_s: float = 0.0
    break_after: int | None = None

    def duplicated(self, action: str) -> bool:
        """Whether a call of this action leaves twice."""
        return action in self.duplicates or None in self.duplicates


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
    return Afflictions(
        drops=frozenset(fault.stage for fault in of(FaultKind.DROP_SOCKET) if fault.stage),
        duplicates=frozenset(fault.action for fault in of(FaultKind.DUPLICATE_FRAME)),
        delay_s=sum(fault.amount for fault in of(FaultKind.DELAY_FRAME)),
        skew_s=sum(fault.amount for fault in of(FaultKind.CLOCK_SKEW)),
        break_after=min(breaks, default=None),
    )
