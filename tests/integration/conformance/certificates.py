"""Keys, signing requests and certificates of the cases, and how OCPP names an installed certificate."""

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from storage.clock import system_clock

SERIAL = "SN-1"


def _name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Ampwave Test"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


@dataclass(frozen=True, slots=True)
class Authority:
    """A root that signs what stations ask for."""

    key: ec.EllipticCurvePrivateKey
    root: x509.Certificate

    @classmethod
    def create(cls, name: str = "Ampwave Test Root") -> "Authority":
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _valid(x509.CertificateBuilder()).subject_name(_name(name)).issuer_name(_name(name))
        builder = builder.public_key(key.public_key())
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        return cls(key, builder.sign(key, hashes.SHA256()))

    @property
    def pem(self) -> str:
        return self.root.public_bytes(Encoding.PEM).decode()

    def sign(self, csr_pem: str) -> str:
        """The chain for a signing request: its leaf."""
        request = x509.load_pem_x509_csr(csr_pem.encode())
        builder = _valid(x509.CertificateBuilder()).subject_name(request.subject)
        builder = builder.issuer_name(self.root.subject).public_key(request.public_key())
        return builder.sign(self.key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def _valid(builder: x509.CertificateBuilder) -> x509.CertificateBuilder:
    now = system_clock()
    builder = builder.serial_number(x509.random_serial_number())
    return builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=30))


@dataclass(frozen=True, slots=True)
class StationKey:
    """A station's key, and its wish to have it certified."""

    key: ec.EllipticCurvePrivateKey
    csr: str

    @classmethod
    def create(cls) -> "StationKey":
        key = ec.generate_private_key(ec.SECP256R1())
        request = (
            x509.CertificateSigningRequestBuilder().subject_name(_name(SERIAL)).sign(key, hashes.SHA256())
        )
        return cls(key, request.public_bytes(Encoding.PEM).decode())

    def spoilt_csr(self) -> str:
        """The same request with another's public key in it: its signature does not hold."""
        form = Encoding.X962, PublicFormat.UncompressedPoint
        other = StationKey.create().key.public_key().public_bytes(*form)
        der = x509.load_pem_x509_csr(self.csr.encode()).public_bytes(Encoding.DER)
        forged = der.replace(self.key.public_key().public_bytes(*form), other)
        return x509.load_der_x509_csr(forged).public_bytes(Encoding.PEM).decode()

    def accepts(self, chain: str, authority: Authority) -> None:
        """What a station checks before it says Accepted (A02.FR.06)."""
        leaf = x509.load_pem_x509_certificates(chain.encode())[0]
        leaf.verify_directly_issued_by(authority.root)
        form = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        assert leaf.public_key().public_bytes(*form) == self.key.public_key().public_bytes(*form)
        (common_name,) = leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        assert common_name.value == SERIAL


def hash_data(certificate: x509.Certificate, algorithm: str = "SHA256") -> dict[str, Any]:
    """CertificateHashDataType of a self-signed root, as a station computes it (RFC 6960 CertID)."""
    bits = certificate.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    digest = {"SHA256": hashlib.sha256, "SHA384": hashlib.sha384, "SHA512": hashlib.sha512}[algorithm]
    return {
        "hashAlgorithm": algorithm,
        "issuerNameHash": digest(certificate.issuer.public_bytes()).hexdigest(),
        "issuerKeyHash": digest(bits).hexdigest(),
        "serialNumber": f"{certificate.serial_number:x}",
    }
