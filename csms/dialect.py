"""What a version of OCPP has to offer the session: messages to events, commands to calls.

Two modules implement it, ``ocpp16`` and ``ocpp2x``; neither knows the other.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from csms.commands import AnswerStatus, Command, CommandAnswer
from csms.frames import Payload
from csms.redaction import redact
from storage.events import Event
from storage.twin import ConfigurationSection

_DETAIL_CHARS = 300
"""As much of a charger's explanation as a sentence can hold."""


@dataclass(frozen=True, slots=True)
class Observed:
    """One canonical event as a dialect read it."""

    event: Event
    at: datetime | None = None
    """The charger's own time; None where the message has none or it cannot be read."""
    dedupe_key: str | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """What a dialect needs besides the message to make events of it."""

    parse_time: Callable[[str], datetime | None]
    hash_token: Callable[[str], str]
    """Id token to its keyed hash; the token itself goes no further (F23)."""
    transaction_id: int | None = None
    """The id allotted to this StartTransaction; 1.6 only."""


@dataclass(frozen=True, slots=True)
class Answering:
    """What a dialect needs besides the message to answer it."""

    now: datetime
    heartbeat_interval_s: int
    transaction_id: int | None = None


@dataclass(frozen=True, slots=True)
class Calling:
    """What a dialect needs besides the command to make a call of it."""

    security_extension: bool | None = None
    """Whether a 1.6 charger has the security extension; None: not known yet."""
    new_request_id: Callable[[], int] = lambda: 0
    """For requests whose answer comes as reports; 0 is a legal request id."""


class Dialect(Protocol):
    """One version of OCPP, seen from the central side. Pure: no socket, no clock, no store."""

    @property
    def name(self) -> str:
        """The WebSocket subprotocol."""

    @property
    def handled(self) -> frozenset[str]:
        """The actions a charger may call; any other of this version is NotSupported."""

    @property
    def always_signed(self) -> bool:
        """Whether every charger of this version can take a signed update."""

    @property
    def status_probes(self) -> tuple[Command, ...]:
        """What to send, until one is not accepted, to hear of every connector."""

    @property
    def capability_probes(self) -> tuple[Command, ...]:
        """What to ask once after a boot to learn the charger's capabilities."""

    def remembers_security(self, configuration: ConfigurationSection) -> bool | None:
        """What the twin knows of the 1.6 security extension from earlier sessions; None: nothing."""

    def shows_security(self, action: str) -> bool:
        """Whether calling this proves the 1.6 security extension."""

    def security_answer(self, command: Command, action: str, answer: CommandAnswer) -> bool | None:
        """What an answer tells of the 1.6 security extension; None: nothing."""

    def start_key(self, action: str, payload: Payload, reading: Reading) -> str | None:
        """What makes a session start this one and no other, if we must allot its id; else None."""

    def to_events(self, action: str, payload: Payload, reading: Reading) -> tuple[Observed, ...]:
        """The canonical events of a valid request."""

    def answer(self, action: str, payload: Payload, answering: Answering) -> Payload:
        """The answer to a valid, handled request."""

    def to_call(self, command: Command, calling: Calling) -> tuple[str, Payload]:
        """The action and payload of a command. Raises Unsupported."""

    def from_answer(self, command: Command, action: str, payload: Payload) -> CommandAnswer:
        """What the charger's answer to that call means. Raises ValueError if it means nothing."""


def answer_status(payload: Payload) -> CommandAnswer:
    """An answer with a ``status`` and perhaps a ``statusInfo`` (2.x), in words that may be kept.

    A charger likes to repeat the address it was given, which is a secret (S43).

    Raises:
        ValueError: the status is none that we know.
    """
    info = payload.get("statusInfo") or {}
    detail = ": ".join(str(info[key]) for key in ("reasonCode", "additionalInfo") if info.get(key))
    return CommandAnswer(AnswerStatus(payload["status"]), redact(detail)[:_DETAIL_CHARS])
