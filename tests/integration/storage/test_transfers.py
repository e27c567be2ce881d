"""Images on the move, in real PostgreSQL and a real bucket: pieces, progress, the daily care."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from activities.blob_care import BlobCareActivities, CarePolicy, CareStores
from signing.ports import Inspection
from storage.artifact import Artifact, ArtifactPhase, Compatible
from storage.audit import AuditEntry
from storage.canonical import sha256_hex
from storage.charger import DownloadTicket
from storage.errors import Conflict, EngineUnavailable, NotFound
from storage.halt import EVERYTHING, Vote
from storage.incident import IncidentKind
from storage.postgres.artifacts import PostgresArtifactStore
from storage.postgres.audit import PostgresAuditLog
from storage.postgres.blob_care import PostgresBlobCareStore
from storage.postgres.halts import PostgresHaltStore
from storage.postgres.incidents import PostgresIncidentStore
from storage.postgres.tickets import PostgresTicketStore
from storage.postgres.transfers import PostgresDownloadStore, PostgresUploadStore
from storage.postgres.withdrawals import PostgresWithdrawalStore
from storage.s3 import S3BlobStore, S3Manner
from storage.s3_keeper import S3BlobKeeper
from storage.transfer import DownloadState, Fetch, Piece, Upload
from storage.withdrawal import Source, Withdrawal, artifact_subject, certificate_subject, serial_subject

pytestmark = pytest.mark.integration
NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
SHA = "ab" * 32


def upload(name: str, **changes: Any) -> Upload:
    return replace(Upload(name, "ada", 30, SHA, NOW, NOW + timedelta(hours=24)), **changes)


async def test_an_upload_goes_on_where_it_ends_and_nowhere_else(engine) -> None:
    store = PostgresUploadStore(engine)
    first = await store.create(upload("u1"))
    assert await store.create(upload("u2")) == first, "the same image of the same person goes on"
    assert (await store.create(upload("u3", actor="bob"))).upload_id == "u3"
    assert not await store.add_piece("u1", Piece(5, 5, "k0"))
    assert await store.add_piece("u1", Piece(0, 20, "k1"))
    assert not await store.add_piece("u1", Piece(20, 11, "k2")), "longer than announced"
    racers = await asyncio.gather(*(store.add_piece("u1", Piece(20, 10, f"r{n}")) for n in range(4)))
    assert sorted(racers) == [False, False, False, True]
    assert (await store.get("u1")).whole
    assert not await store.add_piece("gone", Piece(0, 1, "k"))
    assert await store.expired(NOW + timedelta(hours=23)) == []
    assert [one.upload_id for one in await store.expired(NOW + timedelta(hours=24))] == ["u1", "u3"]
    await store.drop("u1")
    assert await store.live(["u1", "u3"]) == {"u3"}
    with pytest.raises(NotFound):
        await store.get("u1")


async def test_progress_adds_up_over_requests_and_tells_which_tickets_hold_no_more(engine) -> None:
    tickets, store = PostgresTicketStore(engine), PostgresDownloadStore(engine)
    for name, charger in (("t1", "CP-1"), ("t2", "CP-2"), ("t3", "CP-3")):
        await tickets.add(DownloadTicket(name, charger, SHA, NOW, NOW + timedelta(hours=1)))
    await tickets.revoke_for("CP-2")
    fetch = Fetch("t1", "CP-1", SHA, 100, 40, 40, 1, "10.0.0.1", NOW)
    others = [replace(fetch, ticket_sha256=name) for name in ("t2", "unknown")]
    assert await store.note([fetch, *others]) == {"t2", "unknown"}
    later = NOW + timedelta(seconds=2)
    assert await store.note([replace(fetch, position=100, sent=60, at=later, address="")]) == frozenset()
    (found,) = await store.of_charger("CP-1")
    assert (found.position, found.sent, found.requests, found.address) == (100, 100, 2, "")
    assert (found.started_at, found.finished_at, found.state(later)) == (NOW, later, DownloadState.SENT)
    waiting = await store.of_ticket("t3")
    assert waiting is not None
    assert waiting.state(NOW) is DownloadState.WAITING
    revoked = await store.of_ticket("t2")
    assert revoked is not None
    assert revoked.state(NOW) is DownloadState.REVOKED
    assert await store.of_ticket("unknown") is None
    assert await store.note([]) == frozenset()


def on_record(found: object) -> AuditEntry:
    return AuditEntry(NOW, "ann", "restore.voted", "it", {"found": repr(found)})


@pytest.mark.requirement("S66")
async def test_what_is_halted_or_withdrawn_ends_downloads_under_way(engine) -> None:
    tickets, store = PostgresTicketStore(engine), PostgresDownloadStore(engine)
    halts, withdrawals = PostgresHaltStore(engine), PostgresWithdrawalStore(engine)
    for name, sha256 in (("t1", SHA), ("t2", "ef" * 32)):
        await tickets.add(DownloadTicket(name, "CP-1", sha256, NOW, NOW + timedelta(hours=1)))
    fetches = [Fetch(name, "CP-1", SHA, 100, 1, 1, 1, "10.0.0.1", NOW) for name in ("t1", "t2")]
    assert await store.note(fetches) == frozenset()
    await withdrawals.add([Withdrawal(artifact_subject(SHA), "it bricks", Source.PERSON, "ann", NOW)])
    assert await store.note(fetches) == {"t1"}
    for name in ("bob", "cid"):
        await withdrawals.restore(artifact_subject(SHA), name, on_record)
    assert await store.note(fetches) == frozenset()
    halt = await halts.pull(EVERYTHING, "ann", "smoke", NOW)
    assert await store.note(fetches) == {"t1", "t2"}
    for name in ("bob", "cid"):
        await halts.restore(halt.halt_id, Vote(name, "it was steam", NOW), on_record)
    assert await store.note(fetches) == frozenset()


@pytest.mark.requirement("S66")
async def test_a_withdrawn_certificate_ends_the_downloads_that_were_sent_with_it(engine) -> None:
    tickets, store = PostgresTicketStore(engine), PostgresDownloadStore(engine)
    withdrawals = PostgresWithdrawalStore(engine)
    names = {"t1": (certificate_subject("a1"), serial_subject("b1", 7)), "t2": (certificate_subject("c1"),)}
    for name, certificates in names.items():
        ticket = DownloadTicket(name, "CP-1", SHA, NOW, NOW + timedelta(hours=1), certificates=certificates)
        await tickets.add(ticket)
        assert await tickets.find(name) == ticket
    fetches = [Fetch(name, "CP-1", SHA, 100, 1, 1, 1, "10.0.0.1", NOW) for name in names]
    assert await store.note(fetches) == frozenset()
    listed = Withdrawal(serial_subject("b1", 7), "key compromised", Source.LIST, "ann", NOW)
    await withdrawals.add([listed])
    assert await store.note(fetches) == {"t1"}
    await withdrawals.add([replace(listed, subject=certificate_subject("c1"), source=Source.PERSON)])
    assert await store.note(fetches) == {"t1", "t2"}


@dataclass
class _Inspector:
    """Reads back and hashes; the rest of an inspection is proved elsewhere."""

    blobs: S3BlobStore

    async def inspect(self, artifact: Artifact) -> Inspection:
        try:
            data = b"".join([chunk async for chunk in self.blobs.read(artifact.artifact_id)])
        except NotFound:
            return Inspection("", 0, ())
        return Inspection(sha256_hex(data), len(data), ())


@dataclass
class _Stores:
    """What the care asks of the shared stores, over the real ones."""

    artifacts: PostgresArtifactStore
    audit: PostgresAuditLog
    now: datetime = field(default_factory=lambda: datetime.now(UTC) + timedelta(hours=1))

    def clock(self) -> datetime:
        return self.now

    async def record(self, actor: str, action: str, subject: str, **detail: Any) -> None:
        await self.audit.append(AuditEntry(self.now, actor, action, subject, detail))


@dataclass
class Care:
    stores: _Stores
    more: CareStores
    blobs: S3BlobStore
    signed: dict[str, str] = field(default_factory=dict)

    def activities(self, **policy: Any) -> BlobCareActivities:
        async def signed(artifact: Artifact) -> str | None:
            return self.signed.get(artifact.artifact_id, artifact.artifact_id)

        policy = {"again_after": timedelta(0), "grace": timedelta(minutes=1), **policy}
        shared: Any = self.stores
        return BlobCareActivities(shared, self.more, _Inspector(self.blobs), signed, CarePolicy(**policy))

    async def artifact(self, data: bytes, version: str, phase: ArtifactPhase = ArtifactPhase.RELEASED) -> str:
        key = sha256_hex(data)
        await self.blobs.put_new(key, _one(data))
        await self.stores.artifacts.add(
            Artifact(key, "volta", version, 1, len(data), (Compatible("V", "M"),), (), phase, "ada", NOW)
        )
        return key

    async def actions(self) -> list[str]:
        return [row.entry.action for row in await self.stores.audit.rows()]


async def _one(data: bytes) -> AsyncIterator[bytes]:
    yield data


@pytest.fixture
async def care(engine, blobs) -> Care:
    await blobs.ensure_bucket()
    more = CareStores(
        PostgresBlobCareStore(engine),
        S3BlobKeeper(blobs),
        PostgresUploadStore(engine),
        PostgresIncidentStore(engine),
    )
    return Care(_Stores(PostgresArtifactStore(engine), PostgresAuditLog(engine)), more, blobs)


@pytest.mark.requirement("S48")
async def test_a_corrupt_object_is_found_told_once_and_forgotten_when_it_is_sound(care: Care, beats) -> None:
    good, bad, gone = [await care.artifact(b"image %d" % n, f"1.{n}") for n in range(3)]
    await care.blobs.put_new(bad, _one(b"evil"), anew=True)
    await care.blobs.delete(gone)
    for _ in range(2):
        facts = await care.activities().rehash_sample()
        assert (facts.checked, set(facts.bad)) == (3, {bad, gone})
        care.stores.now += timedelta(hours=24)
    incidents = await care.more.incidents.find()
    assert {(one.kind, one.subject) for one in incidents} == {
        (IncidentKind.BLOB_CORRUPT, f"artifact/{key}") for key in (bad, gone)
    }
    assert await care.actions() == ["security.blob_corrupt"] * 2
    await care.blobs.put_new(bad, _one(b"image 1"), anew=True)
    assert (await care.activities().rehash_sample()).bad == (gone,)
    assert [one.subject for one in await care.more.incidents.find()] == [f"artifact/{gone}"]
    assert good not in str(incidents)


@pytest.mark.requirement("S48")
async def test_bytes_that_are_not_what_was_signed_are_corrupt_whatever_our_database_says(
    care: Care, beats
) -> None:
    key = await care.artifact(b"image", "1.0")
    care.signed[key] = "0" * 64
    assert (await care.activities().rehash_sample()).bad == (key,)


@pytest.mark.requirement("S48")
async def test_a_round_is_bounded_and_the_next_goes_on_with_the_rest(care: Care, beats) -> None:
    for n in range(3):
        await care.artifact(b"image %d" % n, f"1.{n}")
    activities = care.activities(bytes_per_round=16, again_after=timedelta(hours=1))
    assert [(await activities.rehash_sample()).checked for _ in range(3)] == [2, 1, 0]


@pytest.mark.requirement("S40")
async def test_the_sweep_removes_leftovers_for_good_says_so_and_nothing_else(care: Care, beats) -> None:
    blobs, keeper = care.blobs, care.more.keeper
    kept = await care.artifact(b"image", "1.0")
    orphan = sha256_hex(b"orphan")
    await blobs.put_new(orphan, _one(b"orphan"))
    await blobs.put_bytes("tuf/metadata/1.root.json", b"{}")
    await blobs.put_bytes("incoming/u1/p", b"piece")
    await blobs.put_bytes("incoming/u2/p", b"piece")
    await blobs.put_bytes("incoming/import-1/1", b"cut off")
    await blobs.delete("incoming/import-1/1")
    await care.more.uploads.create(upload("u1", expires_at=care.stores.now + timedelta(hours=1)))
    await care.more.uploads.add_piece("u1", Piece(0, 5, "incoming/u1/p"))
    await care.more.uploads.create(upload("u2", actor="bob", expires_at=care.stores.now))
    begun = await asyncio.to_thread(
        blobs.client().create_multipart_upload, Bucket=blobs.bucket, Key="ef" * 32
    )

    young = await care.activities(grace=timedelta(hours=48)).sweep_leftovers()
    assert (young.versions, young.multiparts, young.uploads) == (0, 0, 1)
    facts = await care.activities().sweep_leftovers()
    again = await care.activities().sweep_leftovers()

    assert (facts.versions, facts.multiparts) == (4, 1)
    assert again.versions == again.multiparts == again.uploads == 0
    assert begun["UploadId"]
    assert {one.key for one in await keeper.versions()} == {
        kept,
        "tuf/metadata/1.root.json",
        "incoming/u1/p",
        *({"private-probe"} & {one.key for one in await keeper.versions()}),
    }
    assert await care.actions() == ["storage.swept"] * 2


@pytest.mark.requirement("S40")
async def test_a_sweep_and_a_new_upload_of_the_same_image_at_once_lose_nothing(care: Care) -> None:
    key = sha256_hex(b"image")
    await care.blobs.put_new(key, _one(b"image"))
    (old,) = await care.more.keeper.versions(key)
    await care.blobs.put_new(key, _one(b"image"), anew=True)  # what the shelf does with what nobody knows
    await care.more.keeper.remove_version(old.key, old.version_id)
    assert await care.blobs.length(key) == 5


@pytest.mark.requirement("S40")
async def test_a_locked_image_cannot_be_deleted_by_anybody(s3_settings) -> None:
    given = {name: getattr(s3_settings, name) for name in ("endpoint", "access_key", "secret_key")}
    blobs = S3BlobStore(bucket=s3_settings.bucket, manner=S3Manner(lock_days=1), **given)
    blobs.part_bytes = 5 * 1024 * 1024
    try:
        await blobs.ensure_bucket()
        keeper, large = S3BlobKeeper(blobs), bytes(6 * 1024 * 1024)
        for data in (b"image", large):
            key = hashlib.sha256(data).hexdigest()
            assert await blobs.put_new(key, _one(data), keep=True)
            (version,) = await keeper.versions(key)
            with pytest.raises(Conflict, match="locked"):
                await keeper.remove_version(key, version.version_id)
            await blobs.delete(key)
            assert len([one for one in await keeper.versions(key) if not one.marker]) == 1
        await blobs.put_new("incoming/x/1", _one(b"piece"))
        (loose,) = await keeper.versions("incoming/")
        await keeper.remove_version(loose.key, loose.version_id)
    finally:
        blobs.close()


@pytest.mark.requirement("S42")
async def test_a_bucket_that_strangers_may_read_is_not_ready(blobs: S3BlobStore) -> None:
    import json

    await blobs.ready()
    place = f"arn:aws:s3:::{blobs.bucket}"
    statement = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": ["s3:GetObject", "s3:ListBucket"],
        "Resource": [place, f"{place}/*"],
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    await asyncio.to_thread(blobs.client().put_bucket_policy, Bucket=blobs.bucket, Policy=policy)
    fresh = S3BlobStore(bucket=blobs.bucket, endpoint=blobs._endpoint)
    fresh._connected = blobs.client()
    with pytest.raises(EngineUnavailable, match=r"not private: anybody may .*read it"):
        await fresh.ready()


@pytest.mark.requirement("S40")
async def test_in_a_bucket_without_versions_pieces_go_and_images_are_reported(care: Care, beats) -> None:
    blobs, orphan = care.blobs, sha256_hex(b"orphan")
    suspended: Any = {"Status": "Suspended"}
    await blobs.call(
        blobs.bucket,
        lambda: blobs.client().put_bucket_versioning(Bucket=blobs.bucket, VersioningConfiguration=suspended),
    )
    await blobs.put_new(orphan, _one(b"orphan"))
    await blobs.put_bytes("incoming/u9/p", b"piece")
    care.stores.now += timedelta(hours=49)
    facts = await care.activities().sweep_leftovers()

    assert (facts.versions, facts.unversioned) == (1, 1)
    assert await blobs.length(orphan) == 6
    with pytest.raises(NotFound):
        await blobs.length("incoming/u9/p")
    (row,) = [row for row in await care.stores.audit.rows() if row.entry.action == "storage.swept"]
    assert row.entry.detail["unversioned"] == 1


@pytest.mark.requirement("S40")
async def test_unfinished_uploads_are_found_on_every_page(blobs) -> None:
    """Also many of one key; a sweep that saw the first page only would leave the others for ever."""
    keeper, client = S3BlobKeeper(blobs, page=3), blobs.client()
    begun = {
        client.create_multipart_upload(Bucket=blobs.bucket, Key=f"left/{number % 2}")["UploadId"]
        for number in range(8)
    }
    mine = [one for one in await keeper.multiparts() if one.key.startswith("left/")]
    assert {one.multipart_id for one in mine} == begun
    for one in mine:
        await keeper.abort_multipart(one)
    assert not [one for one in await keeper.multiparts() if one.key.startswith("left/")]
