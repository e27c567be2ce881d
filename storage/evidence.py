"""What proves a release besides its signatures: its parts list, its origin, and what was decided of both."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class EvidenceKind(StrEnum):
    """The pieces that an artifact can carry, one of each."""

    SBOM = "sbom"
    """CycloneDX, JSON."""
    PROVENANCE = "provenance"
    """SLSA provenance in a DSSE envelope."""
    VEX = "vex"
    """OpenVEX or CycloneDX VEX in a DSSE envelope."""
    VSA = "vsa"
    """Our own verdict on the others: a SLSA verification summary, signed by the signer."""


SUPPLIED = (EvidenceKind.SBOM, EvidenceKind.PROVENANCE, EvidenceKind.VEX)
"""What people bring; the verdict is the signer's."""


@dataclass(frozen=True, slots=True)
class EvidenceRef:
    """One piece, by its content. The bytes lie in the bucket under ``evidence/<sha256>``."""

    kind: EvidenceKind
    sha256: str
    length: int
    added_by: str
    added_at: datetime


def evidence_key(sha256: str) -> str:
    """Where a piece lies in the bucket."""
    return f"evidence/{sha256}"


def with_piece(pieces: tuple[EvidenceRef, ...], piece: EvidenceRef) -> tuple[EvidenceRef, ...]:
    """The pieces with this one in its kind's place; another piece voids the verdict on the old ones."""
    return (*without(pieces, piece.kind), piece)


def without(pieces: tuple[EvidenceRef, ...], kind: EvidenceKind) -> tuple[EvidenceRef, ...]:
    """The pieces without a kind, and without the verdict, which spoke of all."""
    return tuple(ref for ref in pieces if ref.kind not in (kind, EvidenceKind.VSA))
