"""The charger's own check of firmware: certificate against its roots, signature over the file."""

import base64
import binascii
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from storage.charger import SignatureScheme

_DIGEST = Prehashed(hashes.SHA256())
_SALTED = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.AUTO)
_KEY_TYPES: dict[SignatureScheme, type[ec.EllipticCurvePublicKey] | type[rsa.RSAPublicKey]] = {
    SignatureScheme.ECDSA_P256: ec.EllipticCurvePublicKey,
    SignatureScheme.RSA_PSS: rsa.RSAPublicKey,
    SignatureScheme.RSA_PKCS1V15: rsa.RSAPublicKey,
}


def certificate_problem(
    pem: str, roots: tuple[x509.Certificate, ...], scheme: SignatureScheme, now: datetime
) -> str | None:
    """Why this certificate may not sign firmware for a charger of this scheme, or None if it may."""
    try:
        certificate = x509.load_pem_x509_certificate(pem.encode())
    except ValueError:
        return "the certificate cannot be read"
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        return "the certificate is not valid now"
    if not isinstance(certificate.public_key(), _KEY_TYPES[scheme]):
        return f"the certificate's key is not one for {scheme.value}"
    if not any(_issued_by(certificate, root) for root in roots):
        return "no installed manufacturer root issued the certificate"
    return None


def _issued_by(certificate: x509.Certificate, root: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(root)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def signature_holds(pem: str, scheme: SignatureScheme, signature: str, sha256: bytes) -> bool:
    """Whether the base64 signature is the certificate's, over a file with this SHA-256."""
    key = x509.load_pem_x509_certificate(pem.encode()).public_key()
    try:
        raw = base64.b64decode(signature, validate=True)
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(raw, sha256, ec.ECDSA(_DIGEST))
        elif isinstance(key, rsa.RSAPublicKey):
            chosen = _SALTED if scheme is SignatureScheme.RSA_PSS else padding.PKCS1v15()
            key.verify(raw, sha256, chosen, _DIGEST)
        else:
            return False
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True
