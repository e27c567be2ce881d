"""Changing a charger's password so that the old one dies exactly when it should (OCPP A01).

The hash of the new one is stored as pending before it is sent; what the charger answers, or with
which one it comes back, says what becomes of it. The password itself lives in one function call.
"""

import secrets
import string
from collections.abc import Callable, Sequence
from datetime import datetime
from enum import StrEnum

import structlog

from csms.commands import AnswerStatus, SetVariables, VariableValue
from csms.errors import CallFailed, CommandTimeout
from csms.frames import OCPP16
from csms.ports import LastLook, PasswordChange
from csms.secrets import hash_secret, secret_matches
from csms.session import Session
from storage.charger import ChargerCredential
from storage.clock import Clock
from storage.credentials import CredentialStore, PendingFate, PendingSecret
from storage.errors import AmpwaveError

log = structlog.get_logger(__name__)

_NO_SECRET = bytes(32)
"""No keyed hash is all zeros; compared so that unknown chargers cost the same work."""

LENGTH = 40
"""2.0.1 takes 16 to 40 characters (A00.FR.205), 2.1 up to 64; 1.6 takes 20 bytes as 40 hex digits."""


class Which(StrEnum):
    """Which of a charger's passwords was offered."""

    CURRENT = "current"
    PENDING = "pending"
    NEITHER = "neither"


def which_password(
    pepper: bytes, credential: ChargerCredential | None, offered: bytes, *, hex_forms: bool
) -> Which:
    """Compare with both, whatever the first comparison says."""
    pending = credential.pending if credential else None
    current = credential.secret_hmac if credential else _NO_SECRET
    is_current = secret_matches(pepper, current, offered, hex_forms=hex_forms)
    waiting = pending.secret_hmac if pending else _NO_SECRET
    is_pending = secret_matches(pepper, waiting, offered, hex_forms=hex_forms)
    return Which.CURRENT if is_current else Which.PENDING if is_pending else Which.NEITHER


_AFTER_ANSWER = {
    AnswerStatus.ACCEPTED: PendingFate.PROMOTE,  # A01.FR.03
    AnswerStatus.REBOOT_REQUIRED: PendingFate.HOLD,
    AnswerStatus.SCHEDULED: PendingFate.HOLD,
}


def fate_of_answer(status: AnswerStatus | None) -> PendingFate:
    """After the charger's answer; None: it was lost or says nothing. Any other one is a no (A01.FR.04)."""
    return PendingFate.HOLD if status is None else _AFTER_ANSWER.get(status, PendingFate.DROP)


def fate_of_login(which: Which, pending: PendingSecret, boots: Sequence[datetime]) -> PendingFate:
    """After a connection with one of the two: the other one dies, once it is certain.

    With the new one it is. With the old one only after a restart: chargers answer RebootRequired (that
    answer may be the one that was lost), and to forget the new one before that would lock them out.
    """
    if which is Which.PENDING:
        return PendingFate.PROMOTE
    restarted = any(boot > pending.since for boot in boots)
    return PendingFate.DROP if which is Which.CURRENT and restarted else PendingFate.HOLD


def new_password(dialect: str) -> str:
    """A random password that fits the dialect."""
    if dialect == OCPP16:
        return secrets.token_hex(LENGTH // 2)
    alphabet = string.ascii_letters + string.digits
    return "".join(secrets.choice(alphabet) for _ in range(LENGTH))


class PasswordChanger:
    """Changes passwords over the sockets of this node."""

    def __init__(
        self,
        store: CredentialStore,
        pepper: bytes,
        clock: Clock,
        new: Callable[[str], str] = new_password,
    ) -> None:
        self._store = store
        self._pepper = pepper
        self._clock = clock
        self._new = new

    async def change(
        self, session: Session, deadline_s: float, last_look: LastLook | None = None
    ) -> PasswordChange:
        """Give the charger a new random password; ``last_look``: see ``csms.ports.CommandSender``.

        Raises:
            NotFound: it has no password to change.
            Conflict: another change is not settled yet.
            NotConnectedHere, Unsupported, InvalidInput: nothing was sent, nothing has changed.
        """
        password = self._new(session.dialect.name)
        pending = PendingSecret(hash_secret(self._pepper, password), self._clock())
        await self._store.offer_secret(session.charger_id, pending)
        session.journal.hide(password)
        name = "AuthorizationKey" if session.dialect.name == OCPP16 else "SecurityCtrlr.BasicAuthPassword"
        command = SetVariables((VariableValue(name, password),))
        try:
            answer = await self._answer(session, command, deadline_s, last_look)
        except AmpwaveError:
            await self._store.settle_secret(session.charger_id, pending, PendingFate.DROP)
            raise
        fate = fate_of_answer(answer)
        await self._store.settle_secret(session.charger_id, pending, fate)
        log.info("a password was changed", charger_id=session.charger_id, fate=fate.value)
        return PasswordChange(fate, answer)

    async def _answer(
        self, session: Session, command: SetVariables, deadline_s: float, last_look: LastLook | None
    ) -> AnswerStatus | None:
        """What the charger said, without its own words: they may repeat the password."""
        try:
            return (await session.send(command, deadline_s, last_look)).status
        except (CommandTimeout, CallFailed):
            # A CALLERROR comes also from chargers that broke after they had taken it.
            return None
