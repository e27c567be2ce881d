"""Drills: what we would do if a key or the bucket were lost or stolen, done for real on a scratch repository.

Each drill plays the loss, plays the thief, recovers with the very ceremony people would hold, and looks at
the repository as a reader does who has seen everything before. A drill holds if every step held (S67).
"""

import shutil
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from securesystemslib.signer import Signer
from tuf.api.metadata import Snapshot, Targets, Timestamp

from signing.bundle import write_bundle
from signing.errors import SigningError
from signing.layout import VendorLayout
from signing.metadata import decode, listing, sign
from signing.present import present_in
from signing.published import collect_published, write_backup
from signing.rehearsal import VENDOR_PEOPLE, People
from signing.release import Release
from signing.roles import TIMESTAMP, metadata_file
from signing.service import OnlineKeys, SigningService
from signing.step import next_version
from signing.trust import Trust
from signing.trust_source import METADATA_PREFIX, TrustSource, fetch_from
from storage.artifact import Compatible
from storage.canonical import sha256_hex
from storage.clock import Clock
from storage.errors import AmpwaveError
from storage.ports import BlobStore

STAMP = metadata_file(TIMESTAMP, 0)
_FAR = 2**31


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was done or looked at; ``held``: it came out as it has to."""

    what: str
    held: bool
    seconds: float


class DrillFailed(SigningError):
    """A step came out otherwise than it has to; the drill ends there and is recorded."""


@dataclass
class Scene:
    """A scratch repository, its people, and a reader who remembers all that it has seen."""

    blobs: BlobStore
    folder: Path
    clock: Clock
    people: People = field(init=False)
    steps: list[Step] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Make the people and their keys."""
        self.people = People(self.folder / "people")
        self.fetch = fetch_from(self.blobs)

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Something that has to succeed."""
        begun = time.monotonic()
        try:
            yield
        except AmpwaveError as error:
            self._note(f"{what}: {error.message}", begun, held=False)
            raise DrillFailed(f"{what}: {error.message}") from error
        self._note(what, begun, held=True)

    async def refused(self, what: str, attempt: Callable[[], Awaitable[object]]) -> None:
        """Something that must not succeed."""
        begun = time.monotonic()
        try:
            await attempt()
        except SigningError as error:
            self._note(f"{what}: refused ({error.message})", begun, held=True)
            return
        self._note(f"{what}: NOT refused", begun, held=False)
        raise DrillFailed(f"{what}: this was not refused.")

    def expect(self, what: str, *, held: bool) -> None:
        """Something that has to be so."""
        self._note(what, time.monotonic(), held=held)
        if not held:
            raise DrillFailed(f"This does not hold: {what}.")

    def _note(self, what: str, begun: float, *, held: bool) -> None:
        self.steps.append(Step(what, held, round(time.monotonic() - begun, 3)))

    def service(self) -> SigningService:
        """The signer, started anew."""
        keys = OnlineKeys.in_folder(self.people.online_folder)
        return SigningService(self.blobs, self.people.root, keys, self.clock)

    async def found(self) -> None:
        """Hold the first ceremony, and let the reader see it."""
        with self.step("a scratch repository is founded by its people"):
            bundle = self.people.found(self.clock())
            await self.service().conclude_ceremony(write_bundle(bundle))
        await self.read()

    async def hold(self, *signers: str, trust_online: bool = True, **wishes: list[str]) -> None:
        """From the layout as it is wanted now to published, signed by these people."""
        now = self.clock()
        bundle = await self.people.next(self.fetch, now, trust_online=trust_online, **wishes)
        signed = self.people.sign(bundle, signers, now)
        await self.service().conclude_ceremony(write_bundle(signed))

    async def read(self) -> Trust:
        """What the reader sees now. Raises SigningError if it refuses."""
        now = self.clock()
        source = TrustSource(self.fetch, self.people.root, memory_file=self.folder / "reader.json")
        trust = await source.current(now)
        for role in trust.roles():
            await source.role(trust, role)
        return trust

    async def put_stamp(self, stamp: Timestamp, signer: Signer) -> None:
        """A timestamp of a thief who can write to the bucket, too."""
        _, etag = await self.blobs.get(METADATA_PREFIX + STAMP, limit=16_384)
        await self.blobs.replace(METADATA_PREFIX + STAMP, sign(stamp, signer), etag=etag)

    async def stamp(self) -> Timestamp:
        """The timestamp in the bucket."""
        data, _ = await self.blobs.get(METADATA_PREFIX + STAMP, limit=16_384)
        return decode(Timestamp, data, TIMESTAMP).signed

    def lose(self, *names: str) -> None:
        """The key of a person or of the signer is gone from its place."""
        for name in names:
            for path in (self.people.path(name).parent, self.people.online_folder / f"{name}.pem"):
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink(missing_ok=True)


async def lost_root_key(scene: Scene) -> None:
    """One of three root holders loses her token: the other two replace her, readers notice nothing."""
    people = scene.people
    await scene.found()
    scene.lose("ada")
    people.change(root=people.holders("lynn", "grace", "joan"))
    with scene.step("the two who are left sign a root with a new third holder"):
        await scene.hold("grace", "joan")
    with scene.step("a reader who embeds the first root follows"):
        trust = await scene.read()
    scene.expect("the reader is at root 2", held=trust.root.version == 2)
    people.change(root=people.holders("lynn", "grace", "evi"))
    with scene.step("the new holder counts: she and one of the old sign the next root"):
        await scene.hold("lynn", "grace")
    await scene.read()


async def stolen_online_key(scene: Scene) -> None:
    """A thief has the snapshot and timestamp keys and may write to the bucket: no firmware, and out he is."""
    people = scene.people
    await scene.found()
    thief = {name: people.online_signer(name) for name in ("snapshot", "timestamp")}
    forged = Targets(2, expires=scene.clock() + timedelta(days=9))
    await scene.refused(
        "the thief lists a vendor file of his own", lambda: _force(scene, "acme", forged, thief)
    )
    with scene.step("the online keys are replaced by the root holders, the old ones taken away"):
        people.change(snapshot=people.online("snapshot-2"), timestamp=people.online("timestamp-2"))
        scene.lose("snapshot", "timestamp")
        await scene.hold("ada", "grace", trust_online=False)
    with scene.step("a reader who embeds the first root follows"):
        await scene.read()
    stamp = await scene.stamp()
    ours, stamp.version = stamp.version, stamp.version + 1
    await scene.put_stamp(stamp, thief["timestamp"])
    await scene.refused("the thief freezes the repository with the stolen timestamp key", scene.read)
    with scene.step("the signer puts its own timestamp back by itself"):
        await scene.service().refresh()
        await scene.read()
    scene.expect("it is no version of the thief", held=(await scene.stamp()).version <= ours + 1)


async def stolen_vendor_threshold(scene: Scene) -> None:
    """Two of a vendor's three keys are stolen and sign an image: it is withdrawn, the keys are out (S21)."""
    people = scene.people
    await scene.found()
    current = (await scene.read()).role("acme")
    evil = next_version("acme", current, _image("acme", b"evil"), scene.clock())
    with scene.step("the thieves release an image with two stolen keys"):
        data = sign(evil, *(people.signer(f"acme-{person}") for person in VENDOR_PEOPLE[:2]))
        await _publish_past_people(scene, "acme", evil, data)
        trust = await scene.read()
    path = "acme/6.6.6/firmware.bin"
    scene.expect("for the moment readers believe them", held=path in trust.role("acme").targets)
    begun = time.monotonic()
    people.change(vendors={"acme": VendorLayout(people.holders("nora", "olga", "pia"))})
    with scene.step("the targets holders give the role to three new people, who leave the image out"):
        await scene.hold("mary", "hedy", "nora", "pia", withdraw=[path])
        trust = await scene.read()
    scene.expect("no reader finds the image any more", held=not trust.role("acme").targets)
    took = time.monotonic() - begun
    scene.expect(f"from the layout to the last reader: {took:.1f} s, below ten minutes", held=took < 600)
    again = next_version("acme", trust.role("acme"), _image("acme", b"again"), scene.clock())
    stolen = sign(again, *(people.signer(f"acme-{person}") for person in VENDOR_PEOPLE[:2]))
    await scene.refused(
        "the stolen keys release another image", lambda: _publish_past_people(scene, "acme", again, stolen)
    )


async def wiped_bucket(scene: Scene) -> None:
    """The bucket is empty: a backup of yesterday brings it back, also to readers who have seen more."""
    people = scene.people
    await scene.found()
    with scene.step("a backup is taken"):
        files = await collect_published(scene.fetch)
        backup = write_backup(files)
    with scene.step("a release goes out after the backup, and readers see it"):
        await scene.hold("acme-release", "acme-qa", renew=["acme"])
        await scene.read()
        gone = await collect_published(scene.fetch)
    for name in gone:
        await scene.blobs.delete(METADATA_PREFIX + name)
    await scene.refused("a reader finds nothing and believes nothing", scene.read)
    with scene.step("the backup is restored"):
        await scene.service().conclude_ceremony(backup)
    await scene.refused("a reader who saw more refuses to go back", scene.read)
    with scene.step("the root holders replace the online keys, so that versions may begin anew"):
        people.change(snapshot=people.online("snapshot-2"), timestamp=people.online("timestamp-2"))
        scene.lose("snapshot", "timestamp")
        await scene.hold("joan", "grace")
    with scene.step("a reader who had seen more is back"):
        await scene.read()
    with scene.step("what was lost is signed again"):
        await scene.hold("acme-release", "acme-qa", renew=["acme"])
        trust = await scene.read()
    scene.expect("the reader is at the vendor's second version again", held=trust.role("acme").version == 2)


async def fast_forward(scene: Scene) -> None:
    """A thief of the online keys raises versions to 2^31, where we could not follow: nor need we."""
    people = scene.people
    await scene.found()
    thief = {name: people.online_signer(name) for name in ("snapshot", "timestamp")}
    with scene.step("the thief jumps to version 2147483648, and readers believe him"):
        stamp = await scene.stamp()
        name = metadata_file("snapshot", stamp.snapshot_meta.version)
        data, _ = await scene.blobs.get(METADATA_PREFIX + name, limit=1_000_000)
        snapshot = decode(Snapshot, data, name).signed
        snapshot.version = _FAR
        far = sign(snapshot, thief["snapshot"])
        await scene.blobs.put_bytes(METADATA_PREFIX + metadata_file("snapshot", _FAR), far)
        stamp.version, stamp.snapshot_meta = _FAR, listing(_FAR, far)
        await scene.put_stamp(stamp, thief["timestamp"])
        await scene.read()
    with scene.step("the root holders replace the online keys"):
        people.change(snapshot=people.online("snapshot-2"), timestamp=people.online("timestamp-2"))
        scene.lose("snapshot", "timestamp")
        await scene.hold("ada", "joan", trust_online=False)
    with scene.step("a reader who saw version 2147483648 is back"):
        await scene.read()
    stamp = await scene.stamp()
    scene.expect(
        f"versions are small again: timestamp {stamp.version}, snapshot {stamp.snapshot_meta.version}",
        held=stamp.version < 100 and stamp.snapshot_meta.version < 100,
    )


DRILLS: dict[str, Callable[[Scene], Awaitable[None]]] = {
    "lost-root-key": lost_root_key,
    "stolen-online-key": stolen_online_key,
    "stolen-vendor-threshold": stolen_vendor_threshold,
    "wiped-bucket": wiped_bucket,
    "fast-forward": fast_forward,
}


async def play(name: str, scene: Scene) -> bool:
    """Play a drill; whether it held. What was done is in ``scene.steps``."""
    try:
        await DRILLS[name](scene)
    except DrillFailed:
        return False
    except AmpwaveError as error:
        scene.steps.append(Step(f"it ended with: {error.message}", held=False, seconds=0.0))
        return False
    return True


def _image(role: str, content: bytes) -> Release:
    return Release(
        role,
        f"{role}/6.6.6/firmware.bin",
        "6.6.6",
        666,
        sha256_hex(content),
        len(content),
        (Compatible("Drill", "Charger"),),
        (),
    )


async def _force(scene: Scene, role: str, signed: Targets, thief: dict[str, Signer]) -> None:
    """List a file that no threshold signed, with stolen online keys; then read."""
    files = await collect_published(scene.fetch)
    present = present_in(files, scene.people.root)
    snapshot, stamp = present.snapshot, present.timestamp
    if snapshot is None or stamp is None:
        raise DrillFailed("The scratch repository is not whole.")
    before = files[STAMP]
    data = sign(signed, thief["snapshot"])
    await scene.blobs.put_bytes(METADATA_PREFIX + metadata_file(role, signed.version), data)
    snapshot.version += 1
    snapshot.meta[f"{role}.json"] = listing(signed.version, data)
    listed = sign(snapshot, thief["snapshot"])
    await scene.blobs.put_bytes(METADATA_PREFIX + metadata_file("snapshot", snapshot.version), listed)
    stamp.version, stamp.snapshot_meta = stamp.version + 1, listing(snapshot.version, listed)
    await scene.put_stamp(stamp, thief["timestamp"])
    try:
        await scene.read()
    finally:
        _, etag = await scene.blobs.get(METADATA_PREFIX + STAMP, limit=16_384)
        await scene.blobs.replace(METADATA_PREFIX + STAMP, before, etag=etag)


async def _publish_past_people(scene: Scene, role: str, signed: Targets, data: bytes) -> None:
    """What thieves of a threshold hand to the signer: it holds, so it is published."""
    await scene.blobs.put_bytes(METADATA_PREFIX + metadata_file(role, signed.version), data)
    await scene.service().settle(role)
    if scene_version(await scene.read(), role) != signed.version:
        raise SigningError(f"{role} {signed.version} was not listed.")


def scene_version(trust: Trust, role: str) -> int:
    """The version of a role that a reader has."""
    return trust.role(role).version
