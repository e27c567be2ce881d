"""Recoveries one after another: a vendor that left, a backup, lost online keys, and the vendor's return."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tuf.api.metadata import Snapshot, Timestamp

from signing.bundle import write_bundle
from signing.counting import last_counted, newest_first
from signing.errors import RepositoryUnreachable
from signing.metadata import decode, listing
from signing.metadata import sign as metadata_sign
from signing.published import collect_published, collect_signed, write_backup
from signing.trust_source import METADATA_PREFIX, fetch_from
from tests.support.watched_repository import NOW, Stage


@pytest.fixture
async def stage(tmp_path: Path) -> Stage:
    """Acme is at version 3 and bolt left after its first: the backup holds no file of small numbers."""
    stage = await Stage(tmp_path).found()
    both = {**stage.people.layout.vendors, "bolt": stage.people.vendor("bolt")}
    only = dict(stage.people.layout.vendors)
    stage.people.change(vendors=both)
    await stage.service_of(await stage.prepared("mary", "rosa", "bolt-qa", "bolt-release"))
    stage.people.change(vendors=only)
    await stage.service_of(await stage.prepared("mary", "rosa"))
    for _ in range(2):
        await stage.service_of(await stage.prepared("acme-qa", "acme-release", renew=["acme"]))
    return stage


async def _wiped_and_restored(stage: Stage) -> None:
    backup = write_backup(await collect_published(fetch_from(stage.blobs)))
    stage.blobs.objects.clear()
    await stage.service_of(backup)


async def _online_keys_lost(stage: Stage, generation: int = 2) -> None:
    for old in ("snapshot", "timestamp"):
        for file in stage.people.online_folder.glob(f"{old}*.pem"):
            file.unlink()
    stage.online(f"snapshot-{generation}", f"timestamp-{generation}")
    await stage.service_of(await stage.prepared("ada", "joan", trust_online=False))


async def _bolt_returns(stage: Stage) -> int:
    stage.people.change(vendors={**stage.people.layout.vendors, "bolt": stage.people.vendor("bolt")})
    bundle = await stage.people.next(fetch_from(stage.blobs), NOW)
    signed = stage.people.sign(bundle, ("mary", "rosa", "bolt-qa", "bolt-release"), NOW)
    await stage.service_of(write_bundle(signed))
    version: int = (await stage.readers.ours()).role("bolt").version
    return version


@pytest.mark.requirement("S12")
async def test_a_restored_bucket_can_be_changed_and_backed_up_although_a_vendor_left_before(
    stage: Stage,
) -> None:
    await _wiped_and_restored(stage)
    await _wiped_and_restored(stage)
    await stage.service_of(await stage.prepared("acme-qa", "acme-release", renew=["acme"]))
    assert (await stage.readers.ours()).role("acme").version == 4


@pytest.mark.requirement("S12", "S13")
async def test_lost_online_keys_are_replaced_after_a_restore(stage: Stage) -> None:
    """The restored files begin at no version 1, so that counting from there finds nothing."""
    await _wiped_and_restored(stage)
    await _online_keys_lost(stage)
    stage.readers.stock("after")
    for _ in range(6):  # beyond the number that the restored snapshot has
        await stage.service_of(await stage.prepared("acme-qa", "acme-release", renew=["acme"]))
    assert (await stage.readers.ours()).role("acme").version == 9
    await _online_keys_lost(stage, 3)
    stage.readers.stock("after")


@pytest.mark.requirement("S13", "S64")
async def test_a_vendor_that_left_before_the_online_keys_were_lost_can_come_back(stage: Stage) -> None:
    await _online_keys_lost(stage)
    assert await _bolt_returns(stage) == 2
    stage.readers.stock("after")


async def test_a_vendor_that_left_comes_back_after_restore_and_lost_keys(stage: Stage) -> None:
    await _wiped_and_restored(stage)
    await _online_keys_lost(stage)
    assert await _bolt_returns(stage) >= 1
    stage.readers.stock("after")


@pytest.mark.requirement("S13")
@pytest.mark.parametrize("left", [b"[]", b"x" * 2_000_001], ids=["rubbish", "too-long"])
async def test_files_that_a_thief_left_far_ahead_do_not_hinder_the_new_keys(
    stage: Stage, left: bytes
) -> None:
    """Who held the online keys and could write names files far ahead, and lists them; people come back."""
    far = 2**31
    snapshot = decode(Snapshot, stage.stored("5.snapshot.json"), "snapshot").signed
    snapshot.version = far
    for role in ("acme", "targets"):
        snapshot.meta[f"{role}.json"] = listing(far, left)
        stage.blobs.objects[f"{METADATA_PREFIX}{far}.{role}.json"] = left
        stage.blobs.objects[f"{METADATA_PREFIX}4.{role}.json"] = left
    data = metadata_sign(snapshot, stage.people.online_signer("snapshot"))
    stamp = decode(Timestamp, stage.stored("timestamp.json"), "timestamp").signed
    stamp.version, stamp.snapshot_meta = far, listing(far, data)
    stage.blobs.objects[f"{METADATA_PREFIX}{far}.snapshot.json"] = data
    stage.blobs.objects[f"{METADATA_PREFIX}timestamp.json"] = metadata_sign(
        stamp, stage.people.online_signer("timestamp")
    )
    await _online_keys_lost(stage)
    stage.readers.stock("after")
    assert (await stage.readers.ours()).role("acme").version == 3


@pytest.mark.parametrize(
    "rubbish", [b"[]", b'{"signed":{"meta":[1]}}', b'{"signed":{"meta":{"snapshot.json":5}}}']
)
async def test_a_published_file_that_is_rubbish_is_refused_in_our_words(stage: Stage, rubbish: bytes) -> None:
    stage.blobs.objects[f"{METADATA_PREFIX}timestamp.json"] = rubbish
    with pytest.raises(RepositoryUnreachable):
        await collect_published(fetch_from(stage.blobs))
    assert "3.acme.json" in await collect_signed(fetch_from(stage.blobs), stage.people.root)


@given(st.sets(st.integers(1, 40)), st.integers(0, 60))
async def test_counting_finds_the_run_from_one_and_the_run_at_the_hint(there: set[int], hint: int) -> None:
    async def look(version: int) -> bool:
        return version in there

    found = [version async for version in newest_first(look, hint)]
    assert len(set(found)) == len(found)
    assert set(found) <= there
    if hint in there:
        assert hint in found
    if 1 in there:
        assert 1 in found
    if there == set(range(1, len(there) + 1)):
        assert found == sorted(there, reverse=True)
        assert await last_counted(look) == len(there)
