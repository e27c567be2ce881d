"""What can go wrong between us and a charger.

CsmsError
├── NotConnectedHere     this node does not hold that session (any more); resolve the route again
├── CommandTimeout       no answer in time; whether the charger acted is unknown
│   └── ConnectionLost   the socket closed before the answer came
├── CallFailed           the charger answered with a CALLERROR
├── NotAccepted          its registration is Pending or Rejected: it may not hear that yet
├── RestoreRefused       the charger does not go back into service; ask again
└── Unsupported          this dialect has no words for that command
"""

from typing import ClassVar

from storage.errors import AmpwaveError


class CsmsError(AmpwaveError):
    """The root of what can go wrong between us and a charger."""


class NotConnectedHere(CsmsError):
    """This node does not hold that session (any more); resolve the route again."""

    def __init__(self, charger_id: str, session_epoch: int) -> None:
        super().__init__(f"{charger_id} is not connected here with session epoch {session_epoch}.")


class CommandTimeout(CsmsError):
    """No answer in time; whether the charger acted is unknown. Resend with the same request id only."""

    retryable: ClassVar[bool] = True

    def __init__(self, charger_id: str, action: str, seconds: float) -> None:
        super().__init__(f"{charger_id} did not answer {action} within {seconds:g} s.")


class ConnectionLost(CommandTimeout):
    """The socket closed before the answer came; whether the charger acted is unknown."""

    def __init__(self, charger_id: str, action: str) -> None:
        CsmsError.__init__(self, f"{charger_id} disconnected before it answered {action}.")


class CallFailed(CsmsError):
    """The charger answered with a CALLERROR."""

    def __init__(self, charger_id: str, action: str, code: str, description: str) -> None:
        super().__init__(f"{charger_id} answered {action} with CALLERROR {code}: {description}")
        self.code = code
        self.description = description


class NotAccepted(CsmsError):
    """The charger's registration is Pending or Rejected: it may not hear that yet (B02, B03)."""

    def __init__(self, charger_id: str, command: str) -> None:
        super().__init__(f"{charger_id} is not accepted yet; {command} was not sent. Accept it first.")


class RestoreRefused(CsmsError):
    """The charger answered no when it was to be put back into service; ask again, it may only be starting."""

    def __init__(self, charger_id: str, status: str) -> None:
        super().__init__(f"{charger_id} answered {status} when it was to be put back into service.")


class Unsupported(CsmsError):
    """This dialect has no words for that command."""

    def __init__(self, dialect: str, command: str) -> None:
        super().__init__(f"{dialect} has no message for {command}.")
