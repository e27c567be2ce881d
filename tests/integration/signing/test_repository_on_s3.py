"""The repository on a real S3 server: conditional writes, crashes, refused reads, the stock client."""

import asyncio
import hashlib
import itertools
import secrets
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tuf.ngclient import Updater

from signing.ceremony import DevelopmentCeremony
from signing.development import DevelopmentManufacturer
from signing.errors import RepositoryUnreachable
from signing.inspection import Inspector
from signing.keys import file_address
from signing.ports import DispatchRequest, ReleaseStamp
from signing.service import OnlineKeys, SigningService
from signing.sign_off import collect_evidence, review, sign
from signing.trust_source import METADATA_PREFIX, TrustSource, fetch_from
from signing.verify import Verifier
from storage.artifact import Artifact, ArtifactPhase, Compatible, SignOff, StagedRelease
from storage.charger import ModelProfile, SignatureScheme
from storage.clock import system_clock
from storage.errors import EngineUnavailable, NotFound
from storage.s3 import S3BlobStore
from tests.support.signing_library import directive_for

pytestmark = pytest.mark.integration

ROLES = ("acme", "bolt")


class DyingStore:
    """The real store, which dies right after so many writes have reached the server."""

    def __init__(self, store: S3BlobStore, writes: int) -> None:
        self._store = store
        self._left = writes

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def _count(self) -> None:
        self._left -= 1
        if self._left <= 0:
            raise EngineUnavailable("killed after the write")

    async def put_bytes(self, key: str, data: bytes) -> bool:
        made = await self._store.put_bytes(key, data)
        self._count()
        return made

    async def replace(self, key: str, data: bytes, *, etag: str | None) -> None:
        await self._store.replace(key, data, etag=etag)
        self._count()


@dataclass
class House:
    """A repository in its own bucket, with its keys and a manufacturer."""

    blobs: S3BlobStore
    folder: Path
    manufacturer: DevelopmentManufacturer
    root: bytes
    counters: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def service(self, blobs: Any = None) -> SigningService:
        keys = OnlineKeys.in_folder(self.folder)
        return SigningService(blobs or self.blobs, self.root, keys, system_clock)

    def source(self) -> TrustSource:
        return TrustSource(fetch_from(self.blobs), self.root)

    async def upload(self, role: str, image: bytes = b"firmware") -> Artifact:
        """The role's next release, with its image in the bucket."""
        counter = next(self.counters)
        version, image = f"1.{counter}", image + str(counter).encode()
        leaf = self.manufacturer.leaf(SignatureScheme.ECDSA_P256, system_clock())
        artifact = Artifact(
            artifact_id=hashlib.sha256(image).hexdigest(),
            vendor_role=role,
            version=version,
            release_counter=counter,
            length=len(image),
            compatible=(Compatible("Acme", "Volt"),),
            vendor_signatures=(leaf.sign(image),),
            phase=ArtifactPhase.UPLOADED,
            uploaded_by="rita",
            uploaded_at=system_clock(),
        )

        async def chunks() -> AsyncIterator[bytes]:
            for start in range(0, len(image), 100_000):
                yield image[start : start + 100_000]

        await self.blobs.put_new(artifact.artifact_id, chunks(), length=len(image))
        return artifact

    async def sign_off(self, staged: StagedRelease) -> tuple[SignOff, ...]:
        evidence = await collect_evidence(fetch_from(self.blobs), staged.role)
        reviewed = await review(staged.role, staged.payload, evidence, self.root, system_clock())
        return tuple(
            SignOff(
                staged.artifact_id,
                staged.sha256,
                *sign(reviewed, file_address(self.folder / f"{staged.role}-{who}.pem")),
                who,
                system_clock(),
            )
            for who in ("release", "qa")
        )

    async def release(self, artifact: Artifact) -> ReleaseStamp:
        service = self.service()
        staged = await service.stage(artifact)
        return await service.publish(staged, await self.sign_off(staged))

    async def listed(self, role: str) -> set[str]:
        source = self.source()
        trust = await source.current(system_clock())
        await source.role(trust, role)
        return {release.version for release in map(trust.release, trust.role(role).targets)}


def bucket(settings: Any, **changes: str) -> S3BlobStore:
    names = ("endpoint", "region", "access_key", "secret_key")
    return S3BlobStore(**{name: getattr(settings, name) for name in names} | changes)


@pytest.fixture(scope="module")
async def house(embedded_s3: Any, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """One repository for all tests here: each adds releases of its own."""
    name = f"signing-{secrets.token_hex(6)}"
    embedded_s3.client().create_bucket(Bucket=name)
    blobs = bucket(embedded_s3, bucket=name)
    folder = tmp_path_factory.mktemp("signing") / "keys"
    maker = DevelopmentManufacturer.create("acme", system_clock())
    ceremony = DevelopmentCeremony(blobs, folder, system_clock)
    made = await ceremony.ensure(ROLES, manufacturer_roots={"acme": (maker.root,)})
    yield House(blobs, folder, maker, made.trusted_root)
    blobs.close()


@pytest.mark.requirement("S22", "S32", "S41", "R50")
async def test_from_upload_to_a_verified_dispatch(house: House) -> None:
    artifact = await house.upload("acme", bytes(range(256)) * 8_000)

    async def models(vendor: str, model: str) -> ModelProfile:
        return ModelProfile(vendor, model)

    inspector = Inspector(house.blobs, house.source(), models, system_clock)
    found = await inspector.inspect(artifact)
    assert (found.length, found.problems) == (artifact.length, ())
    stamp = await house.release(artifact)
    directive = directive_for(artifact)
    signed = await house.service().sign_directive(directive, 0)
    request = DispatchRequest(
        charger_id="CP-1",
        vendor="Acme",
        model="Volt",
        hardware_revision=None,
        installed_version=None,
        installed_counter=None,
        request_id=1,
        scheme=SignatureScheme.ECDSA_P256,
        signed_update=True,
        unsafe_unsigned_waiver=None,
        directive=signed,
        now=system_clock(),
    )
    verified = await Verifier(house.source()).verify(request)
    assert verified.vendor_signature == artifact.vendor_signatures[0]
    assert verified.evidence["role_version"] == stamp.role_version


@pytest.mark.requirement("S9", "S40", "S63")
async def test_a_publisher_killed_after_any_write_is_completed_by_a_rerun(house: House) -> None:
    seen = await house.listed("acme")
    for write in (1, 2, 3):
        artifact = await house.upload("acme")
        staged = await house.service().stage(artifact)
        sign_offs = await house.sign_off(staged)
        with pytest.raises(EngineUnavailable):
            await house.service(DyingStore(house.blobs, write)).publish(staged, sign_offs)
        after = seen | {artifact.version}
        assert await house.listed("acme") == (after if write == 3 else seen)
        stamp = await house.service().publish(staged, sign_offs)
        assert await house.listed("acme") == after
        assert await house.service().publish(staged, sign_offs) == stamp
        seen = after


@pytest.mark.requirement("S12", "S40")
async def test_two_signers_at_once_lose_nothing(house: House) -> None:
    artifacts = [await house.upload(role) for role in ROLES]
    staged = [await house.service().stage(artifact) for artifact in artifacts]
    signed = [await house.sign_off(one) for one in staged]
    await asyncio.gather(
        *(house.service().publish(one, sign_offs) for one, sign_offs in zip(staged, signed, strict=True))
    )
    for artifact in artifacts:
        assert artifact.version in await house.listed(artifact.vendor_role)


@pytest.mark.requirement("S20", "S22")
async def test_refused_reads_are_not_mistaken_for_the_end_of_the_chain(
    house: House, embedded_s3: Any
) -> None:
    for broken in ({"secret_key": "wrong"}, {"bucket": "no-such-bucket-here"}):
        blobs = bucket(embedded_s3, **({"bucket": house.blobs.bucket} | broken))
        with pytest.raises(RepositoryUnreachable, match=r"2\.root\.json"):
            await TrustSource(fetch_from(blobs), house.root).current(system_clock())
        blobs.close()


class Mirror(BaseHTTPRequestHandler):
    """Serves the bucket as a TUF client expects it: metadata by name, targets by hash."""

    store: S3BlobStore
    loop: asyncio.AbstractEventLoop

    def do_GET(self) -> None:
        _, kind, *rest = self.path.split("/")
        key = METADATA_PREFIX + rest[-1] if kind == "metadata" else rest[-1].partition(".")[0]
        reading = asyncio.run_coroutine_threadsafe(self.store.get(key, limit=10_000_000), self.loop)
        try:
            data, _ = reading.result(timeout=30)
        except NotFound:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
async def mirror(house: House) -> AsyncIterator[str]:
    handler = type("HouseMirror", (Mirror,), {"store": house.blobs, "loop": asyncio.get_running_loop()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    await asyncio.to_thread(server.shutdown)
    thread.join()
    server.server_close()


@pytest.mark.requirement("S9", "S10", "S18")
async def test_the_stock_tuf_client_reads_it_over_http_while_releases_go_on(
    house: House, mirror: str, tmp_path: Path
) -> None:
    def update(folder: Path, path: str) -> bytes:
        folder.mkdir(exist_ok=True)
        client = Updater(
            str(folder), f"{mirror}/metadata/", str(folder), f"{mirror}/targets/", bootstrap=house.root
        )
        client.refresh()
        target = client.get_targetinfo(path)
        assert target is not None
        return Path(client.download_target(target)).read_bytes()

    first, second = [await house.upload("acme", image) for image in (b"first ", b"second ")]
    await house.release(first)
    releasing = asyncio.create_task(house.release(second))
    reads = 0
    while not releasing.done():
        image = await asyncio.to_thread(update, tmp_path / f"reader-{reads}", first.target_path)
        assert image.startswith(b"first ")
        reads += 1
    await releasing
    image = await asyncio.to_thread(update, tmp_path / "reader-0", second.target_path)
    assert image.startswith(b"second ")


@pytest.mark.requirement("S14")
async def test_a_second_ceremony_and_a_refresh_that_is_not_due_write_nothing(house: House) -> None:
    before = await house.blobs.get(METADATA_PREFIX + "timestamp.json", limit=16_384)
    made = await DevelopmentCeremony(house.blobs, house.folder, system_clock).ensure(ROLES)
    assert (made.created, made.vendor_roles) == (False, ROLES)
    await house.service().refresh()
    assert await house.blobs.get(METADATA_PREFIX + "timestamp.json", limit=16_384) == before
