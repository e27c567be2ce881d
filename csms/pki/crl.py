"""Certificate revocation lists (RFC 5280 sections 5 and 6.3), and what they say of a certificate."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes

from csms.pki.certificates import name_of

_PEM_BEGIN, _PEM_END = b"-----BEGIN X509 CRL-----", b"-----END X509 CRL-----"
_HASHES = frozenset({"sha256", "sha384", "sha512"})


class CrlStatus(StrEnum):
    """What the lists say."""

    GOOD = "good"
    REVOKED = "revoked"
    STALE = "stale"
    """The newest list of that issuer is past its next update."""
    MISSING = "missing"
    """No list of that issuer."""


@dataclass(frozen=True, slots=True)
class CrlAnswer:
    """A status with its sentence."""

    status: CrlStatus
    detail: str = ""


@dataclass(frozen=True, slots=True)
class RevocationList:
    """One list with its entries ready to be looked up: thousands of chargers are, every few seconds."""

    crl: x509.CertificateRevocationList = field(repr=False)
    issuer: x509.Name
    this_update: datetime
    next_update: datetime
    revoked: dict[int, str] = field(repr=False)
    """Serial number to what is said of it."""
    _signed: dict[bytes, bool] = field(default_factory=dict, repr=False)

    def signed_by(self, issuer: x509.Certificate) -> bool:
        """Whether that authority signed this list and may; worked out once, a list can be long."""
        key = issuer.fingerprint(hashes.SHA256())
        if key not in self._signed:
            self._signed[key] = _may_sign(issuer) and _is_signed(self.crl, issuer)
        return self._signed[key]


def read_lists(data: bytes) -> list[RevocationList]:
    """The lists in a file, DER or any number of PEM blocks. Raises ValueError saying what is wrong."""
    if _PEM_BEGIN not in data:
        return [_read(x509.load_der_x509_crl(data))]
    blocks = data.split(_PEM_BEGIN)[1:]
    if any(_PEM_END not in block for block in blocks):
        raise ValueError("a PEM block is cut off")
    return [_read(x509.load_pem_x509_crl(_PEM_BEGIN + block)) for block in blocks]


def _read(crl: x509.CertificateRevocationList) -> RevocationList:
    if crl.next_update_utc is None:
        raise ValueError(f"the list of {name_of(crl.issuer)!r} has no next update (RFC 5280 section 5.1.2.5)")
    for extension in crl.extensions:
        # Delta and indirect lists say only a part; taken for a whole one, they would let the rest in.
        partial = isinstance(extension.value, x509.DeltaCRLIndicator | x509.IssuingDistributionPoint)
        if partial or (extension.critical and isinstance(extension.value, x509.UnrecognizedExtension)):
            raise ValueError(f"the list of {name_of(crl.issuer)!r} is a delta or partial list")
    revoked = {entry.serial_number: _entry(entry) for entry in crl}
    return RevocationList(crl, crl.issuer, crl.last_update_utc, crl.next_update_utc, revoked)


def _entry(entry: x509.RevokedCertificate) -> str:
    try:
        reason = entry.extensions.get_extension_for_class(x509.CRLReason).value.reason.value
    except x509.ExtensionNotFound:
        reason = "no reason given"
    return f"on {entry.revocation_date_utc:%Y-%m-%d %H:%M} UTC ({reason})"


def _may_sign(issuer: x509.Certificate) -> bool:
    try:
        return issuer.extensions.get_extension_for_class(x509.KeyUsage).value.crl_sign
    except x509.ExtensionNotFound:
        return True


def _is_signed(crl: x509.CertificateRevocationList, issuer: x509.Certificate) -> bool:
    try:
        used = crl.signature_hash_algorithm
        return (
            used is not None and used.name in _HASHES and crl.is_signature_valid(issuer.public_key())  # type: ignore[arg-type]  # RSA or EC, by the path
        )
    except (UnsupportedAlgorithm, TypeError, ValueError):
        return False


def look_up(
    serial_number: int, issuer: x509.Certificate, lists: Sequence[RevocationList], at: datetime
) -> CrlAnswer:
    """What the lists of this issuer say of the certificate with that serial number.

    The newest list counts, so a hold that was lifted is lifted; stale, it still revokes but never clears.
    """
    ours = [
        each
        for each in lists
        if each.issuer == issuer.subject and each.this_update <= at and each.signed_by(issuer)
    ]
    if not ours:
        return CrlAnswer(CrlStatus.MISSING, f"there is no revocation list of {name_of(issuer.subject)!r}")
    newest = max(ours, key=lambda each: each.this_update)
    if serial_number in newest.revoked:
        return CrlAnswer(CrlStatus.REVOKED, f"revoked {newest.revoked[serial_number]}")
    if newest.next_update < at:
        detail = f"the revocation list of {name_of(issuer.subject)!r} is stale since"
        return CrlAnswer(CrlStatus.STALE, f"{detail} {newest.next_update:%Y-%m-%d %H:%M} UTC")
    return CrlAnswer(CrlStatus.GOOD)
