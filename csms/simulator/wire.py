"""What a charger says and is asked, free of any dialect; ``Wire`` is what a dialect must spell."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, NamedTuple, Protocol

from csms.simulator.asks import Ask
from csms.simulator.device import Variable
from csms.simulator.errors import RequestInvalid
from csms.simulator.keyring import Installed
from csms.simulator.personality import TimeStyle
from csms.simulator.words import BootReason, EndReason, FirmwareWord, LogWord, PlugWord, PublishWord

Payload = dict[str, Any]
_OFFSET = timezone(timedelta(hours=2))


class OwnNames(NamedTuple):
    """What a dialect calls the variables that the charger itself goes by."""

    heartbeat: str
    password: str
    profile: str
    organization: str
    csms_root: str
    """A root that it knows the server by."""
    priority: str | None = None
    """Which of its ways to the server it tries first; None: the dialect has one for each profile."""
    active: str | None = None
    """The slot that it uses."""


@dataclass(frozen=True, slots=True)
class Message:
    """One call of the charger."""

    action: str
    payload: Payload


@dataclass(frozen=True, slots=True)
class Identity:
    """What a charger says of itself at boot."""

    vendor: str
    model: str
    serial: str
    version: str
    tells_version: bool = True
    """Whether it says so by itself."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a charger's variables are made of."""

    identity: Identity
    evses: int
    password: str = field(default="", repr=False)
    """The one it came with."""
    profiles: tuple[int, int] = (1, 1)
    """The lowest and highest security profile that its connection allows."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One variable in a report; no value: it is write only."""

    name: str
    value: str | None
    writable: bool


@dataclass(frozen=True, slots=True)
class Plug:
    """A connector as it is shown: one connector per EVSE here."""

    evse_id: int
    word: PlugWord
    error_code: str | None = None


@dataclass(slots=True)
class Session:
    """One charging session as the charger knows it. ``server_id`` is what 1.6 gets at the start."""

    session_id: str
    evse_id: int
    id_tag: str
    meter_wh: int
    seq_no: int = 0
    server_id: int | None = None

    def next_seq(self) -> int:
        """The number of the session's next message (2.x TransactionEvent.seqNo)."""
        self.seq_no += 1
        return self.seq_no - 1


@dataclass(frozen=True, slots=True)
class Reading:
    """A meter reading within a session; ``offline``: it was taken without a connection."""

    at: str
    wh: int
    seq_no: int
    offline: bool = False


@dataclass(frozen=True, slots=True)
class UpdateRequest:
    """Fetch and install an image; unsigned when certificate or signature is missing."""

    request_id: int | None
    location: str
    retrieve_at: datetime
    certificate: str | None = None
    signature: str | None = None
    retries: int = 0
    retry_s: float = 0.0
    install_at: datetime | None = None
    """Not before; None: as soon as it is there."""

    @property
    def signed(self) -> bool:
        """Whether there is anything to verify."""
        return bool(self.certificate and self.signature)

    def same_image(self, other: "UpdateRequest") -> bool:
        """Whether two commands are about the same bytes, as far as a charger can tell beforehand."""
        if self.signed or other.signed:
            return self.signature == other.signature
        return self.location == other.location


@dataclass(frozen=True, slots=True)
class ResetRequest:
    """Restart; ``on_idle``: after the running sessions."""

    on_idle: bool


@dataclass(frozen=True, slots=True)
class AvailabilityRequest:
    """Make an EVSE (None: all) operative or inoperative."""

    operative: bool
    evse_id: int | None = None


@dataclass(frozen=True, slots=True)
class TriggerRequest:
    """Send a message now; ``message`` in the dialect's own word, which all share."""

    message: str
    evse_id: int | None = None


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """Read variables; empty: all. Known ones come back as values, the others are unknown."""

    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReportRequest:
    """2.x GetBaseReport: answer, then send the variables in NotifyReports."""

    request_id: int
    settings_only: bool = False
    """ConfigurationInventory: what can be written."""


@dataclass(frozen=True, slots=True)
class LogRequest:
    """Upload a log. ``request_id`` None: 1.6 GetDiagnostics, which has none and gives a file name only."""

    request_id: int | None
    location: str
    kind: str
    retries: int = 0
    retry_s: float = 0.0


@dataclass(frozen=True, slots=True)
class PublishRequest:
    """2.x PublishFirmware (L03): fetch an image and offer it to the others at the site."""

    request_id: int
    location: str
    checksum: str
    """MD5, in hex."""
    retries: int = 0
    retry_s: float = 0.0


@dataclass(frozen=True, slots=True)
class UnpublishRequest:
    """2.x UnpublishFirmware (L04)."""

    checksum: str


Request = (
    UpdateRequest
    | ResetRequest
    | AvailabilityRequest
    | TriggerRequest
    | ReadRequest
    | ReportRequest
    | LogRequest
    | PublishRequest
    | UnpublishRequest
    | Ask
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the charger decided on a request; ``values`` for reads, ``file_name`` for logs."""

    status: str
    values: Mapping[str, str] = field(default_factory=dict)
    file_name: str = ""
    known: Mapping[str, bool] = field(default_factory=dict)
    """For reads: every variable there is, and whether it may be written."""
    results: tuple[str, ...] = ()
    """For writes: one for each, in the words of SetVariableStatusEnumType."""
    installed: Sequence[Installed] = ()
    version: int = 0
    """Of the local list."""


class Wire(Protocol):
    """One dialect from the charger's side: calls it makes, requests it reads, answers it writes."""

    @property
    def takes_unsigned(self) -> bool:
        """Whether an update without a signature is obeyed (2.x L02) or refused (WP3 L01.FR.20)."""

    def error_code(self, code: str) -> str:
        """The dialect's spelling of a CALLERROR code."""

    @property
    def own(self) -> OwnNames:
        """What it calls the variables that the charger itself goes by."""

    def variables(self, facts: "Facts") -> dict[str, Variable]:
        """What can be read and written, under the dialect's names, as it left the factory."""

    def sign_certificate(self, csr: str, use: str | None) -> Message:
        """SignCertificate; ``use`` as the trigger named it."""

    def boot(self, identity: Identity, reason: BootReason) -> Message:
        """BootNotification."""

    def heartbeat(self) -> Message:
        """Heartbeat."""

    def status(self, plug: Plug, at: str) -> Message:
        """StatusNotification of one connector."""

    def station_status(self, word: PlugWord, at: str) -> Message | None:
        """StatusNotification of the whole charger, where the dialect has one."""

    def firmware_status(self, word: FirmwareWord, request_id: int | None) -> Message:
        """How an update goes; ``request_id`` is left out with Idle (L01.FR.20)."""

    def log_status(self, word: LogWord, request_id: int | None) -> Message | None:
        """How the upload of a log goes, where the dialect has a word for it."""

    def publish_status(
        self, word: PublishWord, request_id: int | None, places: Sequence[str]
    ) -> Message | None:
        """How an image comes to be offered, where the dialect has local controllers."""

    def security_event(self, word: str, at: str, detail: str) -> Message:
        """SecurityEventNotification."""

    def authorize(self, id_tag: str) -> Message:
        """Authorize."""

    def authorized(self, answer: Payload) -> bool:
        """What the server said to Authorize."""

    def started(self, session: Session, reading: Reading) -> Message:
        """The session began."""

    def metered(self, session: Session, reading: Reading) -> Message:
        """The session goes on."""

    def ended(self, session: Session, reading: Reading, reason: EndReason) -> Message:
        """The session ended."""

    def sampled(self, evse_id: int, reading: Reading) -> Message:
        """MeterValues on demand, of an EVSE."""

    def report(self, request_id: int, at: str, entries: Sequence[Entry], first: int) -> list[Message]:
        """Variables after a ReportRequest, where the dialect has it; ``first``: the number of part one."""

    def read(self, action: str, payload: Payload) -> Request:
        """Understand a call of the server, or raise RequestInvalid with the OCPP-J error code."""

    def answer(self, request: Request, answer: Answer) -> Payload:
        """The answer's payload."""


def stamp(at: datetime, style: TimeStyle) -> str:
    """An instant as this charger writes it."""
    if style is TimeStyle.OFFSET:
        return at.astimezone(_OFFSET).isoformat(timespec="seconds")
    text = at.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00")
    return text if style is TimeStyle.NAIVE else f"{text}Z"


def instant(text: str) -> datetime:
    """An instant as the server writes it; without a zone it is UTC."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise RequestInvalid("TypeConstraintViolation", f"{text!r} is not a time.") from error
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def wanted(payload: Any, name: str) -> Any:
    """A required entry of a call, or RequestInvalid."""
    if not isinstance(payload, dict) or name not in payload:
        raise RequestInvalid("OccurrenceConstraintViolation", f"{name} is missing.")
    return payload[name]
