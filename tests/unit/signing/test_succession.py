"""A new root gets in: no reader is ever refused, whenever the publisher dies; and a thief's keys are out.

After every single write two readers look: the stock client of python-tuf, and our own verifier with the
memory of all that it has seen.
"""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Root, Snapshot, Timestamp

from signing.bundle import unsigned, write_bundle
from signing.ceremony import DevelopmentCeremony
from signing.errors import KeyUnavailable, RepositoryUnreachable, SigningError, VerificationFailed
from signing.holding import review, sign
from signing.keys import ensure_key_file, file_address, public_of_file
from signing.layout import VendorLayout
from signing.metadata import decode, listing
from signing.metadata import sign as metadata_sign
from signing.published import collect_published, write_backup
from signing.rehearsal import People
from signing.repository import OnlineSigners, Repository
from signing.service import OnlineKeys, SigningService
from signing.trust_source import TrustSource, fetch_from
from storage.errors import Conflict, EngineUnavailable
from tests.support.watched_repository import NOW, Stage
from tests.unit.signing.conftest import DictBlobs

PREFIX = "tuf/metadata/"


@pytest.fixture
async def stage(tmp_path: Path) -> Stage:
    return await Stage(tmp_path).found()


def _root_people(people: People) -> tuple[str, ...]:
    people.change(root=people.holders("ada", "grace", "lynn"))
    return ("ada", "grace")


def _online_keys(people: People) -> tuple[str, ...]:
    people.change(snapshot=people.online("snapshot-2"), timestamp=people.online("timestamp-2"))
    return ("ada", "grace")


def _timestamp_key(people: People) -> tuple[str, ...]:
    people.change(timestamp=people.online("timestamp-2"))
    return ("joan", "grace")


def _snapshot_key(people: People) -> tuple[str, ...]:
    people.change(snapshot=people.online("snapshot-2"))
    return ("joan", "ada")


def _targets_people(people: People) -> tuple[str, ...]:
    people.change(targets=people.holders("uma", "vera", "wanda"))
    return ("ada", "grace", "mary", "hedy", "uma", "vera")


def _vendor_people(people: People) -> tuple[str, ...]:
    people.change(vendors={"acme": VendorLayout(people.holders("nora", "olga", "pia"))})
    return ("mary", "rosa", "nora", "pia")


def _another_vendor(people: People) -> tuple[str, ...]:
    people.change(vendors={**people.layout.vendors, "bolt": people.vendor("bolt")})
    return ("mary", "rosa", "bolt-qa", "bolt-security")


def _a_vendor_leaves(people: People) -> tuple[str, ...]:
    people.change(vendors={"bolt": people.vendor("bolt")})
    return ("mary", "rosa", "bolt-qa", "bolt-security")


def _directive_key(people: People) -> tuple[str, ...]:
    people.change(directive=people.online("directive-2"))
    return ("mary", "rosa")


def _everything(people: People) -> tuple[str, ...]:
    signers = (
        *_online_keys(people),
        *_targets_people(people),
        *_vendor_people(people),
        *_directive_key(people),
    )
    people.change(root=people.holders("ada", "lynn", "evi"))
    return (*dict.fromkeys((*signers, "lynn")),)


CHANGES = {
    change.__name__.strip("_"): change
    for change in (
        _root_people,
        _online_keys,
        _timestamp_key,
        _snapshot_key,
        _targets_people,
        _vendor_people,
        _another_vendor,
        _a_vendor_leaves,
        _directive_key,
        _everything,
    )
}


@pytest.mark.requirement("S4", "S9", "S18")
@pytest.mark.parametrize("change", CHANGES)
async def test_no_reader_is_refused_after_any_write_of_a_planned_change(stage: Stage, change: str) -> None:
    data = await stage.prepared(*CHANGES[change](stage.people))
    stage.blobs.look = stage.readers.look
    await stage.service_of(data)
    assert stage.blobs.looks == len(stage.blobs.writes) >= 1
    stage.blobs.look = None
    await stage.service().refresh()
    await stage.readers.look()


@pytest.mark.requirement("S9", "S63")
@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("change", ["online_keys", "everything"])
async def test_killed_at_any_write_of_a_new_root_it_goes_on_with_the_same_file(
    stage: Stage, change: str, before: bool
) -> None:
    data = await stage.prepared(*CHANGES[change](stage.people))
    whole = DictBlobs()
    whole.objects = dict(stage.blobs.objects)
    await SigningService(
        whole, stage.people.root, OnlineKeys.in_folder(stage.people.online_folder), lambda: NOW
    ).conclude_ceremony(data)
    start = dict(stage.blobs.objects)
    for write in range(1, len(whole.writes) + 1):
        stage.blobs.objects = dict(start)
        stage.blobs.writes.clear()
        stage.blobs.die_at_write, stage.blobs.die_before_write = write, before
        with pytest.raises(EngineUnavailable):
            await stage.service_of(data)
        stage.blobs.die_at_write = None
        await _fresh(stage)
        await stage.service_of(data)
        await _fresh(stage)
        assert stage.blobs.objects.keys() == whole.objects.keys()


async def _fresh(stage: Stage) -> None:
    """Readers who start from the root alone: the state was put back, so nobody may remember more."""
    fetch = fetch_from(stage.blobs)
    trust = await TrustSource(fetch, stage.people.root).current(NOW)
    stage.readers.stock(f"fresh-{len(stage.blobs.writes)}-{len(stage.blobs.objects)}-{trust.at.timestamp()}")


@pytest.mark.requirement("S9")
@pytest.mark.parametrize("write", [1, 2, 3])
async def test_a_refresh_finishes_what_a_change_without_the_old_keys_left(stage: Stage, write: int) -> None:
    """Between the root and the timestamp readers are refused: the old keys are gone. It heals by itself."""
    stage.online("snapshot-2", "timestamp-2")
    data = await stage.prepared("ada", "grace")
    for name in ("snapshot", "timestamp"):
        (stage.people.online_folder / f"{name}.pem").unlink()
    stage.blobs.die_at_write = write
    with pytest.raises(EngineUnavailable):
        await stage.service_of(data)
    stage.blobs.die_at_write = None
    await stage.service().refresh()
    await stage.readers.look()
    assert decode(Timestamp, stage.stored("timestamp.json"), "timestamp").signed.version == 1
    await stage.service_of(data)


@pytest.mark.requirement("S6", "S13")
async def test_what_the_old_online_keys_sign_after_their_rotation_is_refused(stage: Stage) -> None:
    thief = stage.people.online_signer("timestamp")
    stage.online("snapshot-2", "timestamp-2")
    await stage.service_of(await stage.prepared("ada", "grace"))
    await stage.service().refresh()
    stamp = decode(Timestamp, stage.stored("timestamp.json"), "timestamp").signed
    stamp.version += 7
    stage.blobs.objects[PREFIX + "timestamp.json"] = metadata_sign(stamp, thief)
    with pytest.raises(RepositoryError):
        stage.readers.stock("old")
    with pytest.raises(VerificationFailed):
        await stage.readers.ours()
    await stage.service().refresh()
    await stage.readers.look()


@pytest.mark.requirement("S13")
@pytest.mark.parametrize("there", [True, False], ids=["listed-and-there", "listed-and-not-there"])
async def test_versions_that_jumped_are_small_again_after_rotation(stage: Stage, there: bool) -> None:
    """TUF 5.3.11, for readers who believed the jump and for those who did not see it."""
    snapshot = decode(Snapshot, stage.stored("1.snapshot.json"), "snapshot").signed
    snapshot.version = 2**31
    data = metadata_sign(snapshot, stage.people.online_signer("snapshot"))
    stamp = decode(Timestamp, stage.stored("timestamp.json"), "timestamp").signed
    stamp.version, stamp.snapshot_meta = 2**31, listing(2**31, data)
    if there:
        stage.blobs.objects[PREFIX + f"{2**31}.snapshot.json"] = data
    stage.blobs.objects[PREFIX + "timestamp.json"] = metadata_sign(
        stamp, stage.people.online_signer("timestamp")
    )
    if there:
        await stage.readers.look()
    stage.online("snapshot-2", "timestamp-2")
    for name in ("snapshot", "timestamp"):
        (stage.people.online_folder / f"{name}.pem").unlink()
    await stage.service_of(await stage.prepared("ada", "joan", trust_online=False))
    await stage.readers.look()
    stamp = decode(Timestamp, stage.stored("timestamp.json"), "timestamp").signed
    assert (stamp.version, stamp.snapshot_meta.version) == (1, 2)


@pytest.mark.requirement("S6", "S12")
@pytest.mark.parametrize("lie", ["back", "unsigned", "gone"])
async def test_a_snapshot_that_only_its_key_vouches_for_is_not_stamped(stage: Stage, lie: str) -> None:
    """Who has the snapshot key and may write to the bucket does not get our timestamp for it."""
    await stage.service_of(await stage.prepared("acme-qa", "acme-release", renew=["acme"]))
    snapshot = decode(Snapshot, stage.stored("2.snapshot.json"), "snapshot").signed
    snapshot.version = 3
    if lie == "back":
        snapshot.meta["acme.json"] = listing(1, stage.stored("1.acme.json"))
    elif lie == "gone":
        del snapshot.meta["acme.json"]
    else:
        stage.blobs.objects[PREFIX + "3.acme.json"] = stage.stored("2.acme.json")
        snapshot.meta["acme.json"] = listing(4, b"{}")
    stage.blobs.objects[PREFIX + "3.snapshot.json"] = metadata_sign(
        snapshot, stage.people.online_signer("snapshot")
    )
    before = stage.stored("timestamp.json")
    with pytest.raises(VerificationFailed, match="Snapshot 3"):
        await stage.service().refresh()
    assert stage.stored("timestamp.json") == before
    await stage.readers.look()
    # People replace the key; what the thief left is no hindrance.
    stage.online("snapshot-2")
    await stage.service_of(await stage.prepared("ada", "grace"))
    await stage.readers.look()
    assert (await stage.readers.ours()).role("acme").version == 2


@pytest.mark.requirement("S12")
async def test_a_backup_goes_into_an_emptied_bucket_and_nowhere_else(stage: Stage) -> None:
    backup = write_backup(await collect_published(fetch_from(stage.blobs)))
    await stage.service_of(await stage.prepared("acme-qa", "acme-release", renew=["acme"]))
    await stage.readers.look()
    service = stage.service()
    await service.refresh()
    with pytest.raises(Conflict, match="nothing to restore"):
        await service.conclude_ceremony(backup)
    stage.blobs.objects.clear()
    with pytest.raises(RepositoryUnreachable, match="gone from the bucket"):
        await service.refresh()
    for write in range(1, 6):
        stage.blobs.writes.clear()
        stage.blobs.die_at_write = write
        with pytest.raises(EngineUnavailable):
            await stage.service_of(backup)
        stage.blobs.die_at_write = None
        stage.blobs.objects.clear()
    stamp = await service.conclude_ceremony(backup)
    assert (stamp.versions["acme"], stamp.fingerprint) == (1, "")
    assert await service.conclude_ceremony(backup) == stamp
    with pytest.raises(RepositoryError):
        stage.readers.stock("old")
    with pytest.raises(SigningError):
        await stage.readers.ours()


@pytest.mark.requirement("S19")
async def test_a_backup_or_a_ceremony_of_another_repository_is_refused(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = await Stage(tmp_path / "other").found()
    backup = write_backup(await collect_published(fetch_from(other.blobs)))
    stage.blobs.objects.clear()
    with pytest.raises(VerificationFailed):
        await stage.service_of(backup)
    with pytest.raises(VerificationFailed, match="all verifiers embed"):
        await stage.service_of(write_bundle(other.people.found(NOW)))
    assert stage.blobs.objects == {}


async def test_a_root_that_names_a_key_out_of_reach_is_not_published(stage: Stage) -> None:
    stage.online("timestamp-2")
    data = await stage.prepared("ada", "grace")
    (stage.people.online_folder / "timestamp-2.pem").unlink()
    before = dict(stage.blobs.objects)
    with pytest.raises(KeyUnavailable):
        await stage.service_of(data)
    assert stage.blobs.objects == before


@pytest.mark.requirement("S4")
async def test_a_root_that_only_new_or_only_old_holders_signed_is_refused_by_the_publisher(
    stage: Stage,
) -> None:
    stage.people.change(root=stage.people.holders("lynn", "evi", "kay"))
    before = dict(stage.blobs.objects)
    for signers in (("lynn", "evi"), ("ada", "grace")):
        with pytest.raises(VerificationFailed, match="Not everybody"):
            await stage.service_of(await stage.prepared(*signers))
    assert stage.blobs.objects == before


@pytest.mark.requirement("S14")
async def test_an_expired_repository_is_brought_back_by_its_people(stage: Stage) -> None:
    later = NOW + timedelta(days=400)
    bundle = await stage.people.next(fetch_from(stage.blobs), later)
    assert set(bundle.parts) == {"root", "targets", "acme"}
    signed = stage.people.sign(bundle, ("ada", "grace", "mary", "hedy", "acme-qa", "acme-release"), later)
    keys = OnlineKeys.in_folder(stage.people.online_folder)
    await SigningService(stage.blobs, stage.people.root, keys, lambda: later).conclude_ceremony(
        write_bundle(signed)
    )
    trust = await TrustSource(fetch_from(stage.blobs), stage.people.root).current(later)
    assert trust.root.version == decode(Root, stage.stored("2.root.json"), "root").signed.version == 2
    assert replace(stage.people.layout).vendors.keys() == set(trust.roles())


async def test_a_key_that_the_root_does_not_name_stamps_nothing(stage: Stage) -> None:
    wrong = OnlineSigners(stage.people.online_signer("snapshot"), stage.people.online_signer("snapshot"))
    repository = Repository(stage.blobs, stage.people.root)
    before = stage.stored("timestamp.json")
    with pytest.raises(KeyUnavailable, match="timestamp key at hand"):
        await repository.publish(await repository.head(), [], wrong, NOW + timedelta(hours=20))
    assert stage.stored("timestamp.json") == before


async def test_the_development_ceremony_goes_on_after_a_real_one(stage: Stage, tmp_path: Path) -> None:
    """Whoever replaced a development key by a real ceremony can start the machine again."""
    folder, blobs = tmp_path / "development", DictBlobs()
    made = await DevelopmentCeremony(blobs, folder, lambda: NOW).ensure(["acme"])
    ensure_key_file(folder / "timestamp-2.pem")
    root = decode(Root, made.trusted_root, "root").signed
    new = public_of_file(folder / "timestamp-2.pem")
    root.version, root.roles["timestamp"].keyids = 2, [new.keyid]
    root.keys = {key.keyid: key for key in (*root.keys.values(), new) if _named(root, key.keyid)}
    signed = unsigned({"root": root}, await collect_published(fetch_from(blobs)))
    for name in ("root-1", "root-2"):
        reviewed = review(signed, made.trusted_root, NOW)
        signed, *_ = sign(reviewed, file_address(folder / f"{name}.pem"), now=NOW, tools="")
    service = SigningService(blobs, made.trusted_root, OnlineKeys.in_folder(folder), lambda: NOW)
    await service.conclude_ceremony(write_bundle(signed))
    later = NOW + timedelta(hours=12)
    await DevelopmentCeremony(blobs, folder, lambda: later).ensure(["acme", "bolt"])
    trust = await TrustSource(fetch_from(blobs), made.trusted_root).current(later)
    assert (trust.root.version, trust.roles()) == (2, ("acme", "bolt"))


def _named(root: Root, keyid: str) -> bool:
    return any(keyid in role.keyids for role in root.roles.values())
