"""The dialect, as a value for the session."""

from dataclasses import replace

from csms.capabilities import ASKED_16, PROFILE_16
from csms.commands import (
    AnswerStatus,
    Command,
    CommandAnswer,
    GetInstalledCertificateIds,
    GetVariables,
    SetVariables,
    TriggerKind,
    TriggerMessage,
)
from csms.dialect import Answering, Calling, Observed, Reading
from csms.errors import Unsupported
from csms.frames import OCPP16, Payload
from csms.ocpp16.calls import CALLS, ROOTS
from csms.ocpp16.messages import MESSAGES, start_key
from storage.twin import ConfigurationSection

# Calls that only a charge point with the security extension makes, (WP3).
_SECURITY_MESSAGES = frozenset(
    {
        "SecurityEventNotification",
        "SignedFirmwareStatusNotification",
        "SignCertificate",
        "LogStatusNotification",
    }
)

# Other calls of the extension, beside SignedUpdateFirmware. To answer one proves the extension; not to know
# one proves nothing of the rest.
_SECURITY_CALLS = frozenset(
    {
        "GetLog",
        "CertificateSigned",
        "InstallCertificate",
        "DeleteCertificate",
        "GetInstalledCertificateIds",
    }
)


class Ocpp16:
    """OCPP 1.6J. Implements ``csms.dialect.Dialect``."""

    name = OCPP16
    messages = MESSAGES
    calls = CALLS
    always_signed = False
    # Without a connector the charge point reports all of them (1.6 section 5.17).
    status_probes: tuple[Command, ...] = (TriggerMessage(TriggerKind.STATUS),)
    capability_probes: tuple[Command, ...] = (GetVariables(ASKED_16),)
    # No standard key holds the version: what BootNotification leaves out cannot be asked.
    version_names: tuple[str, ...] = ()
    version_probes: tuple[Command, ...] = ()

    def start_key(self, action: str, payload: Payload, reading: Reading) -> str | None:
        """What makes this StartTransaction the same when it is sent again."""
        return start_key(payload, reading) if action == "StartTransaction" else None

    def to_events(self, action: str, payload: Payload, reading: Reading) -> tuple[Observed, ...]:
        """The canonical events of a valid request."""
        return tuple(MESSAGES[action].read(payload, reading))

    def answer(self, action: str, payload: Payload, answering: Answering) -> Payload:
        """The answer to a valid, handled request."""
        return MESSAGES[action].answer(payload, answering)

    def remembers_security(self, configuration: ConfigurationSection) -> bool | None:
        """A key that only the security extension has; its absence proves nothing."""
        return True if PROFILE_16 in configuration.values else None

    def shows_security(self, action: str) -> bool:
        """Whether only a charge point with the security extension would call this."""
        return action in _SECURITY_MESSAGES

    def security_answer(self, command: Command, action: str, answer: CommandAnswer) -> bool | None:
        """What an answer tells of the security extension; None: nothing."""
        if isinstance(command, GetVariables):
            asked = not command.names or PROFILE_16 in command.names
            return PROFILE_16 in dict(answer.values) if asked else None
        known = answer.status is not AnswerStatus.NOT_IMPLEMENTED
        if action == "SignedUpdateFirmware":
            return known
        return True if known and action in _SECURITY_CALLS else None

    def parts(self, command: Command) -> tuple[Command, ...]:
        """One ChangeConfiguration per key; one list of certificates per use, of which 1.6 has two."""
        match command:
            case SetVariables(values=values) if len(values) > 1:
                return tuple(SetVariables((value,)) for value in values)
            case GetInstalledCertificateIds(uses=uses) if len(uses) != 1:
                return tuple(replace(command, uses=(use,)) for use in uses or ROOTS)
        return (command,)

    def to_call(self, command: Command, calling: Calling) -> tuple[str, Payload]:
        """The action and payload of a command; the signed update if a signature is given."""
        call = CALLS.get(type(command))
        if call is None:
            raise Unsupported(OCPP16, type(command).__name__)
        return call.make(command, calling)

    def from_answer(self, command: Command, action: str, payload: Payload) -> CommandAnswer:
        """What the answer to that call means."""
        return CALLS[type(command)].understand(command, action, payload)
