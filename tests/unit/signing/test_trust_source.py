import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Root, Timestamp

from signing.errors import ClockRefused, MetadataExpired, RepositoryUnreachable, VerificationFailed
from signing.keys import ensure_key_file
from signing.metadata import decode, sign
from signing.trust_source import TrustSource, fetch_from, load_role
from signing.verify import Verifier
from storage.errors import Conflict, EngineUnavailable

PREFIX = "tuf/metadata/"


def next_root(bench, *signers: str, version: int = 2, change=lambda root: None) -> bytes:
    """Put the next root into the bucket, signed by these key files."""
    root = decode(Root, bench.root, "root").signed
    root.version = version
    change(root)
    data = sign(root, *bench.signers(*signers))
    bench.blobs.objects[f"{PREFIX}{version}.root.json"] = data
    return data


def replace_root_keys(bench):
    """A change that gives root three new keys, kept as new-1 to new-3."""

    def change(root: Root) -> None:
        keys = [ensure_key_file(bench.folder / f"new-{number}.pem") for number in (1, 2, 3)]
        root.roles["root"].keyids = [key.keyid for key in keys]
        root.keys |= {key.keyid: key for key in keys}

    return change


@pytest.mark.requirement("S22")
async def test_metadata_is_read_at_most_every_five_minutes_whoever_asks(bench) -> None:
    source = bench.source()
    first = await asyncio.gather(*(source.current(bench.now) for _ in range(20)))
    assert len({id(trust) for trust in first}) == 1
    reads = len(bench.blobs.reads)
    bench.pass_time(minutes=4, seconds=59)
    assert await source.current(bench.now) is first[0]
    assert len(bench.blobs.reads) == reads
    bench.pass_time(seconds=1)
    assert await source.current(bench.now) is not first[0]
    assert len(bench.blobs.reads) > reads


@pytest.mark.requirement("S22")
async def test_no_metadata_no_trust_even_if_there_was_some_before(bench) -> None:
    source = bench.source()
    await source.current(bench.now)
    bench.pass_time(minutes=6)
    bench.blobs.broken[PREFIX + "timestamp.json"] = EngineUnavailable("S3 is away.")
    with pytest.raises(RepositoryUnreachable, match=r"timestamp\.json"):
        await source.current(bench.now)
    reads = len(bench.blobs.reads)
    with pytest.raises(RepositoryUnreachable):
        await source.current(bench.now)
    assert len(bench.blobs.reads) == reads, "callers that queue up share the failure"
    bench.blobs.broken.clear()
    bench.pass_time(seconds=3)
    assert (await source.current(bench.now)).at == bench.now


@pytest.mark.requirement("S14", "S22")
async def test_an_expired_timestamp_stops_everything_at_once(bench) -> None:
    source = bench.source()
    bench.pass_time(hours=23, minutes=58)
    await source.current(bench.now)
    bench.pass_time(minutes=3)
    with pytest.raises(MetadataExpired, match="timestamp"):
        await source.current(bench.now)
    await bench.service().refresh()
    bench.pass_time(seconds=3)
    assert await source.current(bench.now)


@pytest.mark.requirement("S14")
@pytest.mark.parametrize(("days", "role"), [(6.9, None), (90.1, "acme"), (180.1, "targets"), (365.1, "root")])
async def test_each_role_that_expires_stops_what_depends_on_it(bench, days, role) -> None:
    bench.pass_time(days=days)
    await bench.service().refresh()
    source = bench.source()
    if role is None:
        assert await source.current(bench.now)
    elif role == "acme":
        trust = await source.current(bench.now)
        with pytest.raises(MetadataExpired, match="acme"):
            await source.role(trust, "acme")
    else:
        with pytest.raises(MetadataExpired, match=role):
            await source.current(bench.now)


@pytest.mark.requirement("S20")
@pytest.mark.parametrize("error", [Conflict("403 Forbidden"), EngineUnavailable("503 Slow Down")])
async def test_a_next_root_that_cannot_be_read_is_an_alarm_not_the_end_of_the_chain(bench, error) -> None:
    bench.blobs.broken[PREFIX + "2.root.json"] = error
    with pytest.raises(RepositoryUnreachable, match=r"2\.root\.json"):
        await bench.source().current(bench.now)


@pytest.mark.requirement("S4")
async def test_a_rotated_root_is_followed_when_old_and_new_holders_sign(bench) -> None:
    change = replace_root_keys(bench)
    next_root(bench, "root-1", "root-2", change=change)
    with pytest.raises(VerificationFailed, match="next root"):
        await bench.source().current(bench.now)
    next_root(bench, "new-1", "new-2", change=change)
    with pytest.raises(VerificationFailed, match="next root"):
        await bench.source().current(bench.now)
    next_root(bench, "root-1", "root-3", "new-1", "new-2", change=change)
    assert (await bench.source().current(bench.now)).root.version == 2


@pytest.mark.requirement("S4")
async def test_a_root_that_skips_a_version_is_refused(bench) -> None:
    data = next_root(bench, "root-1", "root-2", version=3)
    bench.blobs.objects[PREFIX + "2.root.json"] = data
    with pytest.raises(VerificationFailed):
        await bench.source().current(bench.now)


@pytest.mark.requirement("S2")
async def test_a_next_root_with_an_alias_key_is_refused_though_tuf_accepts_it(bench) -> None:
    def enrol_twice(root: Root) -> None:
        first = root.keys[root.roles["root"].keyids[0]]
        twin = CryptoSigner.generate_ed25519().public_key
        twin.keyval = {"public": first.keyval["public"].upper()}
        root.keys[twin.keyid] = twin
        root.roles["root"].keyids[2] = twin.keyid

    next_root(bench, "root-1", "root-2", change=enrol_twice)
    with pytest.raises(VerificationFailed, match="S2"):
        await bench.source().current(bench.now)


@pytest.mark.requirement("S12", "S28")
async def test_older_metadata_is_refused_by_who_saw_newer_also_after_a_restart(bench, tmp_path) -> None:
    memory = tmp_path / "node" / "trust.json"
    old = bench.blobs.copy().objects
    await bench.release(await bench.upload())
    source = bench.source(memory_file=memory)
    await source.current(bench.now)
    bench.blobs.objects |= old
    bench.pass_time(minutes=6)
    for one in (source, bench.source(memory_file=memory)):
        with pytest.raises(VerificationFailed, match="version"):
            await one.current(bench.now)
    assert await bench.source().current(bench.now), "without a memory this freeze lasts until it expires"


@pytest.mark.requirement("S12", "S28")
async def test_stolen_online_keys_cannot_take_a_role_back_for_who_saw_newer(bench, tmp_path) -> None:
    memory = tmp_path / "trust.json"
    await bench.release(await bench.upload())
    await bench.source(memory_file=memory).current(bench.now)
    older = bench.targets("acme")
    older.version, older.targets = 0, {}
    bench.force("acme", older, "acme-release", "acme-qa")
    assert bench.snapshot().meta["acme.json"].version == 1
    with pytest.raises(VerificationFailed, match="snapshot"):
        await bench.source(memory_file=memory).current(bench.now)


@pytest.mark.requirement("S4", "S28")
async def test_a_root_once_seen_cannot_be_withheld(bench, tmp_path) -> None:
    memory = tmp_path / "trust.json"
    next_root(bench, "root-1", "root-2")
    await bench.source(memory_file=memory).current(bench.now)
    del bench.blobs.objects[PREFIX + "2.root.json"]
    assert (await bench.source(memory_file=memory).current(bench.now)).root.version == 2
    assert (await bench.source().current(bench.now)).root.version == 1


@pytest.mark.requirement("S19")
@pytest.mark.parametrize("poison", ["", "{}", '{"roots": 3}', "stranger"])
async def test_a_poisoned_memory_changes_nothing(bench, fresh_bench, tmp_path, poison) -> None:
    memory = tmp_path / "trust.json"
    if poison == "stranger":
        stranger = fresh_bench("stranger")
        await stranger.ceremony("acme")
        await stranger.release(await stranger.upload())
        await stranger.source(memory_file=memory).current(stranger.now)
    else:
        memory.write_text(poison)
    trust = await bench.source(memory_file=memory).current(bench.now)
    assert trust.targets.version == 2
    assert (await bench.source(memory_file=memory).current(bench.now)).root.version == 1


@pytest.mark.requirement("S19")
async def test_an_embedded_root_of_another_repository_or_rubbish_is_refused(bench, fresh_bench) -> None:
    stranger = fresh_bench("stranger")
    await stranger.ceremony("acme")
    bench.blobs.objects = stranger.blobs.objects
    with pytest.raises(VerificationFailed):
        await bench.source().current(bench.now)
    for rubbish in (b"", b"{}", stranger.stored("timestamp.json")):
        bench.root = rubbish
        with pytest.raises(VerificationFailed, match="embedded root"):
            await bench.source().current(bench.now)


@pytest.mark.requirement("S13")
async def test_rotated_online_keys_recover_from_a_fast_forward(bench, tmp_path) -> None:
    memory = tmp_path / "trust.json"
    timestamp = bench.timestamp()
    timestamp.version = 2**31
    good = bench.stored("timestamp.json")
    bench.blobs.objects[PREFIX + "timestamp.json"] = sign(timestamp, *bench.signers("timestamp"))
    await bench.source(memory_file=memory).current(bench.now)
    bench.blobs.objects[PREFIX + "timestamp.json"] = good
    with pytest.raises(VerificationFailed):
        await bench.source(memory_file=memory).current(bench.now)

    def rotate(root: Root) -> None:
        key = ensure_key_file(bench.folder / "timestamp-2.pem")
        root.keys[key.keyid] = key
        root.roles["timestamp"].keyids = [key.keyid]

    next_root(bench, "root-1", "root-2", change=rotate)
    fixed = decode(Timestamp, good, "timestamp").signed
    bench.blobs.objects[PREFIX + "timestamp.json"] = sign(fixed, *bench.signers("timestamp-2"))
    assert await bench.source(memory_file=memory).current(bench.now)


@pytest.mark.requirement("S6")
async def test_a_stolen_timestamp_key_can_freeze_and_nothing_more(bench) -> None:
    snapshot = bench.snapshot()
    snapshot.version += 1
    bench.blobs.objects[f"{PREFIX}{snapshot.version}.snapshot.json"] = sign(
        snapshot, *bench.signers("timestamp")
    )
    timestamp = bench.timestamp()
    timestamp.version += 1
    timestamp.snapshot_meta.version = snapshot.version
    timestamp.snapshot_meta.hashes = timestamp.snapshot_meta.length = None
    bench.blobs.objects[PREFIX + "timestamp.json"] = sign(timestamp, *bench.signers("timestamp"))
    with pytest.raises(VerificationFailed, match="snapshot"):
        await bench.source().current(bench.now)


@pytest.mark.requirement("S11")
@pytest.mark.parametrize("name", ["timestamp.json", "2.snapshot.json", "2.targets.json", "1.acme.json"])
async def test_a_file_longer_than_announced_is_refused(bench, name) -> None:
    bench.blobs.objects[PREFIX + name] += b" " * 20_000
    with pytest.raises(VerificationFailed, match="longer than"):
        await bench.source().role(await bench.source().current(bench.now), "acme")


@pytest.mark.requirement("S31")
async def test_a_clock_that_goes_back_is_refused_until_somebody_looks(bench) -> None:
    source = bench.source()
    await source.current(bench.now)
    assert await source.current(bench.now - timedelta(seconds=30))
    with pytest.raises(ClockRefused, match="clock went back"):
        await source.current(bench.now - timedelta(minutes=10))


@pytest.mark.requirement("S5", "S21")
async def test_a_role_is_revoked_by_new_targets_within_one_refresh(bench) -> None:
    await bench.release(await bench.upload())
    source = bench.source()
    trust = await source.current(bench.now)
    await source.role(trust, "acme")
    targets = bench.targets()
    del targets.delegations.roles["acme"]
    bench.force("targets", targets, "targets-1", "targets-3")
    bench.pass_time(minutes=5)
    assert (await source.current(bench.now)).roles() == ()


@pytest.mark.requirement("S2", "S5", "S7")
@pytest.mark.parametrize("attack", ["alias", "online", "paths"])
async def test_delegations_that_tuf_accepts_are_refused_when_verifying(bench, attack) -> None:
    await bench.release(await bench.upload())
    targets = bench.targets()
    role = targets.delegations.roles["acme"]
    if attack == "alias":
        twin = CryptoSigner.generate_ed25519().public_key
        twin.keyval = {"public": targets.delegations.keys[role.keyids[0]].keyval["public"].upper()}
        targets.delegations.keys[twin.keyid] = twin
        role.keyids[1] = twin.keyid
    elif attack == "online":
        key = bench.signers("snapshot")[0].public_key
        targets.delegations.keys[key.keyid] = key
        role.keyids[0] = key.keyid
    else:
        role.paths = ["*/*/*"]
    bench.force("targets", targets, "targets-1", "targets-2")
    with pytest.raises(VerificationFailed, match="breaks our rules"):
        await bench.source().current(bench.now)


@pytest.mark.requirement("S7")
async def test_a_role_that_lists_anothers_path_is_refused_and_stays_so(bench) -> None:
    await bench.ceremony("bolt")
    artifact = await bench.upload()
    await bench.release(artifact)
    stolen = bench.targets("bolt")
    stolen.targets = bench.targets("acme").targets
    bench.force("bolt", stolen, "bolt-release", "bolt-qa")
    source = bench.source()
    trust = await source.current(bench.now)
    for _ in range(2):
        with pytest.raises(VerificationFailed, match="bolt"):
            await source.role(trust, "bolt")
    assert trust.role_of(artifact.target_path) == "acme"
    with pytest.raises(VerificationFailed):
        await load_role(lambda name, limit: asyncio.sleep(0, b""), trust, "targets")


@pytest.mark.requirement("S28")
def test_eight_at_once_over_one_memory_file_leave_it_whole(bench, tmp_path) -> None:
    memory = tmp_path / "node" / "trust.json"

    def one(_: int) -> int:
        return asyncio.run(bench.source(memory_file=memory).current(bench.now)).targets.version

    with ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            assert set(pool.map(one, range(8))) == {2}
            assert json.loads(memory.read_text())["snapshot"]
    assert [path.name for path in memory.parent.iterdir()] == ["trust.json"]


@pytest.mark.requirement("S28")
async def test_a_verifier_writes_to_no_bucket(bench, tmp_path) -> None:
    artifact = await bench.upload()
    await bench.release(artifact)
    signed = await bench.service().sign_directive(bench.directive(artifact), 0)
    before = dict(bench.blobs.objects)
    bench.blobs.writes.clear()
    await Verifier(bench.source(memory_file=tmp_path / "trust.json")).verify(bench.request(signed))
    assert (bench.blobs.writes, bench.blobs.objects) == ([], before)


@pytest.mark.requirement("S30")
@pytest.mark.parametrize("name", ["2.root.json", "timestamp.json", "2.snapshot.json", "1.acme.json"])
async def test_a_file_that_never_comes_stops_the_dispatch_and_not_the_node(bench, name) -> None:
    plain = fetch_from(bench.blobs)

    async def fetch(wanted: str, limit: int) -> bytes:
        if wanted == name:
            await asyncio.Event().wait()
        return await plain(wanted, limit)

    source = TrustSource(fetch, bench.root, fetch_seconds=0.02)
    with pytest.raises(RepositoryUnreachable, match=r"did not come within 0\.02 s"):
        await source.role(await source.current(bench.now), "acme")


@pytest.mark.requirement("S31")
@pytest.mark.parametrize(("minutes", "holds"), [(-4, True), (-6, False), (-60 * 24, False)])
async def test_a_clock_behind_what_was_signed_is_refused(bench, minutes, holds) -> None:
    now = bench.now + timedelta(minutes=minutes)
    if holds:
        assert await bench.source().current(now)
        return
    with pytest.raises(ClockRefused, match="signed"):
        await bench.source().current(now)


@pytest.mark.requirement("S31", "S64")
async def test_a_stolen_timestamp_key_cannot_sign_for_ten_years(bench) -> None:
    timestamp = bench.timestamp()
    timestamp.version += 1
    timestamp.expires = bench.now + timedelta(days=3650)
    bench.blobs.objects[PREFIX + "timestamp.json"] = sign(timestamp, *bench.signers("timestamp"))
    with pytest.raises(ClockRefused, match="signed"):
        await bench.source().current(bench.now)


@pytest.mark.requirement("S31")
async def test_the_instant_of_an_update_is_one_however_long_it_takes(bench) -> None:
    """Expiry is judged by the instant handed in, not by what the clock says by the end (TUF 5.1)."""
    bench.pass_time(hours=23, minutes=59)
    plain, now = fetch_from(bench.blobs), bench.now

    async def slow(name: str, limit: int) -> bytes:
        bench.pass_time(hours=1)
        return await plain(name, limit)

    assert (await TrustSource(slow, bench.root).current(now)).at == now
