"""Certificates of chargers and their renewal at the door."""

from datetime import datetime, timedelta
from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, computed_field

from api.schemas.common import Body, ChargerId, Instant, Label, QueryText, Real, Reply, Sentence, Whole
from storage.certificate import (
    CertificatePhase,
    RequestFilter,
    RequestState,
    RevocationReason,
    SigningRequest,
)
from storage.certificate_advice import next_step, step_after
from storage.renewal import FleetWork, RenewalOutcome, RenewalPhase

Serial = Annotated[str, Field(pattern=r"^[0-9A-F]{1,40}$", examples=["2551215F8024850BFA43872E2BD03EBA"])]


class CertificateReply(Reply):
    """One certificate of one charger."""

    charger_id: str
    serial: str
    issuer: str = Field(description="SHA-256 of the issuer's key; empty: not issued by us.")
    phase: CertificatePhase
    not_before: datetime
    not_after: datetime
    issued_at: datetime
    issued_by: str
    delivered_at: datetime | None
    proven_at: datetime | None
    revoked_at: datetime | None
    reason: str


class ChainReply(CertificateReply):
    """The same with the certificate itself."""

    chain: str = Field(description="PEM, the charger's own first, without the root.")


class ExpiryReply(Reply):
    """A charger and when the certificate ends that it last came with."""

    charger_id: str
    site_id: str
    serial: str
    not_after: datetime
    online: bool
    issuer: str = Field(description="SHA-256 of the issuer's public key; empty: another authority's.")


_STATE = "(open|issued|refused|superseded)"


class RequestQuery(BaseModel):
    """Which signing requests."""

    charger_id: ChargerId | None = None
    state: str | None = Field(
        None,
        pattern=f"^{_STATE}(,{_STATE}){{0,3}}$",
        description="open, issued, refused, superseded; several with commas. None: whatever became of them.",
    )
    limit: int = Field(default=100, ge=1, le=500)
    cursor: str | None = Field(default=None, max_length=512)
    within_days: int = Field(default=30, ge=1, le=3650, description="Received within so many days.")
    newest: bool = Field(
        default=False, description="Only the newest of each charger: what came before is settled."
    )

    def filter(self, now: datetime) -> RequestFilter:
        """As the store is asked."""
        states = [each for each in (self.state or "").split(",") if each]
        return RequestFilter(
            (self.charger_id,) if self.charger_id else None,
            frozenset(None if each == "open" else RequestState(each) for each in states),
            now - timedelta(days=self.within_days),
            newest=self.newest,
        )


class SigningRequestReply(Reply):
    """What became of a charger's signing request."""

    sequence: int = Field(description="Number of its event.")
    charger_id: str
    state: Literal["open", "issued", "refused", "superseded"]
    reasons: tuple[str, ...] = Field(description="Why it was refused, every reason.")
    next_step: str = Field(description="What to do about it, where it was refused.")
    use: str | None
    received_at: datetime
    answered_at: datetime | None

    @classmethod
    def of(cls, found: SigningRequest) -> Self:
        """Without the request itself."""
        refused = found.answered is RequestState.REFUSED
        return cls(
            sequence=found.sequence,
            charger_id=found.charger_id,
            state=found.answered.value if found.answered else "open",
            reasons=found.reasons,
            next_step=next_step(found.reasons) if refused else "",
            use=found.use,
            received_at=found.received_at,
            answered_at=found.answered_at,
        )


class RevocationListReply(Reply):
    """A signed revocation list, and where it is served to everybody."""

    issuer: str = Field(description="SHA-256 of the key that signed it.")
    former: bool = Field(description="Its issuer issues nothing any more; what it issued counts to its end.")
    number: int
    this_update: datetime
    next_update: datetime
    path: str = Field(description="DER, without a token.", examples=["/pki/0a1b….crl"])


class IssueBody(Body):
    """A signing request that somebody hands in for a charger."""

    charger_id: ChargerId
    csr: str = Field(min_length=1, max_length=5500, description="PKCS#10, PEM.")


class RenewBody(Body):
    """Which charger gets a new certificate now."""

    charger_id: ChargerId


class RevokeBody(Body):
    """What is revoked, and why."""

    charger_id: ChargerId
    serials: tuple[Serial, ...] = Field(default=(), max_length=100, description="None: all of the charger.")
    reason: RevocationReason = RevocationReason.UNSPECIFIED


class RevokeReply(Reply):
    """What was revoked by it; empty: nothing was left to revoke."""

    charger_id: str
    serials: tuple[str, ...]


class RenewalBody(Body):
    """New certificates for many chargers: who, and how fast."""

    name: Label
    charger_ids: tuple[ChargerId, ...] = Field(default=(), max_length=100_000)
    query: QueryText | None = None
    expires_within_days: Annotated[Whole, Field(ge=1, le=3650)] | None = None
    canary: Annotated[Whole, Field(ge=1, le=1000)] = 1
    growth: Annotated[Whole, Field(ge=2, le=100)] = 10
    parallel: Annotated[Whole, Field(ge=1, le=200)] = 20
    attempts: Annotated[Whole, Field(ge=1, le=10)] = 3
    wave_seconds: Annotated[Real, Field(ge=60, le=30 * 86_400)] = 86_400.0
    request_seconds: Annotated[Real, Field(ge=5, le=3600)] = 120.0
    proof_seconds: Annotated[Real, Field(ge=10, le=86_400)] = 900.0
    max_failed_share: Annotated[Real, Field(ge=0, le=1)] = 0.1
    max_lost: Annotated[Whole, Field(ge=0, le=1000)] = 0


Root = Annotated[str, Field(min_length=1, max_length=5500, description="One self-signed root, PEM.")]


class RootInstallBody(RenewalBody):
    """A root for many chargers, in waves: they are to know the server by it."""

    root: Root


class RootDeleteBody(RenewalBody):
    """An old root that many chargers no longer need."""

    old_root: Root
    new_root: Root
    switched_at: Instant = Field(description="Since when every node shows the chain of the new root.")


class RootReadyBody(Body):
    """Which root is asked about."""

    root: Root


class RootReadyReply(Reply):
    """Whether the server's chain may be switched."""

    trusting: int
    missing: int
    missing_chargers: tuple[str, ...] = Field(description="The first thousand of them.")


class RenewalReply(Reply):
    """A renewal of many chargers, or other work that goes in the same waves."""

    renewal_id: str
    name: str
    work: FleetWork
    title: str = Field(description="The work in words.", examples=["Security profile upgrade"])
    labels: dict[str, str] = Field(description="How each outcome is called in this kind of work.")
    phase: RenewalPhase
    reason: str
    created_by: str
    created_at: datetime
    finished_at: datetime | None
    chargers: int
    waves: int
    counts: dict[str, int] = Field(description="Chargers by outcome; `open` are those without one.")


class RenewalTargetReply(Reply):
    """One charger in a renewal."""

    charger_id: str
    wave: int
    ordinal: int
    attempts: int
    outcome: RenewalOutcome | None
    reason: str
    serial: str | None
    not_before: datetime | None
    finished_at: datetime | None

    @computed_field(description="What to do where its signing request was refused; empty: it was not.")  # type: ignore[prop-decorator]  # pydantic's way
    @property
    def next_step(self) -> str:
        """From the reason."""
        return step_after(self.reason)


class SteerBody(Body):
    """Why."""

    reason: Sentence
