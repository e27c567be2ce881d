"""What an outsider proves with a pinned root and nothing else."""

import hashlib
import json
from dataclasses import replace
from datetime import timedelta

import pytest

from signing.errors import (
    ApprovalRefused,
    DirectiveNotInTime,
    DirectiveRefused,
    MetadataExpired,
    NotInRelease,
    RepositoryUnreachable,
    UnknownDirectiveKey,
    VendorSignatureBad,
    VerificationFailed,
)
from signing.proof import Image, Proof, prove, stored_envelope
from signing.trust_source import fetch_from
from storage.errors import EngineUnavailable

FILE = b"firmware 1.1"
IMAGE = Image(hashlib.sha256(FILE).hexdigest(), len(FILE))


async def proof(bench, **given: object) -> Proof:
    return await prove(fetch_from(bench.blobs), bench.root, bench.now, **given)  # type: ignore[arg-type]


async def directed(bench, **changes: object) -> bytes:
    artifact = await bench.upload()
    await bench.release(artifact)
    return (await bench.service().sign_directive(bench.directive(artifact, **changes), 0)).envelope


@pytest.mark.requirement("S22", "S23", "S26")
async def test_roles_image_and_directive_with_who_signed_them(bench) -> None:
    envelope = await directed(bench)
    found = await proof(bench, image=IMAGE, envelope=envelope)
    assert {one.role: one.version for one in found.roles} == {
        "root": 1, "timestamp": 3, "snapshot": 3, "targets": 2, "acme": 2
    }  # fmt: skip
    assert all(len(one.signed_by) >= one.threshold for one in found.roles)
    assert found.release is not None
    assert found.release.release.version == "1.1"
    assert [scheme for scheme, _ in found.release.vendor] == ["ecdsa-p256-sha256"]
    assert found.directive is not None
    assert found.directive.directive.charger_ids == ("CP-1", "CP-2")
    assert (await proof(bench)).release is None
    assert (await proof(bench, envelope=envelope)).release == found.release
    wrapped = json.dumps({"envelope": json.loads(envelope)}).encode()
    assert stored_envelope(wrapped) == json.dumps(json.loads(envelope)).encode()
    assert stored_envelope(envelope) == envelope


@pytest.mark.requirement("S17", "S29")
@pytest.mark.parametrize("image", [replace(IMAGE, sha256="0" * 64), replace(IMAGE, length=11)])
async def test_a_file_that_nobody_released_is_not_proven(bench, image) -> None:
    await directed(bench)
    with pytest.raises(NotInRelease, match="No signed release"):
        await proof(bench, image=image)


@pytest.mark.requirement("S23", "S24")
async def test_a_directive_that_does_not_hold_is_not_proven(bench) -> None:
    envelope = await directed(bench)
    payload = json.loads(envelope)
    other = await bench.upload("1.2", 12)
    await bench.release(other)
    second = await bench.service().sign_directive(bench.directive(other), 0)
    with pytest.raises(DirectiveRefused, match="another image"):
        await proof(bench, image=IMAGE, envelope=second.envelope)
    with pytest.raises(UnknownDirectiveKey):
        await proof(bench, envelope=json.dumps(payload | {"signatures": []}).encode())
    swapped = json.loads(second.envelope)["payload"]
    with pytest.raises(DirectiveRefused, match="does not hold"):
        await proof(bench, envelope=json.dumps(payload | {"payload": swapped}).encode())
    for rubbish in (b"{", b"[]", b"x" * 300_000):
        with pytest.raises(DirectiveRefused):
            await proof(bench, envelope=rubbish)
    bench.enlist("ada")
    with pytest.raises(ApprovalRefused):
        await proof(bench, envelope=envelope)
    bench.pass_time(hours=8, minutes=1)
    with pytest.raises((DirectiveNotInTime, ApprovalRefused)):
        await proof(bench, envelope=envelope)


@pytest.mark.requirement("S23")
async def test_the_release_that_is_proven_is_the_one_that_is_directed(bench) -> None:
    """Two vendors may have released the same bytes, with other signatures and for other models."""
    await bench.ceremony("acme", "bolt")
    await bench.release(await bench.upload())
    theirs = await bench.upload(vendor_role="bolt")
    staged = await bench.service().stage(theirs)
    await bench.service().publish(staged, await bench.sign_off(staged, "release", "qa"))
    envelope = (await bench.service().sign_directive(bench.directive(theirs), 0)).envelope
    found = await proof(bench, image=IMAGE, envelope=envelope)
    assert found.release is not None
    assert found.release.release.path == theirs.target_path


def test_a_file_of_brackets_is_refused_in_our_words() -> None:
    deep = b"[" * 200_000
    assert stored_envelope(deep) == deep


@pytest.mark.requirement("S24")
async def test_a_directive_of_yesterday_proves_nothing_today(bench) -> None:
    envelope = await directed(bench)
    bench.pass_time(hours=8, minutes=1)
    with pytest.raises(DirectiveNotInTime):
        await proof(bench, envelope=envelope)


@pytest.mark.requirement("S22", "S35")
async def test_nothing_expired_counts(bench, manufacturer) -> None:
    leaf = manufacturer.leaf(bench.leaf.scheme, bench.now, life=timedelta(hours=1))
    await bench.release(await bench.upload(vendor_signatures=(leaf.sign(FILE),)))
    assert await proof(bench, image=IMAGE)
    bench.pass_time(hours=2)
    with pytest.raises(VendorSignatureBad):
        await proof(bench, image=IMAGE)
    bench.pass_time(days=2)
    with pytest.raises(MetadataExpired):
        await proof(bench)


@pytest.mark.requirement("S19", "S20")
async def test_another_root_or_an_answer_that_is_no_answer(bench, fresh_bench) -> None:
    stranger = fresh_bench("stranger")
    await stranger.ceremony("acme")
    with pytest.raises(VerificationFailed):
        await prove(fetch_from(bench.blobs), stranger.root, bench.now)
    bench.blobs.broken["tuf/metadata/2.root.json"] = EngineUnavailable("403")
    with pytest.raises(RepositoryUnreachable, match=r"2\.root\.json"):
        await proof(bench)
