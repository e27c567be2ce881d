"""What a version of OCPP has to offer the session: messages to events, commands to calls.

Two packages implement it, ``ocpp16`` and ``ocpp2x``; neither knows the other. What they handle is in
their tables ``MESSAGES`` and ``CALLS``, of which ``csms/README.md`` shows every line.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from csms.commands import Command, CommandAnswer
from csms.frames import Payload
from csms.registration import Registration
from storage.events import Event
from storage.twin import ConfigurationSection


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
    registration: Registration = Registration.ACCEPTED
    """To a BootNotification."""
    certificate_status: tuple[str, str | None] = ("Failed", None)
    """To a GetCertificateStatus: the status and the OCSP response, DER in base64."""


@dataclass(frozen=True, slots=True)
class Calling:
    """What a dialect needs besides the command to make a call of it."""

    security_extension: bool | None = None
    """Whether a 1.6 charger has the security extension; None: not known yet."""
    new_request_id: Callable[[], int] = lambda: 0
    """For requests whose answer comes as reports; 0 is a legal request id."""


def nothing(_payload: Payload, _: Reading) -> tuple[Observed, ...]:
    """For messages that are answered and journaled, and tell no canonical fact."""
    return ()


def empty(_payload: Payload, _: Answering) -> Payload:
    """The answer that most messages get."""
    return {}


@dataclass(frozen=True, slots=True)
class Message:
    """How a dialect deals with one action of a charger."""

    read: Callable[[Payload, Reading], Iterable[Observed]] = nothing
    answer: Callable[[Payload, Answering], Payload] = empty


@dataclass(frozen=True, slots=True)
class Call:
    """How a dialect sends one command, and what it makes of the answer."""

    actions: tuple[str, ...]
    """The actions that ``make`` chooses from."""
    make: Callable[[Any, Calling], tuple[str, Payload]]
    understand: Callable[[Any, str, Payload], CommandAnswer]


class Dialect(Protocol):
    """One version of OCPP, seen from the central side. Pure: no socket, no clock, no store."""

    @property
    def name(self) -> str:
        """The WebSocket subprotocol."""

    @property
    def messages(self) -> Mapping[str, Message]:
        """The actions a charger may call; any other of this version is NotSupported."""

    @property
    def calls(self) -> Mapping[type[Any], Call]:
        """The commands that can be sent; any other is Unsupported."""

    @property
    def always_signed(self) -> bool:
        """Whether every charger of this version can take a signed update."""

    @property
    def status_probes(self) -> tuple[Command, ...]:
        """What to send, until one is not accepted, to hear of every connector."""

    @property
    def capability_probes(self) -> tuple[Command, ...]:
        """What to ask once after a boot to learn the charger's capabilities."""

    @property
    def version_names(self) -> tuple[str, ...]:
        """The variables that tell which firmware runs, the best one first; empty: nothing but a boot does."""

    @property
    def version_probes(self) -> tuple[Command, ...]:
        """What to ask, one after the other until it is known, after a boot that told no version."""

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

    def parts(self, command: Command) -> tuple[Command, ...]:
        """The command as commands that each fit into one call, to be sent in this order."""

    def to_call(self, command: Command, calling: Calling) -> tuple[str, Payload]:
        """The action and payload of a command. Raises Unsupported."""

    def from_answer(self, command: Command, action: str, payload: Payload) -> CommandAnswer:
        """What the charger's answer to that call means. Raises ValueError if it means nothing."""
