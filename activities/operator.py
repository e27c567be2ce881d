"""Commands of people to one charger: the step that sends one, and its books (X1, X2).

The node reads the twin in the very step that sends: a command that could cut a session or darken a site
is held back there, whoever asked for it.
"""

from asyncio import timeout
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from temporalio import activity

from activities.errors import beating, mapped
from activities.guards import (
    BY_NAME,
    CONNECTIONS,
    Need,
    level_problem,
    need_of,
    slot_problem,
    vendor_problem,
)
from activities.orders import Node
from activities.passwords import rotate_password
from activities.stores import Stores, this_run
from csms.access import RotatePassword, SetNetworkProfile
from csms.commands import (
    AnswerStatus,
    ChangeAvailability,
    Command,
    CommandAnswer,
    DataTransfer,
    GetVariables,
)
from csms.errors import CallFailed, CommandTimeout, NotAccepted, NotConnectedHere, Unsupported
from storage.charger import SiteLease
from storage.codec import decode, to_json
from storage.command import CommandEnd, CommandState
from storage.errors import InvalidInput
from storage.events import NO_RESTART, EventKind
from storage.ids import command_workflow_id
from storage.twin import Lifecycle, busy_reason

HEARTBEAT_S = 2.0
KIND = "command"
"""Of the site lease."""
_DONE = frozenset({AnswerStatus.ACCEPTED, AnswerStatus.SCHEDULED})


@dataclass(frozen=True, slots=True)
class SendOrder:
    """One command for one session. ``body``: its fields, as JSON; never a password."""

    command_id: str
    charger_id: str
    session_epoch: int
    kind: str
    body: dict[str, Any] = field(repr=False)
    deadline_seconds: float


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of it. ``away_seconds``: how long the charger may stay away now."""

    end: CommandEnd
    away_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class CloseCommand:
    """How a command ended."""

    command_id: str
    end: CommandEnd


@dataclass(frozen=True, slots=True)
class Absence:
    """A charger that a command sent away."""

    command_id: str
    charger_id: str
    since: datetime
    back: bool = False


_UNWELCOME = frozenset({Lifecycle.QUARANTINED, Lifecycle.RETIRED})


class Obstacle(Exception):
    """Why the command was not sent."""

    def __init__(self, state: CommandState, reason: str) -> None:
        super().__init__(reason)
        self.end = CommandEnd(state, reason)


class CommandActivities:
    """On the node that holds the charger's socket."""

    def __init__(self, node: Node) -> None:
        self._node = node

    @activity.defn
    @mapped
    async def send_command(self, given: SendOrder) -> Sent:
        """Send one command. What the charger does is an answer; raises NotConnectedHere only."""
        async with beating(HEARTBEAT_S):
            return await _Sending(self._node, given).run()


class _Sending:
    """One run of the step that sends a person's command."""

    def __init__(self, node: Node, given: SendOrder) -> None:
        self._node = node
        self._stores = node.stores
        self._given = given
        self._workflow_id = command_workflow_id(given.command_id)
        self._away_seconds = 0.0

    async def run(self) -> Sent:
        kind = BY_NAME.get(self._given.kind)
        if kind is None:
            raise InvalidInput(f"{self._given.kind} is no command that people send.")
        command: Command | RotatePassword = decode(kind, self._given.body)
        need = need_of(command) or Need.NOTHING
        try:
            await self._require_welcome()
            self._require_allowed(command)
            if need is Need.NOTHING:
                return Sent(await self._send(command))
            async with self._alone():
                return await self._guarded(command, need)
        except Obstacle as obstacle:
            return Sent(obstacle.end)

    async def _require_welcome(self) -> None:
        """Its socket is about to be closed; until then it is sent nothing."""
        charger_id = self._given.charger_id
        lifecycle = (await self._stores.chargers.get(charger_id)).charger.lifecycle
        if lifecycle in _UNWELCOME:
            why = f"{charger_id} is {lifecycle.value}: ampwave charger show {charger_id}"
            raise Obstacle(CommandState.REFUSED, why)

    def _require_allowed(self, command: Command | RotatePassword) -> None:
        if isinstance(command, DataTransfer):
            problem = vendor_problem(command, self._node.data_transfer_vendors)
            if problem:
                raise Obstacle(CommandState.REFUSED, problem)

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """No other deed of this node on this charger: what is looked at stays so until the answer."""
        lock = self._node.locks.alone(self._given.charger_id)
        try:
            async with timeout(self._given.deadline_seconds):
                await lock.acquire()
        except TimeoutError:
            raise Obstacle(CommandState.HELD, "other work on it did not end in time") from None
        try:
            yield
        finally:
            lock.release()

    async def _guarded(self, command: Command | RotatePassword, need: Need) -> Sent:
        await self._require_alone()
        if need >= Need.ROOM:
            await self._take_lease(need)
        kept = False
        try:
            if need >= Need.IDLE:
                await self._require_idle()
            if isinstance(command, SetNetworkProfile):
                await self._require_safe(command)
            # From here on it may have left, also if this step is cut short: then its lease runs out.
            kept = need is Need.AWAY
            end = await self._send(command)
            kept = kept and _may_have_acted(end)
        except NotConnectedHere:
            kept = False
            raise
        finally:
            if need >= Need.ROOM and not kept:
                await self._stores.leases.release(self._given.charger_id, self._workflow_id, run=this_run())
        await self._forget_absence(command, end)
        return Sent(end, self._away_seconds if kept else 0.0)

    async def _require_alone(self) -> None:
        lease = await self._stores.leases.get(self._given.charger_id)
        if lease is not None and (lease.workflow_id, lease.run) != (self._workflow_id, this_run()):
            until = f"{lease.expires_at:%H:%M:%S} UTC at the latest"
            raise Obstacle(CommandState.HELD, f"{lease.workflow_id} has it for {lease.kind} until {until}")

    async def _take_lease(self, need: Need) -> None:
        stores, charger_id = self._stores, self._given.charger_id
        charger = (await stores.chargers.get(charger_id)).charger
        profile = await stores.chargers.model(charger.vendor, charger.model)
        if need is Need.AWAY:
            self._away_seconds = float(profile.reboot_seconds if profile else 600)
        seconds = self._away_seconds + self._given.deadline_seconds + self._node.lease_slack_seconds
        answer = await stores.leases.take(
            SiteLease(
                charger_id=charger_id,
                site_id=charger.site_id,
                workflow_id=self._workflow_id,
                kind=KIND,
                expires_at=stores.clock() + timedelta(seconds=seconds),
                wake_on=("booted", "restarted"),
                run=this_run(),
            )
        )
        if answer.granted:
            return
        if answer.holder:
            raise Obstacle(CommandState.HELD, f"{answer.holder} has it")
        if answer.refusal:
            raise Obstacle(CommandState.HELD, answer.refusal)
        reason = f"{answer.down} of {answer.max_down} chargers that may be away {answer.place} are"
        raise Obstacle(CommandState.HELD, reason)

    async def _require_idle(self) -> None:
        given, stores = self._given, self._stores
        await self._node.sender.settle(given.charger_id, given.session_epoch)
        view = await stores.chargers.get(given.charger_id)
        busy = busy_reason(view.twin.operation, stores.clock())
        if busy:
            raise Obstacle(CommandState.BUSY, busy)

    async def _require_safe(self, command: SetNetworkProfile) -> None:
        twin = (await self._stores.chargers.get(self._given.charger_id)).twin
        problem = level_problem(command, twin)
        if problem is None:
            known = twin.configuration.values if twin.configuration else {}
            problem = slot_problem(command.slot, {**known, **await self._connections()})
        if problem:
            raise Obstacle(CommandState.REFUSED, problem)

    async def _connections(self) -> dict[str, str]:
        """Which connection it uses, in its own words now: it may have fallen back since it last told."""
        given = self._given
        try:
            answer = await self._node.sender.send(
                given.charger_id,
                given.session_epoch,
                GetVariables(CONNECTIONS),
                deadline_s=given.deadline_seconds,
            )
        except (CommandTimeout, CallFailed, Unsupported, NotAccepted):
            return {}
        return dict(answer.values)

    async def _forget_absence(self, command: Command | RotatePassword, end: CommandEnd) -> None:
        """Whoever a person put back into service as a whole is not out of service through us any more."""
        whole = isinstance(command, ChangeAvailability) and command.operative and command.evse_id is None
        if whole and end.status in _DONE:
            await self._stores.out_of_service.remove(self._given.charger_id)

    async def _send(self, command: Command | RotatePassword) -> CommandEnd:
        given = self._given
        if isinstance(command, RotatePassword):
            sender, seconds = self._node.sender, given.deadline_seconds
            return await rotate_password(sender, given.charger_id, given.session_epoch, seconds)
        try:
            answer = await self._node.sender.send(
                given.charger_id, given.session_epoch, command, deadline_s=given.deadline_seconds
            )
        except CommandTimeout as error:
            return CommandEnd(CommandState.SILENT, error.message)
        except CallFailed as error:
            return CommandEnd(CommandState.FAILED, error.message)
        except Unsupported as error:
            return CommandEnd(CommandState.UNSUPPORTED, error.message)
        except (InvalidInput, NotAccepted) as error:
            return CommandEnd(CommandState.REFUSED, error.diagnostics())
        return _end_of(answer)


def _may_have_acted(end: CommandEnd) -> bool:
    return end.state is CommandState.SILENT or (end.state is CommandState.ANSWERED and end.status in _DONE)


def _end_of(answer: CommandAnswer) -> CommandEnd:
    said = f"it answered {answer.status.value}" + (f": {answer.detail}" if answer.detail else "")
    incapable = answer.status is AnswerStatus.NOT_IMPLEMENTED
    state = CommandState.UNSUPPORTED if incapable else CommandState.ANSWERED
    whole = to_json(answer)
    returned = {name: value for name, value in whole.items() if value not in (None, "", [], {})}
    for name in ("status", "detail"):
        returned.pop(name, None)
    return CommandEnd(state, said, answer.status.value, returned)


class OperatorActivities:
    """On any worker: the books of people's commands."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    @activity.defn
    @mapped
    async def close_command(self, given: CloseCommand) -> None:
        """Write how it ended, into the audit log first: a crash in between tells it twice, never not."""
        stores, end = self._stores, given.end
        record = await stores.commands.get(given.command_id)
        if record.finished_at is not None:
            return
        await stores.record(
            record.actor,
            "charger.command",
            f"charger/{record.charger_id}",
            command_id=record.command_id,
            command=record.command,
            parameters=record.parameters,
            state=end.state.value,
            answer=end.status,
            reason=end.reason,
        )
        await stores.commands.close(given.command_id, end, stores.clock())

    @activity.defn
    @mapped
    async def has_booted(self, given: Absence) -> bool:
        """Whether the charger started anew since then; an answer to a trigger is no start."""
        kinds = (EventKind.CHARGER_BOOTED.value,)
        events = await self._stores.events.since(given.charger_id, given.since, kinds)
        return any(event.body.get("reason") not in NO_RESTART for event in events)

    @activity.defn
    @mapped
    async def end_absence(self, given: Absence) -> None:
        """Give its site's room back; say so if the charger is not."""
        stores = self._stores
        workflow_id = command_workflow_id(given.command_id)
        released = await stores.leases.release(given.charger_id, workflow_id, run=this_run())
        if released and not given.back:
            await stores.record(
                workflow_id,
                "charger.not_back",
                f"charger/{given.charger_id}",
                command_id=given.command_id,
                since=given.since.isoformat(),
            )
