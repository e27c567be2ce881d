"""What activities ask of the seals. Pure signatures; the work is in the modules beside this one."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from storage.artifact import Artifact, SignOff, StagedRelease, VendorSignature
from storage.audit import AuditCheckpoint, AuditRow
from storage.bundle import BundleManifest
from storage.campaign import Directive, SignedDirective
from storage.charger import SelfReport, SignatureScheme
from storage.evidence import EvidenceRef


@dataclass(frozen=True, slots=True)
class Inspection:
    """What was found when an uploaded image was read back; facts, no opinion but the listed problems."""

    sha256: str
    length: int
    problems: tuple[str, ...]
    """Empty: everything that can be checked before people sign holds."""


@dataclass(frozen=True, slots=True)
class ReleaseStamp:
    """Which metadata now lists the artifact."""

    target_path: str
    role_version: int
    snapshot_version: int
    timestamp_version: int


MAX_CEREMONY = 24 * 1024 * 1024
"""Bytes of a ceremony file: a dozen vendor roles of 2 MB."""


@dataclass(frozen=True, slots=True)
class CeremonyStamp:
    """What a concluded ceremony left behind."""

    fingerprint: str
    """Nothing, where a backup was restored."""
    versions: dict[str, int]
    """Of root, targets and the vendor roles, as published now."""
    snapshot_version: int
    timestamp_version: int
    signers: tuple[str, ...]
    """Holders whose signatures counted; nobody, if it had been published before."""


@dataclass(frozen=True, slots=True)
class DispatchRequest:
    """What is about to be sent to one charger, for the last check before it leaves."""

    charger_id: str
    vendor: str
    model: str
    hardware_revision: str | None
    installed_version: str | None
    installed_counter: int | None
    """Release counter of the installed version, None if we never released it."""
    request_id: int
    scheme: SignatureScheme
    signed_update: bool
    unsafe_unsigned_waiver: str | None
    directive: SignedDirective
    now: datetime
    told: SelfReport | None = None
    """What the charger said of itself on this very socket; None: it has not booted on it."""


@dataclass(frozen=True, slots=True)
class VerifiedDispatch:
    """All sources agree; only this may be sent."""

    directive: Directive
    vendor_signature: VendorSignature | None
    """None only under a model's unsigned waiver."""
    evidence: dict[str, str | int]
    """Metadata versions and key ids that were relied upon; goes to the audit log."""
    certificate_subjects: tuple[str, ...] = ()
    """Under which its signing certificate can have been withdrawn (``storage.withdrawal``)."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict on a release's evidence, with everything that stands against it, and what it rests on."""

    problems: tuple[str, ...]
    policy_sha256: str
    inputs: tuple[tuple[str, str], ...]
    """What was looked at, by name, with its SHA-256."""

    @property
    def passed(self) -> bool:
        """Whether people may be asked to sign."""
        return not self.problems


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict, and the signed summary that says so; None: nothing was asked and nothing was brought."""

    judgement: Judgement
    summary: EvidenceRef | None


class EvidenceJudge(Protocol):
    """The signer's look at a release's evidence (S49-S52)."""

    async def judge(self, artifact: Artifact) -> Judged: ...
    async def require(self, artifact: Artifact) -> None:
        """Raise VerificationFailed unless the evidence holds now; nothing is signed."""


ReadRows = Callable[[int, int], Awaitable[Sequence[AuditRow]]]
"""(after this number, at most so many) -> rows of the audit log by number."""


class Notary(Protocol):
    """Vouches for the audit log with a key that the database does not hold (S65)."""

    async def checkpoint(self, rows: ReadRows) -> AuditCheckpoint | None:
        """The new checkpoint, or None: none is due. Raises VerificationFailed, KeyUnavailable."""


class BundleSealer(Protocol):
    """Signs the evidence bundle of a charger with the same key (F29)."""

    async def seal(self, manifest: BundleManifest) -> bytes:
        """The lines that the file begins with. Raises KeyUnavailable."""


class DispatchVerifier(Protocol):
    """Verification before dispatch, in the node that holds the socket (S22-S32). Holds no keys."""

    async def verify(self, request: DispatchRequest) -> VerifiedDispatch:
        """Fresh TUF state (<= 5 min), directive, release and vendor signature agree; else it raises."""


class ArtifactInspector(Protocol):
    """Checks of an upload before people are asked to sign (S32-S35, S41)."""

    async def inspect(self, artifact: Artifact) -> Inspection: ...


class ReleaseSigner(Protocol):
    """The signer process: the only one that can reach online keys (S63, S64)."""

    async def stage(self, artifact: Artifact) -> StagedRelease:
        """The next version of the vendor role's metadata with this target added, unsigned."""

    async def outdated(self, staged: StagedRelease) -> str:
        """Why what is staged could not be published any more, whoever signed it; empty: it could."""

    async def check_sign_off(self, staged: StagedRelease, sign_off: SignOff) -> None:
        """Raise VerificationFailed unless this key counts for the role and the signature holds."""

    async def publish(self, staged: StagedRelease, sign_offs: tuple[SignOff, ...]) -> ReleaseStamp:
        """Role, snapshot, timestamp, in that order (S9); idempotent.

        Raises:
            VerificationFailed: fewer than the threshold of distinct keys.
            StaleStage: the role has moved on since it was staged.
        """

    async def sign_directive(self, directive: Directive, shard: int) -> SignedDirective:
        """DSSE with the directive key. Raises VerificationFailed if its window or size is out of policy."""

    async def conclude_ceremony(self, data: bytes) -> CeremonyStamp:
        """Publish what a ceremony's people signed, or restore a backup; idempotent.

        Raises:
            VerificationFailed: somebody has not signed, or it breaks a rule; nothing was written.
            StaleStage: another ceremony or release came first.
        """

    async def refresh(self) -> None:
        """Sign snapshot and timestamp anew if they near their expiry."""
