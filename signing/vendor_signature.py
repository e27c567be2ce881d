"""The vendor's OCPP firmware signature and its certificate: does it hold? Pure.

The scheme is a setting of the charger's model, never guessed (S33). RSA-PSS means SHA-256, MGF1 with
SHA-256 and a salt of exactly 32 bytes: what every charger accepts, whether it insists on the digest's
length or takes any; a signature with another salt is refused at approval, with the reason.
Only a digest is needed, so the size of the image does not matter (S39).
"""

import base64
import binascii
import hashlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtensionOID

from signing.errors import VendorSignatureBad
from storage.artifact import VendorSignature
from storage.charger import SignatureScheme

# OCPP 2.0.1 FirmwareType and 1.6 security whitepaper: longest field values (S34).
MAX_SIGNATURE = 800
MAX_CERTIFICATE = 5500
MAX_LOCATION = 512
"""OCPP 2.1 allows 2,000, but one address serves chargers of every generation."""
MIN_RSA_BITS = 2048

_DIGEST = Prehashed(hashes.SHA256())
_PSS_32 = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)
_PSS_ANY = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=padding.PSS.AUTO)
_STRONG_HASHES = (hashes.SHA256, hashes.SHA384, hashes.SHA512)
_KNOWN_CRITICAL = {
    ExtensionOID.BASIC_CONSTRAINTS,
    ExtensionOID.KEY_USAGE,
    ExtensionOID.EXTENDED_KEY_USAGE,
    ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
}


def verify_vendor_signature(
    proof: VendorSignature, digest: bytes, at: datetime, roots: Iterable[str] = ()
) -> None:
    """Raise VendorSignatureBad, with every reason, unless signature and certificate hold at ``at``.

    ``digest`` is the SHA-256 of the whole file, ``roots`` the manufacturer's root certificates (PEM);
    with none configured the certificate stands for itself.
    """
    problems = vendor_signature_problems(proof, digest, at, roots)
    if problems:
        raise VendorSignatureBad(
            f"The {proof.scheme.value} vendor signature does not hold: {'; '.join(problems)}.",
            hint="Ask the manufacturer for a signature over this very file, or correct the model's scheme.",
        )


def vendor_signature_problems(
    proof: VendorSignature, digest: bytes, at: datetime, roots: Iterable[str] = ()
) -> list[str]:
    """Everything that is wrong, in words; empty when it holds."""
    problems = []
    if len(proof.signature) > MAX_SIGNATURE:
        problems.append(f"the signature has {len(proof.signature)} characters, OCPP allows {MAX_SIGNATURE}")
    if len(proof.certificate) > MAX_CERTIFICATE:
        problems.append(
            f"the certificate has {len(proof.certificate)} characters, OCPP allows {MAX_CERTIFICATE}"
        )
    try:
        certificate = load_certificate(proof.certificate)
    except VendorSignatureBad as error:
        return [*problems, error.message]
    problems += certificate_problems(certificate, at, roots)
    problems += _signature_problems(proof, certificate, digest)
    return problems


def load_certificate(pem: str) -> x509.Certificate:
    """Exactly one PEM certificate. Raises VendorSignatureBad."""
    text = pem.strip()
    if not text.startswith("-----BEGIN CERTIFICATE-----") or not text.endswith("-----END CERTIFICATE-----"):
        raise VendorSignatureBad("the certificate is not one PEM block")
    try:
        found = x509.load_pem_x509_certificates(text.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise VendorSignatureBad("the certificate cannot be read") from error
    if len(found) != 1:
        raise VendorSignatureBad(f"there are {len(found)} certificates where OCPP takes one, no chain")
    return found[0]


def certificate_fingerprint(pem: str) -> str:
    """SHA-256 (hex) of the certificate, for evidence."""
    return hashlib.sha256(load_certificate(pem).public_bytes(Encoding.DER)).hexdigest()


def valid_until(proofs: Iterable[VendorSignature]) -> datetime | None:
    """When the first of these signing certificates expires; None: there is none that can be read."""
    ends = []
    for proof in proofs:
        with suppress(VendorSignatureBad):
            ends.append(load_certificate(proof.certificate).not_valid_after_utc)
    return min(ends, default=None)


def location_problems(location: str) -> list[str]:
    """What keeps a download address from a charger (S34)."""
    if len(location) > MAX_LOCATION:
        return [
            f"download addresses have {len(location)} characters, OCPP 1.6 and 2.0.1 allow {MAX_LOCATION}"
        ]
    return []


def certificate_problems(certificate: x509.Certificate, at: datetime, roots: Iterable[str] = ()) -> list[str]:
    """Validity, usage, key strength and issuer of a firmware signing certificate (S35)."""
    problems = _validity_problems("the certificate", certificate, at)
    problems += _extension_problems(certificate)
    problems += _strength_problems(certificate)
    trusted = [load_certificate(root) for root in roots]
    if trusted and not any(_issued_by(certificate, root) for root in trusted):
        problems.append("the certificate does not chain to a root of this manufacturer")
    for root in trusted:
        if _issued_by(certificate, root):
            problems += _validity_problems("the manufacturer's root", root, at)
    return problems


def _validity_problems(what: str, certificate: x509.Certificate, at: datetime) -> list[str]:
    if at < certificate.not_valid_before_utc:
        return [f"{what} is not valid before {certificate.not_valid_before_utc:%Y-%m-%d %H:%M}Z"]
    if at > certificate.not_valid_after_utc:
        return [f"{what} expired at {certificate.not_valid_after_utc:%Y-%m-%d %H:%M}Z"]
    return []


def _extension_problems(certificate: x509.Certificate) -> list[str]:
    problems = []
    try:
        extensions = certificate.extensions
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return ["the certificate's extensions cannot be read"]
    found = {extension.oid: extension.value for extension in extensions}
    usage = found.get(ExtensionOID.KEY_USAGE)
    if not isinstance(usage, x509.KeyUsage) or not usage.digital_signature:
        problems.append("the certificate's key usage is not digitalSignature")
    basic = found.get(ExtensionOID.BASIC_CONSTRAINTS)
    if isinstance(basic, x509.BasicConstraints) and basic.ca:
        problems.append("the certificate is a CA's, which must not sign firmware")
    # RFC 5280 section 4.2: a critical extension that is not understood means refusal.
    problems += [
        f"the certificate has an unknown critical extension {extension.oid.dotted_string}"
        for extension in extensions
        if extension.critical and extension.oid not in _KNOWN_CRITICAL
    ]
    return problems


def _strength_problems(certificate: x509.Certificate) -> list[str]:
    problems = []
    try:
        key = certificate.public_key()
        algorithm = certificate.signature_hash_algorithm
    except (ValueError, UnsupportedAlgorithm):
        return ["the certificate's key or signature is of an unknown kind"]
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < MIN_RSA_BITS:
        problems.append(f"the certificate's RSA key has {key.key_size} bits, needs {MIN_RSA_BITS}")
    elif isinstance(key, ec.EllipticCurvePublicKey) and not isinstance(key.curve, ec.SECP256R1):
        problems.append(f"the certificate's curve is {key.curve.name}, needs P-256")
    elif not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        problems.append("the certificate's key is neither RSA nor P-256")
    if not isinstance(algorithm, _STRONG_HASHES):
        problems.append(f"the certificate is signed with {algorithm.name if algorithm else 'no hash'}")
    return problems


def _issued_by(certificate: x509.Certificate, root: x509.Certificate) -> bool:
    """Directly: same name, signature of the root's key, and the root may issue certificates."""
    try:
        basic = root.extensions.get_extension_for_class(x509.BasicConstraints).value
        certificate.verify_directly_issued_by(root)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm, x509.ExtensionNotFound):
        return False
    return basic.ca


def _signature_problems(proof: VendorSignature, certificate: x509.Certificate, digest: bytes) -> list[str]:
    try:
        signature = base64.b64decode(proof.signature, validate=True)
    except (binascii.Error, ValueError):
        return ["the signature is not base64"]
    if _CHECKS[proof.scheme](certificate, signature, digest):
        return []
    if proof.scheme is SignatureScheme.RSA_PSS and _holds_rsa(certificate, signature, digest, _PSS_ANY):
        return ["the signature's PSS salt is not 32 bytes long (openssl: -sigopt rsa_pss_saltlen:digest)"]
    for other, check in _CHECKS.items():
        if check(certificate, signature, digest):
            return [f"the signature is {other.value}, not {proof.scheme.value}"]
    return ["the signature does not fit the file and the certificate"]


def _holds_ecdsa(certificate: x509.Certificate, signature: bytes, digest: bytes) -> bool:
    try:
        key = certificate.public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
            return False
        key.verify(signature, digest, ec.ECDSA(_DIGEST))
    except (InvalidSignature, ValueError, UnsupportedAlgorithm):
        return False
    return True


def _holds_rsa(
    certificate: x509.Certificate, signature: bytes, digest: bytes, scheme: padding.AsymmetricPadding
) -> bool:
    try:
        key = certificate.public_key()
        if not isinstance(key, rsa.RSAPublicKey):
            return False
        key.verify(signature, digest, scheme, _DIGEST)
    except (InvalidSignature, ValueError, UnsupportedAlgorithm):
        return False
    return True


_CHECKS: dict[SignatureScheme, Callable[[x509.Certificate, bytes, bytes], bool]] = {
    SignatureScheme.ECDSA_P256: _holds_ecdsa,
    SignatureScheme.RSA_PSS: lambda cert, sig, digest: _holds_rsa(cert, sig, digest, _PSS_32),
    SignatureScheme.RSA_PKCS1V15: lambda cert, sig, digest: _holds_rsa(cert, sig, digest, padding.PKCS1v15()),
}
