"""What is done on the socket of a parked charger: its own credential, its values, and questions (F44, F51).

A parked charger may be set up and nothing else (2.x B02). One that served before may have a session that
began as it was parked: whatever could cut it waits (X1).
"""

import time
from dataclasses import dataclass

from temporalio import activity

from activities.errors import beating, mapped
from activities.orders import Node
from activities.wiping import of_password
from csms.commands import (
    AnswerStatus,
    Command,
    CommandAnswer,
    GetVariables,
    Reset,
    ResetKind,
    SetVariables,
    TriggerKind,
    TriggerMessage,
    VariableValue,
)
from csms.errors import CallFailed, CommandTimeout, CsmsError, NotAccepted, NotConnectedHere, Unsupported
from storage.command import CommandEnd, CommandState
from storage.errors import Conflict, InvalidInput, NotFound
from storage.retirement import StepState
from storage.twin import Lifecycle

HEARTBEAT_S = 2.0
PASSWORDS_UP_TO = 2
"""Security profiles that a password proves; above it is a certificate."""
QUESTIONS = (TriggerKind.HEARTBEAT, TriggerKind.STATUS, TriggerKind.METER_VALUES)


@dataclass(frozen=True, slots=True)
class ParkedOrder:
    """A parked charger, over one session."""

    charger_id: str
    session_epoch: int
    profile: int = 1
    names: tuple[str, ...] = ()
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Said:
    """How something ended with a charger."""

    good: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Questioned:
    """What it was asked, its answers, and how many seconds they took."""

    answers: tuple[tuple[str, str, float], ...]


class CommissioningActivities:
    """On the node that holds the charger's socket."""

    def __init__(self, node: Node) -> None:
        self._node = node

    @activity.defn
    @mapped
    async def give_credential(self, given: ParkedOrder) -> Said:
        """A random password, or the wish that it asks for a certificate. Raises NotConnectedHere."""
        async with beating(HEARTBEAT_S):
            await self._require_parked(given)
            if session := await self._session(given):
                return Said(good=False, detail=session)
            if given.profile > PASSWORDS_UP_TO:
                answer = await self._ask(given, TriggerMessage(TriggerKind.SIGN_CHARGING_STATION))
                good = answer.state is CommandState.ANSWERED and answer.status == AnswerStatus.ACCEPTED.value
                return Said(good, f"asked to request a certificate, {answer.reason}")
            return await self._password(given)

    async def _password(self, given: ParkedOrder) -> Said:
        sender, seconds = self._node.sender, self._node.command_seconds
        try:
            change = await sender.change_password(given.charger_id, given.session_epoch, deadline_s=seconds)
        except Conflict:
            # An earlier one is not settled: its next connection shows which one it uses.
            return Said(good=True, detail="it was given a password before")
        except (NotFound, Unsupported, InvalidInput, NotAccepted) as error:
            return Said(good=False, detail=error.message)
        state, detail = of_password(change)
        return Said(state in (StepState.DONE, StepState.UNKNOWN), detail)

    @activity.defn
    @mapped
    async def restart_parked(self, given: ParkedOrder) -> Said:
        """Have it come back. Raises NotConnectedHere."""
        async with beating(HEARTBEAT_S):
            await self._require_parked(given)
            if session := await self._session(given):
                return Said(good=False, detail=session)
            end = await self._ask(given, Reset(ResetKind.IMMEDIATE))
        return Said(end.state is CommandState.ANSWERED, end.reason)

    @activity.defn
    @mapped
    async def read_parked(self, given: ParkedOrder) -> Said:
        """Have it tell all that it can be set to, and wait until that is stored."""
        async with beating(HEARTBEAT_S):
            await self._require_parked(given)
            end = await self._ask(given, GetVariables())
            await self._node.sender.settle(given.charger_id, given.session_epoch)
        return Said(end.state is CommandState.ANSWERED, end.reason)

    @activity.defn
    @mapped
    async def set_parked(self, given: ParkedOrder) -> CommandEnd:
        """Set its values. Raises NotConnectedHere."""
        pairs = zip(given.names, given.values, strict=True)
        command = SetVariables(tuple(VariableValue(name, value) for name, value in pairs))
        async with beating(HEARTBEAT_S):
            await self._require_parked(given)
            return await self._ask(given, command)

    @activity.defn
    @mapped
    async def question_parked(self, given: ParkedOrder) -> Questioned:
        """Ask for what shows that it works. Raises NotConnectedHere."""
        answers = []
        async with beating(HEARTBEAT_S):
            await self._require_parked(given)
            for kind in QUESTIONS:
                began = time.monotonic()
                end = await self._ask(given, TriggerMessage(kind))
                took = round(time.monotonic() - began, 3)
                answers.append((kind.value, end.status or end.state.value, took))
            await self._node.sender.settle(given.charger_id, given.session_epoch)
        return Questioned(tuple(answers))

    @activity.defn
    @mapped
    async def welcome_charger(self, given: ParkedOrder) -> Said:
        """Have it boot again by word, so that it hears that it is accepted. Raises NotConnectedHere."""
        async with beating(HEARTBEAT_S):
            end = await self._ask(given, TriggerMessage(TriggerKind.BOOT))
        return Said(end.state is CommandState.ANSWERED, end.reason)

    async def _require_parked(self, given: ParkedOrder) -> None:
        charger = (await self._node.stores.chargers.get(given.charger_id)).charger
        if charger.lifecycle is not Lifecycle.PROVISIONING:
            raise InvalidInput(f"{given.charger_id} is {charger.lifecycle.value}, not on its way in.")

    async def _session(self, given: ParkedOrder) -> str:
        """Which one is open; some chargers restart for a new credential."""
        await self._node.sender.settle(given.charger_id, given.session_epoch)
        operation = (await self._node.stores.chargers.get(given.charger_id)).twin.operation
        open_ = sorted(operation.transactions) if operation else []
        return f"session {open_[0]} is still open" if open_ else ""

    async def _ask(self, given: ParkedOrder, command: Command) -> CommandEnd:
        sender, seconds = self._node.sender, self._node.command_seconds
        try:
            answer = await sender.send(given.charger_id, given.session_epoch, command, deadline_s=seconds)
        except NotConnectedHere:
            raise
        except CommandTimeout as error:
            return CommandEnd(CommandState.SILENT, error.message)
        except CallFailed as error:
            return CommandEnd(CommandState.FAILED, error.message)
        except Unsupported as error:
            return CommandEnd(CommandState.UNSUPPORTED, error.message)
        except (InvalidInput, NotAccepted, CsmsError) as error:
            return CommandEnd(CommandState.REFUSED, error.message)
        return _end_of(answer)


def _end_of(answer: CommandAnswer) -> CommandEnd:
    detail = f": {answer.detail}" if answer.detail else ""
    items = [{"name": each.name, "status": each.status.value, "detail": each.detail} for each in answer.items]
    said = f"it answered {answer.status.value}{detail}"
    return CommandEnd(CommandState.ANSWERED, said, answer.status.value, {"items": items} if items else {})
