"""Is this the certificate of a charger, under an authority that we trust? RFC 5280 section 6.

Our own rules, on top of OpenSSL's at the handshake, because charger certificates are no web
certificates: the common name says who it is, there is no subjectAltName, extended key usage is
optional (OCPP 2.0.1 A00.FR.511, FR.514). Pure: certificates and a time in, a path or a reason out.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, ExtensionOID

from csms.pki.certificates import UNREADABLE, common_name, name_of, serial_of

MIN_RSA_BITS = 2048
MIN_EC_BITS = 224
"""OCPP 2.0.1 A00.FR.502 and 503."""
MAX_ISSUERS = 4
_MAX_SIGNATURE_CHECKS = 24

_HASHES = frozenset({"sha256", "sha384", "sha512"})
_UNDERSTOOD = frozenset(
    {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.SUBJECT_KEY_IDENTIFIER,
        ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
        ExtensionOID.CRL_DISTRIBUTION_POINTS,
        ExtensionOID.AUTHORITY_INFORMATION_ACCESS,
        ExtensionOID.CERTIFICATE_POLICIES,
    }
)
Extension = TypeVar("Extension", bound=x509.ExtensionType)


@dataclass(frozen=True, slots=True)
class CertificatePath:
    """A charger's certificate that holds. Small, since it is kept as long as the socket is open."""

    common_name: str
    serial_number: int
    serial: str
    """The serial number, hexadecimal."""
    valid_until: datetime
    issuers: tuple[x509.Certificate, ...]
    """From the one that signed the charger's certificate to the trusted authority."""
    ocsp_url: str | None = None
    """Where the certificate says that it can be asked about."""


@dataclass(frozen=True, slots=True)
class Untrusted:
    """It does not hold, and why."""

    reason: str


def find_path(
    leaf: x509.Certificate,
    presented: Sequence[x509.Certificate],
    anchors: Sequence[x509.Certificate],
    at: datetime,
    *,
    outlived: bool = False,
) -> CertificatePath | Untrusted:
    """The path from a charger's certificate to a trusted authority at this time.

    ``outlived``: the charger's certificate alone may have expired before; its issuers may not.
    """
    try:
        fault = _leaf_fault(leaf, min(at, leaf.not_valid_after_utc) if outlived else at)
        if fault:
            return Untrusted(fault)
        search = _Search(tuple(anchors), tuple(filter(_has_name, presented)), at)
        issuers = search.climb(leaf, ())
        return Untrusted(search.reason) if issuers is None else _accepted(leaf, issuers)
    except UNREADABLE as error:
        return Untrusted(f"the certificate cannot be read: {type(error).__name__}")


def _has_name(certificate: x509.Certificate) -> bool:
    """Whether its name can be read; what a peer presents besides may be anything."""
    try:
        return certificate.subject is not None
    except UNREADABLE:
        return False


def _accepted(leaf: x509.Certificate, issuers: tuple[x509.Certificate, ...]) -> CertificatePath:
    return CertificatePath(
        common_name(leaf) or "",
        leaf.serial_number,
        serial_of(leaf),
        leaf.not_valid_after_utc,
        issuers,
        _ocsp_url(leaf),
    )


@dataclass(slots=True)
class _Search:
    """Depth first over who may have issued whom, within a bound on the work."""

    anchors: tuple[x509.Certificate, ...]
    presented: tuple[x509.Certificate, ...]
    at: datetime
    reason: str = ""
    checks: int = field(default=0)

    def climb(
        self, child: x509.Certificate, below: tuple[x509.Certificate, ...]
    ) -> tuple[x509.Certificate, ...] | None:
        if len(below) >= MAX_ISSUERS:
            self._no(f"more than {MAX_ISSUERS} certificates lead to it")
            return None
        candidates = [each for each in (*self.anchors, *self.presented) if each.subject == child.issuer]
        if not candidates:
            self._no(f"its issuer {name_of(child.issuer)!r} is not trusted")
        for issuer in candidates:
            if issuer in below or not self._issued(child, issuer, len(below)):
                continue
            path = (*below, issuer)
            found = path if issuer in self.anchors else self.climb(issuer, path)
            if found is not None:
                return found
        return None

    def _issued(self, child: x509.Certificate, issuer: x509.Certificate, below: int) -> bool:
        fault = _issuer_fault(issuer, self.at, below, anchor=issuer in self.anchors)
        if not fault and self.checks >= _MAX_SIGNATURE_CHECKS:
            fault = "too many certificates were presented"
        if not fault:
            self.checks += 1
            fault = _signature_fault(child, issuer)
        if fault:
            self._no(fault)
        return not fault

    def _no(self, reason: str) -> None:
        # The first reason is the nearest to the charger, hence the most telling one.
        self.reason = self.reason or reason


def _signature_fault(child: x509.Certificate, issuer: x509.Certificate) -> str:
    try:
        child.verify_directly_issued_by(issuer)
    except InvalidSignature:
        return f"it was not signed by the key of {name_of(issuer.subject)!r}"
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return f"{name_of(issuer.subject)!r} signed it in a way that cannot be checked"
    return ""


def _first(*checks: Callable[[], str]) -> str:
    """The first fault; later checks are not made."""
    return next((fault for check in checks if (fault := check())), "")


def _leaf_fault(leaf: x509.Certificate, at: datetime) -> str:
    return _first(
        lambda: _common_fault(leaf, at),
        lambda: _hash_fault(leaf),
        lambda: "" if common_name(leaf) else "it has no single common name",
        lambda: "it is a certificate of an authority" if _is_authority(leaf) else "",
        lambda: _leaf_usage_fault(leaf),
        lambda: _extended_usage_fault(leaf),
    )


def _issuer_fault(issuer: x509.Certificate, at: datetime, below: int, *, anchor: bool) -> str:
    fault = _first(
        lambda: _common_fault(issuer, at),
        lambda: "" if anchor else _hash_fault(issuer),  # nobody relies on a root's signature of itself
        lambda: _authority_fault(issuer, below),
    )
    return f"its issuer {name_of(issuer.subject)!r}: {fault}" if fault else ""


def _common_fault(certificate: x509.Certificate, at: datetime) -> str:
    if certificate.version is not x509.Version.v3:
        return "it is no X.509 version 3 certificate"
    if at < certificate.not_valid_before_utc:
        return f"it is not valid before {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
    if at > certificate.not_valid_after_utc:
        return f"it expired on {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
    unknown = [each for each in certificate.extensions if each.critical and each.oid not in _UNDERSTOOD]
    if unknown:
        # RFC 5280 section 4.2: what is critical and not understood refuses the certificate.
        return f"it has a critical extension {unknown[0].oid.dotted_string} that is not understood"
    return _key_fault(certificate)


def _key_fault(certificate: x509.Certificate) -> str:
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        return "" if key.key_size >= MIN_RSA_BITS else f"its RSA key has only {key.key_size} bits"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return "" if key.key_size >= MIN_EC_BITS else f"its EC key has only {key.key_size} bits"
    return "its key is neither RSA nor EC"


def _hash_fault(certificate: x509.Certificate) -> str:
    try:
        used = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        used = None
    if used is None or used.name not in _HASHES:
        return f"its signature uses {used.name if used else 'an unknown algorithm'}, which is too weak"
    return ""


def _is_authority(certificate: x509.Certificate) -> bool:
    constraints = _extension(certificate, x509.BasicConstraints)
    return constraints is not None and constraints.ca


def _leaf_usage_fault(leaf: x509.Certificate) -> str:
    usage = _extension(leaf, x509.KeyUsage)
    if usage is not None and (usage.key_cert_sign or usage.crl_sign):
        return "its key usage is that of an authority"
    if usage is not None and not usage.digital_signature:
        return "its key usage does not allow signatures, which TLS needs"
    return ""


def _extended_usage_fault(leaf: x509.Certificate) -> str:
    extended = _extension(leaf, x509.ExtendedKeyUsage)
    if extended is not None and ExtendedKeyUsageOID.CLIENT_AUTH not in extended:
        return "its extended key usage does not allow client authentication"
    return ""


def _authority_fault(issuer: x509.Certificate, below: int) -> str:
    constraints = _extension(issuer, x509.BasicConstraints)
    if constraints is None or not constraints.ca:
        return "it is no authority"
    if constraints.path_length is not None and constraints.path_length < below:
        return "its path length does not allow so many authorities below it"
    usage = _extension(issuer, x509.KeyUsage)
    if usage is not None and not usage.key_cert_sign:
        return "its key usage does not allow it to issue certificates"
    if _extension(issuer, x509.NameConstraints) is not None:
        return "it has name constraints, which are not supported"
    return ""


def _ocsp_url(leaf: x509.Certificate) -> str | None:
    access = _extension(leaf, x509.AuthorityInformationAccess)
    for each in access or ():
        if each.access_method == AuthorityInformationAccessOID.OCSP:
            location = each.access_location
            if isinstance(location, x509.UniformResourceIdentifier):
                return location.value
    return None


def _extension(certificate: x509.Certificate, kind: type[Extension]) -> Extension | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
