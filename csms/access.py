"""Canonical commands about who may charge and where the charger connects. Pure values.

What decommissioning and a change of owner need: local lists, cache, customer data, network profiles.
Tokens and passwords stay out of every ``repr``.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from storage.certificate_use import CertificateHash


@dataclass(frozen=True, slots=True)
class ClearCache:
    """Forget the ids that were authorised lately (C11)."""


class TokenStatus(StrEnum):
    """Those AuthorizationStatusEnumType values that every version has."""

    ACCEPTED = "Accepted"
    BLOCKED = "Blocked"
    EXPIRED = "Expired"
    INVALID = "Invalid"
    CONCURRENT = "ConcurrentTx"


@dataclass(frozen=True, slots=True)
class IdToken:
    """Whoever charges. ``type`` is 2.x's IdTokenEnumType; 1.6 has none."""

    token: str = field(repr=False)
    type: str = "ISO14443"


@dataclass(frozen=True, slots=True)
class ListEntry:
    """One token of a local list; without status a differential update takes it off (D01)."""

    token: IdToken
    status: TokenStatus | None = TokenStatus.ACCEPTED
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class SendLocalList:
    """Replace the local list (``full``; no entries: empty it) or change it (D01)."""

    version: int
    full: bool
    entries: tuple[ListEntry, ...] = ()


@dataclass(frozen=True, slots=True)
class GetLocalListVersion:
    """Which list the charger has (D02)."""


class ApnAuthentication(StrEnum):
    """OCPP 2.x APNAuthenticationEnumType."""

    PAP = "PAP"
    CHAP = "CHAP"
    NONE = "NONE"
    AUTO = "AUTO"


@dataclass(frozen=True, slots=True)
class Apn:
    """A mobile network."""

    address: str
    authentication: ApnAuthentication = ApnAuthentication.AUTO
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    sim_pin: int | None = field(default=None, repr=False)


class VpnKind(StrEnum):
    """OCPP 2.x VPNEnumType."""

    IKEV2 = "IKEv2"
    IPSEC = "IPSec"
    L2TP = "L2TP"
    PPTP = "PPTP"


@dataclass(frozen=True, slots=True)
class Vpn:
    """A private network on the way to us."""

    server: str
    user: str
    password: str = field(repr=False)
    key: str = field(repr=False)
    kind: VpnKind = VpnKind.IKEV2
    group: str | None = None


@dataclass(frozen=True, slots=True)
class NetworkProfile:
    """How a charger connects. ``identity`` and ``password`` are 2.1's."""

    csms_url: str
    security_profile: int
    interface: str = "Wired0"
    message_timeout_s: int = 30
    identity: str | None = None
    password: str | None = field(default=None, repr=False)
    apn: Apn | None = None
    vpn: Vpn | None = None


@dataclass(frozen=True, slots=True)
class SetNetworkProfile:
    """Write a connection into a slot (2.x B09); never into the active one."""

    slot: int
    profile: NetworkProfile


@dataclass(frozen=True, slots=True)
class CustomerInformation:
    """Report or clear what a charger keeps of a customer (2.x N09, N10); exactly one reference."""

    request_id: int
    report: bool
    clear: bool
    token: IdToken | None = None
    identifier: str | None = field(default=None, repr=False)
    certificate: CertificateHash | None = None


class ProfilePurpose(StrEnum):
    """Those OCPP 2.x ChargingProfilePurposeEnumType values that every version has."""

    STATION_MAXIMUM = "ChargingStationMaxProfile"
    TX_DEFAULT = "TxDefaultProfile"
    TX = "TxProfile"


@dataclass(frozen=True, slots=True)
class ClearChargingProfiles:
    """Forget all charging profiles of one purpose (2.x K10; 1.6 section 5.5)."""

    purpose: ProfilePurpose


@dataclass(frozen=True, slots=True)
class RotatePassword:
    """Have the node give the charger a new random password (A01).

    No command of a dialect: nobody but the node and the charger ever holds the password, so none is in here.
    See ``csms.ports.PasswordSender``.
    """


AccessCommand = (
    ClearCache
    | ClearChargingProfiles
    | SendLocalList
    | GetLocalListVersion
    | SetNetworkProfile
    | CustomerInformation
)
