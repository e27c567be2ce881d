"""Artifacts at the door."""

import base64
import binascii
from datetime import datetime
from typing import Annotated

from pydantic import Field, field_validator

from api.schemas.common import Body, Label, Reply, Sha256, Slug, Whole
from storage.artifact import Artifact, ArtifactPhase, Compatible, SignOff, StagedRelease, VendorSignature
from storage.charger import SignatureScheme
from storage.evidence import EvidenceKind

Version = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._+\-]{0,49}$",
        examples=["1.4.2"],
        description="Exactly what a charger reports once it runs this image (OCPP: at most 50 characters).",
    ),
]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._\-]{0,99}$", examples=["firmware.bin"])]


class CompatibleBody(Body):
    """A model this image is for; no hardware revisions means all of them."""

    vendor: Label = Field(examples=["Volta"])
    model: Label = Field(examples=["V22"])
    hardware_revisions: tuple[Label, ...] = Field(default=(), max_length=50)


class VendorSignatureBody(Body):
    """The vendor's signature over the whole file."""

    scheme: SignatureScheme
    # OCPP 2.0.1 FirmwareType: signature 800, signingCertificate 5500.
    signature: str = Field(min_length=1, max_length=800, description="Base64.")
    certificate: str = Field(min_length=1, max_length=5500, description="PEM.")

    @field_validator("signature")
    @classmethod
    def _is_base64(cls, value: str) -> str:
        try:
            base64.b64decode(value, validate=True)
        except binascii.Error:
            raise ValueError("must be base64") from None
        return value


class ManifestBody(Body):
    """What an upload says of its file."""

    vendor_role: Slug = Field(description="The TUF role whose people sign it.")
    version: Version
    release_counter: Whole = Field(ge=0, le=2**31 - 1, description="Rises with every release of a role.")
    filename: FileName = "firmware.bin"
    sha256: Sha256 | None = Field(default=None, description="Of the file, as the sender knows it; checked.")
    compatible: tuple[CompatibleBody, ...] = Field(min_length=1, max_length=100)
    vendor_signatures: tuple[VendorSignatureBody, ...] = Field(default=(), max_length=3)

    def to_noun(self, sha256: str, length: int, uploaded_by: str, at: datetime) -> Artifact:
        """The artifact that these words and bytes make."""
        return Artifact(
            artifact_id=sha256,
            vendor_role=self.vendor_role,
            version=self.version,
            release_counter=self.release_counter,
            length=length,
            compatible=tuple(
                Compatible(each.vendor, each.model, each.hardware_revisions) for each in self.compatible
            ),
            vendor_signatures=tuple(
                VendorSignature(each.scheme, each.signature, each.certificate)
                for each in self.vendor_signatures
            ),
            phase=ArtifactPhase.UPLOADED,
            uploaded_by=uploaded_by,
            uploaded_at=at,
            filename=self.filename,
        )


class EvidenceReply(Reply):
    """One piece of evidence."""

    kind: EvidenceKind
    sha256: str
    length: int
    added_by: str
    added_at: datetime


class ImportBody(Body):
    """Where a vendor offers an image, and what it is."""

    url: str = Field(
        min_length=1,
        max_length=2000,
        examples=["https://downloads.volta.example/v22/1.4.2.bin"],
        description="https, on the open network; no user name, no private address, also behind redirects.",
    )
    manifest: ManifestBody


class ArtifactReply(Reply):
    """One firmware image and where it stands on its way in."""

    artifact_id: str = Field(description="Its SHA-256.")
    vendor_role: str
    version: str
    release_counter: int
    length: int
    filename: str
    compatible: tuple[Compatible, ...]
    vendor_signatures: tuple[VendorSignature, ...]
    phase: ArtifactPhase
    reason: str
    uploaded_by: str
    uploaded_at: datetime
    evidence: tuple[EvidenceReply, ...] = ()


class SignOffBody(Body):
    """One person's signature over the staged bytes."""

    staged_sha256: Sha256
    keyid: str = Field(pattern=r"^[0-9a-f]{64}$")
    signature: str = Field(pattern=r"^([0-9a-f]{2})+$", max_length=2048, description="Hex, as TUF writes it.")

    def to_noun(self, artifact_id: str, signer: str, at: datetime) -> SignOff:
        """The sign-off of this person."""
        return SignOff(artifact_id, self.staged_sha256, self.keyid, self.signature, signer, at)


class SignerReply(Reply):
    """Who signed, with which key."""

    keyid: str
    signer: str
    signed_at: datetime


class StagedReply(Reply):
    """The next metadata of the vendor's role: exactly the bytes that people sign."""

    artifact_id: str
    role: str
    version: int
    sha256: str
    payload: str = Field(description="Base64 of the bytes to sign.")
    threshold: int
    keyids: tuple[str, ...] = Field(description="The keys that count.")
    signed_by: tuple[SignerReply, ...]

    @classmethod
    def of(cls, staged: StagedRelease, sign_offs: tuple[SignOff, ...]) -> "StagedReply":
        """The reply for what is staged now and who signed it."""
        return cls(
            artifact_id=staged.artifact_id,
            role=staged.role,
            version=staged.version,
            sha256=staged.sha256,
            payload=base64.b64encode(staged.payload).decode(),
            threshold=staged.threshold,
            keyids=staged.keyids,
            signed_by=tuple(SignerReply.model_validate(each) for each in sign_offs),
        )
