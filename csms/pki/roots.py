"""Roots that are installed on chargers: is it one at all (S60), and how OCPP names it."""

import hashlib
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from csms.commands import Command, InstallCertificate
from csms.pki.certificates import UNREADABLE, name_of
from csms.pki.path import MIN_EC_BITS, MIN_RSA_BITS
from storage.certificate_use import CertificateHash, HashAlgorithm
from storage.errors import InvalidInput

MAX_CHARACTERS = 5500
"""Of InstallCertificate.certificate."""


def root_problem(pem: str, at: datetime) -> str:
    """Why this must not be installed as a root (M05); "": it is one.

    A charger that took something else may keep it, and trust nobody any more (EVerest#2109).
    """
    if len(pem) > MAX_CHARACTERS:
        return f"it has {len(pem)} characters; {MAX_CHARACTERS} at most"
    if pem.count("-----BEGIN CERTIFICATE-----") != 1:
        return "it is not one certificate in PEM"
    try:
        certificate = x509.load_pem_x509_certificate(pem.encode())
        return _fault(certificate, at)
    except UNREADABLE as error:
        return f"it cannot be read as a certificate: {type(error).__name__}"


def _fault(root: x509.Certificate, at: datetime) -> str:
    try:
        root.verify_directly_issued_by(root)
    except (InvalidSignature, ValueError, TypeError, UnsupportedAlgorithm):
        return f"it is no root: it was issued by {name_of(root.issuer)!r}, not by itself"
    try:
        constraints = root.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        return "it is no certificate of an authority (no basic constraints)"
    if not constraints.ca:
        return "it is no certificate of an authority (CA:FALSE)"
    if not root.not_valid_before_utc <= at < root.not_valid_after_utc:
        return f"it holds from {root.not_valid_before_utc:%Y-%m-%d} to {root.not_valid_after_utc:%Y-%m-%d}"
    key = root.public_key()
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < MIN_RSA_BITS:
        return f"its RSA key has only {key.key_size} bits"
    if isinstance(key, ec.EllipticCurvePublicKey) and key.key_size < MIN_EC_BITS:
        return f"its EC key has only {key.key_size} bits"
    return ""


def refuse_no_root(command: Command, at: datetime) -> None:
    """Whatever asks for it, nothing but a root is installed (S60). Raises InvalidInput; nothing was sent."""
    if isinstance(command, InstallCertificate) and (problem := root_problem(command.certificate, at)):
        raise InvalidInput("This is not installed on a charger.", [problem], hint="Only roots are installed.")


def root_hashes(pem: str) -> tuple[CertificateHash, ...]:
    """A root as any charger may name it: by each hash that OCPP knows (RFC 6960 CertID)."""
    root = x509.load_pem_x509_certificate(pem.encode())
    name, key = root.issuer.public_bytes(), _bits(root)
    return tuple(
        CertificateHash(
            algorithm,
            hashlib.new(algorithm.value, name).hexdigest(),
            hashlib.new(algorithm.value, key).hexdigest(),
            f"{root.serial_number:x}",
        )
        for algorithm in HashAlgorithm
    )


def _bits(root: x509.Certificate) -> bytes:
    """The public key without its algorithm: what is in the BIT STRING."""
    key = root.public_key()
    if isinstance(key, ec.EllipticCurvePublicKey):
        return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return key.public_bytes(Encoding.DER, PublicFormat.PKCS1)
