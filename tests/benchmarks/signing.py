"""Rows ``publish`` and ``directives``: the signer on a real S3 server, the first with Temporal around it."""

import asyncio
import hashlib
import itertools
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

from pydantic import SecretStr

from api import bootstrap
from api.development import ensure_secrets
from api.embedded import EmbeddedS3, EmbeddedTemporal
from api.settings import Settings
from signing.development import DevelopmentLeaf, DevelopmentManufacturer, ensure_manufacturer
from signing.directive import sign_envelope
from signing.keys import file_address, open_signer, public_of_file
from signing.service import OnlineKeys, SigningService
from signing.sign_off import collect_evidence, review, sign
from signing.trust_source import fetch_from, load_role, load_trust
from storage.artifact import Artifact, ArtifactPhase, Compatible, SignOff, StagedRelease
from storage.campaign import Approval, Directive
from storage.charger import ModelProfile, SignatureScheme
from storage.clock import system_clock
from storage.errors import NotFound
from tests.benchmarks.report import Row, say
from tests.benchmarks.world import World
from workflows.client import Orchestrator

ROLE = "acme"
RELEASES = 40
DIRECTIVES = 400
CHARGERS = 500
PUBLISH_TARGET_S = 2.0
DIRECTIVES_TARGET = 10.0
"""5,000 chargers a second: a fleet of 100,000 is authorised in 20 seconds."""
_LOOK_S = 0.005


@dataclass
class Office:
    """A repository, its people and their images."""

    settings: Settings
    stores: bootstrap.Stores
    leaf: DevelopmentLeaf
    numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    @property
    def root(self) -> bytes:
        return self.settings.trusted_root_path.read_bytes()

    async def upload(self) -> Artifact:
        """The next image, in the bucket."""
        number = next(self.numbers)
        image = f"firmware {number}".encode() * 1000
        artifact = Artifact(
            artifact_id=hashlib.sha256(image).hexdigest(),
            vendor_role=ROLE,
            version=f"1.{number}",
            release_counter=number,
            length=len(image),
            compatible=(Compatible("Acme", "Volt"),),
            vendor_signatures=(self.leaf.sign(image),),
            phase=ArtifactPhase.UPLOADED,
            uploaded_by="rita",
            uploaded_at=system_clock(),
        )
        await self.stores.blobs.put_bytes(artifact.artifact_id, image)
        return artifact

    async def sign_off(self, staged: StagedRelease) -> tuple[SignOff, ...]:
        """Two people, each with a key file."""
        evidence = await collect_evidence(fetch_from(self.stores.blobs), ROLE)
        reviewed = await review(ROLE, staged.payload, evidence, self.root, system_clock())
        keys = (file_address(self.settings.keys / f"{ROLE}-{who}.pem") for who in ("release", "qa"))
        return tuple(
            SignOff(
                staged.artifact_id, staged.sha256, *sign(reviewed, key), f"person {number}", system_clock()
            )
            for number, key in enumerate(keys)
        )

    async def lists(self, artifact: Artifact) -> bool:
        """Whether a reader that starts from the root, and verifies everything, finds the release."""
        fetch = fetch_from(self.stores.blobs)
        trust = await load_trust(fetch, self.root, system_clock())
        await load_role(fetch, trust, ROLE)
        return artifact.target_path in trust.role(ROLE).targets


@asynccontextmanager
async def _office(world: World, database: str, name: str) -> AsyncIterator[Office]:
    async with EmbeddedS3(world.folder / name) as s3:
        settings = Settings(
            data_dir=world.folder / name,
            database_url=SecretStr(database),
            s3_endpoint=s3.endpoint,
            s3_bucket=s3.bucket,
            s3_access_key=SecretStr(s3.access_key),
            s3_secret_key=SecretStr(s3.secret_key),
            development_vendor_roles=ROLE,
            signer_metadata_per_minute=100_000,
            signer_directives_per_minute=1_000_000,
        )
        ensure_secrets(settings)
        await bootstrap.ensure_bucket(settings)
        async with bootstrap.open_stores(settings) as stores:
            await bootstrap.ensure_repository(settings, stores)
            maker: DevelopmentManufacturer = ensure_manufacturer(settings.keys, ROLE, system_clock())
            await stores.chargers.put_model(ModelProfile("Acme", "Volt"))
            yield Office(settings, stores, maker.leaf(SignatureScheme.ECDSA_P256, system_clock()))


async def measure_publish(world: World) -> list[Row]:
    """From the second person's signature, handed to the workflow, to a verifying reader of the bucket."""
    async with world.database(1) as database, AsyncExitStack() as stack:
        office = await stack.enter_async_context(_office(world, database, "publish"))
        temporal = await stack.enter_async_context(EmbeddedTemporal(Path(world.folder) / "publish"))
        settings = office.settings.model_copy(
            update={"temporal_address": temporal.address, "temporal_namespace": temporal.namespace}
        )
        client = await bootstrap.connect_temporal(settings)
        signer = bootstrap.signing_service(settings, office.stores)
        await stack.enter_async_context(bootstrap.shared_worker(settings, office.stores, client))
        await stack.enter_async_context(bootstrap.signer_worker(settings, office.stores, client, signer))
        orchestrator = Orchestrator(client)
        took = [await _published(office, orchestrator) for _ in range(world.sized(RELEASES, 2))]
        bare = await _bare_writes(office)
    took.sort()
    p95 = took[min(len(took) - 1, int(len(took) * 0.95))]
    say(
        f"publish: {len(took)} releases, p50 {took[len(took) // 2] * 1000:.0f} ms, p95 {p95 * 1000:.0f} ms,"
        f" three bare writes {bare * 1000:.0f} ms"
    )
    return [
        Row(
            *("publish", p95, f"s, p95 of {len(took)}, last signature to a verifying reader"),
            *("three bare writes to the same S3 server", bare, p95 / bare),
            target=f"< {PUBLISH_TARGET_S:g}",
            met=p95 < PUBLISH_TARGET_S,
        )
    ]


async def _published(office: Office, orchestrator: Orchestrator) -> float:
    artifact = await office.upload()
    await office.stores.artifacts.add(artifact)
    await orchestrator.start_publication(artifact.artifact_id)
    first, last = await office.sign_off(await _staged(office, artifact.artifact_id))
    await orchestrator.sign_off(first)
    began = time.monotonic()
    handing_in = asyncio.create_task(orchestrator.sign_off(last))
    async with asyncio.timeout(60):
        while not await office.lists(artifact):  # noqa: ASYNC110 - a bucket has no event to wait for
            await asyncio.sleep(_LOOK_S)
    seconds = time.monotonic() - began
    await handing_in
    return seconds


async def _staged(office: Office, artifact_id: str) -> StagedRelease:
    async with asyncio.timeout(60):
        while True:
            staged = await office.stores.artifacts.staged(artifact_id)
            found = await office.stores.artifacts.get(artifact_id)
            if staged is not None and found.phase is ArtifactPhase.AWAITING_SIGNATURES:
                return staged
            if found.phase is ArtifactPhase.REJECTED:
                raise NotFound("release", artifact_id, hint=found.reason)
            await asyncio.sleep(_LOOK_S)


async def _bare_writes(office: Office) -> float:
    """What the server itself takes for what a publication writes, the median of ten."""
    took = []
    for turn in range(10):
        began = time.monotonic()
        for name in ("role", "snapshot"):
            await office.stores.blobs.put_bytes(f"bare/{turn}/{name}", b"x" * 1000)
        await office.stores.blobs.replace(f"bare/{turn}/timestamp", b"x" * 1000, etag=None)
        took.append(time.monotonic() - began)
    return sorted(took)[len(took) // 2]


async def measure_directives(world: World) -> list[Row]:
    """Each for 500 chargers, after a look at the verified head of the bucket, as the signer makes them."""
    count = world.sized(DIRECTIVES, 5)
    async with world.database(1) as database, _office(world, database, "directives") as office:
        keys = OnlineKeys.in_folder(office.settings.keys)
        service = SigningService(office.stores.blobs, office.root, keys, system_clock)
        artifact = await office.upload()
        staged = await service.stage(artifact)
        await service.publish(staged, await office.sign_off(staged))
        given = [_directive(artifact, number) for number in range(count)]
        began = time.monotonic()
        made = await asyncio.gather(*(service.sign_directive(each, 0) for each in given))
        per_s = count / (time.monotonic() - began)
        key = public_of_file(office.settings.keys / "directive.pem")
        signer = open_signer(keys.directive, [key])
        began = time.monotonic()
        bare = [sign_envelope(each, signer) for each in given]
        bare_per_s = count / (time.monotonic() - began)
    if len({each.directive_id for each in made}) != len(bare):
        raise AssertionError("a directive is missing")
    say(f"directives: {per_s:,.1f}/s of {CHARGERS} chargers each; the bare signature {bare_per_s:,.0f}/s")
    return [
        Row(
            *("directives", per_s, f"directives/s, {CHARGERS} chargers each"),
            *("the bare DSSE signature", bare_per_s, per_s / bare_per_s),
            target=f">= {DIRECTIVES_TARGET:g}",
            met=per_s >= DIRECTIVES_TARGET,
        )
    ]


def _directive(artifact: Artifact, number: int) -> Directive:
    now = system_clock()
    directive = Directive(
        directive_id=f"d-{number}",
        campaign_id="c-1",
        wave=0,
        plan_digest="f" * 64,
        charger_ids=tuple(f"CP-{number}-{place}" for place in range(CHARGERS)),
        target_path=artifact.target_path,
        sha256=artifact.artifact_id,
        length=artifact.length,
        version=artifact.version,
        release_counter=artifact.release_counter,
        compatible=tuple((entry.vendor, entry.model) for entry in artifact.compatible),
        not_before=now,
        not_after=now + timedelta(hours=8),
        nonce="0123456789abcdef",
        approvals=(Approval("sam", now, "f" * 64),),
    )
    return replace(directive, nonce=hashlib.sha256(directive.directive_id.encode()).hexdigest())
