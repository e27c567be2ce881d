"""Authorities, certificates, revocation lists and OCSP responses, right ones and wrong ones."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509 import ocsp
from cryptography.x509.oid import NameOID

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY = timedelta(days=1)

_keys: dict[str, Any] = {}


def key(kind: str = "ec", name: str = "") -> Any:
    """A private key; made once per name, since RSA keys take their time."""
    known = f"{kind}/{name}"
    if known not in _keys:
        _keys[known] = (
            ec.generate_private_key({"ec": ec.SECP256R1, "ec192": ec.SECP192R1}[kind]())
            if kind.startswith("ec")
            else rsa.generate_private_key(public_exponent=65537, key_size=int(kind.removeprefix("rsa")))
        )
    return _keys[known]


def name(*common_names: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, each) for each in common_names])


def usage(*words: str) -> x509.KeyUsage:
    every = (
        *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"),
        *("key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
    )
    return x509.KeyUsage(**{word: word in words for word in every})


@dataclass(frozen=True)
class Issued:
    """A certificate with its key, and the certificates between it and its root."""

    certificate: x509.Certificate
    key: Any
    chain: tuple[x509.Certificate, ...] = ()

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def serial(self) -> int:
        return self.certificate.serial_number

    def chain_pem(self) -> bytes:
        return b"".join(each.public_bytes(Encoding.PEM) for each in (self.certificate, *self.chain))

    def key_pem(self) -> bytes:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def write(self, folder: Path, stem: str) -> tuple[Path, Path]:
        """Chain and key as PEM files."""
        chain, key_file = folder / f"{stem}.pem", folder / f"{stem}.key"
        chain.write_bytes(self.chain_pem())
        key_file.write_bytes(self.key_pem())
        return chain, key_file


@dataclass
class Authority:
    """Issues what it is told, right or wrong."""

    issued: Issued
    now: datetime
    revoked: dict[int, datetime] = field(default_factory=dict)

    @classmethod
    def root(cls, title: str = "Charger CA", now: datetime = NOW, **options: Any) -> "Authority":
        own = options.pop("key", None) or key("ec", title)
        certificate = build(name(title), name(title), own, own, now, ca=True, **options)
        return cls(Issued(certificate, own), now)

    def sub(self, title: str = "Charger Sub CA", **options: Any) -> "Authority":
        own = options.pop("key", None) or key("ec", title)
        certificate = build(
            name(title), self.certificate.subject, own, self.issued.key, self.now, ca=True, **options
        )
        return Authority(Issued(certificate, own, (certificate,)), self.now)

    @property
    def certificate(self) -> x509.Certificate:
        return self.issued.certificate

    def leaf(self, *common_names: str, **options: Any) -> Issued:
        own = options.pop("key", None) or key("ec", "/".join(common_names))
        subject = name(*(common_names or ("CP-1",)))
        certificate = build(subject, self.certificate.subject, own, self.issued.key, self.now, **options)
        return Issued(certificate, own, self.issued.chain)

    def write(self, path: Path) -> Path:
        path.write_bytes(self.certificate.public_bytes(Encoding.PEM))
        return path

    def crl(
        self, *serials: int, at: datetime | None = None, life: timedelta = DAY, **options: Any
    ) -> x509.CertificateRevocationList:
        since = at or self.now - timedelta(minutes=1)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(since)
            .next_update(since + life)
        )
        for serial in serials:
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(since)
            reason = x509.CRLReason(x509.ReasonFlags.key_compromise)
            builder = builder.add_revoked_certificate(entry.add_extension(reason, critical=False).build())
        for extension in options.get("extensions", ()):
            builder = builder.add_extension(extension, critical=True)
        return builder.sign(options.get("key", self.issued.key), options.get("hash", hashes.SHA256()))

    def crl_pem(self, *serials: int, **options: Any) -> bytes:
        return self.crl(*serials, **options).public_bytes(Encoding.PEM)


def build(
    subject: x509.Name,
    issuer: x509.Name,
    own: Any,
    signer: Any,
    now: datetime,
    *,
    ca: bool | None = False,
    path_length: int | None = None,
    since: timedelta = -DAY,
    until: timedelta = 30 * DAY,
    key_usage: x509.KeyUsage | str | None = "usual",
    extensions: Sequence[tuple[x509.ExtensionType, bool]] = (),
    digest: Any = None,
) -> x509.Certificate:
    """A certificate; ``ca`` None leaves the basic constraints out."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(own.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + since)
        .not_valid_after(now + until)
    )
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca, path_length), critical=True)
    if key_usage == "usual":
        key_usage = usage("key_cert_sign", "crl_sign") if ca else usage("digital_signature")
    if isinstance(key_usage, x509.KeyUsage):
        builder = builder.add_extension(key_usage, critical=True)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(signer, digest or hashes.SHA256())


def ocsp_response(
    authority: Authority,
    leaf: Issued,
    request: bytes,
    *,
    status: ocsp.OCSPCertStatus = ocsp.OCSPCertStatus.GOOD,
    signer: Issued | None = None,
    since: timedelta = -timedelta(minutes=1),
    life: timedelta | None = timedelta(hours=1),
    nonce: bytes | None = b"",
    now: datetime | None = None,
) -> bytes:
    """What a responder says; ``signer`` None: the authority itself. ``nonce`` empty: an echo; None: none."""
    at = (now or authority.now) + since
    revoked = status is ocsp.OCSPCertStatus.REVOKED
    by = signer or authority.issued
    builder = ocsp.OCSPResponseBuilder().add_response(
        cert=leaf.certificate,
        issuer=authority.certificate,
        algorithm=hashes.SHA1(),
        cert_status=status,
        this_update=at,
        next_update=None if life is None else at + life,
        revocation_time=at if revoked else None,
        revocation_reason=None,
    )
    builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, by.certificate)
    if signer is not None:
        builder = builder.certificates([signer.certificate])
    asked = ocsp.load_der_ocsp_request(request).extensions.get_extension_for_class(x509.OCSPNonce).value
    if nonce is not None:
        builder = builder.add_extension(x509.OCSPNonce(nonce) if nonce else asked, critical=False)
    return builder.sign(by.key, hashes.SHA256()).public_bytes(Encoding.DER)
