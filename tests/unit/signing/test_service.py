import asyncio
import json
from dataclasses import replace
from datetime import timedelta

import pytest
from securesystemslib.signer import CryptoSigner

from signing.directive import open_envelope
from signing.errors import (
    DirectiveRefused,
    KeyUnavailable,
    NotInRelease,
    StaleStage,
    VerificationFailed,
)
from signing.keys import ensure_key_file
from signing.metadata import canonical, decode_payload
from signing.policy import read_policy
from signing.service import OnlineKeys
from storage.artifact import Compatible, SignOff
from storage.canonical import sha256_hex


def restaged(staged, change):
    """Somebody edits the staged bytes, and the hash with them."""
    targets = decode_payload(staged.payload)
    change(targets)
    payload = canonical(targets)
    return replace(staged, payload=payload, sha256=sha256_hex(payload), version=targets.version)


async def signed_by(bench, staged, *names: str) -> tuple[SignOff, ...]:
    """Signatures by key files over whatever is staged, without any review."""
    made = [signer.sign(staged.payload) for signer in bench.signers(*names)]
    return tuple(
        SignOff(staged.artifact_id, staged.sha256, one.keyid, one.signature, name, bench.now)
        for one, name in zip(made, names, strict=True)
    )


async def test_staging_adds_one_image_to_the_next_version_and_publishes_nothing(bench) -> None:
    staged = await bench.service().stage(await bench.upload())
    targets = decode_payload(staged.payload)
    assert (staged.role, staged.version, staged.threshold, len(staged.keyids)) == ("acme", 2, 2, 3)
    assert list(targets.targets) == ["acme/1.1/firmware.bin"]
    assert targets.expires == bench.now + timedelta(days=90)
    assert bench.blobs.writes == []


@pytest.mark.requirement("S25", "S64")
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"vendor_role": "bolt"}, "no vendor role 'bolt'"),
        ({"vendor_role": "snapshot"}, "no vendor role 'snapshot'"),
        ({"counter": 11}, "must be above 11"),
        ({"version": "1.1", "counter": 12}, "is released already"),
        ({"version": "1.1", "counter": 12, "filename": "other.bin"}, "another file name"),
        ({"image": b"firmware 1.1", "counter": 12}, "these very bytes"),
        ({"counter": 12, "compatible": ()}, "no compatible model"),
        ({"counter": 12, "filename": "../../x"}, "acme/1.2/<filename>"),
    ],
)
async def test_an_artifact_that_breaks_a_rule_cannot_be_staged(bench, changes, words) -> None:
    await bench.release(await bench.upload())
    artifact = await bench.upload(**({"version": "1.2"} | changes))
    with pytest.raises(VerificationFailed) as refused:
        await bench.service().stage(artifact)
    assert words in refused.value.message


@pytest.mark.requirement("S64")
async def test_a_signer_serves_only_its_own_roles(bench) -> None:
    artifact = await bench.upload()
    staged = await bench.service().stage(artifact)
    sign_offs = await bench.sign_off(staged, "release", "qa")
    narrow = bench.service(allowed_roles=["bolt"])
    for attempt in (narrow.stage(artifact), narrow.publish(staged, sign_offs)):
        with pytest.raises(VerificationFailed, match="does not serve"):
            await attempt
    with pytest.raises(VerificationFailed, match="does not serve"):
        await narrow.sign_directive(bench.directive(artifact), 0)
    assert bench.blobs.writes == []


@pytest.mark.requirement("S15", "S16", "R50")
async def test_two_people_make_a_release_and_one_does_not(bench) -> None:
    service = bench.service()
    staged = await service.stage(await bench.upload())
    one, two = await bench.sign_off(staged, "release", "security")
    for sign_off in (one, two):
        await service.check_sign_off(staged, sign_off)
    for too_few in ((), (one,), (one, one), (two, two, two)):
        with pytest.raises(VerificationFailed, match="of 2 needed keys"):
            await service.publish(staged, too_few)
    assert bench.blobs.writes == []
    assert (await service.publish(staged, (one, two))).role_version == 2


@pytest.mark.requirement("S5", "S16")
@pytest.mark.parametrize("name", ["directive", "snapshot", "root-1", "targets-1"])
async def test_a_key_of_another_role_does_not_count(bench, name) -> None:
    service = bench.service()
    staged = await service.stage(await bench.upload())
    (stranger,) = await signed_by(bench, staged, name)
    with pytest.raises(VerificationFailed, match="does not count"):
        await service.check_sign_off(staged, stranger)
    (good,) = await bench.sign_off(staged, "qa")
    for listed in (staged, replace(staged, keyids=(*staged.keyids, stranger.keyid), threshold=1)):
        with pytest.raises(VerificationFailed):
            await service.publish(listed, (good, stranger))
    with pytest.raises(VerificationFailed, match="1 of 2"):
        await service.publish(replace(staged, threshold=1), (good,))


@pytest.mark.requirement("S2", "S3")
async def test_one_holder_cannot_sign_for_two(bench) -> None:
    service = bench.service()
    staged = await service.stage(await bench.upload())
    one, two = await bench.sign_off(staged, "release", "qa")
    with pytest.raises(VerificationFailed, match="does not hold"):
        await service.publish(staged, (one, replace(one, keyid=two.keyid)))
    with pytest.raises(VerificationFailed, match="does not count"):
        await service.publish(staged, (one, replace(one, keyid="0" * 64)))
    for rubbish in ("", "zz", one.signature[:-2], one.signature[::-1]):
        with pytest.raises(VerificationFailed, match="does not hold"):
            await service.check_sign_off(staged, replace(one, signature=rubbish))


@pytest.mark.requirement("S16")
async def test_editing_what_is_staged_voids_the_signatures(bench) -> None:
    service = bench.service()
    staged = await service.stage(await bench.upload())
    sign_offs = await bench.sign_off(staged, "release", "qa")
    path = "acme/1.1/firmware.bin"
    edited = restaged(staged, lambda targets: targets.targets[path].custom["compatible"].pop())
    with pytest.raises(VerificationFailed, match="other bytes"):
        await service.publish(edited, sign_offs)
    moved = tuple(replace(one, staged_sha256=edited.sha256) for one in sign_offs)
    with pytest.raises(VerificationFailed, match="does not hold"):
        await service.publish(edited, moved)
    with pytest.raises(VerificationFailed, match="changed after staging"):
        await service.publish(replace(staged, payload=edited.payload), sign_offs)


@pytest.mark.requirement("S17", "R51")
async def test_a_row_in_the_database_never_becomes_firmware(bench) -> None:
    service = bench.service()
    staged = await service.stage(await bench.upload())
    sign_offs = await bench.sign_off(staged, "release", "qa")
    evil = await bench.upload("6.6.6", 666)
    with pytest.raises(VerificationFailed, match="do not list this artifact"):
        await service.publish(replace(staged, artifact_id=evil.artifact_id), sign_offs)
    await service.publish(staged, sign_offs)
    await service.refresh()
    assert "6.6.6" not in json.dumps(bench.targets("acme").to_dict())
    with pytest.raises(NotInRelease):
        await service.sign_directive(bench.directive(evil), 0)


@pytest.mark.requirement("S64")
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: setattr(t, "version", 1002), "skips versions"),
        (lambda t: setattr(t, "expires", t.expires + timedelta(days=3650)), "later than allowed"),
        (lambda t: setattr(t, "expires", t.expires - timedelta(days=365)), "has expired"),
        (lambda t: t.unrecognized_fields.update(x=1), "unknown fields"),
        (lambda t: t.targets["acme/1.1/firmware.bin"].custom.update(release_counter=5), "must be above"),
        (lambda t: t.targets.pop("acme/1.0/firmware.bin"), "removes acme/1.0"),
        (
            lambda t: t.targets["acme/1.0/firmware.bin"].custom.update(release_counter=9),
            "changes acme/1.0",
        ),
    ],
)
async def test_even_two_people_cannot_publish_what_is_not_a_plain_next_release(bench, change, words) -> None:
    await bench.release(await bench.upload("1.0", 10))
    service = bench.service()
    staged = restaged(await service.stage(await bench.upload()), change)
    bench.blobs.writes.clear()
    sign_offs = await signed_by(bench, staged, "acme-release", "acme-qa")
    with pytest.raises((VerificationFailed, StaleStage)) as refused:
        await service.publish(staged, sign_offs)
    assert words in refused.value.message
    assert bench.blobs.writes == []


@pytest.mark.requirement("S9")
async def test_an_image_that_is_not_stored_is_not_released(bench) -> None:
    service = bench.service()
    artifact = await bench.upload()
    staged = await service.stage(artifact)
    sign_offs = await bench.sign_off(staged, "release", "qa")
    image = bench.blobs.objects.pop(artifact.artifact_id)
    with pytest.raises(VerificationFailed, match="not in the store"):
        await service.publish(staged, sign_offs)
    bench.blobs.objects[artifact.artifact_id] = image + b"!"
    with pytest.raises(VerificationFailed, match="has 13 bytes"):
        await service.publish(staged, sign_offs)


async def test_of_two_releases_staged_at_once_the_second_must_be_signed_again(bench) -> None:
    service = bench.service()
    first, second = await asyncio.gather(
        service.stage(await bench.upload()), service.stage(await bench.upload("1.2", 12))
    )
    first_signed = await bench.sign_off(first, "release", "qa")
    second_signed = await bench.sign_off(second, "release", "qa")
    await service.publish(first, first_signed)
    with pytest.raises(StaleStage):
        await service.publish(second, second_signed)


@pytest.mark.requirement("S16")
async def test_what_is_staged_is_said_to_be_outdated_once_it_cannot_be_published(bench) -> None:
    service = bench.service()
    first, image = await service.stage(await bench.upload()), await bench.upload("1.2", 12)
    second = await service.stage(image)
    assert await service.outdated(first) == await service.outdated(second) == ""

    await service.publish(first, await bench.sign_off(first, "release", "qa"))
    assert await service.outdated(second) == "Version 2 of acme was published first"
    again = await service.stage(image)
    assert (again.version, await service.outdated(again)) == (3, "")

    late = restaged(again, lambda targets: setattr(targets, "expires", bench.now))
    assert await service.outdated(late) == "What was staged cannot be published any more (it has expired)"
    with pytest.raises(VerificationFailed, match="changed after staging"):
        await service.outdated(replace(again, payload=late.payload))


@pytest.mark.requirement("S63")
async def test_two_signers_at_the_same_bucket_lose_nothing(bench) -> None:
    await bench.ceremony("acme", "bolt")
    artifacts = [await bench.upload(), await bench.upload("7", 1, vendor_role="bolt", image=b"bolt")]
    services = [bench.service(), bench.service()]
    staged = [await service.stage(one) for service, one in zip(services, artifacts, strict=True)]
    signed = [await bench.sign_off(one, "release", "qa") for one in staged]
    await asyncio.gather(
        *(service.publish(*rest) for service, *rest in zip(services, staged, signed, strict=True))
    )
    assert list(bench.targets("acme").targets) == ["acme/1.1/firmware.bin"]
    assert list(bench.targets("bolt").targets) == ["bolt/7/firmware.bin"]


@pytest.mark.requirement("S24")
async def test_a_directive_is_signed_by_the_directive_key_alone(bench) -> None:
    artifact = await bench.upload()
    await bench.release(artifact)
    directive = bench.directive(artifact)
    signed = await bench.service().sign_directive(directive, 3)
    assert (signed.directive_id, signed.campaign_id, signed.wave, signed.shard) == ("d-1", "c-1", 0, 3)
    opened, keyid = open_envelope(signed, read_policy(bench.targets()).directive_keys)
    assert opened == directive
    assert [one["keyid"] for one in json.loads(signed.envelope)["signatures"]] == [keyid]


@pytest.mark.requirement("S24", "S25", "S64")
@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"sha256": "0" * 64}, DirectiveRefused, "sha256"),
        ({"release_counter": 99}, DirectiveRefused, "release counter"),
        ({"compatible": (("Acme", "Volt 99"),)}, DirectiveRefused, "compatible models"),
        ({"target_path": "acme/9.9/firmware.bin"}, NotInRelease, "not released"),
        ({"target_path": "bolt/1.1/firmware.bin"}, VerificationFailed, "no vendor role"),
        ({"charger_ids": tuple(f"CP-{n}" for n in range(501))}, VerificationFailed, "501 chargers"),
        ({"downgrade": True, "reason": "worse", "approvals": ()}, VerificationFailed, "approval"),
        ({"downgrade": True}, VerificationFailed, "reason"),
    ],
)
async def test_a_directive_out_of_policy_is_not_signed(bench, changes, error, words) -> None:
    artifact = await bench.upload()
    await bench.release(artifact)
    with pytest.raises(error) as refused:
        await bench.service().sign_directive(bench.directive(artifact, **changes), 0)
    assert words in refused.value.message


@pytest.mark.requirement("S24", "S64")
async def test_a_directive_with_a_long_past_or_distant_window_is_not_signed(bench) -> None:
    artifact = await bench.upload()
    await bench.release(artifact)
    start = bench.now
    for first, last in ((0, 24.1), (-10, -1), (25, 30), (2, 1)):
        window = {"not_before": start + timedelta(hours=first), "not_after": start + timedelta(hours=last)}
        with pytest.raises(VerificationFailed, match="window"):
            await bench.service().sign_directive(bench.directive(artifact, **window), 0)


async def test_a_key_that_is_not_the_listed_one_cannot_sign(bench, tmp_path) -> None:
    artifact = await bench.upload()
    await bench.release(artifact)
    ensure_key_file(tmp_path / "mine.pem")
    (bench.folder / "directive.pem").write_bytes((tmp_path / "mine.pem").read_bytes())
    with pytest.raises(KeyUnavailable, match="none of those"):
        await bench.service().sign_directive(bench.directive(artifact), 0)
    (bench.folder / "directive.pem").unlink()
    with pytest.raises(KeyUnavailable, match="no key at"):
        await bench.service().sign_directive(bench.directive(artifact), 0)


@pytest.mark.requirement("S63")
async def test_the_signer_opens_online_keys_only(bench) -> None:
    for path in bench.folder.glob("*.pem"):
        if path.stem not in {"snapshot", "timestamp", "directive"}:
            path.rename(path.with_suffix(".gone"))
    service = bench.service()
    artifact = await bench.upload()
    staged = await service.stage(artifact)
    for path in bench.folder.glob("acme-*.gone"):
        path.rename(path.with_suffix(".pem"))
    sign_offs = await bench.sign_off(staged, "release", "qa")
    for path in bench.folder.glob("acme-*.pem"):
        path.unlink()
    await service.publish(staged, sign_offs)
    await service.sign_directive(bench.directive(artifact), 0)
    assert OnlineKeys.in_folder(bench.folder).snapshot.startswith("file2:/")


async def test_a_sign_off_for_another_artifact_or_by_nobody_is_refused(bench) -> None:
    service = bench.service()
    staged = await service.stage(await bench.upload())
    (one,) = await bench.sign_off(staged, "qa")
    with pytest.raises(VerificationFailed):
        await service.check_sign_off(staged, replace(one, artifact_id="0" * 64))
    thief = CryptoSigner.generate_ed25519().sign(staged.payload)
    with pytest.raises(VerificationFailed):
        await service.check_sign_off(staged, replace(one, keyid=thief.keyid, signature=thief.signature))
    with pytest.raises(VerificationFailed):
        await service.check_sign_off(replace(staged, role="bolt"), one)
    assert Compatible("Acme", "Volt 22") in (await bench.upload()).compatible
