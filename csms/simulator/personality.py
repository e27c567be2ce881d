"""Vendor personalities: how chargers of a brand differ, as values with the evidence they imitate.

The brands are invented. Nothing else in the simulator asks who the vendor is. A new personality is
a new value in ``PERSONALITIES``; a test demands evidence for every trait that is not the default.
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
    evidence: tuple[Evidence, ...] = ()

    def quirks(self) -> frozenset[str]:
        """The names of the traits that differ from the plain behaviour."""
        plain = Personality("", "", "", self.dialect, self.scheme, self.evses)
        traits = [field.name for field in fields(self) if field.name not in _IDENTITY]
        return frozenset(trait for trait in traits if getattr(self, trait) != getattr(plain, trait))


_IDENTITY = {"name", "vendor", "model", "dialect", "scheme", "evses", "evidence"}

LARKSPUR = Personality(
    name="larkspur",
    vendor="Larkspur",
    model="Larkspur Duo 22",
    dialect=Dialect.OCPP16,
    scheme=SignatureScheme.ECDSA_P256,
    evses=2,
    omits=frozenset({FirmwareWord.DOWNLOADING, FirmwareWord.DOWNLOADED, FirmwareWord.SIGNATURE_VERIFIED}),
    resends_same_id=True,
    log_style=LogStyle.PUT_NAMED,
    evidence=(
        Evidence("omits", "ev-server#2305 and MicroOcpp#261: intermediate firmware statuses never come"),
        Evidence("resends_same_id", "OCPP 2.1 Part 4: a retried message may be identical, its id included"),
        Evidence("log_style", "MicroOcpp#397: its client puts the file's name behind the location"),
    ),
)
BRAMBLE = Personality(
    name="bramble",
    vendor="Bramble",
    model="Bramble Post 11",
    dialect=Dialect.OCPP16,
    scheme=SignatureScheme.RSA_PKCS1V15,
    claims=2,
    waits_for_session=False,
    time_style=TimeStyle.OFFSET,
    key_style=KeyStyle.HEX_BYTES,
    boots_on_every_connect=True,
    log_style=LogStyle.FORM,
    evidence=(
        Evidence("claims", "e-mobility-charging-stations-simulator#459: Installed twice"),
        Evidence(
            "waits_for_session",
            "no thread found; breaks L01.FR.06 so that the server must guard",
        ),
        Evidence("time_style", "monta ocpp-emulator#5: a +02 offset in time stamps"),
        Evidence("key_style", "MicroOcpp 1.2.0, run by us: sends the bytes its hex AuthorizationKey means"),
        Evidence("log_style", "openevse_esp32_firmware#790: GetDiagnostics uploads by HTTP, as a form"),
        Evidence("boots_on_every_connect", "evcc#31192: only some chargers skip it on a later socket"),
    ),
)
JETTY = Personality(
    name="jetty",
    vendor="Cobalt Jetty",
    model="Jetty 50 DC",
    dialect=Dialect.OCPP201,
    scheme=SignatureScheme.RSA_PSS,
    evses=2,
    claim=Claim.BEFORE_REBOOT,
    unavailable_while_installing=True,
    piece_bytes=48 * 1024,
    evidence=(
        Evidence(
            "claim", "EVerest, run by us: Installed with the version unchanged; L01.FR.32 (b) allows it"
        ),
        Evidence("unavailable_while_installing", "OCPP 2.0.1 L01.FR.07; libocpp#464, #1058"),
        Evidence("piece_bytes", "LilyGo-Modem-Series#352: a small modem fetches in Range pieces"),
    ),
)
DUNLIN = Personality(
    name="dunlin",
    vendor="Dunlin Energy",
    model="Dunlin Wallbox 2",
    dialect=Dialect.OCPP201,
    scheme=SignatureScheme.ECDSA_P256,
    claims=0,
    omits=frozenset({FirmwareWord.INSTALL_REBOOTING}),
    boot_factor=2.0,
    time_style=TimeStyle.NAIVE,
    reports_fall_back=False,
    evidence=(
        Evidence("claims", "ev-server#2305: Installed is never sent; libocpp#758: it is lost at the reboot"),
        Evidence("omits", "OCPP 2.0.1 L01.FR.32: InstallRebooting may never come"),
        Evidence("boot_factor", "SAP simulator 4.11, run by us: 17 to 24 s a step"),
        Evidence("time_style", "steve#136, MicroOcpp#354: local or naive time before the clock is set"),
        Evidence("reports_fall_back", "MicroOcpp#261: no status at all once the boot loader took over"),
    ),
)
ESTUARY = Personality(
    name="estuary",
    vendor="Estuary",
    model="Estuary Hub 150",
    dialect=Dialect.OCPP21,
    scheme=SignatureScheme.RSA_PSS,
    evses=2,
    needs_reset=True,
    waits_for_session=False,
    evidence=(
        Evidence("needs_reset", "FEATURES X8, asked for by operators; no public thread found"),
        Evidence(
            "waits_for_session", "steve and lbbrhzn threads of updates that stop a charge; L01.FR.06 broken"
        ),
    ),
)

PERSONALITIES: dict[str, Personality] = {
    personality.name: personality for personality in (LARKSPUR, BRAMBLE, JETTY, DUNLIN, ESTUARY)
}
