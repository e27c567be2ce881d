"""A small repository in memory for tests of the doors: one released image, one directive for it."""

import shutil
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from signing.ceremony import DevelopmentCeremony
from signing.development import DevelopmentManufacturer
from signing.keys import file_address
from signing.service import OnlineKeys, SigningService
from signing.sign_off import collect_evidence, review, sign
from signing.trust_source import METADATA_PREFIX, fetch_from
from storage.artifact import Artifact, ArtifactPhase, Compatible, SignOff
from storage.campaign import Approval, Directive
from storage.canonical import sha256_hex
from storage.charger import SignatureScheme
from storage.clock import system_clock
from storage.errors import NotFound, StaleVersion

IMAGE = b"firmware 1.1"


@dataclass
class Bucket:
    """As much of a BlobStore as a ceremony, a signer and a verifier use."""

    objects: dict[str, bytes] = field(default_factory=dict)

    async def put_bytes(self, key: str, data: bytes) -> bool:
        return self.objects.setdefault(key, data) is data

    async def replace(self, key: str, data: bytes, *, etag: str | None) -> None:
        if etag != (sha256_hex(self.objects[key]) if key in self.objects else None):
            raise StaleVersion(f"{key} has changed.")
        self.objects[key] = data

    async def get(self, key: str, *, limit: int) -> tuple[bytes, str]:
        if key not in self.objects:
            raise NotFound("object", key)
        return self.objects[key], sha256_hex(self.objects[key])

    async def length(self, key: str) -> int:
        return len((await self.get(key, limit=10**9))[0])


@dataclass
class Library:
    """The repository, its keys, and what was signed."""

    blobs: Any
    folder: Path
    root: bytes
    envelope: bytes = b""

    def metadata(self) -> dict[str, bytes]:
        found = {key: data for key, data in self.blobs.objects.items() if key.startswith(METADATA_PREFIX)}
        return {key.removeprefix(METADATA_PREFIX): data for key, data in found.items()}

    def copy(self, folder: Path) -> "Library":
        shutil.copytree(self.folder, folder)
        return Library(Bucket(dict(self.blobs.objects)), folder, self.root, self.envelope)


async def make_library(place: Path) -> Library:
    """The ceremony, a release signed by two people, and a directive."""
    now = system_clock()
    library = Library(Bucket(), place / "keys", b"")
    maker = DevelopmentManufacturer.create("acme", now)
    ceremony = DevelopmentCeremony(library.blobs, library.folder, system_clock)
    made = await ceremony.ensure(["acme"], manufacturer_roots={"acme": (maker.root,)})
    library.root = made.trusted_root
    artifact = _artifact(maker)
    await library.blobs.put_bytes(artifact.artifact_id, IMAGE)
    service = SigningService(library.blobs, library.root, OnlineKeys.in_folder(library.folder), system_clock)
    staged = await service.stage(artifact)
    evidence = await collect_evidence(fetch_from(library.blobs), "acme")
    reviewed = await review("acme", staged.payload, evidence, library.root, now)
    offs = []
    for person in ("release", "qa"):
        keyid, signature = sign(reviewed, file_address(library.folder / f"acme-{person}.pem"))
        offs.append(SignOff(artifact.artifact_id, staged.sha256, keyid, signature, person, now))
    await service.publish(staged, tuple(offs))
    library.envelope = (await service.sign_directive(_directive(artifact), 0)).envelope
    return library


def _artifact(maker: DevelopmentManufacturer) -> Artifact:
    leaf = maker.leaf(SignatureScheme.ECDSA_P256, system_clock())
    return Artifact(
        artifact_id=sha256_hex(IMAGE),
        vendor_role="acme",
        version="1.1",
        release_counter=11,
        length=len(IMAGE),
        compatible=(Compatible("Acme", "Volt"),),
        vendor_signatures=(leaf.sign(IMAGE),),
        phase=ArtifactPhase.RELEASED,
        uploaded_by="rita",
        uploaded_at=system_clock(),
    )


def _directive(artifact: Artifact) -> Directive:
    now = system_clock()
    return Directive(
        directive_id="d-1",
        campaign_id="c-1",
        wave=0,
        plan_digest="f" * 64,
        charger_ids=("CP-1",),
        target_path=artifact.target_path,
        sha256=artifact.artifact_id,
        length=artifact.length,
        version=artifact.version,
        release_counter=artifact.release_counter,
        compatible=(("Acme", "Volt"),),
        not_before=now - timedelta(minutes=1),
        not_after=now + timedelta(hours=8),
        nonce="0123456789abcdef",
        approvals=(Approval("sam", now, "f" * 64),),
    )
