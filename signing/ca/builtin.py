"""Our own authority: issues chargers' certificates, and says which of them are revoked.

In the signer process only. The root is offline; the issuing key is at an address, and stays there.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from signing.ca.ceremony import read_authority
from signing.ca.csr import CsrPolicy, judge_csr
from signing.ca.key import AddressedKey, key_digest
from signing.ca.ports import Applicant, CsrJudgement, Issued
from signing.ca.profile import ChargerProfile, charger_builder, subject_of, with_client_auth
from signing.errors import CertificateRefused, KeyUnavailable
from storage.certificate import Certificate, CertificatePhase, RevocationList, StatusAnswer

LIST_LIFE = timedelta(days=7)
ANSWER_LIFE = timedelta(days=3)
"""Below the week that a charger may keep one (M06.FR.10)."""


class BuiltInAuthority:
    """``signing.ca.ports.CertificateAuthority`` over a key at an address."""

    def __init__(self, address: str, certificates: str, policy: CsrPolicy, profile: ChargerProfile) -> None:
        """``certificates``: its own first, the root last, PEM. Raises KeyUnavailable, InvalidInput."""
        chain = read_authority(certificates)
        self._key = AddressedKey(address)
        self._certificate = chain[0]
        if self._key.public_key() != self._certificate.public_key():
            raise KeyUnavailable(
                f"The key at {address} is not that of the authority {chain[0].subject.rfc4514_string()!r}.",
                hint="AMPWAVE_SIGNER_CA and AMPWAVE_SIGNER_CA_CERTIFICATE_FILE belong together.",
            )
        # The root is what everybody has; a chain that names it again only fills a charger's limits.
        self._above = "".join(_pem(each) for each in chain if each.subject != each.issuer)
        self._policy = policy
        self._profile = profile
        self._turn = asyncio.Lock()

    @property
    def issuer(self) -> str:
        """SHA-256 of its key."""
        return key_digest(self._certificate)

    def judge(self, csr: str, applicant: Applicant) -> CsrJudgement:
        """Whether this is to be issued to this charger, with every reason against it (S53)."""
        return judge_csr(csr, applicant, self._policy)

    async def issue(self, csr: str, applicant: Applicant, now: datetime, *, renews: bool) -> Issued:  # noqa: ARG002 - an outside authority tells the two apart
        """Judge it again, and issue."""
        judged = self.judge(csr, applicant)
        if judged.problems:
            raise CertificateRefused(f"Not issued: {'; '.join(judged.problems)}.")
        if not self._certificate.not_valid_before_utc <= now < self._certificate.not_valid_after_utc:
            raise CertificateRefused(
                "The issuing authority's own certificate is not valid now.",
                hint="Make a new one below the root.",
            )
        async with self._turn:
            leaf = await asyncio.to_thread(self._sign, csr, judged, applicant, now)
        return Issued(
            serial=f"{leaf.serial_number:X}",
            issuer=self.issuer,
            key_sha256=judged.key_sha256,
            chain=_pem(leaf) + self._above,
            not_before=leaf.not_valid_before_utc,
            not_after=leaf.not_valid_after_utc,
        )

    def _sign(self, csr: str, judged: CsrJudgement, applicant: Applicant, now: datetime) -> x509.Certificate:
        public = x509.load_pem_x509_csr(csr.encode()).public_key()
        if not isinstance(public, ec.EllipticCurvePublicKey | rsa.RSAPublicKey):
            raise CertificateRefused("Not issued: its key is neither RSA nor EC.")
        subject = subject_of(judged.common_name, judged.organization)
        builder = charger_builder(subject, self._certificate, public, now, self._profile)
        if self._profile.says_client_auth(applicant.vendor, applicant.model):
            builder = with_client_auth(builder)
        return builder.sign(self._key, self._key.hash)

    async def revocation_list(
        self, revoked: Sequence[Certificate], number: int, now: datetime
    ) -> RevocationList:
        """A signed list of these, which are all that are revoked."""
        async with self._turn:
            der = await asyncio.to_thread(self._list, revoked, number, now)
        return RevocationList(self.issuer, number, der, now, now + LIST_LIFE)

    def _list(self, revoked: Sequence[Certificate], number: int, now: datetime) -> bytes:
        above = self._certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._certificate.subject)
            .last_update(now)
            .next_update(now + LIST_LIFE)
            .add_extension(x509.CRLNumber(number), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(above), critical=False
            )
        )
        for each in revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(int(each.serial, 16))
            entry = entry.revocation_date(each.revoked_at or now)
            flag = _flag(each.reason)
            if flag is not None:
                entry = entry.add_extension(x509.CRLReason(flag), critical=False)
            builder = builder.add_revoked_certificate(entry.build())
        return builder.sign(self._key, self._key.hash).public_bytes(Encoding.DER)

    def named_in(self, signed: RevocationList) -> frozenset[str]:
        """The serial numbers in such a list."""
        return frozenset(f"{each.serial_number:X}" for each in x509.load_der_x509_crl(signed.der))

    async def status_answers(
        self, certificates: Sequence[Certificate], now: datetime
    ) -> Sequence[StatusAnswer]:
        """A signed answer about each."""
        async with self._turn:
            return await asyncio.to_thread(lambda: [self._answer(each, now) for each in certificates])

    def _answer(self, about: Certificate, now: datetime) -> StatusAnswer:
        revoked = about.phase is CertificatePhase.REVOKED
        leaf = x509.load_pem_x509_certificates(about.chain.encode())[0]
        builder = ocsp.OCSPResponseBuilder().add_response(
            cert=leaf,
            issuer=self._certificate,
            # It names the issuer here, it protects nothing; responders answer for SHA-1 (RFC 5019 2.1.1).
            algorithm=hashes.SHA1(),  # noqa: S303
            cert_status=ocsp.OCSPCertStatus.REVOKED if revoked else ocsp.OCSPCertStatus.GOOD,
            this_update=now,
            next_update=now + ANSWER_LIFE,
            revocation_time=about.revoked_at if revoked else None,
            revocation_reason=_flag(about.reason) if revoked else None,
        )
        builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, self._certificate)
        der = builder.sign(self._key, self._key.hash).public_bytes(Encoding.DER)
        return StatusAnswer(self.issuer, about.serial, der, about.phase, now + ANSWER_LIFE)


def _flag(reason: str) -> x509.ReasonFlags | None:
    """RFC 5280 section 5.3.1: nothing is said rather than ``unspecified``."""
    try:
        flag = x509.ReasonFlags(reason)
    except ValueError:
        return None
    return None if flag is x509.ReasonFlags.unspecified else flag


def authority_names(certificates: str) -> dict[str, str]:
    """An authority for people: its name, key and end. Raises InvalidInput, UnsupportedAlgorithm."""
    try:
        own, *_, root = (*read_authority(certificates), *read_authority(certificates))
    except UnsupportedAlgorithm as error:  # a key of another kind than ours
        raise KeyUnavailable("The authority's key is of a kind that is not supported.") from error
    return {
        "name": own.subject.rfc4514_string(),
        "root": root.subject.rfc4514_string(),
        "key_sha256": key_digest(own),
        "valid_until": own.not_valid_after_utc.isoformat(),
    }


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()
