"""The invented manufacturer behind the brands: its root, its signing certificates, its signatures.

One firmware family serves all brands, so one image is signed once per scheme. Keys live in memory
only, for benches, tests and the demo.
"""

import base64
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID

from storage.charger import SignatureScheme

_LIFE = timedelta(days=365)
_ORGANISATION = "Wadebridge Works"

SigningKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True, slots=True)
class SigningIdentity:
    """A firmware signing key with its certificate, issued by the root itself (OCPP L01: no intermediates)."""

    key: SigningKey
    certificate: str

    def sign(self, scheme: SignatureScheme, image: bytes) -> str:
        """Base64 signature over the whole file, SHA-256."""
        return base64.b64encode(_sign(self.key, scheme, image)).decode()


@dataclass(frozen=True, slots=True)
class Manufacturer:
    """A root and one signing identity per scheme."""

    root: str
    identities: dict[SignatureScheme, SigningIdentity]

    def sign(self, scheme: SignatureScheme, image: bytes) -> tuple[str, str]:
        """(base64 signature, certificate PEM) of an image."""
        identity = self.identities[scheme]
        return identity.sign(scheme, image), identity.certificate


def found_manufacturer(now: datetime, name: str = _ORGANISATION) -> Manufacturer:
    """Make root, keys and certificates, valid from an hour before ``now`` for a year."""
    root_key = ec.generate_private_key(ec.SECP256R1())
    subject = _name(name, "Root")
    root = _certificate(subject, subject, root_key, root_key, now)
    rsa_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    keys: dict[SignatureScheme, SigningKey] = {
        SignatureScheme.ECDSA_P256: ec.generate_private_key(ec.SECP256R1()),
        SignatureScheme.RSA_PSS: rsa_key,
        SignatureScheme.RSA_PKCS1V15: rsa_key,
    }
    identities = {
        scheme: SigningIdentity(key, _certificate(subject, _name(name, "Firmware"), key, root_key, now))
        for scheme, key in keys.items()
    }
    return Manufacturer(root, identities)


def _name(organisation: str, purpose: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
            x509.NameAttribute(NameOID.COMMON_NAME, f"{organisation} {purpose}"),
        ]
    )


def _certificate(
    issuer: x509.Name,
    subject: x509.Name,
    key: SigningKey,
    root_key: ec.EllipticCurvePrivateKey,
    now: datetime,
) -> str:
    is_root = issuer == subject
    builder = (
        x509.CertificateBuilder()
        .issuer_name(issuer)
        .subject_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + _LIFE)
        .add_extension(x509.BasicConstraints(ca=is_root, path_length=0 if is_root else None), critical=True)
        .add_extension(_usage(is_root=is_root), critical=True)
    )
    return builder.sign(root_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def _usage(*, is_root: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_root,
        key_cert_sign=is_root,
        crl_sign=is_root,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _sign(key: SigningKey, scheme: SignatureScheme, image: bytes) -> bytes:
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(image, ec.ECDSA(hashes.SHA256()))
    if scheme is SignatureScheme.RSA_PSS:
        salted = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
        return key.sign(image, salted, hashes.SHA256())
    return key.sign(image, padding.PKCS1v15(), hashes.SHA256())
