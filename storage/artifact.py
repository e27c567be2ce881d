"""Firmware artifacts: one image, the models it is for, the proofs it carries."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from storage.charger import SignatureScheme
from storage.evidence import EvidenceKind, EvidenceRef


class ArtifactPhase(StrEnum):
    """Where an artifact stands on its way in."""

    UPLOADED = "uploaded"
    INSPECTING = "inspecting"
    AWAITING_EVIDENCE = "awaiting_evidence"
    AWAITING_SIGNATURES = "awaiting_signatures"
    PUBLISHING = "publishing"
    RELEASED = "released"
    REJECTED = "rejected"
    REVOKED = "revoked"


EVIDENCE_OPEN = frozenset(
    {
        ArtifactPhase.UPLOADED,
        ArtifactPhase.INSPECTING,
        ArtifactPhase.AWAITING_EVIDENCE,
        ArtifactPhase.AWAITING_SIGNATURES,
    }
)
"""On its way to enough signatures: evidence may still be added; later it is part of what people signed."""


@dataclass(frozen=True, slots=True)
class Compatible:
    """A model this image is for; an empty ``hardware_revisions`` means all of them."""

    vendor: str
    model: str
    hardware_revisions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class VendorSignature:
    """OCPP's firmware signature: over the whole file, base64 (<= 800), and its certificate (PEM, <= 5500)."""

    scheme: SignatureScheme
    signature: str
    certificate: str


@dataclass(frozen=True, slots=True)
class Artifact:
    """One firmware image. ``artifact_id`` is its SHA-256 in lower-case hex, which is also its blob's key."""

    artifact_id: str
    vendor_role: str
    """The TUF role whose people sign it; also the first segment of its target path."""
    version: str
    """The version a charger reports once it runs this image."""
    release_counter: int
    """Rises with every release of a role; never goes down without an authorised directive (S25)."""
    length: int
    compatible: tuple[Compatible, ...]
    vendor_signatures: tuple[VendorSignature, ...]
    phase: ArtifactPhase
    uploaded_by: str
    uploaded_at: datetime
    filename: str = "firmware.bin"
    reason: str = ""
    """Why it is in this phase, one sentence."""
    evidence: tuple[EvidenceRef, ...] = ()
    """At most one piece of each kind."""

    @property
    def target_path(self) -> str:
        """TUF target path, bound to the vendor's role by its first segment (S7)."""
        return f"{self.vendor_role}/{self.version}/{self.filename}"

    def piece(self, kind: EvidenceKind) -> EvidenceRef | None:
        """Its evidence of a kind, if it carries one."""
        return next((ref for ref in self.evidence if ref.kind is kind), None)


@dataclass(frozen=True, slots=True)
class SignOff:
    """One person's signature over the staged metadata of the vendor's role."""

    artifact_id: str
    staged_sha256: str
    """SHA-256 of the exact bytes that were signed; another staging voids this sign-off (S16)."""
    keyid: str
    signature: str
    """Hex, as TUF writes it."""
    signer: str
    signed_at: datetime


@dataclass(frozen=True, slots=True)
class StagedRelease:
    """The next version of the vendor role's metadata, waiting for signatures."""

    artifact_id: str
    role: str
    version: int
    payload: bytes
    """Canonical JSON of the ``signed`` part: exactly the bytes a signer signs."""
    sha256: str
    threshold: int
    keyids: tuple[str, ...]
    """The keys that count."""
