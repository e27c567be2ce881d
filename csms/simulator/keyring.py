"""The certificates of a charger: roots that the server installs, and its own with its key."""

import hashlib
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID

CSMS_ROOTS = frozenset({"CSMSRootCertificate", "CentralSystemRootCertificate"})
"""2.x's word and 1.6's."""
_MOST = 16
"""Roots that fit into its flash."""


@dataclass(frozen=True, slots=True)
class HashData:
    """A certificate by its hashes (OCPP CertificateHashDataType), SHA-256, lower case hexadecimal."""

    issuer_name: str
    issuer_key: str
    serial: str


@dataclass(frozen=True, slots=True)
class Installed:
    """A root and what it is for, in the dialect's own word."""

    use: str
    hash_data: HashData
    pem: str


def hash_data(certificate: x509.Certificate, issuer: x509.Certificate | None = None) -> HashData:
    """RFC 6960 4.1.1: the issuer's name and the bits of its key; a root is its own issuer."""
    key = (issuer or certificate).public_key()
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return HashData(
        hashlib.sha256(certificate.issuer.public_bytes()).hexdigest(),
        hashlib.sha256(_bits(spki)).hexdigest(),
        f"{certificate.serial_number:x}",
    )


def _bits(spki: bytes) -> bytes:
    """The BIT STRING of a SubjectPublicKeyInfo without its tag, length and unused bits."""
    # SEQUENCE { SEQUENCE algorithm, BIT STRING }: skip the outer header, then the first element.
    _, body, _ = _element(spki)
    _, _, rest = _element(body)
    _, bits, _ = _element(rest)
    return bits[1:]


def _element(data: bytes) -> tuple[int, bytes, bytes]:
    tag, first = data[0], data[1]
    if first < 0x80:
        start, length = 2, first
    else:
        count = first & 0x7F
        start, length = 2 + count, int.from_bytes(data[2 : 2 + count])
    return tag, data[start : start + length], data[start + length :]


@dataclass(slots=True)
class Keyring:
    """Everything is kept over restarts."""

    serial: str
    roots: list[Installed] = field(default_factory=list)
    chain: str | None = None
    """The certificate of its own that counts, with its intermediates."""
    key: str | None = field(default=None, repr=False)
    """Its private key, PEM."""
    _pending: ec.EllipticCurvePrivateKey | None = None
    _fallback: tuple[str, str] | None = None
    """Certificate and key that it had before."""

    @classmethod
    def made(cls, held: tuple[str, str | None, str | None], use: str, roots: tuple[str, ...]) -> "Keyring":
        """As it left the factory: its certificate and key if it has one, and the server's roots."""
        serial, chain, key = held
        keyring = cls(serial, chain=chain, key=key)
        for pem in roots:
            keyring.install(use, pem)
        return keyring

    def install(self, use: str, pem: str) -> str:
        """M05: only a self-signed root (``Failed``: it cannot be read; ``Rejected``: it is none)."""
        try:
            certificate = x509.load_pem_x509_certificate(pem.encode())
            certificate.verify_directly_issued_by(certificate)
        except (ValueError, TypeError):
            return "Failed"
        except Exception:  # noqa: BLE001 - cryptography's InvalidSignature has no common base
            return "Rejected"
        new = Installed(use, hash_data(certificate), pem)
        if any((root.use, root.hash_data) == (use, new.hash_data) for root in self.roots):
            return "Accepted"
        if len(self.roots) >= _MOST:
            return "Rejected"
        self.roots.append(new)
        return "Accepted"

    def listed(self, uses: tuple[str, ...]) -> list[Installed]:
        """M03; no uses: all."""
        return [root for root in self.roots if not uses or root.use in uses]

    def delete(self, data: HashData) -> str:
        """M04."""
        kept = [root for root in self.roots if root.hash_data != data]
        if len(kept) == len(self.roots):
            return "NotFound"
        self.roots = kept
        return "Accepted"

    def request(self, organization: str) -> str:
        """A02: a fresh key and a request for it; the subject's name is the serial number (A00.FR.405)."""
        self._pending = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name(
            [
                x509.NameAttribute(NameOID.COMMON_NAME, self.serial),
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization or "Unknown"),
            ]
        )
        request = x509.CertificateSigningRequestBuilder().subject_name(subject)
        return request.sign(self._pending, hashes.SHA256()).public_bytes(Encoding.PEM).decode()

    def take(self, chain: str) -> str:
        """CertificateSigned: only for the key that was asked for, and only what can be read."""
        try:
            leaf, *_ = x509.load_pem_x509_certificates(chain.encode())
        except ValueError:
            return "Rejected"
        if self._pending is None or leaf.public_key() != self._pending.public_key():
            return "Rejected"
        if self.chain is not None and self.key is not None:
            self._fallback = (self.chain, self.key)
        self.chain, self.key, self._pending = chain, _pem(self._pending), None
        return "Accepted"

    def fall_back(self) -> bool:
        """A02.FR.10: the server refuses the newest certificate, so the one before is tried again."""
        if self._fallback is None or self.chain is None or self.key is None:
            return False
        (self.chain, self.key), self._fallback = self._fallback, (self.chain, self.key)
        return True

    def csms_roots(self) -> tuple[str, ...]:
        """The roots that it knows the server by."""
        return tuple(root.pem for root in self.roots if root.use in CSMS_ROOTS)

    @property
    def own_serial(self) -> str | None:
        """The serial number of its own certificate, lower case hexadecimal."""
        if self.chain is None:
            return None
        return f"{x509.load_pem_x509_certificates(self.chain.encode())[0].serial_number:x}"


def _pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
