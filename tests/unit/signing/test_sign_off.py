from dataclasses import replace
from datetime import timedelta

import pytest
from tuf.api.metadata import Targets

from signing.development import DevelopmentManufacturer
from signing.errors import (
    KeyUnavailable,
    MetadataExpired,
    RepositoryUnreachable,
    StaleStage,
    VerificationFailed,
)
from signing.metadata import canonical, decode_payload
from signing.metadata import sign as metadata_sign
from signing.release import release_of, to_target
from signing.sign_off import collect_evidence, review, sign
from signing.trust_source import fetch_from
from storage.charger import SignatureScheme


async def staged_change(bench, change) -> bytes:
    staged = await bench.service().stage(await bench.upload())
    targets = decode_payload(staged.payload)
    change(targets)
    return canonical(targets)


async def review_bytes(bench, payload: bytes, **evidence: bytes):
    found = await collect_evidence(fetch_from(bench.blobs), "acme")
    return await review("acme", payload, found | evidence, bench.root, bench.now)


@pytest.mark.requirement("S15")
async def test_a_person_reads_what_the_bytes_say_before_signing(bench) -> None:
    await bench.release(await bench.upload("1.0", 10))
    artifact = await bench.upload()
    staged = await bench.service().stage(artifact)
    reviewed = await bench.review(staged)
    text = "\n".join(reviewed.lines())
    for expected in (
        "acme version 3, valid until 2026-08-02",
        f"bytes to sign: sha256 {staged.sha256}",
        "+ acme/1.1/firmware.bin",
        "version 1.1, release counter 11",
        f"sha256 {artifact.artifact_id}, 12 bytes",
        "for Acme Volt 22; Acme Volt 50 (hardware B, C)",
        "vendor signature ecdsa-p256-sha256, certificate ",
    ):
        assert expected in text
    assert "!!" not in text
    assert "1.0/" not in text


async def test_the_signature_is_over_exactly_the_bytes_reviewed(bench) -> None:
    staged = await bench.service().stage(await bench.upload())
    keyid, signature = sign(await bench.review(staged), bench.key("acme-security"))
    assert keyid in staged.keyids
    assert bench.signers("acme-security")[0].sign(staged.payload).signature == signature


def add_backdoor(targets: Targets) -> None:
    path = "acme/6.6/firmware.bin"
    good = targets.targets["acme/1.1/firmware.bin"]
    custom = good.custom | {"version": "6.6", "release_counter": 66}
    targets.targets[path] = replace_target(good, path, custom)


def replace_target(good, path, custom):
    return type(good)(66, {"sha256": "6" * 64}, path, {"custom": custom})


@pytest.mark.requirement("S15")
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (add_backdoor, "adds 2 images"),
        (lambda t: t.targets.clear(), "adds 0 images"),
        (lambda t: t.targets.pop("acme/1.0/firmware.bin"), "removes acme/1.0/firmware.bin"),
        (
            lambda t: t.targets["acme/1.0/firmware.bin"].hashes.update(sha256="6" * 64),
            "changes acme/1.0/firmware.bin",
        ),
        (lambda t: setattr(t, "expires", t.expires + timedelta(days=999)), "later than allowed"),
        (lambda t: t.unrecognized_fields.update(note="x"), "unknown fields"),
        (
            lambda t: (
                t.targets["acme/1.1/firmware.bin"].custom["vendor_signatures"][0].update(signature="AA==")
            ),
            "does not fit the file",
        ),
    ],
)
async def test_anything_but_one_new_image_is_flagged_and_not_signed(bench, change, words) -> None:
    await bench.release(await bench.upload("1.0", 10))
    reviewed = await review_bytes(bench, await staged_change(bench, change))
    assert any(words in line for line in reviewed.lines() if line.startswith("!!"))
    with pytest.raises(VerificationFailed) as refused:
        sign(reviewed, bench.key("acme-qa"))
    assert words in refused.value.message


@pytest.mark.requirement("S15")
@pytest.mark.parametrize("version", [1, 2, 4, 1000])
async def test_only_the_very_next_version_is_reviewed(bench, version) -> None:
    await bench.release(await bench.upload("1.0", 10))
    payload = await staged_change(bench, lambda targets: setattr(targets, "version", version))
    with pytest.raises(StaleStage):
        await review_bytes(bench, payload)


@pytest.mark.requirement("S15")
async def test_a_server_that_hides_a_change_in_a_false_past_is_found_out(bench) -> None:
    """It stages good and evil together, and shows a previous version in which evil is old news."""
    payload = await staged_change(bench, add_backdoor)
    past = decode_payload(payload)
    past.version = 1
    del past.targets["acme/1.1/firmware.bin"]
    forged = metadata_sign(past, *bench.signers("snapshot", "timestamp", "directive"))
    with pytest.raises(VerificationFailed):
        await review_bytes(bench, payload, **{"1.acme.json": forged})


@pytest.mark.requirement("S15", "S19")
async def test_evidence_of_another_repository_or_with_gaps_is_refused(bench, fresh_bench) -> None:
    other = fresh_bench("other")
    await other.ceremony("acme")
    staged = await other.service().stage(await other.upload())
    evidence = await collect_evidence(fetch_from(other.blobs), "acme")
    with pytest.raises(VerificationFailed):
        await review("acme", staged.payload, evidence, bench.root, bench.now)
    for name in ("timestamp.json", "2.targets.json", "1.acme.json"):
        with pytest.raises(RepositoryUnreachable):
            await review(
                "acme",
                staged.payload,
                {key: data for key, data in evidence.items() if key != name},
                other.root,
                other.now,
            )
    bench.pass_time(days=2)
    with pytest.raises(MetadataExpired):
        await review("acme", staged.payload, evidence, other.root, bench.now)


async def test_a_key_that_does_not_count_is_refused(bench) -> None:
    reviewed = await bench.review(await bench.service().stage(await bench.upload()))
    with pytest.raises(KeyUnavailable, match="none of those"):
        sign(reviewed, bench.key("targets-1"))


@pytest.mark.requirement("S35")
async def test_a_certificate_of_another_manufacturer_is_flagged_to_the_person(bench) -> None:
    stranger = DevelopmentManufacturer.create("acme", bench.now)
    leaf = stranger.leaf(SignatureScheme.ECDSA_P256, bench.now)
    artifact = await bench.upload()
    forged = replace(artifact, vendor_signatures=(leaf.sign(b"firmware 1.1"),))
    payload = await staged_change(
        bench,
        lambda targets: targets.targets.update({artifact.target_path: to_target(release_of(forged))}),
    )
    reviewed = await review_bytes(bench, payload)
    assert any("does not chain" in flag for flag in reviewed.flags)
