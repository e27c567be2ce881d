"""The dialect, as a value for the session."""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from enum import StrEnum
from typing import Any

from csms.capabilities import ASKED_2X, ROOM_2X, VERSIONS_2X
from csms.commands import (
    Command,
    CommandAnswer,
    GetVariables,
    LogKind,
    ResetKind,
    TriggerKind,
    TriggerMessage,
)
from csms.dialect import Answering, Call, Calling, Message, Observed, Reading
from csms.errors import Unsupported
from csms.frames import OCPP21, OCPP201, Payload
from csms.monitoring import MonitorKind
from csms.ocpp2x.calls import CALLS_21, CALLS_201
from csms.ocpp2x.messages import MESSAGES_21, MESSAGES_201
from storage.certificate_use import CertificateUse
from storage.twin import ConfigurationSection

_ONLY_16: frozenset[StrEnum] = frozenset({TriggerKind.DIAGNOSTICS_STATUS})
_ONLY_21: frozenset[StrEnum] = frozenset(
    {
        ResetKind.IMMEDIATE_AND_RESUME,
        LogKind.DATA_COLLECTOR,
        CertificateUse.V2G20,
        CertificateUse.OEM_ROOT,
        TriggerKind.SIGN_V2G20,
        TriggerKind.CUSTOM,
        MonitorKind.TARGET_DELTA,
        MonitorKind.TARGET_DELTA_RELATIVE,
    }
)


class Ocpp2x:
    """OCPP 2.0.1 or 2.1. Implements ``csms.dialect.Dialect``."""

    always_signed = True
    capability_probes: tuple[Command, ...] = (GetVariables(ASKED_2X), GetVariables(ROOM_2X))
    version_names = VERSIONS_2X
    # A station that knows neither name one by one may have it in its inventory (B07).
    version_probes: tuple[Command, ...] = (GetVariables(VERSIONS_2X), GetVariables())
    # F06: a status trigger names its connector. Asked in order until the station says no.
    status_probes: tuple[Command, ...] = tuple(
        TriggerMessage(TriggerKind.STATUS, evse, 1) for evse in range(1, 9)
    )

    def __init__(
        self,
        name: str,
        messages: Mapping[str, Message],
        calls: Mapping[type[Any], Call],
        foreign: frozenset[StrEnum],
    ) -> None:
        self.name = name
        self.messages = messages
        self.calls = calls
        self._foreign = foreign

    def start_key(self, action: str, payload: Payload, reading: Reading) -> str | None:  # noqa: ARG002  # the port's shape
        """Never: stations of 2.x name their transactions themselves."""
        return None

    def to_events(self, action: str, payload: Payload, reading: Reading) -> tuple[Observed, ...]:
        """The canonical events of a valid request."""
        return tuple(self.messages[action].read(payload, reading))

    def answer(self, action: str, payload: Payload, answering: Answering) -> Payload:
        """The answer to a valid, handled request."""
        return self.messages[action].answer(payload, answering)

    def remembers_security(self, configuration: ConfigurationSection) -> bool | None:  # noqa: ARG002
        """Nothing: 2.x has the messages of the security extension built in."""
        return None

    def shows_security(self, action: str) -> bool:  # noqa: ARG002  # the port's shape
        """Never, for the same reason."""
        return False

    def security_answer(self, command: Command, action: str, answer: CommandAnswer) -> bool | None:  # noqa: ARG002
        """Nothing, for the same reason."""
        return None

    def parts(self, command: Command) -> tuple[Command, ...]:
        """Every command fits into one call."""
        return (command,)

    def to_call(self, command: Command, calling: Calling) -> tuple[str, Payload]:
        """The action and payload of a command."""
        call = self.calls.get(type(command))
        if call is None:
            raise Unsupported(self.name, type(command).__name__)
        foreign = next((word for word in _words(command) if word in self._foreign), None)
        if foreign is not None:
            raise Unsupported(self.name, f"{type(command).__name__} with {foreign.value}")
        return call.make(command, calling)

    def from_answer(self, command: Command, action: str, payload: Payload) -> CommandAnswer:
        """What the answer to that call means."""
        return self.calls[type(command)].understand(command, action, payload)


def _words(value: object) -> Iterator[StrEnum]:
    """Every enum in a command, however deep."""
    if isinstance(value, StrEnum):
        yield value
    elif isinstance(value, tuple):
        for each in value:
            yield from _words(each)
    elif is_dataclass(value):
        for field in fields(value):
            yield from _words(getattr(value, field.name))


def ocpp201() -> Ocpp2x:
    """OCPP 2.0.1."""
    return Ocpp2x(OCPP201, MESSAGES_201, CALLS_201, _ONLY_16 | _ONLY_21)


def ocpp21() -> Ocpp2x:
    """OCPP 2.1."""
    return Ocpp2x(OCPP21, MESSAGES_21, CALLS_21, _ONLY_16)
