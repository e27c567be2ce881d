"""What a charger may be asked about itself: variables, certificates, lists; free of any dialect."""

from dataclasses import dataclass

from csms.simulator.keyring import HashData


@dataclass(frozen=True, slots=True)
class Setting:
    """One value to write; ``attribute`` is 2.x's, of which this charger knows Actual."""

    name: str
    value: str
    attribute: str = "Actual"


@dataclass(frozen=True, slots=True)
class WriteRequest:
    """ChangeConfiguration, SetVariables. The answer has one result for each, in order."""

    settings: tuple[Setting, ...]


@dataclass(frozen=True, slots=True)
class InstallRequest:
    """InstallCertificate; ``use`` in the dialect's word."""

    use: str
    certificate: str


@dataclass(frozen=True, slots=True)
class ListRequest:
    """GetInstalledCertificateIds; no uses: all."""

    uses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DeleteRequest:
    """DeleteCertificate."""

    hash_data: HashData


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """CertificateSigned."""

    chain: str


@dataclass(frozen=True, slots=True)
class ClearCacheRequest:
    """ClearCache."""


@dataclass(frozen=True, slots=True)
class ClearProfilesRequest:
    """ClearChargingProfile: this charger keeps none."""


@dataclass(frozen=True, slots=True)
class LocalListRequest:
    """SendLocalList; of each entry only the token, and whether it stays."""

    version: int
    full: bool
    tokens: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ListVersionRequest:
    """GetLocalListVersion."""


@dataclass(frozen=True, slots=True)
class NetworkRequest:
    """SetNetworkProfile; of the connection only where it leads, and with which security profile."""

    slot: int
    url: str
    profile: int


@dataclass(frozen=True, slots=True)
class VendorRequest:
    """DataTransfer: this charger knows no vendor's messages."""


Ask = (
    WriteRequest
    | InstallRequest
    | ListRequest
    | DeleteRequest
    | SignedRequest
    | ClearCacheRequest
    | ClearProfilesRequest
    | LocalListRequest
    | ListVersionRequest
    | NetworkRequest
    | VendorRequest
)
