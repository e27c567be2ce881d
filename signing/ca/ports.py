"""What is asked of whoever issues chargers' certificates: nouns and one port, without any cryptography."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from storage.certificate import Certificate, RevocationList, StatusAnswer


@dataclass(frozen=True, slots=True)
class Applicant:
    """The charger that asked, as it is registered; it proved to be that one when it connected."""

    charger_id: str
    serial_number: str | None
    vendor: str
    model: str
    namesakes: tuple[str, ...] = ()
    """Other chargers whose identity or serial number is the same as one of its names."""


@dataclass(frozen=True, slots=True)
class CsrJudgement:
    """What was found about a signing request; issued only if there is no problem."""

    problems: tuple[str, ...]
    common_name: str = ""
    organization: str = ""
    key_sha256: str = ""
    """Of the public key, as SubjectPublicKeyInfo; "" where none could be read."""
    ignored: tuple[str, ...] = ()
    """What it asked for and does not get."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A new certificate."""

    serial: str
    issuer: str
    key_sha256: str
    chain: str
    not_before: datetime
    not_after: datetime


class CertificateAuthority(Protocol):
    """Issues chargers' certificates: our own, or one elsewhere."""

    def judge(self, csr: str, applicant: Applicant) -> CsrJudgement:
        """Whether this is to be issued to this charger, with every reason against it (S53)."""

    async def issue(self, csr: str, applicant: Applicant, now: datetime, *, renews: bool) -> Issued:
        """Judge it again, and issue.

        Raises:
            CertificateRefused: it is not to be issued, or whoever issues says so.
            AuthorityBusy: not yet; with the time after which to ask again.
            KeyUnavailable: the key cannot be reached.
        """

    @property
    def issuer(self) -> str | None:
        """SHA-256 of the key that signs lists and answers here; None: somebody else says what is revoked."""

    async def revocation_list(
        self, revoked: Sequence[Certificate], number: int, now: datetime
    ) -> RevocationList:
        """A signed list of these, which are all that are revoked."""

    def named_in(self, signed: RevocationList) -> frozenset[str]:
        """The serial numbers in such a list."""

    async def status_answers(
        self, certificates: Sequence[Certificate], now: datetime
    ) -> Sequence[StatusAnswer]:
        """A signed answer about each."""
