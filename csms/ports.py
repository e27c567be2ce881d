"""What activities ask of the node that holds a charger's socket."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from csms.commands import AnswerStatus, Command, CommandAnswer
from storage.charger import SelfReport
from storage.credentials import PendingFate
from storage.findings import Finding

LastLook = Callable[[], Awaitable[None]]
"""Awaited when it is a command's turn, its record is stored and nothing but the write is left.

What it raises comes out of ``send``, and nothing was sent.
"""


class CommandSender(Protocol):
    """Sends canonical commands over the socket of a session held by this process."""

    async def send(
        self,
        charger_id: str,
        session_epoch: int,
        command: Command,
        *,
        deadline_s: float,
        last_look: LastLook | None = None,
    ) -> CommandAnswer:
        """Send and wait for the answer. ``last_look`` may still hold it back, however long it waited.

        Raises:
            NotConnectedHere: the session is not here with this epoch.
            CommandTimeout: no answer within ``deadline_s`` seconds.
            CallFailed: a CALLERROR other than NotImplemented/NotSupported, which are answers.
            Unsupported: the session's dialect has no such message.
            NotAccepted: the charger's registration does not allow it yet; nothing was sent.
        """

    async def settle(self, charger_id: str, session_epoch: int) -> None:
        """Wait until every frame received so far from this charger is committed.

        After it, the twin in the store includes all that the charger told us before now.
        Raises NotConnectedHere.
        """

    async def cut(self, charger_id: str, session_epoch: int, reason: str) -> None:
        """Close this socket for good: the charger is not to be served any more. Raises NotConnectedHere."""

    def supports_signed_update(self, charger_id: str, session_epoch: int) -> bool:
        """Whether this session can take a signed update (2.x always; 1.6 with the security extension)."""

    def told(self, charger_id: str, session_epoch: int) -> SelfReport | None:
        """Who the charger said it is on this socket; None: it has not booted on it.

        Raises NotConnectedHere.
        """


@dataclass(frozen=True, slots=True)
class PasswordChange:
    """How it ended. ``answer`` is the charger's; None: it was lost or cannot be told."""

    fate: PendingFate
    answer: AnswerStatus | None


class PasswordSender(Protocol):
    """Gives chargers new passwords. Nobody but the charger and this call ever sees one."""

    async def change_password(
        self, charger_id: str, session_epoch: int, *, deadline_s: float
    ) -> PasswordChange:
        """Make, store (hashed), send and settle a new password (OCPP A01).

        Raises:
            NotConnectedHere: the session is not here with this epoch.
            NotFound: the charger has no password.
            Conflict: another change is not settled yet.
            Unsupported: the session's dialect has no such message.
            NotAccepted: the charger's registration does not allow it yet; nothing was sent.
        """


class ChargerSender(CommandSender, PasswordSender, Protocol):
    """Whatever may be sent to a charger."""


class FindingKeeper(Protocol):
    """Puts what we found out about a charger among its events, in order with what it tells itself."""

    async def keep(self, charger_id: str, session_epoch: int, finding: Finding) -> None:
        """Return once it is committed. Raises NotConnectedHere, EngineUnavailable."""
