"""The stock client of python-tuf against our repository on a real S3 server, through all that may happen.

It starts from our root only, over HTTP, with no code of ours: ten rotations of keys, vendor roles that are
given away and revoked, 500 releases, and a publisher that is killed after every write.
"""

import asyncio
import hashlib
import itertools
import json
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict, dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tuf.api.metadata import TargetFile
from tuf.ngclient import Updater
from typer.testing import CliRunner

from api.cli.main import app
from signing.bundle import write_bundle
from signing.layout import VendorLayout
from signing.metadata import sign
from signing.published import collect_published
from signing.rehearsal import People
from signing.release import Release
from signing.repository import NewFile, OnlineSigners, Repository
from signing.service import OnlineKeys, SigningService
from signing.step import next_version
from signing.trust_source import METADATA_PREFIX, fetch_from
from storage.artifact import Compatible
from storage.clock import system_clock
from storage.s3 import S3BlobStore

pytestmark = pytest.mark.integration

VENDORS = ("acme", "bolt", "cell", "dyna", "evon")
RELEASES = 500


class Bucket(BaseHTTPRequestHandler):
    """Hands out what lies in the bucket, as a web server in front of it would: names to keys."""

    client: Any
    name: str
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        kind, _, path = self.path.removeprefix("/").partition("/")
        file = path.rpartition("/")[2]
        key = METADATA_PREFIX + file if kind == "metadata" else file.partition(".")[0]
        try:
            data = self.client.get_object(Bucket=self.name, Key=key)["Body"].read()
        except self.client.exceptions.NoSuchKey:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@dataclass
class World:
    """A founded repository in a bucket of its own, and a web server in front of it."""

    people: People
    blobs: S3BlobStore
    url: str
    folder: Path
    counter: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    paths: dict[str, bytes] = field(default_factory=dict)
    """Every release that was not withdrawn, with its image."""

    def service(self) -> SigningService:
        keys = OnlineKeys.in_folder(self.people.online_folder)
        return SigningService(self.blobs, self.people.root, keys, system_clock)

    async def hold(self, *signers: str, **wishes: Any) -> None:
        await self.service().conclude_ceremony(await self.prepared(*signers, **wishes))

    async def prepared(self, *signers: str, **wishes: Any) -> bytes:
        now = system_clock().replace(microsecond=0)
        bundle = await self.people.next(fetch_from(self.blobs), now, **wishes)
        return write_bundle(self.people.sign(bundle, signers, now))

    async def release(self, rounds: int) -> None:
        """One more release of every vendor, ``rounds`` times, each signed by two of the role's holders."""
        repository = Repository(self.blobs, self.people.root)
        for _ in range(rounds):
            head = await repository.head()
            assert head is not None
            files = [await self._next(repository, head, role) for role in self.people.layout.vendors]
            online = [self._online(head.online_keys(name)) for name in ("snapshot", "timestamp")]
            await repository.publish(head, files, OnlineSigners(*online), system_clock())

    async def store(self, *paths: str) -> None:
        """Images that clients will download; nobody asks for the others."""
        for path in paths:
            image = self.paths[path]
            await self.blobs.put_bytes(hashlib.sha256(image).hexdigest(), image)

    async def _next(self, repository: Repository, head: Any, role: str) -> NewFile:
        counter = next(self.counter)
        image = f"{role} {counter}".encode()
        digest = hashlib.sha256(image).hexdigest()
        path = f"{role}/1.{counter}/firmware.bin"
        release = Release(
            role, path, f"1.{counter}", counter, digest, len(image), (Compatible(role, "M"),), ()
        )
        current = (await repository.role(head, role)).signed
        following = next_version(role, current, release, system_clock())
        signers = self.people.layout.vendors[role].holders.keys[:2]
        data = sign(
            following, *(self.people.signer(key.unrecognized_fields["x-ampwave-holder"]) for key in signers)
        )
        self.paths[path] = image
        return NewFile(role, following.version, data)

    def _online(self, keys: list[Any]) -> Any:
        wanted = {key.keyid for key in keys}
        names = [path.stem for path in self.people.online_folder.glob("*.pem")]
        return next(
            signer for name in names if (signer := self.people.online_signer(name)).public_key.keyid in wanted
        )

    def client(self, name: str) -> Updater:
        folder = self.folder / "clients" / name
        folder.mkdir(parents=True, exist_ok=True)
        updater = Updater(
            str(folder),
            f"{self.url}/metadata/",
            str(folder),
            f"{self.url}/targets/",
            bootstrap=self.people.root,
        )
        updater.refresh()
        return updater

    def check(self, name: str, *paths: str) -> Updater:
        """A client, fresh or not, finds these and gets the very images."""
        updater = self.client(name)
        for path in paths:
            found: TargetFile | None = updater.get_targetinfo(path)
            assert found is not None, path
            assert Path(updater.download_target(found)).read_bytes() == self.paths[path]
        return updater


@pytest.fixture
async def world(embedded_s3: Any, s3_settings: Any, tmp_path: Path) -> AsyncIterator[World]:
    name, client = s3_settings.bucket, embedded_s3.client()
    blobs = S3BlobStore(**asdict(s3_settings))
    server = ThreadingHTTPServer(
        ("127.0.0.1", 0), type("OneBucket", (Bucket,), {"client": client, "name": name})
    )
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    people = People(tmp_path / "people")
    people.change(vendors={role: people.vendor(role) for role in VENDORS})
    made = World(people, blobs, f"http://127.0.0.1:{server.server_port}", tmp_path)
    founding = write_bundle(people.found(system_clock().replace(microsecond=0)))
    await made.service().conclude_ceremony(founding)
    yield made
    await asyncio.to_thread(server.shutdown)
    thread.join()
    server.server_close()
    blobs.close()


def rotations(people: People) -> Iterator[tuple[str, ...]]:
    """Ten ceremonies, each with the people who sign it; the layout changes as they come."""
    yield _changed(people, ("ada", "grace"), root=people.holders("ada", "grace", "lynn"))
    yield _changed(people, ("ada", "lynn"), timestamp=people.online("timestamp-2"))
    yield _changed(people, ("grace", "lynn"), snapshot=people.online("snapshot-2"))
    yield _changed(people, ("mary", "rosa"), directive=people.online("directive-2"))
    yield _changed(
        people, ("ada", "lynn", "mary", "hedy", "uma"), targets=people.holders("mary", "hedy", "uma")
    )
    new = VendorLayout(people.holders("nora", "olga", "pia"))
    yield _changed(people, ("mary", "uma", "nora", "olga"), vendors={**people.layout.vendors, "acme": new})
    yield _changed(
        people, ("ada", "grace"), snapshot=people.online("snapshot-3"), timestamp=people.online("timestamp-3")
    )
    left = {role: vendor for role, vendor in people.layout.vendors.items() if role != "bolt"}
    left["fuse"] = people.vendor("fuse")
    yield _changed(people, ("hedy", "uma", "fuse-qa", "fuse-release"), vendors=left)
    yield _changed(people, ("ada", "grace", "kay", "evi"), root=people.holders("evi", "kay", "ada"))
    yield _changed(
        people, ("evi", "kay"), snapshot=people.online("snapshot-4"), timestamp=people.online("timestamp-4")
    )


def _changed(people: People, signers: tuple[str, ...], **parts: Any) -> tuple[str, ...]:
    people.change(**parts)
    return signers


@pytest.mark.requirement("S4", "S7", "S9", "S10", "S18", "S21")
async def test_the_stock_client_follows_ten_rotations_and_500_releases(world: World) -> None:
    first = "acme/1.1/firmware.bin"
    done, failures = threading.Event(), []

    def read_on() -> int:
        looks = 0
        while not done.is_set():
            try:
                world.client(f"looping-{looks % 2}")
            except Exception as error:  # noqa: BLE001 - every failure of a reader is one
                failures.append(error)
            looks += 1
            done.wait(0.05)  # a reader in a loop, not a load test
        return looks

    await asyncio.to_thread(world.client, "from-the-start")
    looping = asyncio.create_task(asyncio.to_thread(read_on))
    rounds = RELEASES // len(VENDORS) // 10
    try:
        plan = rotations(world.people)
        for _ in range(10):
            await world.release(rounds)
            await world.hold(*next(plan))
            newest = [path for path in world.paths if not path.startswith("bolt/")][-1]
            await world.store(first, newest)
            await asyncio.to_thread(world.check, "following", newest)
    finally:
        done.set()
        looks = await looping
    assert looks > 10
    assert failures == []
    assert len(world.paths) == RELEASES
    for name in ("from-the-start", "fresh"):
        late = await asyncio.to_thread(world.check, name, first, list(world.paths)[-1])
        revoked = next(path for path in world.paths if path.startswith("bolt/"))
        assert late.get_targetinfo(revoked) is None


@pytest.mark.requirement("S9", "S63")
async def test_a_publisher_killed_with_kill_9_after_every_write_breaks_no_reader(
    world: World, embedded_s3: Any
) -> None:
    people = world.people
    people.change(
        root=people.holders("ada", "grace", "lynn"),
        snapshot=people.online("snapshot-2"),
        timestamp=people.online("timestamp-2"),
        vendors={"acme": VendorLayout(people.holders("nora", "olga", "pia"))},
    )
    file = world.folder / "ceremony.json"
    file.write_bytes(await world.prepared("ada", "grace", "mary", "rosa", "nora", "pia"))
    (people.folder / "root.json").write_bytes(people.root)
    store = [
        world.blobs.bucket,
        embedded_s3.endpoint,
        embedded_s3.access_key,
        embedded_s3.secret_key,
        embedded_s3.region,
    ]
    command = [sys.executable, "-m", "tests.support.killed_publisher", str(people.folder), *store, str(file)]
    killed = 0
    while killed < 10:
        process = await asyncio.create_subprocess_exec(*command, "1")
        ended = await process.wait()
        for name in ("remembering", f"fresh-{killed}"):
            await asyncio.to_thread(world.client, name)
        if ended == 0:
            break
        assert ended == -9
        killed += 1
    assert killed == 5, "vendor role, targets, snapshot, timestamp, root"
    updater = await asyncio.to_thread(world.client, "remembering")
    files = await collect_published(fetch_from(world.blobs))
    assert {"2.root.json", "2.targets.json", "2.acme.json", "2.snapshot.json"} <= set(files)
    assert updater.get_targetinfo("bolt/1.1/firmware.bin") is None


@pytest.mark.requirement("S67")
async def test_the_drill_command_plays_in_a_bucket_of_its_own_and_keeps_a_record(
    embedded_s3: Any, s3_settings: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("endpoint", "access_key", "secret_key", "bucket", "region"):
        monkeypatch.setenv(f"AMPWAVE_S3_{name.upper()}", getattr(s3_settings, name))

    async def run(*arguments: str) -> Any:
        result = await asyncio.to_thread(CliRunner().invoke, app, ["tuf", "drill", *arguments, "--json"])
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    client = embedded_s3.client()
    before = {one["Name"] for one in client.list_buckets()["Buckets"]}
    record = await run("wiped-bucket")
    assert (record["number"], record["held"]) == (1, True)
    assert await run("--list") == [record]
    left = client.list_objects_v2(Bucket=s3_settings.bucket)["Contents"]
    assert [one["Key"] for one in left] == ["tuf/drills/000001.json"]
    assert {one["Name"] for one in client.list_buckets()["Buckets"]} == before
