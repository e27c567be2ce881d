import asyncio
import json
from dataclasses import replace

import pytest
from tuf.api.metadata import Targets

from signing.errors import (
    NotInRelease,
    RepositoryUnreachable,
    StaleStage,
    VerificationFailed,
)
from signing.metadata import sign
from signing.repository import NewFile, OnlineSigners, Repository
from signing.roles import RULES, VENDOR_RULE
from signing.trust_source import fetch_from, load_role, load_trust
from storage.errors import EngineUnavailable

PREFIX = "tuf/metadata/"


async def read(bench) -> set[str]:
    """What a reader that starts now gets to see; raises if there is anything wrong."""
    fetch = fetch_from(bench.blobs)
    trust = await load_trust(fetch, bench.root, bench.now)
    await load_role(fetch, trust, "acme")
    return set(trust.role("acme").targets)


OLD = {"acme/1.1/firmware.bin"}
NEW = {*OLD, "acme/1.2/firmware.bin"}


@pytest.mark.requirement("S9", "S63")
@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("write", [1, 2, 3])
async def test_killed_at_any_write_readers_see_old_or_new_and_a_rerun_completes(bench, write, before) -> None:
    await bench.release(await bench.upload())
    service = bench.service()
    staged = await service.stage(await bench.upload("1.2", 12))
    sign_offs = await bench.sign_off(staged, "release", "qa")
    bench.blobs.writes.clear()
    bench.blobs.die_at_write, bench.blobs.die_before_write = write, before
    with pytest.raises(EngineUnavailable):
        await service.publish(staged, sign_offs)
    seen = await read(bench)
    assert seen == (NEW if write == 3 and not before else OLD)

    bench.blobs.die_at_write = None
    bench.pass_time(minutes=3)
    # Another holder's signature arrives meanwhile: the same content under other signatures.
    late = await bench.service().publish(staged, tuple(reversed(sign_offs)))
    assert await read(bench) == NEW
    assert late.role_version == 3
    assert await bench.service().publish(staged, sign_offs) == late


@pytest.mark.requirement("S9")
@pytest.mark.parametrize("write", [1, 2])
async def test_what_a_killed_publisher_left_is_rolled_forward_by_the_next_one(bench, write) -> None:
    service = bench.service()
    first, second = await bench.upload(), await bench.upload("1.2", 12)
    staged = await service.stage(first)
    sign_offs = await bench.sign_off(staged, "release", "qa")
    bench.blobs.writes.clear()
    bench.blobs.die_at_write = write
    with pytest.raises(EngineUnavailable):
        await service.publish(staged, sign_offs)
    bench.blobs.die_at_write = None
    await bench.release(second)
    assert await read(bench) == NEW
    assert (await bench.service().publish(staged, sign_offs)).role_version == 2


@pytest.mark.requirement("S9", "S40")
async def test_role_snapshot_timestamp_in_this_order_and_only_the_timestamp_changes(bench) -> None:
    before = dict(bench.blobs.objects)
    await bench.release(await bench.upload())
    assert bench.blobs.writes == [
        PREFIX + "2.acme.json",
        PREFIX + "3.snapshot.json",
        PREFIX + "timestamp.json",
    ]
    changed = {key for key, data in before.items() if bench.blobs.objects[key] != data}
    assert changed == {PREFIX + "timestamp.json"}


@pytest.mark.requirement("S10")
async def test_snapshot_and_timestamp_list_length_and_sha256(bench) -> None:
    await bench.release(await bench.upload())
    metas = [*bench.snapshot().meta.values(), bench.timestamp().snapshot_meta]
    assert len(metas) == 3
    assert all(meta.length and set(meta.hashes) == {"sha256"} for meta in metas)


async def test_readers_in_a_loop_never_fail_while_releases_go_on(bench) -> None:
    failures: list[Exception] = []
    done = asyncio.Event()

    async def look() -> int:
        looks = 0
        while not done.is_set():
            try:
                await read(bench)
            except VerificationFailed as error:
                failures.append(error)
            looks += 1
            await asyncio.sleep(0)
        return looks

    reader = asyncio.create_task(look())
    for counter in range(1, 6):
        await bench.release(await bench.upload(f"1.{counter}", counter))
    done.set()
    assert await reader > 0
    assert failures == []


@pytest.mark.requirement("S12")
async def test_versions_are_counted_from_the_bucket_and_a_rolled_back_head_heals(bench) -> None:
    old = bench.stored("timestamp.json")
    await bench.release(await bench.upload())
    bench.blobs.objects[PREFIX + "timestamp.json"] = old
    stamp = await bench.release(await bench.upload("1.2", 12))
    assert (stamp.role_version, stamp.snapshot_version) == (3, 4)
    assert await read(bench) == NEW


@pytest.mark.requirement("S12")
async def test_a_signer_never_gives_a_timestamp_version_twice(bench) -> None:
    service = bench.service()
    old = bench.stored("timestamp.json")
    await bench.release(await bench.upload(), service)
    newest = bench.timestamp().version
    bench.blobs.objects[PREFIX + "timestamp.json"] = old
    await service.refresh()
    assert bench.timestamp().version == newest + 1


@pytest.mark.requirement("S12")
async def test_an_older_file_under_a_newer_name_is_noticed(bench) -> None:
    await bench.release(await bench.upload())
    bench.blobs.objects[PREFIX + "2.acme.json"] = bench.stored("1.acme.json")
    with pytest.raises(VerificationFailed, match="acme 2"):
        await bench.service().stage(await bench.upload("1.2", 12))


@pytest.mark.requirement("S12")
async def test_a_signer_that_saw_more_refuses_a_bucket_that_went_back(bench) -> None:
    service = bench.service()
    backup = bench.blobs.copy().objects
    await bench.release(await bench.upload(), service)
    images = {key: data for key, data in bench.blobs.objects.items() if not key.startswith(PREFIX)}
    bench.blobs.objects = backup | images
    with pytest.raises(VerificationFailed, match="went back"):
        await service.refresh()


@pytest.mark.requirement("S12")
async def test_an_old_stage_from_a_restored_database_is_refused(bench) -> None:
    service = bench.service()
    stale = await service.stage(await bench.upload("1.0.9", 9))
    sign_offs = await bench.sign_off(stale, "release", "security")
    await bench.release(await bench.upload(), service)
    with pytest.raises(StaleStage):
        await service.publish(stale, sign_offs)


async def test_a_planted_file_or_a_snapshot_of_another_key_is_never_built_upon(bench) -> None:
    empty = Targets(2, expires=bench.targets("acme").expires)
    planted = sign(empty, *bench.signers("snapshot", "timestamp"))
    bench.blobs.objects[PREFIX + "2.acme.json"] = planted
    with pytest.raises(VerificationFailed, match="signed by 0/2"):
        await bench.service().stage(await bench.upload())
    del bench.blobs.objects[PREFIX + "2.acme.json"]
    snapshot = bench.snapshot()
    snapshot.version += 1
    bench.blobs.objects[f"{PREFIX}{snapshot.version}.snapshot.json"] = sign(
        snapshot, *bench.signers("timestamp")
    )
    with pytest.raises(VerificationFailed, match="snapshot"):
        await bench.service().refresh()


async def test_a_listed_file_that_was_swapped_is_noticed_before_anything_is_signed(bench) -> None:
    await bench.release(await bench.upload())
    key = PREFIX + "2.acme.json"
    bench.blobs.objects[key] = bench.blobs.objects[key].replace(b"1.1", b"6.6")
    with pytest.raises(VerificationFailed):
        await bench.service().stage(await bench.upload("1.2", 12))
    del bench.blobs.objects[key]
    with pytest.raises(RepositoryUnreachable, match="not in the bucket"):
        await bench.service().stage(await bench.upload("1.2", 12))


@pytest.mark.requirement("S11")
async def test_metadata_beyond_its_budget_is_neither_staged_nor_published(bench, monkeypatch) -> None:
    staged = await bench.service().stage(await bench.upload())
    sign_offs = await bench.sign_off(staged, "release", "qa")
    monkeypatch.setattr("signing.roles.VENDOR_RULE", replace(VENDOR_RULE, max_bytes=1500))
    with pytest.raises(VerificationFailed, match="S11"):
        await bench.service().stage(await bench.upload("1.2", 12))
    with pytest.raises(VerificationFailed, match="S11"):
        await bench.service().publish(staged, sign_offs)
    assert bench.blobs.writes == []


@pytest.mark.requirement("S11")
async def test_a_snapshot_beyond_its_budget_is_not_written(bench, monkeypatch) -> None:
    now = len(bench.stored("2.snapshot.json"))
    monkeypatch.setitem(RULES, "snapshot", replace(RULES["snapshot"], max_bytes=now + 50))
    with pytest.raises(VerificationFailed, match="S11"):
        await bench.ceremony("acme", "bolt")
    assert bench.snapshot().version == 2
    assert PREFIX + "3.snapshot.json" not in bench.blobs.objects


async def test_an_oversized_file_in_the_bucket_is_refused(bench) -> None:
    bench.blobs.objects[PREFIX + "2.acme.json"] = b" " * 2_000_001
    with pytest.raises(VerificationFailed, match="longer than 2000000"):
        await bench.service().stage(await bench.upload())


async def test_the_publisher_itself_refuses_what_is_unsigned_or_skips_a_version(bench) -> None:
    repository = Repository(bench.blobs, bench.root)
    head = await repository.head()
    online = OnlineSigners(*bench.signers("snapshot", "timestamp"))
    expires = bench.targets("acme").expires
    people = bench.signers("acme-release", "acme-qa")
    cases = [
        (NewFile("acme", 2, sign(Targets(2, expires=expires), people[0])), VerificationFailed),
        (NewFile("acme", 3, sign(Targets(3, expires=expires), *people)), StaleStage),
        (NewFile("acme", 2, sign(Targets(7, expires=expires), *people)), VerificationFailed),
        (NewFile("bolt", 1, sign(Targets(1, expires=expires), *people)), VerificationFailed),
    ]
    for file, error in cases:
        with pytest.raises(error):
            await repository.publish(head, [file], online, bench.now)
    assert bench.blobs.writes == []


@pytest.mark.requirement("S14")
async def test_a_refresh_signs_what_is_due_and_nothing_else(bench) -> None:
    service = bench.service()
    await service.refresh()
    assert bench.blobs.writes == []
    bench.pass_time(hours=2)
    await service.refresh()
    assert bench.blobs.writes == [PREFIX + "timestamp.json"]
    bench.pass_time(days=5)
    await service.refresh()
    assert bench.blobs.writes[1:] == [PREFIX + "3.snapshot.json", PREFIX + "timestamp.json"]
    bench.pass_time(days=30)
    await service.refresh()
    assert await read(bench) == set()


async def test_readers_before_the_ceremony_and_of_an_unknown_role_are_told_so(bench, fresh_bench) -> None:
    fresh = fresh_bench("fresh")
    fresh.root = bench.root
    with pytest.raises(RepositoryUnreachable):
        await read(fresh)
    with pytest.raises(RepositoryUnreachable, match="no TUF repository"):
        await fresh.service().refresh()
    trust = await load_trust(fetch_from(bench.blobs), bench.root, bench.now)
    with pytest.raises(NotInRelease):
        await load_role(fetch_from(bench.blobs), trust, "bolt")
    with pytest.raises(NotInRelease):
        trust.role_of("bolt/1/x.bin")


async def test_metadata_is_plain_json_that_any_tuf_client_reads(bench) -> None:
    await bench.release(await bench.upload())
    raw = json.loads(bench.stored("2.acme.json"))
    assert set(raw) == {"signatures", "signed"}
    assert raw["signed"]["targets"]["acme/1.1/firmware.bin"]["custom"]["release_counter"] == 11
