"""Certificates of chargers: what was asked for, what was issued, and whether it still counts (A02, A03).

A charger is never left without one that is accepted: the old certificate counts until the charger has come
with the new one, and only then it is revoked.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Protocol

from storage.ports import Page


class CertificatePhase(StrEnum):
    """How far a certificate has come; it never goes back."""

    ISSUED = "issued"
    DELIVERED = "delivered"
    """The charger said that it took it."""
    PROVEN = "proven"
    """The charger came with it."""
    REVOKED = "revoked"


class RevocationReason(StrEnum):
    """RFC 5280 section 5.3.1, those that are said of chargers' certificates."""

    UNSPECIFIED = "unspecified"
    KEY_COMPROMISE = "keyCompromise"
    AFFILIATION_CHANGED = "affiliationChanged"
    SUPERSEDED = "superseded"
    CESSATION = "cessationOfOperation"


ORDER = tuple(CertificatePhase)
"""From first to last."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """One certificate of one charger. Times are the server's."""

    charger_id: str
    serial: str
    """Hexadecimal, upper case, as at the handshake."""
    issuer: str
    """SHA-256 of the issuer's public key; "": another authority's, that the charger came with."""
    key_sha256: str
    """Of the charger's public key; "": not known."""
    chain: str
    """PEM, the charger's own first, without the root."""
    not_before: datetime
    not_after: datetime
    issued_at: datetime
    issued_by: str
    """Who had it issued."""
    phase: CertificatePhase = CertificatePhase.ISSUED
    delivered_at: datetime | None = None
    proven_at: datetime | None = None
    revoked_at: datetime | None = None
    reason: str = ""
    """Of the revocation."""
    request: int | None = None
    """Number of the event that asked for it."""


@dataclass(frozen=True, slots=True)
class CertificateFilter:
    """Which certificates; empty fields do not restrict."""

    charger_id: str | None = None
    phase: CertificatePhase | None = None
    expires_before: datetime | None = None
    """Those that count and end before then."""


class RequestState(StrEnum):
    """What became of a signing request."""

    ISSUED = "issued"
    REFUSED = "refused"
    SUPERSEDED = "superseded"
    """The charger asked again with another key before this one was looked at."""


@dataclass(frozen=True, slots=True)
class SigningRequest:
    """A charger's signing request that nobody has answered yet."""

    sequence: int
    """Number of its event."""
    charger_id: str
    csr: str = field(repr=False)
    use: str | None
    request_id: int | None
    received_at: datetime
    answered: RequestState | None = None
    reasons: tuple[str, ...] = ()
    answered_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RequestFilter:
    """Which signing requests; empty fields do not restrict."""

    charger_ids: tuple[str, ...] | None = None
    states: frozenset[RequestState | None] = frozenset()
    """None among them: those that are not answered."""
    since: datetime | None = None
    newest: bool = False
    """Only the newest one of each charger: what came before it is settled."""
    of_station: bool = False
    """Only for the certificate that a charger connects with; others are of ecosystems of their own (F78)."""


@dataclass(frozen=True, slots=True)
class RevocationList:
    """A signed list of one issuer (RFC 5280 section 5), DER."""

    issuer: str
    number: int
    der: bytes = field(repr=False)
    this_update: datetime
    next_update: datetime
    former: bool = False
    """Its issuer issues nothing any more; what it issued counts to its end."""


@dataclass(frozen=True, slots=True)
class StatusAnswer:
    """A signed answer about one certificate (RFC 6960), DER, made ahead of the question (RFC 5019)."""

    issuer: str
    serial: str
    der: bytes = field(repr=False)
    phase: CertificatePhase
    """What was true of it."""
    next_update: datetime


@dataclass(frozen=True, slots=True)
class Denied:
    """A certificate that lets nobody in any more, whatever its issuer says."""

    charger_id: str
    serial: str
    reason: str
    revoked_at: datetime


@dataclass(frozen=True, slots=True)
class Expiry:
    """A charger and when the certificate ends that it last came with."""

    charger_id: str
    site_id: str
    serial: str
    not_after: datetime
    online: bool
    issuer: str = ""
    """As ``Certificate.issuer``."""


@dataclass(frozen=True, slots=True)
class EndCount:
    """How many chargers' certificates of one issuer end on one day."""

    day: date
    """UTC."""
    issuer: str
    """As ``Certificate.issuer``; "": not one of ours."""
    count: int
    online: int


class CertificateStore(Protocol):
    """What was issued to whom, and what became of it."""

    async def add(self, certificate: Certificate) -> Certificate:
        """Keep it; of one key of one charger the first one stands and is returned."""

    async def get(self, charger_id: str, serial: str) -> Certificate:
        """Raises NotFound."""

    async def of_charger(self, charger_id: str) -> Sequence[Certificate]:
        """Newest first."""

    async def of_key(self, key_sha256: str) -> Sequence[Certificate]:
        """Whoever it was issued to."""

    async def find(
        self, wanted: CertificateFilter, *, limit: int = 100, cursor: str | None = None
    ) -> Page[Certificate]:
        """Those that end first come first."""

    async def move(
        self, charger_id: str, serial: str, phase: CertificatePhase, at: datetime, reason: str = ""
    ) -> Certificate:
        """To a later phase; to the same or an earlier one changes nothing. Raises NotFound."""

    async def revoked(self, issuer: str, now: datetime) -> Sequence[Certificate]:
        """Those of an issuer that are revoked and have not expired."""

    async def revoked_serials(self, issuer: str, now: datetime) -> frozenset[str]:
        """Their serial numbers alone."""

    async def denied(self, since: datetime | None, now: datetime) -> Sequence[Denied]:
        """Those revoked since then that have not expired; None: all of them."""

    async def is_denied(self, charger_id: str, serial: str) -> Denied | None:
        """Whether this one is."""

    async def unsettled(self, *, limit: int = 500) -> Sequence[str]:
        """Chargers that came with one of ours that is not on record as proven, or have older ones left."""

    async def expiries(
        self, before: datetime, *, limit: int = 1000, online_only: bool = False
    ) -> Sequence[Expiry]:
        """Chargers whose certificate ends before then, first ones first."""

    async def ending(
        self, since: datetime | None, before: datetime, *, limit: int = 100, cursor: str | None = None
    ) -> Page[Expiry]:
        """The same, from ``since`` on, page by page."""

    async def calendar(self, before: datetime) -> Sequence[EndCount]:
        """All that end before then, counted by day and issuer, first ones first."""

    async def given_since(self, charger_ids: Sequence[str], since: datetime) -> frozenset[str]:
        """Those of them that were issued a certificate since then that counts."""

    async def newest_request(self, charger_id: str, since: datetime) -> int | None:
        """The newest signing request since then that its node took."""

    async def request(self, sequence: int) -> SigningRequest:
        """Raises NotFound."""

    async def open_requests(self, since: datetime, *, limit: int = 200) -> Sequence[SigningRequest]:
        """The newest one of each charger that is not answered; those before it count as superseded."""

    async def find_requests(
        self, wanted: RequestFilter, *, limit: int = 100, cursor: str | None = None
    ) -> Page[SigningRequest]:
        """Newest first; those that a node refused at once are among the refused ones."""

    async def answer_request(
        self, sequence: int, charger_id: str, state: RequestState, reasons: Sequence[str], at: datetime
    ) -> None:
        """The first answer stands."""

    async def put_list(self, issued: RevocationList) -> bool:
        """Whether it is newer than what was there."""

    async def newest_list(self, issuer: str | None = None) -> RevocationList | None:
        """Of an issuer; without one, of whoever issues now. None: there is none yet."""

    async def lists(self) -> Sequence[RevocationList]:
        """One of each issuer, who issues now first."""

    async def issuers(self, now: datetime) -> frozenset[str]:
        """Of all certificates of ours that have not expired."""

    async def put_answers(self, answers: Sequence[StatusAnswer]) -> None:
        """Replace what was said of those certificates."""

    async def status_answer(self, serial: str) -> StatusAnswer | None:
        """What is said of a certificate."""

    async def unanswered(
        self, issuer: str, stale_before: datetime, now: datetime, *, limit: int
    ) -> Sequence[Certificate]:
        """Those of an issuer about which nothing is said, or something old, or what is not true any more."""
