"""Revocation lists of a manufacturer for development."""

from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from signing.development import DevelopmentManufacturer


def serial_of(certificate: str) -> int:
    return x509.load_pem_x509_certificate(certificate.encode()).serial_number


def revocation_list(
    maker: DevelopmentManufacturer,
    now: datetime,
    *serials: int,
    extension: x509.ExtensionType | None = None,
    reason: x509.ReasonFlags | None = x509.ReasonFlags.key_compromise,
    form: Encoding = Encoding.PEM,
) -> bytes:
    issuer = x509.load_pem_x509_certificate(maker.root.encode()).subject
    builder = x509.CertificateRevocationListBuilder().issuer_name(issuer)
    builder = builder.last_update(now).next_update(now + timedelta(days=30))
    for serial in serials:
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now)
        if reason is not None:
            entry = entry.add_extension(x509.CRLReason(reason), critical=False)
        builder = builder.add_revoked_certificate(entry.build())
    if extension is not None:
        builder = builder.add_extension(extension, critical=True)
    return builder.sign(maker.key, hashes.SHA256()).public_bytes(form)
