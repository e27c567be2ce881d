"""A bench for signatures: a dict as bucket, a clock to turn, a ceremony's keys, a manufacturer."""

import hashlib
import shutil
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from securesystemslib.signer import Signer
from tuf.api.metadata import Snapshot, Targets, Timestamp

from signing.approval import Statement, sign_statement
from signing.ceremony import DevelopmentCeremony
from signing.development import DevelopmentLeaf, DevelopmentManufacturer
from signing.keys import ensure_key_file, file_address, open_signer, public_of_file
from signing.metadata import decode, listing
from signing.metadata import sign as metadata_sign
from signing.policy import FIELD, Approver, read_policy, write_policy
from signing.ports import DispatchRequest, ReleaseStamp
from signing.service import OnlineKeys, SigningService
from signing.sign_off import Review, collect_evidence, review, sign
from signing.trust_source import METADATA_PREFIX, TrustSource, fetch_from
from signing.verify import Verifier
from storage.artifact import Artifact, ArtifactPhase, Compatible, SignOff, StagedRelease
from storage.campaign import Approval, Directive, SignedDirective
from storage.charger import SignatureScheme
from storage.errors import EngineUnavailable, InvalidInput, NotFound, StaleVersion

NOON = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)


class DictBlobs:
    """``storage.ports.BlobStore`` over a dict; can die at a write, or answer badly for one key."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.writes: list[str] = []
        self.reads: list[str] = []
        self.die_at_write: int | None = None
        self.die_before_write = False
        self.broken: dict[str, Exception] = {}

    def copy(self) -> "DictBlobs":
        other = DictBlobs()
        other.objects = dict(self.objects)
        return other

    def _write(self, key: str, data: bytes) -> None:
        last = self.die_at_write is not None and len(self.writes) + 1 >= self.die_at_write
        if last and self.die_before_write:
            raise EngineUnavailable("killed before the write")
        self.writes.append(key)
        self.objects[key] = data
        if last:
            raise EngineUnavailable("killed after the write")

    async def put_new(self, key: str, chunks: AsyncIterator[bytes], *, length: int | None = None) -> bool:
        return await self.put_bytes(key, b"".join([chunk async for chunk in chunks]))

    async def put_bytes(self, key: str, data: bytes) -> bool:
        if key in self.objects:
            return False
        self._write(key, data)
        return True

    async def replace(self, key: str, data: bytes, *, etag: str | None) -> None:
        if etag != (self._etag(key) if key in self.objects else None):
            raise StaleVersion(f"{key} has changed.")
        self._write(key, data)

    def _etag(self, key: str) -> str:
        return hashlib.sha256(self.objects[key]).hexdigest()

    async def get(self, key: str, *, limit: int) -> tuple[bytes, str]:
        self.reads.append(key)
        if key in self.broken:
            raise self.broken[key]
        if key not in self.objects:
            raise NotFound("object", key)
        if len(self.objects[key]) > limit:
            raise InvalidInput(f"{key} is longer than {limit} bytes.")
        return self.objects[key], self._etag(key)

    async def length(self, key: str) -> int:
        if key not in self.objects:
            raise NotFound("object", key)
        return len(self.objects[key])

    async def read(self, key: str, *, first: int = 0, last: int | None = None) -> AsyncIterator[bytes]:
        if key not in self.objects:
            raise NotFound("object", key)
        data = self.objects[key][first : None if last is None else last + 1]
        for start in range(0, len(data), 7):
            yield data[start : start + 7]

    async def delete(self, key: str) -> None:
        self.objects.pop(key, None)

    async def ready(self) -> None:
        return None


@dataclass
class Bench:
    """Everything around one repository."""

    folder: Path
    leaf: DevelopmentLeaf
    blobs: DictBlobs = field(default_factory=DictBlobs)
    now: datetime = NOON
    root: bytes = b""

    def clock(self) -> datetime:
        return self.now

    def pass_time(self, **parts: float) -> None:
        self.now += timedelta(**parts)

    async def ceremony(self, *roles: str, **options: object) -> None:
        made = await DevelopmentCeremony(self.blobs, self.folder, self.clock).ensure(roles, **options)
        self.root = made.trusted_root

    def service(self, **options: object) -> SigningService:
        return SigningService(self.blobs, self.root, OnlineKeys.in_folder(self.folder), self.clock, **options)

    def source(self, **options: object) -> TrustSource:
        return TrustSource(fetch_from(self.blobs), self.root, **options)

    def verifier(self) -> Verifier:
        return Verifier(self.source())

    def key(self, name: str) -> str:
        return file_address(self.folder / f"{name}.pem")

    async def upload(self, version: str = "1.1", counter: int = 11, **changes: object) -> Artifact:
        """An image in the bucket, with its record."""
        image = changes.pop("image", f"firmware {version}".encode())
        assert isinstance(image, bytes)
        artifact = Artifact(
            artifact_id=hashlib.sha256(image).hexdigest(),
            vendor_role="acme",
            version=version,
            release_counter=counter,
            length=len(image),
            compatible=(Compatible("Acme", "Volt 22"), Compatible("Acme", "Volt 50", ("B", "C"))),
            vendor_signatures=(self.leaf.sign(image),),
            phase=ArtifactPhase.UPLOADED,
            uploaded_by="rita",
            uploaded_at=self.now,
        )
        artifact = replace(artifact, **changes)
        self.blobs.objects[artifact.artifact_id] = image
        return artifact

    def signers(self, *names: str) -> list[Signer]:
        """The signers of key files, whatever they are meant for."""
        return [open_signer(self.key(name), [public_of_file(self.folder / f"{name}.pem")]) for name in names]

    def stored(self, name: str) -> bytes:
        return self.blobs.objects[METADATA_PREFIX + name]

    def timestamp(self) -> Timestamp:
        return decode(Timestamp, self.stored("timestamp.json"), "timestamp").signed

    def snapshot(self) -> Snapshot:
        version = self.timestamp().snapshot_meta.version
        return decode(Snapshot, self.stored(f"{version}.snapshot.json"), "snapshot").signed

    def targets(self, role: str = "targets") -> Targets:
        version = self.snapshot().meta[f"{role}.json"].version
        return decode(Targets, self.stored(f"{version}.{role}.json"), role).signed

    def force(self, role: str, signed: Targets, *names: str) -> None:
        """Put metadata into the bucket past every rule of the publisher, with the online keys' help."""
        signed.version += 1
        data = metadata_sign(signed, *self.signers(*names))
        self.blobs.objects[f"{METADATA_PREFIX}{signed.version}.{role}.json"] = data
        snapshot = self.snapshot()
        snapshot.version += 1
        snapshot.meta[f"{role}.json"] = listing(signed.version, data)
        data = metadata_sign(snapshot, *self.signers("snapshot"))
        self.blobs.objects[f"{METADATA_PREFIX}{snapshot.version}.snapshot.json"] = data
        timestamp = self.timestamp()
        timestamp.version += 1
        timestamp.snapshot_meta = listing(snapshot.version, data)
        self.blobs.objects[f"{METADATA_PREFIX}timestamp.json"] = metadata_sign(
            timestamp, *self.signers("timestamp")
        )

    async def review(self, staged: StagedRelease) -> Review:
        evidence = await collect_evidence(fetch_from(self.blobs), staged.role)
        return await review(staged.role, staged.payload, evidence, self.root, self.now)

    async def sign_off(self, staged: StagedRelease, *people: str) -> tuple[SignOff, ...]:
        """Reviewed and signed by the role's people, as their command line does it."""
        reviewed = await self.review(staged)
        return tuple(
            SignOff(
                staged.artifact_id,
                staged.sha256,
                *sign(reviewed, self.key(f"{staged.role}-{person}")),
                person,
                self.now,
            )
            for person in people
        )

    async def release(self, artifact: Artifact, service: SigningService | None = None) -> ReleaseStamp:
        signer = service or self.service()
        staged = await signer.stage(artifact)
        return await signer.publish(staged, await self.sign_off(staged, "release", "qa"))

    def directive(self, artifact: Artifact, *chargers: str, **changes: object) -> Directive:
        directive = Directive(
            directive_id="d-1",
            campaign_id="c-1",
            wave=0,
            plan_digest="f" * 64,
            charger_ids=chargers or ("CP-1", "CP-2"),
            target_path=artifact.target_path,
            sha256=artifact.artifact_id,
            length=artifact.length,
            version=artifact.version,
            release_counter=artifact.release_counter,
            compatible=tuple((entry.vendor, entry.model) for entry in artifact.compatible),
            not_before=self.now - timedelta(minutes=1),
            not_after=self.now + timedelta(hours=8),
            nonce="0123456789abcdef",
            approvals=(Approval("sam", self.now, "f" * 64),),
        )
        return replace(directive, **changes)

    def enlist(self, *names: str, **policy: object) -> None:
        """Have the people of the targets role list these approvers, and whatever else of the policy."""
        targets = self.targets()
        keys = [ensure_key_file(self.folder / f"approver-{name}.pem") for name in names]
        listed = {key.keyid: Approver(name, key) for name, key in zip(names, keys, strict=True)}
        before = read_policy(targets)
        changed = replace(before, approvers=dict(before.approvers) | listed, **policy)
        targets.unrecognized_fields[FIELD] = write_policy(changed)
        self.force("targets", targets, "targets-1", "targets-2")

    def approved(self, directive: Directive, *names: str, **changes: object) -> Directive:
        """The directive with what these people signed, each with their own key."""
        back = directive.downgrade
        statement = Statement(
            campaign_id=directive.campaign_id,
            plan_digest=directive.plan_digest,
            artifact_id="a" * 64 if back else directive.sha256,
            rollback_artifact_id=directive.sha256 if back else None,
            actor="",
            at=self.now,
            not_after=self.now + timedelta(days=30),
        )
        return replace(directive, approvals=tuple(self.yes(statement, name, **changes) for name in names))

    def yes(self, statement: Statement, name: str, **changes: object) -> Approval:
        """One person's signed approval; ``key`` names another key file to sign with."""
        [signer] = self.signers(str(changes.pop("key", f"approver-{name}")))
        said = replace(statement, actor=name, **changes)
        return Approval(name, self.now, "f" * 64, sign_statement(said, signer))

    def request(self, signed: SignedDirective, **changes: object) -> DispatchRequest:
        request = DispatchRequest(
            charger_id="CP-1",
            vendor="Acme",
            model="Volt 22",
            hardware_revision=None,
            installed_version="1.0",
            installed_counter=10,
            request_id=7,
            scheme=SignatureScheme.ECDSA_P256,
            signed_update=True,
            unsafe_unsigned_waiver=None,
            directive=signed,
            now=self.now,
        )
        return replace(request, **changes)


@pytest.fixture(scope="session")
def manufacturer() -> DevelopmentManufacturer:
    return DevelopmentManufacturer.create("acme", NOON)


@pytest.fixture(scope="session")
def leaves(manufacturer: DevelopmentManufacturer) -> dict[SignatureScheme, DevelopmentLeaf]:
    return {scheme: manufacturer.leaf(scheme, NOON, rsa_bits=2048) for scheme in SignatureScheme}


@pytest.fixture
def empty_bench(tmp_path: Path, leaves: dict[SignatureScheme, DevelopmentLeaf]) -> Bench:
    return Bench(tmp_path / "keys", leaves[SignatureScheme.ECDSA_P256])


@pytest.fixture(scope="session")
async def template(
    tmp_path_factory: pytest.TempPathFactory,
    manufacturer: DevelopmentManufacturer,
    leaves: dict[SignatureScheme, DevelopmentLeaf],
) -> Bench:
    """The ceremony held once; each test gets a copy."""
    made = Bench(tmp_path_factory.mktemp("ceremony") / "keys", leaves[SignatureScheme.ECDSA_P256])
    await made.ceremony("acme", manufacturer_roots={"acme": (manufacturer.root,)})
    return made


@pytest.fixture
def bench(template: Bench, tmp_path: Path) -> Bench:
    """A repository with one vendor role, whose manufacturer's root is configured."""
    shutil.copytree(template.folder, tmp_path / "keys")
    return Bench(tmp_path / "keys", template.leaf, template.blobs.copy(), NOON, template.root)


@pytest.fixture
def fresh_bench(tmp_path: Path, leaves: dict[SignatureScheme, DevelopmentLeaf]) -> Callable[[str], Bench]:
    """More than one bench in a test."""
    return lambda name: Bench(tmp_path / name, leaves[SignatureScheme.ECDSA_P256])
