"""Is a certificate revoked? Lists and responders together, as one judgement from a table."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from cryptography import x509

from csms.pki.crl import CrlAnswer, CrlStatus, look_up
from csms.pki.ocsp import OcspAnswer, OcspStatus, OcspUnusable
from csms.pki.ocsp_client import OcspClient
from csms.pki.path import CertificatePath
from csms.pki.trust import Trust
from storage.clock import Clock


class Standing(StrEnum):
    """What follows for the socket."""

    GOOD = "good"
    REVOKED = "revoked"
    """Refused, and an open socket is closed."""
    UNPROVEN = "unproven"
    """Nothing fresh says either: a new socket is refused unless an unsafe setting lets it in."""


@dataclass(frozen=True, slots=True)
class Revocation:
    """A standing with its reason."""

    standing: Standing
    reason: str = ""


def judge_revocation(listed: CrlAnswer | None, asked: OcspAnswer | OcspUnusable | None) -> Revocation:
    """The standing after what was found; None: that source is not configured.

    Whoever says no decides; one fresh yes is enough; without any, nothing is proven. With no source
    configured there is nothing to ask, which ``ampwave config check`` says aloud.
    """
    if listed is not None and listed.status is CrlStatus.REVOKED:
        return Revocation(Standing.REVOKED, listed.detail)
    if isinstance(asked, OcspAnswer) and asked.status is not OcspStatus.GOOD:
        return Revocation(Standing.REVOKED, asked.detail)
    cleared = isinstance(asked, OcspAnswer) or (listed is not None and listed.status is CrlStatus.GOOD)
    if cleared or (listed is None and asked is None):
        return Revocation(Standing.GOOD)
    details = [listed.detail] if listed is not None else []
    details += [asked.reason] if isinstance(asked, OcspUnusable) else []
    return Revocation(Standing.UNPROVEN, "; ".join(details))


def look_up_path(path: CertificatePath, trust: Trust, clock: Clock) -> CrlAnswer | None:
    """What the lists say of a whole path: the worst answer of the charger's certificate and its issuers."""
    if not trust.lists:
        return None
    at = clock()
    serials = (path.serial_number, *(issuer.serial_number for issuer in path.issuers[:-1]))
    answers = [
        look_up(serial, issuer, trust.lists, at) for serial, issuer in zip(serials, path.issuers, strict=True)
    ]
    above = _revoked_above(path.issuers[-1], trust, at)
    return above or max(answers, key=lambda answer: _WORSE.index(answer.status))


def _revoked_above(trusted: x509.Certificate, trust: Trust, at: datetime) -> CrlAnswer | None:
    """What revokes a trusted authority that is a sub-authority of another trusted one.

    Bundles list a whole chain, so a path ends at its lowest authority; what the root says of that
    one counts all the same. Nobody needs to clear it, as the operator trusts it by itself.
    """
    known = [trusted]
    for authority in known:  # grows while it is walked
        for issuer in trust.anchors:
            if issuer.subject != authority.issuer or issuer in known:
                continue
            answer = look_up(authority.serial_number, issuer, trust.lists, at)
            if answer.status is CrlStatus.REVOKED:
                return answer
            known.append(issuer)
    return None


_WORSE: Sequence[CrlStatus] = (CrlStatus.GOOD, CrlStatus.MISSING, CrlStatus.STALE, CrlStatus.REVOKED)


class RevocationChecker:
    """Asks every source that is configured."""

    def __init__(self, trust: Callable[[], Trust], ocsp: OcspClient | None, clock: Clock) -> None:
        self._trust = trust
        self._ocsp = ocsp
        self._clock = clock

    @property
    def asks(self) -> bool:
        """Whether a responder is asked beside the lists."""
        return self._ocsp is not None

    def listed(self, path: CertificatePath) -> Revocation:
        """The standing after the lists alone; asks nobody."""
        return judge_revocation(look_up_path(path, self._trust(), self._clock), None)

    async def check(self, path: CertificatePath) -> Revocation:
        """The standing of a certificate now."""
        listed = look_up_path(path, self._trust(), self._clock)
        if self._ocsp is None or (listed is not None and listed.status is CrlStatus.REVOKED):
            return judge_revocation(listed, None)
        return judge_revocation(listed, await self._ocsp.about(path))

    async def close(self) -> None:
        """Let go of the connections to responders."""
        if self._ocsp is not None:
            await self._ocsp.close()
