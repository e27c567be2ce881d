"""Which certificate of a charger is meant, and how OCPP names an installed one."""

from dataclasses import dataclass
from enum import StrEnum


class CertificateUse(StrEnum):
    """What a certificate is for, over all dialects: OCPP 2.1's words, for leaves and for roots alike."""

    CHARGING_STATION = "ChargingStationCertificate"
    """The charger's own, for its connection to us."""
    V2G = "V2GCertificate"
    V2G20 = "V2G20Certificate"
    """ISO 15118-20; 2.1 only."""
    CSMS_ROOT = "CSMSRootCertificate"
    """1.6: CentralSystemRootCertificate."""
    MANUFACTURER_ROOT = "ManufacturerRootCertificate"
    """Checks firmware signing certificates."""
    V2G_ROOT = "V2GRootCertificate"
    MO_ROOT = "MORootCertificate"
    OEM_ROOT = "OEMRootCertificate"
    """2.1 only."""
    V2G_CHAIN = "V2GCertificateChain"
    """Only ever listed: a V2G leaf with what is above it."""


class HashAlgorithm(StrEnum):
    """OCPP HashAlgorithmEnumType."""

    SHA256 = "SHA256"
    SHA384 = "SHA384"
    SHA512 = "SHA512"


@dataclass(frozen=True, slots=True)
class CertificateHash:
    """How OCPP names a certificate: as RFC 6960 CertID does, in hexadecimal."""

    algorithm: HashAlgorithm
    """The charger's own choice, to be repeated as it was reported (M04.FR.07)."""
    issuer_name_hash: str
    issuer_key_hash: str
    serial_number: str


@dataclass(frozen=True, slots=True)
class InstalledCertificate:
    """One line of a charger's list; ``children`` come with a V2G chain only."""

    use: CertificateUse
    hash: CertificateHash
    children: tuple[CertificateHash, ...] = ()


ROOT_USES = frozenset(
    {
        CertificateUse.CSMS_ROOT,
        CertificateUse.MANUFACTURER_ROOT,
        CertificateUse.V2G_ROOT,
        CertificateUse.MO_ROOT,
        CertificateUse.OEM_ROOT,
    }
)
