"""Signing requests of chargers, right ones and wrong ones."""

from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

SERIAL, ORGANIZATION = "SN-0001", "Ampwave"
SHA256 = hashes.SHA256()


@cache
def key_of(kind: str) -> Any:
    """A key; made once of each kind, since RSA keys take their time."""
    if kind.startswith("rsa"):
        return rsa.generate_private_key(public_exponent=65537, key_size=int(kind[3:]))
    curves = {"p256": ec.SECP256R1, "p384": ec.SECP384R1, "p224": ec.SECP224R1, "k256": ec.SECP256K1}
    return (
        ed25519.Ed25519PrivateKey.generate() if kind == "ed25519" else ec.generate_private_key(curves[kind]())
    )


def csr(
    *names: str,
    organizations: tuple[str, ...] = (ORGANIZATION,),
    kind: str = "p256",
    extensions: tuple[x509.ExtensionType, ...] = (),
    algorithm: Any = SHA256,
    key: Any = None,
) -> str:
    """A signing request, PEM; without names that of the charger."""
    subject = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, each) for each in organizations]
    subject += [x509.NameAttribute(NameOID.COMMON_NAME, each) for each in names or (SERIAL,)]
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(subject))
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    signer = key or key_of(kind)
    used = None if kind == "ed25519" else algorithm
    return builder.sign(signer, used).public_bytes(Encoding.PEM).decode()


def forged() -> str:
    """A request with another's public key in it: whoever made it does not hold that key."""
    form = Encoding.X962, PublicFormat.UncompressedPoint
    mine, other = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    der = x509.load_pem_x509_csr(csr(key=mine).encode()).public_bytes(Encoding.DER)
    mixed = der.replace(mine.public_key().public_bytes(*form), other.public_key().public_bytes(*form))
    return x509.load_der_x509_csr(mixed).public_bytes(Encoding.PEM).decode()
