import stat

import pytest
from tuf.api.metadata import Root, Targets

from signing.ceremony import DevelopmentCeremony
from signing.errors import KeyUnavailable, VerificationFailed
from signing.keys import ensure_key_file, key_material, public_of_file
from signing.metadata import decode, sign
from signing.policy import read_policy
from signing.trust_source import fetch_from, load_role, load_trust
from storage.errors import Conflict, EngineUnavailable, InvalidName


async def trust_of(bench, *roles: str):
    fetch = fetch_from(bench.blobs)
    trust = await load_trust(fetch, bench.root, bench.now)
    for role in roles:
        await load_role(fetch, trust, role)
    return trust


@pytest.mark.requirement("S1", "S5", "S6", "S7")
async def test_the_layout_is_that_of_production(bench) -> None:
    root = decode(Root, bench.root, "root").signed
    shape = {name: (len(role.keyids), role.threshold) for name, role in root.roles.items()}
    assert shape == {"root": (3, 2), "targets": (3, 2), "snapshot": (1, 1), "timestamp": (1, 1)}
    trust = await trust_of(bench, "acme")
    delegated = trust.targets.get_delegated_role("acme")
    assert (len(delegated.keyids), delegated.threshold) == (3, 2)
    assert delegated.paths == ["acme/*/*"]
    assert delegated.terminating
    assert trust.role("acme").targets == {}
    assert trust.roles() == ("acme",)


async def test_all_keys_are_distinct_files_of_their_owner(bench) -> None:
    files = sorted(bench.folder.glob("*.pem"))
    assert [file.stem for file in files] == [
        *("acme-qa", "acme-release", "acme-security", "directive", "root-1", "root-2", "root-3"),
        *("snapshot", "targets-1", "targets-2", "targets-3", "timestamp"),
    ]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert len({key_material(public_of_file(file)) for file in files}) == len(files)
    directive = public_of_file(bench.folder / "directive.pem")
    assert set(read_policy(bench.targets()).directive_keys) == {directive.keyid}


async def test_a_second_run_changes_nothing(bench, manufacturer) -> None:
    before = dict(bench.blobs.objects)
    keys = {file: file.read_bytes() for file in bench.folder.iterdir()}
    await bench.ceremony("acme", manufacturer_roots={"acme": (manufacturer.root,)})
    await bench.ceremony()
    assert bench.blobs.objects == before
    assert {file: file.read_bytes() for file in bench.folder.iterdir()} == keys


@pytest.mark.requirement("S4", "S14")
async def test_a_later_run_signs_anew_what_nears_its_expiry(bench) -> None:
    artifact = await bench.upload()
    await bench.release(artifact)
    for days, versions in ((80, (1, 2, 3)), (80, (1, 3, 4)), (160, (2, 4, 5)), (400, (3, 5, 6))):
        bench.pass_time(days=days)
        await bench.ceremony("acme")
        trust = await trust_of(bench, "acme")
        roles = (trust.root, trust.targets, trust.role("acme"))
        assert tuple(role.version for role in roles) == versions
        assert trust.release(artifact.target_path).sha256 == artifact.artifact_id


async def test_killed_while_signing_anew_it_goes_on_later(bench) -> None:
    bench.pass_time(days=170)
    for write in (1, 2, 3, 4, 5):
        bench.blobs.writes.clear()
        bench.blobs.die_at_write = write
        try:
            await bench.ceremony("acme", "bolt")
        except EngineUnavailable:
            bench.pass_time(minutes=10)
    bench.blobs.die_at_write = None
    await bench.ceremony("acme", "bolt")
    assert (await trust_of(bench, "acme", "bolt")).roles() == ("acme", "bolt")


async def test_a_release_a_killed_signer_left_behind_is_finished_by_the_ceremony(bench) -> None:
    service = bench.service()
    staged = await service.stage(await bench.upload())
    sign_offs = await bench.sign_off(staged, "release", "qa")
    bench.blobs.die_at_write = 1
    with pytest.raises(EngineUnavailable):
        await service.publish(staged, sign_offs)
    bench.blobs.die_at_write = None
    await bench.ceremony("acme")
    assert list((await trust_of(bench, "acme")).role("acme").targets) == ["acme/1.1/firmware.bin"]


async def test_a_vendor_role_can_be_added_later_and_keeps_what_is_released(bench) -> None:
    await bench.release(await bench.upload())
    await bench.ceremony("acme", "bolt")
    trust = await trust_of(bench, "acme", "bolt")
    assert trust.roles() == ("acme", "bolt")
    assert trust.release("acme/1.1/firmware.bin").version == "1.1"
    assert trust.policy.roots_of("acme")
    artifact = await bench.upload("7", 1, vendor_role="bolt", image=b"bolt")
    assert (await bench.release(artifact)).target_path == "bolt/7/firmware.bin"


async def test_a_manufacturers_root_can_be_replaced(bench) -> None:
    await bench.ceremony(manufacturer_roots={"acme": ("PEM",)})
    trust = await trust_of(bench)
    assert trust.policy.roots_of("acme") == ("PEM",)


@pytest.mark.requirement("S9")
@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("write", range(1, 9))
async def test_killed_at_any_write_it_is_finished_by_the_next_run(empty_bench, write, before) -> None:
    bench = empty_bench
    bench.blobs.die_at_write, bench.blobs.die_before_write = write, before
    with pytest.raises(EngineUnavailable):
        await bench.ceremony("acme")
    bench.blobs.die_at_write = None
    bench.pass_time(hours=1)
    await bench.ceremony("bolt")
    await bench.ceremony("acme", "bolt")
    trust = await trust_of(bench, "acme", "bolt")
    assert set(trust.roles()) == {"acme", "bolt"}


async def test_every_write_of_the_ceremony_was_killed_above(empty_bench) -> None:
    await empty_bench.ceremony("acme")
    assert len(empty_bench.blobs.writes) == 8
    assert empty_bench.blobs.writes[-1].endswith("timestamp.json")


async def test_a_file_planted_for_a_role_to_come_is_not_adopted(bench) -> None:
    stamp = bench.stored("timestamp.json")
    empty = Targets(1, expires=bench.targets("acme").expires)
    bench.blobs.objects["tuf/metadata/1.bolt.json"] = sign(empty, *bench.signers("snapshot"))
    with pytest.raises(VerificationFailed, match="bolt"):
        await bench.ceremony("bolt")
    assert bench.stored("timestamp.json") == stamp


async def test_another_buckets_repository_is_left_alone(bench, fresh_bench) -> None:
    stranger = fresh_bench("stranger")
    before = dict(bench.blobs.objects)
    with pytest.raises(Conflict, match="not made with the keys"):
        await DevelopmentCeremony(bench.blobs, stranger.folder, bench.clock).ensure(["acme"])
    assert bench.blobs.objects == before


async def test_keys_that_do_not_belong_to_the_root_are_noticed(bench) -> None:
    (bench.folder / "snapshot.pem").unlink()
    ensure_key_file(bench.folder / "snapshot.pem")
    with pytest.raises(Conflict, match="snapshot"):
        await bench.ceremony("acme")


async def test_a_damaged_key_and_a_bad_name_are_refused(bench) -> None:
    with pytest.raises(InvalidName):
        await bench.ceremony("root")
    (bench.folder / "targets-1.pem").write_text("-----BEGIN")
    with pytest.raises(KeyUnavailable):
        await bench.ceremony("acme")
