"""Vendor personalities: how chargers of a brand differ, as values with the evidence they imitate.

The brands are invented. Nothing else in the simulator asks who the vendor is. A new personality is
a new file in ``brands``; a test demands evidence for every trait that is not the default.
"""

from dataclasses import dataclass, fields
from enum import StrEnum

from csms.simulator.words import FirmwareWord
from storage.charger import SignatureScheme


class Dialect(StrEnum):
    """The OCPP subprotocol a charger speaks; ``1.6`` always with the security whitepaper here."""

    OCPP16 = "ocpp1.6"
    OCPP201 = "ocpp2.0.1"
    OCPP21 = "ocpp2.1"


class TimeStyle(StrEnum):
    """How a charger writes an instant."""

    ZULU = "zulu"
    OFFSET = "offset"
    """Local time with ``+02:00``."""
    NAIVE = "naive"
    """UTC with no zone at all."""


class KeyStyle(StrEnum):
    """How the password goes into the Basic header."""

    TEXT = "text"
    HEX_BYTES = "hex_bytes"
    """The password is hex; the bytes it stands for are sent."""


class LogStyle(StrEnum):
    """How a charger uploads a log."""

    PUT = "put"
    """The bytes, to the address as it is."""
    PUT_NAMED = "put_named"
    """The bytes, to the address with the file's name behind it."""
    FORM = "form"
    """POST of a multipart form."""


class Claim(StrEnum):
    """When a charger says ``Installed``."""

    AFTER_BOOT = "after_boot"
    BEFORE_REBOOT = "before_reboot"
    """By the old image, before anything is proved (L01.FR.32 b)."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Where a trait was seen in the field."""

    trait: str
    seen: str
    frame: str = ""
    """A frame that shows it, as OCPP-J text; every one is checked against its schema."""


@dataclass(frozen=True, slots=True)
class Personality:
    """One brand and model. Every field below ``evses`` is a quirk whose default is the plain behaviour."""

    name: str
    vendor: str
    model: str
    dialect: Dialect
    scheme: SignatureScheme
    evses: int = 1
    omits: frozenset[FirmwareWord] = frozenset()
    """Firmware statuses it never sends."""
    claims: int = 1
    """How many times it says Installed."""
    claim: Claim = Claim.AFTER_BOOT
    needs_reset: bool = False
    """Installs, says so, and runs the new image only after a Reset command."""
    waits_for_session: bool = True
    """False: installs under a running session, which the server must prevent."""
    waits_for_install_time: bool = True
    """False: it installs as soon as it has the image, whatever the command says."""
    keeps_image: bool = False
    """It does not fetch again what it fetched for the order before."""
    unavailable_while_installing: bool = False
    boot_factor: float = 1.0
    """How much longer than others it takes to start."""
    piece_bytes: int | None = None
    """It fetches the image in Range requests of this size."""
    time_style: TimeStyle = TimeStyle.ZULU
    key_style: KeyStyle = KeyStyle.TEXT
    boots_on_every_connect: bool = False
    """BootNotification on every socket, though it did not restart."""
    resends_same_id: bool = False
    """A message sent again keeps its message id."""
    reports_fall_back: bool = True
    """After it fell back to the previous image it says InstallationFailed."""
    log_style: LogStyle = LogStyle.PUT
    lacks: frozenset[str] = frozenset()
    """Actions of its dialect that it answers with NotImplemented."""
    forgets_request: bool = False
    """Its firmware statuses carry the request id -1."""
    tells_version: bool = True
    """False: its BootNotification leaves the version out (2.x); its device model has it."""
    report_from: int = 0
    """The number of a report's first part."""
    local_controller: bool = False
    """It fetches an image for its whole site and offers it there (2.x L03)."""
    evidence: tuple[Evidence, ...] = ()

    def quirks(self) -> frozenset[str]:
        """The names of the traits that differ from the plain behaviour."""
        plain = Personality("", "", "", self.dialect, self.scheme, self.evses)
        traits = [field.name for field in fields(self) if field.name not in _IDENTITY]
        return frozenset(trait for trait in traits if getattr(self, trait) != getattr(plain, trait))


_IDENTITY = {"name", "vendor", "model", "dialect", "scheme", "evses", "evidence"}
