"""A new password for one charger, and how that ended, in words. No password is ever in here (A01, S43)."""

from csms.commands import AnswerStatus
from csms.errors import NotAccepted, Unsupported
from csms.ports import PasswordChange, PasswordSender
from storage.command import CommandEnd, CommandState
from storage.credentials import PendingFate
from storage.errors import Conflict, InvalidInput, NotFound

_BOTH = "either may be live: the old one dies when the charger comes with the new one"


async def rotate_password(
    sender: PasswordSender, charger_id: str, session_epoch: int, deadline_s: float
) -> CommandEnd:
    """Have the node change it. Raises NotConnectedHere: nothing was sent."""
    try:
        change = await sender.change_password(charger_id, session_epoch, deadline_s=deadline_s)
    except NotFound:
        why = "it has no password to change: it proves itself by a certificate, or not at all"
        return CommandEnd(CommandState.REFUSED, why)
    except Conflict as error:
        return CommandEnd(CommandState.HELD, f"{error.message} {error.hint}")
    except Unsupported as error:
        return CommandEnd(CommandState.UNSUPPORTED, error.message)
    except (InvalidInput, NotAccepted) as error:
        return CommandEnd(CommandState.REFUSED, error.diagnostics())
    return end_of_change(change)


def end_of_change(change: PasswordChange) -> CommandEnd:
    """What became of both passwords."""
    answer = change.answer
    if answer is None:
        return CommandEnd(CommandState.SILENT, f"no answer that counts came; {_BOTH}")
    said = f"it answered {answer.value}"
    match change.fate:
        case PendingFate.PROMOTE:
            reason = f"{said}: it has a new password, and the old one is dead"
        case PendingFate.DROP:
            reason = f"{said}: it keeps its old password, and the new one is dead"
        case PendingFate.HOLD:
            reason = f"{said}: {_BOTH}"
    incapable = answer is AnswerStatus.NOT_IMPLEMENTED
    state = CommandState.UNSUPPORTED if incapable else CommandState.ANSWERED
    return CommandEnd(state, reason, answer.value)
