"""Provisioning a charger once more: its state kept, cleared, or set aside first (F46).

What was known of it stays on record: its row, history, asset and old enrolment's end. It goes back to the way
in, is a target of no campaign, and is in service again only by its checklist.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from storage.retirement import Step, StepRecord


class ReprovisionMode(StrEnum):
    """What becomes of what it has."""

    KEEP = "keep"
    """Its lists, values and attested results stay; its credential is changed, its checklist run anew."""
    RESET = "reset"
    """It is told to forget first: local list, cache, charging profiles, monitors. What was desired of its
    configuration and what was attested of it counts no more."""
    QUARANTINE = "quarantine"
    """It is set aside at once; released by a person, it goes through provisioning, not back into service."""


FORGETS = (Step.LOCAL_LIST, Step.CACHE, Step.PROFILES, Step.MONITORS)
"""What a charger is told to forget by ``RESET``, in this order."""


class ReprovisionState(StrEnum):
    """What became of it."""

    RUNNING = "running"
    DONE = "done"
    """It is on its way in again, or set aside."""
    REFUSED = "refused"
    """It is where it was; ``waits_for`` says why."""


@dataclass(frozen=True, slots=True)
class Reprovision:
    """One charger that goes through provisioning again."""

    reprovision_id: str
    charger_id: str
    mode: ReprovisionMode
    actor: str
    reason: str
    requested_at: datetime
    deadline_at: datetime
    """Until when it may take to be idle, and reached where it has to forget something."""
    environment: str
    template: str | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    profile: int = 1
    state: ReprovisionState = ReprovisionState.RUNNING
    waits_for: str = ""
    steps: tuple[StepRecord, ...] = ()
    """What it was told to forget, with its own answers."""
    before: Mapping[str, Any] = field(default_factory=dict)
    """Its lifecycle, and the enrolment that it had."""
    finished_at: datetime | None = None


class ReprovisionStore(Protocol):
    """What was asked, and how far it is."""

    async def request(self, given: Reprovision) -> Reprovision:
        """Write it down, audited; the same id again is the same one, however far it is.

        Raises NotFound (charger, template), Conflict (it is not in service, or another one is under way).
        """

    async def get(self, reprovision_id: str) -> Reprovision:
        """Raise NotFound."""

    async def of(self, charger_id: str, *, limit: int = 100) -> Sequence[Reprovision]:
        """Newest first."""

    async def running(self, *, limit: int = 200) -> Sequence[Reprovision]:
        """Oldest first."""

    async def note(self, reprovision_id: str, record: StepRecord) -> None:
        """Write down what it said to a step, once."""

    async def wait(self, reprovision_id: str, reason: str) -> None:
        """Say what it waits for."""

    async def apply(self, reprovision_id: str, at: datetime) -> str:
        """Park it or set it aside, audited, in one transaction; why that cannot be now, or empty."""

    async def refuse(self, reprovision_id: str, why: str, at: datetime) -> None:
        """End it where it is, audited, unless it is over."""
