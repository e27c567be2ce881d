"""Whom we trust to issue chargers' certificates, and what they revoked: files of the operator."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

from csms.pki.certificates import UNREADABLE
from csms.pki.crl import RevocationList, read_lists
from storage.errors import InvalidInput

_PEM_BEGIN, _PEM_END = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----"


@dataclass(frozen=True, slots=True)
class TrustFiles:
    """Where they lie."""

    charger_ca_files: tuple[Path, ...]
    """PEM bundles of authorities; each authority in them is trusted by itself."""
    crl_files: tuple[Path, ...] = ()
    """Revocation lists, PEM or DER."""

    @property
    def all(self) -> tuple[Path, ...]:
        """Every file to watch."""
        return (*self.charger_ca_files, *self.crl_files)


@dataclass(frozen=True, slots=True)
class Trust:
    """What the files say, read at one instant."""

    anchors: tuple[x509.Certificate, ...]
    lists: tuple[RevocationList, ...] = ()


def load_trust(files: TrustFiles) -> Trust:
    """Read all of them. Raises InvalidInput naming the file that cannot be used."""
    anchors = [each for path in files.charger_ca_files for each in read_certificates(path)]
    lists = [each for path in files.crl_files for each in _read_lists(path)]
    return Trust(tuple(anchors), tuple(lists))


def read_certificates(path: Path) -> Sequence[x509.Certificate]:
    """The certificates of a PEM file, at least one. Raises InvalidInput."""
    data = read_file(path)
    if data.count(_PEM_BEGIN) != data.count(_PEM_END):
        raise InvalidInput(f"{path} is cut off in the middle of a certificate.")
    try:
        return x509.load_pem_x509_certificates(data)
    except UNREADABLE as error:
        raise InvalidInput(f"{path} holds no certificates that can be read (PEM): {error}") from error


def _read_lists(path: Path) -> Sequence[RevocationList]:
    try:
        return read_lists(read_file(path))
    except UNREADABLE as error:
        raise InvalidInput(f"{path} holds no revocation list that can be used: {error}.") from error


def read_file(path: Path) -> bytes:
    """Its bytes. Raises InvalidInput."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}.") from error
