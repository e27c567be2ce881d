"""Security profile 3: does this client certificate prove that the peer is this very charger?

The chain says that an authority of ours issued it; that alone would let any charger speak for any
other. So its common name must be the identity or the serial number this charger is registered with.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography import x509

from csms.denials import Denials, sentence
from csms.pki.certificates import Presented, parse, parse_issuer
from csms.pki.ocsp_client import OcspClient, OcspOptions
from csms.pki.path import CertificatePath, Untrusted, find_path
from csms.pki.revocation import Revocation, RevocationChecker, Standing
from csms.pki.trust import Trust, TrustFiles, load_trust
from csms.reloading import Reloading
from storage.charger import Charger
from storage.clock import Clock
from storage.ports import ChargerStore


@dataclass(frozen=True, slots=True)
class ClientTlsOptions:
    """How chargers' certificates are judged."""

    files: TrustFiles
    ocsp: OcspOptions = field(default_factory=OcspOptions)
    unsafe_unproven: bool = False
    """Let a charger in, with a caution on its twin, when nothing fresh says whether it is revoked."""
    check_every_s: float = 20.0
    """How often the certificates of open sockets are looked up again."""
    expired_of: frozenset[str] = frozenset()
    """Chargers whose expired certificate lets them in to renew it, and to do nothing else (A00.FR.429)."""


@dataclass(frozen=True, slots=True)
class Proven:
    """The certificate is this charger's."""

    path: CertificatePath
    caution: str | None = None
    expired: bool = False
    """It was until it expired: enough to renew it, for nothing else."""


@dataclass(frozen=True, slots=True)
class Unproven:
    """It is not, or nobody can tell."""

    reason: str


def named_fault(path: CertificatePath, charger: Charger) -> str:
    """Why this certificate was not issued to this charger; empty: it was."""
    if path.common_name not in (charger.charger_id, charger.serial_number):
        return "the certificate was issued to another charger"
    return ""


def shared_fault(charger: Charger, bearers: Sequence[str]) -> str:
    """Why it is not this charger's alone; empty: it is. ``bearers``: all whose name that is."""
    if any(bearer != charger.charger_id for bearer in bearers):
        # One certificate would speak for two chargers (F36).
        return "the common name of the certificate fits more than one registered charger"
    return ""


def caution_of(revocation: Revocation, *, unsafe_unproven: bool) -> Unproven | str | None:
    """A refusal, a caution, or nothing to say."""
    match revocation.standing:
        case Standing.REVOKED:
            return Unproven(f"the certificate was {revocation.reason}")
        case Standing.UNPROVEN:
            reason = f"it is not known whether the certificate is revoked: {revocation.reason}"
            return reason if unsafe_unproven else Unproven(reason)
    return None


def _is_trusted(authority: x509.Certificate, trust: Trust) -> bool:
    """Whether it still is; renewed under its name and key it stands for the same certificates as before."""
    return authority in trust.anchors or any(
        each.subject == authority.subject and each.public_key() == authority.public_key()
        for each in trust.anchors
    )


class ClientCertificates:
    """Judges what chargers present, against the newest authorities and lists."""

    def __init__(
        self,
        options: ClientTlsOptions,
        chargers: ChargerStore,
        clock: Clock,
        ocsp: OcspClient | None,
        denials: Denials | None = None,
    ) -> None:
        """Raises InvalidInput when a file cannot be used."""
        files = options.files
        self.options = options
        self._trust = Reloading("charger authorities and lists", files.all, lambda: load_trust(files))
        self._checker = RevocationChecker(lambda: self._trust.current, ocsp, clock)
        self._chargers = chargers
        self._clock = clock
        self._denials = denials

    @property
    def trust(self) -> Trust:
        """What is believed now."""
        return self._trust.current

    @property
    def problem(self) -> str:
        """Why the newest files are not in force; empty: they are."""
        return self._trust.problem

    async def refresh(self) -> bool:
        """Look at files and records once; whether there is anything new in them."""
        files = await self._trust.refresh()
        records = await self._denials.refresh() if self._denials else False
        return files or records

    async def prove(self, presented: Presented, charger: Charger) -> Proven | Unproven:
        """Whether the peer is this charger. Raises EngineUnavailable."""
        leaf = parse(presented.leaf)
        if leaf is None:
            return Unproven("the certificate cannot be read")
        issuers = [issuer for der in presented.chain if (issuer := parse_issuer(der)) is not None]
        at, named = self._clock(), charger.charger_id in self.options.expired_of
        path = find_path(leaf, issuers, self.trust.anchors, at, outlived=named)
        if isinstance(path, Untrusted):
            return Unproven(f"the certificate is not valid: {path.reason}")
        # A name that is not the charger's is a stranger's word, and never reaches the store.
        fault = named_fault(path, charger)
        fault = fault or shared_fault(charger, await self._chargers.named(path.common_name))
        if fault:
            return Unproven(fault)
        standing = await self._recorded(charger.charger_id, path)
        standing = standing or await self.standing(charger.charger_id, path)
        found = caution_of(standing, unsafe_unproven=self.options.unsafe_unproven)
        if isinstance(found, Unproven) or at <= path.valid_until:
            return found if isinstance(found, Unproven) else Proven(path, found)
        expired = f"it may only renew its certificate, which expired on {path.valid_until:%Y-%m-%d %H:%M} UTC"
        return Proven(path, "; ".join(filter(None, (expired, found))), expired=True)

    @property
    def asks_responders(self) -> bool:
        """Whether the files are not all there is to look at."""
        return self._checker.asks

    def listed(self, charger_id: str, path: CertificatePath) -> Revocation:
        """Whether a certificate that was proven before still stands after what was read last, files alone."""
        denied = self._denials.known(charger_id, path.serial) if self._denials else None
        if denied is not None:
            return Revocation(Standing.REVOKED, sentence(denied))
        if not _is_trusted(path.issuers[-1], self.trust):
            return Revocation(Standing.REVOKED, "withdrawn with the authority that issued it")
        return self._checker.listed(path)

    async def _recorded(self, charger_id: str, path: CertificatePath) -> Revocation | None:
        denied = await self._denials.ask(charger_id, path.serial) if self._denials else None
        return Revocation(Standing.REVOKED, sentence(denied)) if denied else None

    async def standing(self, charger_id: str, path: CertificatePath) -> Revocation:
        """The same, after every source that is configured."""
        listed = self.listed(charger_id, path)
        return listed if listed.standing is Standing.REVOKED else await self._checker.check(path)

    async def close(self) -> None:
        """Let go of the connections to responders."""
        await self._checker.close()
