"""Keys, signing requests and certificates of the cases, and how OCPP names an installed certificate."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID

from csms.tls import CertificateFiles
from storage.clock import system_clock
from tests.integration.conformance.station import SERIAL

HOST = "127.0.0.1"


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
        return self._leaf(request.subject, request.public_key(), since=-1).decode()

    def server(self, folder: Path, key: Any) -> CertificateFiles:
        """A server certificate for this host, as files."""
        pem = self._leaf(_name(HOST), key.public_key(), since=-1)
        return CertificateFiles(*_written(folder, "server", pem, key))

    def client(self, folder: Path, common_name: str = SERIAL, since: int = -1) -> tuple[Path, Path]:
        """A station's certificate and key, as files; valid for 30 days since then."""
        key = ec.generate_private_key(ec.SECP256R1())
        return _written(folder, "client", self._leaf(_name(common_name), key.public_key(), since), key)

    def _leaf(self, subject: x509.Name, public_key: Any, since: int) -> bytes:
        builder = _valid(x509.CertificateBuilder(), since).subject_name(subject)
        builder = builder.issuer_name(self.root.subject).public_key(public_key)
        host = x509.SubjectAlternativeName([x509.IPAddress(ip_address(HOST))])
        builder = builder.add_extension(host, critical=False)
        return builder.sign(self.key, hashes.SHA256()).public_bytes(Encoding.PEM)


def _valid(builder: x509.CertificateBuilder, since: int = -1) -> x509.CertificateBuilder:
    start = system_clock() + timedelta(days=since)
    builder = builder.serial_number(x509.random_serial_number())
    return builder.not_valid_before(start).not_valid_after(start + timedelta(days=30))


def _written(folder: Path, what: str, certificate: bytes, key: Any) -> tuple[Path, Path]:
    stem = f"{what}-{secrets.token_hex(4)}"
    paths = folder / f"{stem}.pem", folder / f"{stem}.key"
    paths[0].write_bytes(certificate)
    paths[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return paths


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

    def files(self, folder: Path, chain: str) -> tuple[Path, Path]:
        """The key with its new certificate."""
        return _written(folder, "renewed", chain.encode(), self.key)

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
