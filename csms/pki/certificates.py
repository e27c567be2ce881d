"""What a peer showed in a TLS handshake, and reading certificates that others wrote."""

import ssl
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509.oid import NameOID

_DER = 2
"""``_ssl.ENCODING_DER``."""

UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
"""What the parser raises for certificates that somebody else wrote."""

MAX_PRESENTED = 8
"""More certificates than any real chain has."""


@dataclass(frozen=True, slots=True)
class Presented:
    """The client certificate and what came with it, DER. Nothing of it is believed yet."""

    leaf: bytes
    chain: tuple[bytes, ...] = ()


def presented_by(ssl_object: ssl.SSLObject | None) -> Presented | None:
    """What the peer of this TLS connection showed; None if it showed no certificate."""
    leaf = ssl_object.getpeercert(binary_form=True) if ssl_object is not None else None
    if ssl_object is None or leaf is None:
        return None
    return Presented(leaf, tuple(_chain(ssl_object))[:MAX_PRESENTED])


def _chain(ssl_object: Any) -> list[bytes]:
    """As sent, the leaf included. Public since Python 3.13; the same call lies below it before."""
    if hasattr(ssl_object, "get_unverified_chain"):
        return list(ssl_object.get_unverified_chain())
    sent = ssl_object._sslobj.get_unverified_chain() or ()  # noqa: SLF001  # see above
    return [certificate.public_bytes(_DER) for certificate in sent]


def parse(der: bytes) -> x509.Certificate | None:
    """The certificate, or None if it cannot be read as one."""
    try:
        return x509.load_der_x509_certificate(der)
    except UNREADABLE:
        return None


@lru_cache(maxsize=256)
def parse_issuer(der: bytes) -> x509.Certificate | None:
    """Like ``parse``, for the few issuers that thousands of chargers present again and again."""
    return parse(der)


def common_name(certificate: x509.Certificate) -> str | None:
    """The one common name of the subject; None if there is none or more than one."""
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    if len(names) != 1:
        return None
    value = names[0].value
    return value if isinstance(value, str) and value.strip() else None


def name_of(name: x509.Name) -> str:
    """A subject or issuer for people, cut to a line."""
    return name.rfc4514_string()[:200]


def serial_of(certificate: x509.Certificate) -> str:
    """The serial number as certificates show it."""
    return f"{certificate.serial_number:X}"
