"""What is left over in a bucket: never what somebody needs, is young, or is not ours to judge."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from signing.checkpoint import checkpoint_key, public_key_key
from signing.timestamping import stamp_key
from storage.daily import manifest_key
from storage.evidence import evidence_key
from storage.leftovers import UNVERSIONED, abandoned, for_people, is_ours, leftovers
from storage.transfer import OpenMultipart, StoredVersion

NOW = datetime(2026, 11, 25, tzinfo=UTC)
GRACE = timedelta(hours=48)
IMAGE = "ab" * 32

keys = st.sampled_from(
    [
        IMAGE,
        "cd" * 32,
        "incoming/u1/p1",
        "logs/7/x",
        "tuf/metadata/1.root.json",
        "evidence/" + IMAGE,
        "AB" * 32,
    ]
)
stored = st.builds(
    StoredVersion,
    key=keys,
    version_id=st.sampled_from(["v1", "v2", UNVERSIONED]),
    modified_at=st.integers(0, 100).map(lambda hours: NOW - timedelta(hours=hours)),
    length=st.integers(0, 10),
    latest=st.booleans(),
    marker=st.booleans(),
)


def test_metadata_records_and_daily_files_are_not_ours_to_judge() -> None:
    records = (checkpoint_key(7), public_key_key(IMAGE), stamp_key(7), evidence_key(IMAGE))
    for key in (*records, manifest_key("2026-11-24"), "tuf/metadata/1.root.json"):
        assert not is_ours(key)


@given(versions=st.lists(stored, max_size=20), referred=st.sets(keys))
def test_only_what_nobody_needs_and_nobody_can_be_at_goes(
    versions: list[StoredVersion], referred: set[str]
) -> None:
    versions.sort(key=lambda one: one.key)
    gone = leftovers(versions, referred, NOW, GRACE)

    for key in {one.key for one in gone}:
        mine = [one for one in versions if one.key == key]
        assert is_ours(key)
        assert key not in referred
        assert all(NOW - one.modified_at >= GRACE for one in mine)
        assert key.startswith("incoming/") or all(one.version_id != UNVERSIONED for one in mine)
        assert [one for one in gone if one.key == key] == mine, "all versions of a key, or none"
    told = for_people(versions, referred, NOW, GRACE)
    assert not {one.key for one in gone} & set(told)
    assert not set(told) & referred


def test_in_a_bucket_without_versions_pieces_go_and_images_are_for_people() -> None:
    old = NOW - timedelta(days=3)
    image, piece = (StoredVersion(key, UNVERSIONED, old, 5, latest=True) for key in (IMAGE, "incoming/u1/p1"))

    assert leftovers([image, piece], (), NOW, GRACE) == [piece]
    assert for_people([image, piece], (), NOW, GRACE) == [IMAGE]
    assert for_people([image, piece], {IMAGE}, NOW, GRACE) == []
    assert for_people([image, piece], (), old, GRACE) == []


def test_an_old_orphan_goes_with_its_markers() -> None:
    old = NOW - timedelta(days=3)
    versions = [
        StoredVersion(IMAGE, "v1", old, 5, latest=False),
        StoredVersion(IMAGE, "v2", old, 0, latest=True, marker=True),
    ]
    assert leftovers(versions, (), NOW, GRACE) == versions
    assert leftovers(versions, {IMAGE}, NOW, GRACE) == []


def test_an_upload_to_the_store_is_given_up_after_its_grace() -> None:
    old, young = (OpenMultipart("k", name, NOW - age) for name, age in (("a", GRACE), ("b", GRACE / 2)))
    assert abandoned([old, young], NOW, GRACE) == [old]
