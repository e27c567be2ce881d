"""Retiring a charger: each step on its socket, and the books of it (F47).

What disturbs nobody is sent as it is; what could cut a session waits until there is none (X1), under the
charger's site lease (X2). Every step may be repeated: to forget twice is to forget.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from temporalio import activity

from activities.errors import mapped
from activities.facts import RouteFacts
from activities.forgetting import RetireAnswer, alone, ask, busy, evidence, told
from activities.orders import Node
from activities.stores import Stores, this_run
from activities.wiping import COMMANDS, customers_state, of_password, removable, state_of
from csms.commands import (
    AnswerStatus,
    ChangeAvailability,
    Command,
    DeleteCertificate,
    GetInstalledCertificateIds,
)
from csms.errors import NotAccepted, Unsupported
from storage.campaign import Outcome, TargetPhase
from storage.canonical import digest
from storage.charger import SiteLease
from storage.command import CommandEnd
from storage.errors import Conflict, InvalidInput, NotFound
from storage.ids import charger_workflow_id
from storage.log import LogRequest, LogSort, LogState
from storage.retirement import Burial, RetirementState, RetirementStore, Step, StepRecord, StepState
from storage.twin import Lifecycle

KIND = "decommissioning"
"""Of the site lease."""
LEASE_S = 3600.0
_UNWELCOME = (Lifecycle.QUARANTINED, Lifecycle.RETIRED)
_MOST_DELETES = 4
"""Certificates deleted in one run of a step, so that it ends in time; the rest in the next one."""
_LOGS = {Step.SECURITY_LOG: LogSort.SECURITY, Step.DIAGNOSTICS: LogSort.DIAGNOSTICS}


@dataclass(frozen=True, slots=True)
class RetireOrder:
    """One step, over one session."""

    charger_id: str
    session_epoch: int
    step: Step


@dataclass(frozen=True, slots=True)
class StepNote:
    """What is to be written down of a step."""

    charger_id: str
    step: Step
    state: StepState
    detail: str
    evidence: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RetirementFacts:
    """How far a retirement is."""

    done: tuple[Step, ...]
    deadline_at: datetime
    over: bool
    """Its receipt is there."""


@dataclass(frozen=True, slots=True)
class WaitNote:
    """What is waited for, for people who look."""

    charger_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class LogPlan:
    """Which log, until when it may come."""

    charger_id: str
    step: Step
    seconds: float


@dataclass(frozen=True, slots=True)
class Unwelcome:
    """A charger that has a socket and should not."""

    charger_id: str
    route: RouteFacts


class RetirementSender:
    """On the node that holds the charger's socket."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._stores = node.stores

    @activity.defn
    @mapped
    async def retire_step(self, given: RetireOrder) -> RetireAnswer:
        """Do one step. What the charger says is an answer; raises NotConnectedHere only."""
        return await alone(self._node, given.charger_id, lambda: self._step(given))

    @activity.defn
    @mapped
    async def cut_socket(self, given: RetireOrder) -> None:
        """Close its socket. Raises NotConnectedHere."""
        lifecycle = (await self._stores.chargers.get(given.charger_id)).charger.lifecycle
        if lifecycle not in _UNWELCOME:
            raise InvalidInput(f"{given.charger_id} is {lifecycle.value}, and keeps its socket.")
        reason = f"this charger is {lifecycle.value}"
        await self._node.sender.cut(given.charger_id, given.session_epoch, reason)

    async def _step(self, given: RetireOrder) -> RetireAnswer:
        await self._require(given, Lifecycle.RETIRING)
        if obstacle := await self._lease(given.charger_id):
            return RetireAnswer(None, obstacle)
        match given.step:
            case Step.DRAIN:
                return await self._drain(given)
            case Step.ROOTS:
                return await self._roots(given)
            case Step.PASSWORD:
                return await self._password(given)
        return told([await self._send(given, command) for command in COMMANDS[given.step]])

    async def _require(self, given: RetireOrder, wanted: Lifecycle) -> None:
        charger = (await self._stores.chargers.get(given.charger_id)).charger
        if charger.lifecycle is not wanted:
            raise InvalidInput(f"{given.charger_id} is {charger.lifecycle.value}, not {wanted.value}.")

    async def _lease(self, charger_id: str) -> str:
        stores = self._stores
        charger = (await stores.chargers.get(charger_id)).charger
        answer = await stores.leases.take(
            SiteLease(
                charger_id=charger_id,
                site_id=charger.site_id,
                workflow_id=charger_workflow_id(charger_id),
                kind=KIND,
                expires_at=stores.clock() + timedelta(seconds=LEASE_S),
                run=this_run(),
            )
        )
        if answer.granted:
            return ""
        return f"{answer.holder} has it" if answer.holder else answer.why_not

    async def _drain(self, given: RetireOrder) -> RetireAnswer:
        """Nothing new begins, and what is open ends by itself: no session is cut (X1)."""
        end = await self._send(given, ChangeAvailability(operative=False))
        if why := await busy(self._node, given.charger_id, given.session_epoch):
            return RetireAnswer(None, why)
        return told([end])

    async def _password(self, given: RetireOrder) -> RetireAnswer:
        # Some restart for it.
        if why := await busy(self._node, given.charger_id, given.session_epoch):
            return RetireAnswer(None, why)
        sender, seconds = self._node.sender, self._node.command_seconds
        try:
            change = await sender.change_password(given.charger_id, given.session_epoch, deadline_s=seconds)
        except NotFound:
            return RetireAnswer(StepState.NOTHING, "it has no password: it proves itself by a certificate")
        except Conflict:
            return RetireAnswer(
                StepState.UNKNOWN, "an earlier new password is not settled; none is let in any more"
            )
        except (Unsupported, InvalidInput, NotAccepted) as error:
            return RetireAnswer(StepState.REFUSED, error.message)
        state, detail = of_password(change)
        return RetireAnswer(state, detail, {"answer": change.answer.value if change.answer else None})

    async def _roots(self, given: RetireOrder) -> RetireAnswer:
        listed, answer = await self._ask(given, GetInstalledCertificateIds())
        found = removable(answer.certificates) if answer else []
        if answer is None or not found:
            nothing = answer is not None and answer.status in (AnswerStatus.ACCEPTED, AnswerStatus.NOT_FOUND)
            state = StepState.NOTHING if nothing else state_of([listed])
            return RetireAnswer(
                state, "no root is there that may go" if nothing else listed.reason, evidence([listed])
            )
        ends = [await self._send(given, DeleteCertificate(each.hash)) for each in found[:_MOST_DELETES]]
        answer = told([listed, *ends])
        if len(found) > _MOST_DELETES and answer.state is StepState.DONE:
            return RetireAnswer(None, f"{len(found) - _MOST_DELETES} roots are still to go")
        return answer

    async def _send(self, given: RetireOrder, command: Command) -> CommandEnd:
        end, _ = await self._ask(given, command)
        return end

    async def _ask(self, given: RetireOrder, command: Command) -> tuple[CommandEnd, Any]:
        return await ask(self._node, given.charger_id, given.session_epoch, command)


Revoke = Callable[[str, str], Awaitable[tuple[StepState, str, dict[str, Any]]]]
"""Revokes all certificates that we issued to a charger, for a reason; how that ended."""


async def nothing_issued(charger_id: str, reason: str) -> tuple[StepState, str, dict[str, Any]]:
    """Where no authority of ours issues certificates."""
    del charger_id, reason
    return StepState.NOTHING, "no authority of ours issued it a certificate; its names are refused", {}


class RetirementActivities:
    """On any worker: the books of a retirement, and what needs no socket."""

    def __init__(self, stores: Stores, retirements: RetirementStore, revoke: Revoke = nothing_issued) -> None:
        self._stores = stores
        self._retirements = retirements
        self._revoke = revoke

    @activity.defn
    @mapped
    async def measure_retirement(self, charger_id: str) -> RetirementFacts:
        """How far it is."""
        found = await self._retirements.get(charger_id)
        done = tuple(record.step for record in found.steps)
        return RetirementFacts(done, found.deadline_at, found.state is RetirementState.RECEIPTED)

    @activity.defn
    @mapped
    async def note_step(self, given: StepNote) -> None:
        """Write down how a step ended; what OCPP cannot do apart follows from it."""
        now = self._stores.clock()
        record = StepRecord(given.step, given.state, given.detail, now, given.evidence)
        await self._retirements.note(given.charger_id, record)
        if given.step is not Step.CACHE:
            return
        states = {each.step: each.state for each in (await self._retirements.get(given.charger_id)).steps}
        state, detail = customers_state(states.get(Step.LOCAL_LIST), states.get(Step.CACHE))
        await self._retirements.note(given.charger_id, StepRecord(Step.CUSTOMERS, state, detail, now))

    @activity.defn
    @mapped
    async def note_wait(self, given: WaitNote) -> None:
        """Say what it waits for."""
        await self._retirements.wait(given.charger_id, given.reason)

    @activity.defn
    @mapped
    async def leave_campaigns(self, charger_id: str) -> None:
        """Take it out of every campaign that has not sent it anything; others end by their own rules."""
        stores, left, kept = self._stores, [], []
        for campaign_id, wave in await self._retirements.open_targets(charger_id):
            target = await stores.campaigns.target(campaign_id, wave, charger_id)
            waits = target.phase in (TargetPhase.PENDING, TargetPhase.WAITING)
            if waits and target.dispatched_at is None:
                reason, now = "it is being retired", stores.clock()
                await stores.campaigns.finish_target(
                    campaign_id, wave, charger_id, Outcome.SKIPPED, reason, now
                )
                left.append(campaign_id)
            else:
                kept.append(campaign_id)
        words = [f"taken out of {', '.join(left)}"] if left else []
        words += (
            [f"{', '.join(kept)} had sent it something, and ends for it without another try"] if kept else []
        )
        state = StepState.DONE if left or kept else StepState.NOTHING
        detail = "; ".join(words) or "no campaign had it"
        record = StepRecord(Step.CAMPAIGNS, state, detail, stores.clock(), {"left": left, "sent": kept})
        await self._retirements.note(charger_id, record)

    @activity.defn
    @mapped
    async def open_log(self, given: LogPlan) -> int:
        """Put a request for a log on record; the same step again is the same request."""
        stores, now = self._stores, self._stores.clock()
        found = await self._retirements.get(given.charger_id)
        request = await stores.logs.open(
            LogRequest(
                request_id=await stores.campaigns.next_request_id(),
                charger_id=given.charger_id,
                kind=_LOGS[given.step],
                actor=found.actor,
                requested_at=now,
                deadline_at=now + timedelta(seconds=given.seconds),
                request_key=digest(["retirement", given.charger_id, given.step.value]),
            )
        )
        return request.request_id

    @activity.defn
    @mapped
    async def measure_log(self, request_id: int) -> RetireAnswer:
        """What became of a log, by its hash."""
        request = await self._stores.logs.get(request_id)
        upload = request.upload
        if upload is not None:
            evidence = {"request_id": request_id, "sha256": upload.sha256, "length": upload.length}
            return RetireAnswer(StepState.DONE, f"{upload.filename} arrived", evidence)
        states = {LogState.UNSUPPORTED: StepState.UNSUPPORTED, LogState.OFFLINE: StepState.UNREACHED}
        state = states.get(request.state, StepState.REFUSED)
        return RetireAnswer(state, request.reason or request.state.value, {"request_id": request_id})

    @activity.defn
    @mapped
    async def revoke_certificates(self, charger_id: str) -> None:
        """Revoke what we issued to it."""
        found = await self._retirements.get(charger_id)
        state, detail, evidence = await self._revoke(charger_id, f"retired by {found.actor}")
        record = StepRecord(Step.REVOKE, state, detail, self._stores.clock(), evidence)
        await self._retirements.note(charger_id, record)

    @activity.defn
    @mapped
    async def bury_charger(self, charger_id: str) -> None:
        """Retire it, with a tombstone for each thing that it ever had; its site has its room back."""
        found, now = await self._retirements.get(charger_id), self._stores.clock()
        count = await self._retirements.bury(Burial(charger_id, found.actor, now))
        await self._stores.leases.release(charger_id, charger_workflow_id(charger_id), run=this_run())
        detail = f"retired; {count} names and secrets of it are never let in again"
        record = StepRecord(Step.BURY, StepState.DONE, detail, now, {"tombstones": count})
        await self._retirements.note(charger_id, record)

    @activity.defn
    @mapped
    async def find_unwelcome(self, limit: int) -> tuple[Unwelcome, ...]:
        """Who is set aside or retired, and still has a socket."""
        found = []
        for charger_id in await self._retirements.unwelcome(limit=limit):
            if route := await self._stores.routes.resolve(charger_id):
                facts = RouteFacts(route.node_id, route.boot_id, route.session_epoch)
                found.append(Unwelcome(charger_id, facts))
        return tuple(found)

    @activity.defn
    @mapped
    async def find_retiring(self, limit: int) -> tuple[str, ...]:
        """Chargers whose retirement is not over, oldest first."""
        found = await self._retirements.find(open_only=True, limit=limit)
        return tuple(each.charger_id for each in reversed(found))
