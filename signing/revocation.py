"""Withdrawn firmware signing certificates: how they are named, and what a manufacturer's list says (S36)."""

import hashlib
from collections.abc import Iterable
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from signing.errors import VerificationFailed
from signing.vendor_signature import certificate_fingerprint, load_certificate
from storage.withdrawal import certificate_subject, serial_subject

MAX_LIST = 5_000_000
_STRONG = frozenset({"sha256", "sha384", "sha512"})
_PEM = b"-----BEGIN X509 CRL-----"


def certificate_subjects(pem: str) -> tuple[str, ...]:
    """Every name under which a certificate can have been withdrawn. Raises VendorSignatureBad."""
    certificate = load_certificate(pem)
    fingerprint = certificate_fingerprint(pem)
    return certificate_subject(fingerprint), _serial(certificate.issuer, certificate.serial_number)


def revoked_subjects(data: bytes, roots: Iterable[str], now: datetime) -> dict[str, str]:
    """The certificates that a list (DER or PEM) revokes, with the reason it gives.

    It must be signed by one of ``roots``. A list past its next update still revokes: what it says stays
    true, only what it does not say is uncertain (RFC 5280 section 6.3).

    Raises:
        VerificationFailed: it cannot be read, is partial, from the future, or not by a manufacturer we know.
    """
    crl = _read(data)
    if not any(_signed_by(crl, load_certificate(root)) for root in roots):
        raise VerificationFailed(
            "The revocation list is signed by no manufacturer's root of the signed metadata.",
            hint="Get it from the manufacturer, and have its root signed into targets first.",
        )
    if crl.last_update_utc > now:
        issued = f"{crl.last_update_utc:%Y-%m-%d %H:%M}Z"
        raise VerificationFailed(f"The revocation list is of the future: {issued}.")
    return {_serial(crl.issuer, entry.serial_number): said for entry in crl if (said := _reason(entry))}


def _read(data: bytes) -> x509.CertificateRevocationList:
    if len(data) > MAX_LIST:
        raise VerificationFailed(f"The revocation list is longer than {MAX_LIST} bytes.")
    try:
        pem = data.lstrip().startswith(_PEM)
        crl = x509.load_pem_x509_crl(data) if pem else x509.load_der_x509_crl(data)
        extensions = list(crl.extensions)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise VerificationFailed("The file is not a certificate revocation list (PEM or DER).") from error
    for extension in extensions:
        partial = isinstance(extension.value, x509.DeltaCRLIndicator | x509.IssuingDistributionPoint)
        if partial or (extension.critical and isinstance(extension.value, x509.UnrecognizedExtension)):
            raise VerificationFailed("The revocation list is a delta or partial list; give the whole one.")
    return crl


def _signed_by(crl: x509.CertificateRevocationList, root: x509.Certificate) -> bool:
    key = root.public_key()
    used = crl.signature_hash_algorithm
    if crl.issuer != root.subject or used is None or used.name not in _STRONG:
        return False
    if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        return False
    try:
        usage = root.extensions.get_extension_for_class(x509.KeyUsage).value
        return usage.crl_sign and crl.is_signature_valid(key)
    except x509.ExtensionNotFound:
        return crl.is_signature_valid(key)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return False


def _reason(entry: x509.RevokedCertificate) -> str:
    """What the list says of it; "" for an entry that only lifts a hold."""
    try:
        reason = entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
    except x509.ExtensionNotFound:
        return f"revoked on {entry.revocation_date_utc:%Y-%m-%d}"
    except ValueError:
        return f"revoked on {entry.revocation_date_utc:%Y-%m-%d}, for a reason that cannot be read"
    if reason is x509.ReasonFlags.remove_from_crl:
        return ""
    return f"revoked on {entry.revocation_date_utc:%Y-%m-%d} ({reason.value})"


def _serial(issuer: x509.Name, serial: int) -> str:
    return serial_subject(hashlib.sha256(issuer.public_bytes()).hexdigest(), serial)
