"""Why a charger did not do what a person asked: one class per end, each with what to do next.

ChargerSaidNo
├── ChargerOffline       not connected; nothing was sent
├── ChargerBusy          a session is open, or may be; nothing was sent
├── ChargerHeld          other work has it, or its site has no room; nothing was sent
├── CommandRefused       a rule of ours forbids it; nothing was sent
├── ChargerFailed        it answered with a CALLERROR
├── ChargerSilent        no answer came; what it did is unknown
└── ChargerIncapable     it has no such command
"""

from typing import ClassVar

from storage.command import CommandRecord, CommandState
from storage.errors import AmpwaveError


class ChargerSaidNo(AmpwaveError):
    """A charger did not do what a person asked."""

    WHAT: ClassVar[str] = "was not sent"
    NEXT: ClassVar[str] = ""

    def __init__(self, charger_id: str, command: str, reason: str) -> None:
        super().__init__(f"{charger_id} {self.WHAT} {command}: {reason.rstrip('.')}.", hint=self.NEXT)


class ChargerOffline(ChargerSaidNo):
    """Not connected; nothing was sent."""

    NEXT = "Send it again once the charger is back."


class ChargerBusy(ChargerSaidNo):
    """A session is open, or may be; nothing was sent."""

    NEXT = "No session is ever cut: send it again when the charger is idle."


class ChargerHeld(ChargerSaidNo):
    """Other work has it, or its site has no room; nothing was sent."""

    NEXT = "Send it again when that work is over."


class CommandRefused(ChargerSaidNo):
    """A rule of ours forbids it; nothing was sent."""

    NEXT = "Change the command."


class ChargerFailed(ChargerSaidNo):
    """It answered with a CALLERROR."""

    WHAT = "was sent"
    NEXT = "Read its explanation; the same command will hardly do better."


class ChargerSilent(ChargerSaidNo):
    """No answer came; what it did is unknown."""

    WHAT = "was sent"
    NEXT = "Look at its timeline before you send it again: it may have acted."


class ChargerIncapable(ChargerSaidNo):
    """It has no such command."""

    WHAT = "cannot do"
    NEXT = "Its OCPP version or its firmware lacks it."


_OF_STATE: dict[CommandState, type[ChargerSaidNo]] = {
    CommandState.OFFLINE: ChargerOffline,
    CommandState.BUSY: ChargerBusy,
    CommandState.HELD: ChargerHeld,
    CommandState.REFUSED: CommandRefused,
    CommandState.FAILED: ChargerFailed,
    CommandState.SILENT: ChargerSilent,
    CommandState.UNSUPPORTED: ChargerIncapable,
}


def error_of(record: CommandRecord) -> ChargerSaidNo | None:
    """The error that a command ended with, or None: it was answered, or it goes on."""
    kind = _OF_STATE.get(record.state)
    if kind is None or record.end is None:
        return None
    return kind(record.charger_id, record.command, record.end.reason)
