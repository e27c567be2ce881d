"""TLS for `ampwave up` on one machine: a server certificate for chargers, and an authority for theirs.

For DEVELOPMENT: every private key lies in this machine's data folder. Production hands in files of
its own, and none of this runs.
"""

import ipaddress
import socket
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from api.development import private_dir, write_private
from api.settings import Settings
from signing.ca.ceremony import ensure_development_authority

_ROOT_LIFE = timedelta(days=3650)
_LEAF_LIFE = timedelta(days=90)
_RENEW_BEFORE = timedelta(days=7)
_FOLDER = "tls"


@dataclass(frozen=True, slots=True)
class _Authority:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def ensure_development_tls(settings: Settings, now: datetime) -> Settings:
    """The settings with a TLS port, where none is configured: its files are made at the first start."""
    if settings.csms_tls_cert_file is not None or settings.csms_tls_more_cert_files:
        return settings
    folder = private_dir(settings.data_dir / _FOLDER)
    server_root = _ensure_authority(folder, "csms-root", "Ampwave development csms root", now)
    _ensure_authority(folder, "charger-ca", "Ampwave development charger authority", now)
    chain, key = folder / "csms-server.pem", folder / "csms-server.key"
    if not _lasts(chain, now):
        chain.unlink(missing_ok=True)
        key.unlink(missing_ok=True)
        _make_server(chain, key, server_root, settings.bind_host, now)
    return settings.model_copy(
        update={
            "csms_tls_cert_file": chain,
            "csms_tls_key_file": key,
            "csms_charger_ca_files": settings.csms_charger_ca_files or (folder / "charger-ca.pem",),
        }
    )


def ensure_development_ca(settings: Settings, now: datetime) -> Settings:
    """The settings with an authority that issues chargers' certificates, where none is configured."""
    if settings.signer_ca is not None or settings.signer_est_url is not None:
        return settings
    address, certificates = ensure_development_authority(private_dir(settings.keys), now)
    trusted = settings.csms_charger_ca_files
    return settings.model_copy(
        update={
            "signer_ca": address,
            "signer_ca_certificate_file": certificates,
            "csms_charger_ca_files": (*trusted, certificates) if trusted else (),
        }
    )


def development_root(settings: Settings) -> Path:
    """What a charger must trust to connect to ``wss``."""
    return settings.data_dir / _FOLDER / "csms-root.pem"


def _ensure_authority(folder: Path, name: str, title: str, now: datetime) -> _Authority:
    certificate_file, key_file = folder / f"{name}.pem", folder / f"{name}.key"
    if not (certificate_file.exists() and key_file.exists()):
        certificate_file.unlink(missing_ok=True)
        key_file.unlink(missing_ok=True)
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(_name(title), _name(title), key, now, _ROOT_LIFE)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(_usage(authority=True), critical=True)
        write_private(key_file, _key_text(key))
        write_private(certificate_file, _pem(builder.sign(key, hashes.SHA256())))
    stored = load_pem_private_key(key_file.read_bytes(), None)
    if not isinstance(stored, ec.EllipticCurvePrivateKey):
        message = f"{key_file} is not the key that this command once made"
        raise TypeError(message)
    return _Authority(x509.load_pem_x509_certificate(certificate_file.read_bytes()), stored)


def _make_server(chain: Path, key_file: Path, root: _Authority, bind_host: str, now: datetime) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(_name("localhost"), root.certificate.subject, key, now, _LEAF_LIFE)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_usage(authority=False), critical=True)
    builder = builder.add_extension(x509.SubjectAlternativeName(_names(bind_host)), critical=False)
    write_private(key_file, _key_text(key))
    write_private(chain, _pem(builder.sign(root.key, hashes.SHA256())) + _pem(root.certificate))


def _lasts(chain: Path, now: datetime) -> bool:
    if not chain.exists() or not chain.with_suffix(".key").exists():
        return False
    certificate = x509.load_pem_x509_certificate(chain.read_bytes())
    return certificate.not_valid_after_utc - now > _RENEW_BEFORE


def _names(bind_host: str) -> list[x509.GeneralName]:
    """Under which names chargers may reach this machine."""
    hosts = dict.fromkeys(("localhost", socket.gethostname(), "127.0.0.1", "::1", bind_host))
    return [_general(host) for host in hosts if host not in ("", "0.0.0.0", "::")]


def _general(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime, life: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + life)
    )


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()


def _key_text(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
