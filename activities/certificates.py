"""What the signer does about chargers' certificates: issue, settle, revoke, and say what is revoked.

Everything is judged here again, from what the store says of the charger that asked: whoever holds a worker
or a node alone can have nothing issued for another charger (S53, S54).
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog
from temporalio import activity

from activities.certificate_end import RevokeOrder, revoke, taken_away
from activities.errors import beating, mapped
from activities.stores import Stores
from signing.ca.ports import Applicant, CertificateAuthority, CsrJudgement, Issued
from signing.errors import AuthorityBusy, CertificateRefused
from storage.certificate import (
    Certificate,
    CertificatePhase,
    CertificateStore,
    RequestState,
    RevocationList,
    RevocationReason,
    SigningRequest,
)
from storage.certificate_use import CertificateUse
from storage.errors import AmpwaveError
from storage.ports import ChargerView
from storage.twin import Lifecycle

log = structlog.get_logger(__name__)

_HEARTBEAT_S = 2.0
_ANSWERS_AT_ONCE = 200
_NO_EVENT = 0
"""The number of a request that no charger sent."""
_OURS = frozenset({None, CertificateUse.CHARGING_STATION.value})
_GONE = frozenset({Lifecycle.RETIRED, Lifecycle.QUARANTINED})


@dataclass(frozen=True, slots=True)
class IssuePolicy:
    """How often, and when a key has done its time."""

    per_day: int = 10
    """Certificates of one charger in a day; more are a storm (S56)."""
    same_key_until: timedelta = timedelta(days=30)
    """A key whose certificate ends sooner gets no other one: a renewal brings a new key (A02.FR.02)."""
    list_every: timedelta = timedelta(hours=1)
    """A list is signed anew so often, also if nothing was revoked."""


@dataclass(frozen=True, slots=True)
class IssueOrder:
    """Answer one signing request, by the number of its event."""

    charger_id: str
    sequence: int
    actor: str


@dataclass(frozen=True, slots=True)
class HandedIn:
    """A signing request that a person hands in for a charger: its first certificate."""

    charger_id: str
    csr: str
    actor: str


@dataclass(frozen=True, slots=True)
class IssueAnswer:
    """The certificate, or why there is none; with ``retry_after_s``: not yet."""

    serial: str | None
    reasons: tuple[str, ...] = ()
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    """Which certificate a charger has proven, and which went for it."""

    proven: str | None
    revoked: tuple[str, ...] = ()


@asynccontextmanager
async def beating_if_possible() -> AsyncIterator[None]:
    """Beats, so that the loss of the signer is noticed at once; outside of Temporal it need not."""
    if not activity.in_activity():
        yield
        return
    async with beating(_HEARTBEAT_S):
        yield


class CertificateActivities:
    """Register on the signer's queue only. ``authority`` None: nobody issues here."""

    def __init__(
        self,
        stores: Stores,
        certificates: CertificateStore,
        authority: CertificateAuthority | None,
        policy: IssuePolicy | None = None,
        former: Sequence[CertificateAuthority] = (),
    ) -> None:
        """``former``: who issues no more, and says what is revoked of what they issued."""
        self._stores = stores
        self._certificates = certificates
        self._authority = authority
        self._policy = policy or IssuePolicy()
        self._former = tuple(former)
        self._mute: set[str] = set()
        """Issuers of whom it was said that nobody signs for them."""

    # Issuing.

    @activity.defn
    @mapped
    async def issue_certificate(self, given: IssueOrder) -> IssueAnswer:
        """Judge a charger's request, and answer it; the same key again gets the same certificate."""
        async with beating_if_possible():
            request = await self._certificates.request(given.sequence)
            if request.answered is RequestState.REFUSED:
                return IssueAnswer(None, request.reasons)
            try:
                return await self._issue(given, request)
            except AuthorityBusy as error:
                return IssueAnswer(None, (error.message,), error.retry_after_s)

    @activity.defn
    @mapped
    async def issue_handed_in(self, given: HandedIn) -> IssueAnswer:
        """The same for a request that a person hands in. The same rules hold."""
        async with beating_if_possible():
            now = self._stores.clock()
            request = SigningRequest(_NO_EVENT, given.charger_id, given.csr, None, None, now)
            order = IssueOrder(given.charger_id, _NO_EVENT, given.actor)
            try:
                return await self._issue(order, request)
            except AuthorityBusy as error:
                return IssueAnswer(None, (error.message,), error.retry_after_s)

    async def _issue(self, given: IssueOrder, request: SigningRequest) -> IssueAnswer:
        if self._authority is None:
            return IssueAnswer(None, ("no authority is configured (AMPWAVE_SIGNER_CA)",))
        if request.charger_id != given.charger_id:
            return IssueAnswer(None, (f"the request is one of {request.charger_id}",))
        view = await self._stores.chargers.get(given.charger_id)
        applicant = await self._applicant(view)
        judged = self._authority.judge(request.csr, applicant)
        known = await self._certificates.of_key(judged.key_sha256) if judged.key_sha256 else ()
        now = self._stores.clock()
        again = [each for each in known if self._counts(each, given.charger_id, now)]
        if again and not judged.problems:
            # A02.FR.17: the charger asks again when the answer was lost.
            await self._answered(request, RequestState.ISSUED, ())
            return IssueAnswer(again[0].serial)
        problems = (*judged.problems, *await self._problems(view, request, known, now))
        if problems:
            return await self._refused(request, problems, given.actor)
        return await self._issued(request, applicant, judged, given.actor)

    async def _applicant(self, view: ChargerView) -> Applicant:
        charger = view.charger
        names = [each for each in (charger.serial_number, charger.charger_id) if each]
        bearers = [other for name in names for other in await self._stores.chargers.named(name)]
        others = tuple(sorted(set(bearers) - {charger.charger_id}))
        return Applicant(charger.charger_id, charger.serial_number, charger.vendor, charger.model, others)

    def _counts(self, known: Certificate, charger_id: str, now: datetime) -> bool:
        return (
            known.charger_id == charger_id
            and known.phase is not CertificatePhase.REVOKED
            and known.not_after - now > self._policy.same_key_until
        )

    async def _problems(
        self, view: ChargerView, request: SigningRequest, known: Sequence[Certificate], now: datetime
    ) -> list[str]:
        charger, found = view.charger, []
        if charger.lifecycle in _GONE:
            found.append(f"the charger is {charger.lifecycle.value}")
        if request.use not in _OURS:
            found.append(f"a {request.use} is issued by the authority of its own ecosystem, not here (F78)")
        for each in known:
            if each.charger_id != charger.charger_id:
                found.append("its key is that of another charger's certificate (F36)")
            elif each.phase is CertificatePhase.REVOKED:
                found.append("its key is that of a revoked certificate; a new key is needed")
            else:
                found.append("its key is that of a certificate that ends soon; a new key is needed")
        lately = [
            each
            for each in await self._certificates.of_charger(charger.charger_id)
            if each.issuer and now - each.issued_at < timedelta(days=1)
        ]
        if len(lately) >= self._policy.per_day:
            found.append(f"it got {len(lately)} certificates within a day; {self._policy.per_day} at most")
        return found

    async def _refused(self, request: SigningRequest, problems: tuple[str, ...], actor: str) -> IssueAnswer:
        subject = f"charger/{request.charger_id}"
        await self._stores.record(
            actor, "certificate.refused", subject, request=request.sequence, reasons=list(problems)
        )
        await self._answered(request, RequestState.REFUSED, problems)
        return IssueAnswer(None, problems)

    async def _issued(
        self, request: SigningRequest, applicant: Applicant, judged: CsrJudgement, actor: str
    ) -> IssueAnswer:
        if self._authority is None:
            raise CertificateRefused("No authority is configured.")
        now = self._stores.clock()
        renews = any(each.issuer for each in await self._certificates.of_charger(request.charger_id))
        try:
            issued = await self._authority.issue(request.csr, applicant, now, renews=renews)
        except CertificateRefused as error:
            return await self._refused(request, (error.message,), actor)
        kept = await self._certificates.add(_kept(issued, request, actor, now))
        await self._stores.record(
            actor,
            "certificate.issued",
            f"charger/{request.charger_id}",
            serial=kept.serial,
            common_name=judged.common_name,
            key_sha256=kept.key_sha256,
            issuer=kept.issuer,
            not_after=kept.not_after.isoformat(),
            request=request.sequence,
        )
        await self._answered(request, RequestState.ISSUED, ())
        return IssueAnswer(kept.serial)

    async def _answered(self, request: SigningRequest, state: RequestState, reasons: tuple[str, ...]) -> None:
        if request.sequence == _NO_EVENT:
            return
        at = self._stores.clock()
        await self._certificates.answer_request(request.sequence, request.charger_id, state, reasons, at)

    # Proving and revoking.

    @activity.defn
    @mapped
    async def settle_certificates(self, charger_id: str) -> Settled:
        """Once a charger came with a certificate of ours, revoke those that it had before. Idempotent."""
        view = await self._stores.chargers.get(charger_id)
        shown = view.twin.security.certificate_serial if view.twin.security else None
        found = await self._certificates.of_charger(charger_id)
        proven = next((each for each in found if each.serial == shown and each.issuer), None)
        if proven is None or proven.phase is CertificatePhase.REVOKED:
            return Settled(None)
        now = self._stores.clock()
        if proven.phase is not CertificatePhase.PROVEN:
            await self._stores.record(
                "signer", "certificate.proven", f"charger/{charger_id}", serial=proven.serial
            )
            await self._certificates.move(charger_id, proven.serial, CertificatePhase.PROVEN, now)
        # Never one that was issued later: it may be on its way to the charger.
        older = [
            each.serial
            for each in found
            if each.phase is not CertificatePhase.REVOKED and each.issued_at < proven.issued_at
        ]
        order = RevokeOrder(charger_id, tuple(older), RevocationReason.SUPERSEDED.value, "signer")
        await revoke(self._stores, self._certificates, order, older)
        return Settled(proven.serial, tuple(older))

    @activity.defn
    @mapped
    async def revoke_certificates(self, given: RevokeOrder) -> tuple[str, ...]:
        """Take certificates away at once: the record counts at the next handshake. Idempotent."""
        serials = await taken_away(self._stores, self._certificates, given)
        await self._publish()
        return serials

    # What is said of them.

    @activity.defn
    @mapped
    async def publish_revocations(self) -> int:
        """Sign the list anew if anything was revoked or it grows old, and answers ahead of questions."""
        async with beating_if_possible():
            return await self._publish()

    async def _publish(self) -> int:
        """For each issuer of certificates that count, by its own key (RFC 5280 section 5)."""
        now, done, failed = self._stores.clock(), 0, []
        issuers = await self._certificates.issuers(now)
        signing = [(self._authority, False), *((each, True) for each in self._former)]
        signed = {
            authority.issuer: (authority, former) for authority, former in reversed(signing) if authority
        }
        for issuer, (authority, former) in signed.items():
            if issuer is None or (former and issuer not in issuers):
                continue
            try:
                done += await self._say(authority, issuer, now, former=former)
            except AmpwaveError as error:  # one whose token is away keeps nobody else silent
                log.warning("what is revoked was not signed", issuer=issuer, error=error.message)
                failed.append(error)
        self._miss(issuers - signed.keys())
        if failed:
            raise failed[0]
        return done

    def _miss(self, issuers: frozenset[str]) -> None:
        for issuer in issuers - self._mute:
            log.warning(
                "certificates of a former issuer count, and no key signs what is revoked of them",
                issuer=issuer,
                hint="AMPWAVE_SIGNER_CA_FORMER and AMPWAVE_SIGNER_CA_FORMER_CERTIFICATE_FILES name its key.",
            )
        self._mute = set(issuers)

    async def _say(self, authority: CertificateAuthority, issuer: str, now: datetime, *, former: bool) -> int:
        certificates = self._certificates
        newest = await certificates.newest_list(issuer)
        if newest is None or newest.former != former or await self._is_old(newest, authority, now):
            number = max(int(now.timestamp()), newest.number + 1 if newest else 0)
            revoked = await certificates.revoked(issuer, now)
            made = await authority.revocation_list(revoked, number, now)
            await certificates.put_list(replace(made, former=former))
        waiting = await certificates.unanswered(issuer, now + timedelta(days=1), now, limit=_ANSWERS_AT_ONCE)
        await certificates.put_answers(await authority.status_answers(waiting, now))
        return len(waiting)

    async def _is_old(self, newest: RevocationList, authority: CertificateAuthority, now: datetime) -> bool:
        """By its age, or because it lacks one; times would miss what was committed while it was signed."""
        if now - newest.this_update >= self._policy.list_every:
            return True
        serials = await self._certificates.revoked_serials(newest.issuer, now)
        return bool(serials - await asyncio.to_thread(authority.named_in, newest))


def _kept(issued: Issued, request: SigningRequest, actor: str, now: datetime) -> Certificate:
    return Certificate(
        charger_id=request.charger_id,
        serial=issued.serial,
        issuer=issued.issuer,
        key_sha256=issued.key_sha256,
        chain=issued.chain,
        not_before=issued.not_before,
        not_after=issued.not_after,
        issued_at=now,
        issued_by=actor,
        request=request.sequence or None,
    )
