"""Telling a charger to forget things, and understanding what it says to that."""

from asyncio import timeout
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from activities.errors import beating
from activities.orders import Node
from activities.wiping import sentence, state_of
from csms.commands import Command
from csms.errors import CallFailed, CommandTimeout, NotAccepted, NotConnectedHere, Unsupported
from storage.command import CommandEnd, CommandState
from storage.errors import InvalidInput
from storage.retirement import StepState
from storage.twin import busy_reason

HEARTBEAT_S = 2.0


@dataclass(frozen=True, slots=True)
class RetireAnswer:
    """How a step ended; ``state`` None: not now, ask again."""

    state: StepState | None
    detail: str
    evidence: dict[str, Any] = field(default_factory=dict)


async def ask(node: Node, charger_id: str, session_epoch: int, command: Command) -> tuple[CommandEnd, Any]:
    """Send one command; whatever the charger says is an answer. Raises NotConnectedHere only."""
    seconds = node.command_seconds
    try:
        answer = await node.sender.send(charger_id, session_epoch, command, deadline_s=seconds)
    except NotConnectedHere:
        raise
    except CommandTimeout as error:
        return CommandEnd(CommandState.SILENT, error.message), None
    except CallFailed as error:
        return CommandEnd(CommandState.FAILED, error.message), None
    except Unsupported as error:
        return CommandEnd(CommandState.UNSUPPORTED, error.message), None
    except (InvalidInput, NotAccepted) as error:
        return CommandEnd(CommandState.REFUSED, error.message), None
    said = f"{type(command).__name__}: it answered {answer.status.value}"
    detail = f": {answer.detail}" if answer.detail else ""
    return CommandEnd(CommandState.ANSWERED, said + detail, answer.status.value), answer


async def busy(node: Node, charger_id: str, session_epoch: int) -> str | None:
    """Why it must not be touched now, once all that it told is stored (X1)."""
    await node.sender.settle(charger_id, session_epoch)
    view = await node.stores.chargers.get(charger_id)
    return busy_reason(view.twin.operation, node.stores.clock())


def told(ends: Sequence[CommandEnd]) -> RetireAnswer:
    """What its answers mean for a step."""
    return RetireAnswer(state_of(ends), sentence(ends), evidence(ends))


def evidence(ends: Sequence[CommandEnd]) -> dict[str, Any]:
    """Its answers as they came."""
    return {"answers": [{"state": end.state.value, "status": end.status, "said": end.reason} for end in ends]}


async def alone(node: Node, charger_id: str, step: Callable[[], Awaitable[RetireAnswer]]) -> RetireAnswer:
    """Take a step while nothing else of ours talks to the charger; what has it for too long is an answer."""
    lock = node.locks.alone(charger_id)
    async with beating(HEARTBEAT_S):
        try:
            async with timeout(node.command_seconds):
                await lock.acquire()
        except TimeoutError:
            return RetireAnswer(None, "other work on it has not ended")
        try:
            return await step()
        finally:
            lock.release()
