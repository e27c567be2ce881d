"""A small repository in memory for tests of the doors: one released image, one directive for it."""

import shutil
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from signing.approval import Statement, sign_statement
from signing.ceremony import DevelopmentCeremony
from signing.development import DevelopmentLeaf, DevelopmentManufacturer
from signing.keys import ensure_key_file, file_address, open_signer, public_of_file
from signing.policy import Approver
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

    def service(self) -> SigningService:
        return SigningService(self.blobs, self.root, OnlineKeys.in_folder(self.folder), system_clock)

    def copy(self, folder: Path) -> "Library":
        shutil.copytree(self.folder, folder)
        return Library(Bucket(dict(self.blobs.objects)), folder, self.root, self.envelope)


async def make_library(place: Path, *, releases: int = 1, approvers: tuple[str, ...] = ()) -> Library:
    """The ceremony, releases signed by two people each, and a directive for 1.1, approved by these."""
    library = Library(Bucket(), place / "keys", b"")
    maker = DevelopmentManufacturer.create("acme", system_clock())
    keys = {name: ensure_key_file(library.folder / f"approver-{name}.pem") for name in approvers}
    people = {key.keyid: Approver(name, key) for name, key in keys.items()}
    ceremony = DevelopmentCeremony(
        library.blobs, library.folder, system_clock, change=lambda policy: replace(policy, approvers=people)
    )
    made = await ceremony.ensure(["acme"], manufacturer_roots={"acme": (maker.root,)})
    library.root = made.trusted_root
    leaf = maker.leaf(SignatureScheme.ECDSA_P256, system_clock())
    first = _artifact(leaf, "1.1", IMAGE, 11)
    others = [_artifact(leaf, f"2.{number}", b"%d" % number, 100 + number) for number in range(1, releases)]
    for artifact, image in [(first, IMAGE), *((one, one.version[2:].encode()) for one in others)]:
        await library.blobs.put_bytes(artifact.artifact_id, image)
        await _release(library, artifact)
    directive = directive_for(first)
    if approvers:
        directive = replace(directive, approvals=tuple(_yes(library, directive, name) for name in approvers))
    library.envelope = (await library.service().sign_directive(directive, 0)).envelope
    return library


def _yes(library: Library, directive: Directive, name: str) -> Approval:
    now, pem = system_clock(), library.folder / f"approver-{name}.pem"
    campaign, digest = directive.campaign_id, directive.plan_digest
    said = Statement(campaign, digest, directive.sha256, None, name, now, now + timedelta(days=30))
    return Approval(
        name, now, digest, sign_statement(said, open_signer(file_address(pem), [public_of_file(pem)]))
    )


async def _release(library: Library, artifact: Artifact) -> None:
    service, now = library.service(), system_clock()
    staged = await service.stage(artifact)
    evidence = await collect_evidence(fetch_from(library.blobs), "acme")
    reviewed = await review("acme", staged.payload, evidence, library.root, now)
    offs = []
    for person in ("release", "qa"):
        keyid, signature = sign(reviewed, file_address(library.folder / f"acme-{person}.pem"))
        offs.append(SignOff(artifact.artifact_id, staged.sha256, keyid, signature, person, now))
    await service.publish(staged, tuple(offs))


def _artifact(leaf: DevelopmentLeaf, version: str, image: bytes, counter: int) -> Artifact:
    return Artifact(
        artifact_id=sha256_hex(image),
        vendor_role="acme",
        version=version,
        release_counter=counter,
        length=len(image),
        compatible=(Compatible("Acme", "Volt"),),
        vendor_signatures=(leaf.sign(image),),
        phase=ArtifactPhase.RELEASED,
        uploaded_by="rita",
        uploaded_at=system_clock(),
    )


def directive_for(artifact: Artifact) -> Directive:
    """For one charger, approved by Sam in the database alone."""
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
