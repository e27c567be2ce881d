"""Provisioning a charger anew: what it is told to forget, and the books of it (F46)."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from temporalio import activity

from activities.errors import mapped
from activities.forgetting import RetireAnswer, alone, ask, busy, told
from activities.orders import Node
from activities.stores import Stores
from activities.wiping import COMMANDS
from storage.desired import DesiredChange
from storage.errors import InvalidInput, StaleVersion
from storage.reprovision import (
    FORGETS,
    Reprovision,
    ReprovisionMode,
    ReprovisionState,
    ReprovisionStore,
)
from storage.retirement import Step, StepRecord, StepState
from storage.twin import Lifecycle, busy_reason

SECTION = "configuration"
_SERVING = (Lifecycle.REGISTERED, Lifecycle.ACTIVE, Lifecycle.PROVISIONING)
_TRIES = 5


@dataclass(frozen=True, slots=True)
class ForgetOrder:
    """One step, over one session."""

    charger_id: str
    session_epoch: int
    step: Step


@dataclass(frozen=True, slots=True)
class ReprovisionFacts:
    """How far one is."""

    over: bool
    left: tuple[Step, ...]
    """What it has still to forget."""
    deadline_at: datetime


@dataclass(frozen=True, slots=True)
class ForgotNote:
    """What it said to one step."""

    reprovision_id: str
    step: Step
    state: StepState
    detail: str
    evidence: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReprovisionNote:
    """What it waits for, or why it ends where it is."""

    reprovision_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Underway:
    """One that is not over."""

    reprovision_id: str
    charger_id: str


class ForgetSender:
    """On the node that holds the charger's socket."""

    def __init__(self, node: Node) -> None:
        self._node = node

    @activity.defn
    @mapped
    async def forget_step(self, given: ForgetOrder) -> RetireAnswer:
        """Have it forget one thing, while nobody charges (X1). Raises NotConnectedHere only."""
        return await alone(self._node, given.charger_id, lambda: self._step(given))

    async def _step(self, given: ForgetOrder) -> RetireAnswer:
        lifecycle = (await self._node.stores.chargers.get(given.charger_id)).charger.lifecycle
        if lifecycle not in _SERVING:
            raise InvalidInput(f"{given.charger_id} is {lifecycle.value}, and is told nothing.")
        if why := await busy(self._node, given.charger_id, given.session_epoch):
            return RetireAnswer(None, why)
        commands = COMMANDS[given.step]
        ends = [await ask(self._node, given.charger_id, given.session_epoch, each) for each in commands]
        return told([end for end, _ in ends])


class ReprovisionActivities:
    """On any worker: the books."""

    def __init__(self, stores: Stores, reprovisions: ReprovisionStore) -> None:
        self._stores = stores
        self._reprovisions = reprovisions

    @activity.defn
    @mapped
    async def measure_reprovision(self, reprovision_id: str) -> ReprovisionFacts:
        """How far it is."""
        found = await self._reprovisions.get(reprovision_id)
        done = {record.step for record in found.steps}
        wanted = FORGETS if found.mode is ReprovisionMode.RESET else ()
        left = tuple(step for step in wanted if step not in done)
        return ReprovisionFacts(found.state is not ReprovisionState.RUNNING, left, found.deadline_at)

    @activity.defn
    @mapped
    async def note_forgotten(self, given: ForgotNote) -> None:
        """Write down what it said."""
        now = self._stores.clock()
        record = StepRecord(given.step, given.state, given.detail, now, given.evidence)
        await self._reprovisions.note(given.reprovision_id, record)

    @activity.defn
    @mapped
    async def note_reprovision_wait(self, given: ReprovisionNote) -> None:
        """Say what it waits for."""
        await self._reprovisions.wait(given.reprovision_id, given.reason)

    @activity.defn
    @mapped
    async def refuse_reprovision(self, given: ReprovisionNote) -> None:
        """End it where it is."""
        await self._reprovisions.refuse(given.reprovision_id, given.reason, self._stores.clock())

    @activity.defn
    @mapped
    async def apply_reprovision(self, reprovision_id: str) -> str:
        """Put it on its way in again, or aside; why not now, or empty. Nobody is parked who charges a car."""
        found = await self._reprovisions.get(reprovision_id)
        if found.state is not ReprovisionState.RUNNING:
            return ""
        parks = found.mode is not ReprovisionMode.QUARANTINE
        if parks and (why := await self._charges(found.charger_id)):
            return why
        if found.mode is ReprovisionMode.RESET:
            await self._desire_nothing(found)
        return await self._reprovisions.apply(reprovision_id, self._stores.clock())

    async def _charges(self, charger_id: str) -> str | None:
        """One that was never heard of charges nobody that we know of."""
        operation = (await self._stores.chargers.get(charger_id)).twin.operation
        return busy_reason(operation, self._stores.clock()) if operation else None

    async def _desire_nothing(self, found: Reprovision) -> None:
        """Of its configuration, until its template says anew what it is to be."""
        cause = f"reprovision/{found.reprovision_id}"
        for _ in range(_TRIES):
            sections = await self._stores.twins.desired(found.charger_id)
            known = next(each for each in sections if each.section == SECTION)
            if not known.desired:
                return
            change = DesiredChange(
                found.charger_id,
                SECTION,
                {},
                known.version,
                found.actor,
                cause,
                self._stores.clock(),
                merge=False,
            )
            try:
                await self._stores.twins.set_desired(change)
            except StaleVersion:
                continue
            return
        raise StaleVersion(f"What is desired of {found.charger_id} changes all the time.", hint="Try again.")

    @activity.defn
    @mapped
    async def find_reprovisions(self, limit: int) -> tuple[Underway, ...]:
        """Those that are not over, oldest first."""
        found = await self._reprovisions.running(limit=limit)
        return tuple(Underway(each.reprovision_id, each.charger_id) for each in found)
