"""A manufacturer for development: a root, a signing certificate per scheme, signed images.

Used by the demo, the simulator's bench and tests. Nothing here belongs in production: real
manufacturers hold their own keys and hand over signatures and certificates only.
"""

import base64
import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from signing.errors import KeyUnavailable
from signing.keys import write_new
from storage.artifact import VendorSignature
from storage.charger import SignatureScheme

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

_ROOT_LIFE = timedelta(days=3650)
_LEAF_LIFE = timedelta(days=180)


@dataclass(frozen=True, slots=True)
class DevelopmentLeaf:
    """A firmware signing key with its certificate (PEM)."""

    scheme: SignatureScheme
    key: PrivateKey
    certificate: str

    def sign_digest(self, digest: bytes) -> VendorSignature:
        """Sign a SHA-256 digest as this scheme asks."""
        prehashed = Prehashed(hashes.SHA256())
        if isinstance(self.key, ec.EllipticCurvePrivateKey):
            signature = self.key.sign(digest, ec.ECDSA(prehashed))
        else:
            signature = self.key.sign(digest, _padding(self.scheme), prehashed)
        return VendorSignature(self.scheme, base64.b64encode(signature).decode(), self.certificate)

    def sign(self, image: bytes) -> VendorSignature:
        """Sign a whole image."""
        return self.sign_digest(hashlib.sha256(image).digest())


@dataclass(frozen=True, slots=True)
class DevelopmentManufacturer:
    """A manufacturer's root (P-256), from which signing certificates are issued."""

    name: str
    key: ec.EllipticCurvePrivateKey
    root: str
    """PEM; what a charger, and the vendor role's policy, trusts."""

    @classmethod
    def create(cls, name: str, now: datetime) -> "DevelopmentManufacturer":
        """A new root, valid from a day ago for ten years."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _name(name, f"{name} development root")
        builder = _builder(subject, subject, key.public_key(), now, _ROOT_LIFE)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(_usage(sign_certificates=True), critical=True)
        return cls(name, key, _pem(builder.sign(key, hashes.SHA256())))

    def leaf(
        self, scheme: SignatureScheme, now: datetime, *, life: timedelta = _LEAF_LIFE, rsa_bits: int = 3072
    ) -> DevelopmentLeaf:
        """A signing certificate for one scheme, valid from a day ago."""
        key: PrivateKey = (
            ec.generate_private_key(ec.SECP256R1())
            if scheme is SignatureScheme.ECDSA_P256
            else rsa.generate_private_key(public_exponent=65537, key_size=rsa_bits)
        )
        issuer = x509.load_pem_x509_certificate(self.root.encode()).subject
        subject = _name(self.name, f"{self.name} development firmware signing")
        builder = _builder(subject, issuer, key.public_key(), now, life)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_usage(sign_certificates=False), critical=True)
        return DevelopmentLeaf(scheme, key, _pem(builder.sign(self.key, hashes.SHA256())))


def ensure_manufacturer(folder: Path, name: str, now: datetime) -> DevelopmentManufacturer:
    """The manufacturer whose root lives in ``folder``, created at the first call (key 0600)."""
    path = folder / f"{name}-manufacturer.pem"
    if not path.exists():
        made = DevelopmentManufacturer.create(name, now)
        write_new(path, _private_pem(made.key) + made.root.encode(), 0o600)
    text = path.read_text()
    key = load_pem_private_key(text.encode(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise KeyUnavailable(f"{path} holds no P-256 key.")
    return DevelopmentManufacturer(name, key, text[text.index("-----BEGIN CERTIFICATE-----") :])


def ensure_leaf(
    folder: Path, manufacturer: DevelopmentManufacturer, scheme: SignatureScheme, now: datetime
) -> DevelopmentLeaf:
    """The manufacturer's signing certificate for a scheme, kept in ``folder`` (key 0600)."""
    path = folder / f"{manufacturer.name}-{scheme.value}.pem"
    if not path.exists():
        made = manufacturer.leaf(scheme, now)
        write_new(path, _private_pem(made.key) + made.certificate.encode(), 0o600)
    text = path.read_text()
    key = load_pem_private_key(text.encode(), None)
    if not isinstance(key, PrivateKey):
        raise KeyUnavailable(f"{path} holds neither a P-256 nor an RSA key.")
    return DevelopmentLeaf(scheme, key, text[text.index("-----BEGIN CERTIFICATE-----") :])


def _padding(scheme: SignatureScheme) -> padding.AsymmetricPadding:
    if scheme is SignatureScheme.RSA_PSS:
        return padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)
    return padding.PKCS1v15()


def _name(organisation: str, common: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
            x509.NameAttribute(NameOID.COMMON_NAME, common[:64]),
        ]
    )


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public: ec.EllipticCurvePublicKey | rsa.RSAPublicKey,
    now: datetime,
    life: timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + life)
    )


def _usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()


def _private_pem(key: PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
