import asyncio
import json
from dataclasses import replace
from datetime import timedelta

import pytest

from signing.directive import sign_envelope
from signing.errors import (
    ApprovalRefused,
    DirectiveRefused,
    DowngradeRefused,
    MetadataExpired,
    NotInRelease,
    RepositoryUnreachable,
    UnknownDirectiveKey,
    UnsignedRefused,
    VendorSignatureBad,
    VerificationFailed,
    WrongHardware,
)
from signing.keys import ensure_key_file
from signing.policy import FIELD, ModelTrust
from signing.release import release_of, to_target
from storage.campaign import Approval, SignedDirective
from storage.charger import SelfReport, SignatureScheme
from storage.errors import EngineUnavailable

WAIVED = {("Acme", "Volt 22"): ModelTrust(unsafe_unsigned_waiver="Ada: its maker offers none")}


async def released(bench, **changes):
    """A released image and a directive for it."""
    artifact = await bench.upload(**changes)
    await bench.release(artifact)
    signed = await bench.service().sign_directive(bench.directive(artifact), 0)
    return artifact, signed


def directed(bench, directive) -> SignedDirective:
    """Signed with the right key, past the signer's policy."""
    envelope = sign_envelope(directive, bench.signers("directive")[0])
    return SignedDirective(directive.directive_id, directive.campaign_id, directive.wave, 0, envelope)


@pytest.mark.requirement("S22", "S32", "R50")
async def test_when_everything_agrees_it_may_be_sent_and_the_evidence_says_why(bench) -> None:
    artifact, signed = await released(bench)
    verified = await bench.verifier().verify(bench.request(signed))
    assert verified.directive == bench.directive(artifact)
    assert verified.vendor_signature == artifact.vendor_signatures[0]
    evidence = verified.evidence
    assert evidence["role_version"] == 2
    assert len(str(evidence["role_keyids"]).split(",")) == 2
    assert evidence["sha256"] == artifact.artifact_id
    assert json.dumps(evidence)


@pytest.mark.requirement("S24")
async def test_a_directive_is_of_no_use_to_another_charger_or_after_its_end(bench) -> None:
    _, signed = await released(bench)
    verifier = bench.verifier()
    with pytest.raises(DirectiveRefused, match="CP-9"):
        await verifier.verify(bench.request(signed, charger_id="CP-9"))
    bench.pass_time(hours=8, seconds=1)
    with pytest.raises(DirectiveRefused, match="expired"):
        await verifier.verify(bench.request(signed))


@pytest.mark.requirement("S26")
@pytest.mark.parametrize(
    ("model", "revision", "words"),
    [
        ("Volt 99", None, "not for Acme Volt 99"),
        ("Volt 50", "A", "hardware A"),
        ("Volt 50", None, "hardware unk"),
    ],
)
async def test_the_wrong_model_or_revision_is_refused(bench, model, revision, words) -> None:
    _, signed = await released(bench)
    request = bench.request(signed, model=model, hardware_revision=revision)
    with pytest.raises(VerificationFailed) as refused:
        await bench.verifier().verify(request)
    assert words in refused.value.message


async def test_the_right_revision_is_accepted(bench) -> None:
    _, signed = await released(bench)
    assert await bench.verifier().verify(bench.request(signed, model="Volt 50", hardware_revision="C"))


@pytest.mark.requirement("S23", "R51")
@pytest.mark.parametrize(
    "edit",
    [
        {"sha256": "6" * 64},
        {"length": 1},
        {"version": "6.6"},
        {"release_counter": 12},
        {"compatible": (("Acme", "Volt 22"), ("Acme", "Volt 50"), ("Acme", "Volt 99"))},
    ],
)
async def test_whoever_owns_database_and_directive_key_still_cannot_change_the_image(bench, edit) -> None:
    artifact, _ = await released(bench)
    with pytest.raises(DirectiveRefused, match="signed release"):
        await bench.verifier().verify(bench.request(directed(bench, bench.directive(artifact, **edit))))


@pytest.mark.requirement("S17", "S23")
async def test_an_image_that_people_did_not_sign_is_not_sent(bench) -> None:
    await released(bench)
    evil = await bench.upload("6.6", 66)
    with pytest.raises(NotInRelease):
        await bench.verifier().verify(bench.request(directed(bench, bench.directive(evil))))


@pytest.mark.requirement("S24")
async def test_a_directive_by_another_key_is_refused(bench) -> None:
    artifact, signed = await released(bench)
    directive = bench.directive(artifact)
    forged = sign_envelope(directive, bench.signers("snapshot")[0])
    with pytest.raises(UnknownDirectiveKey):
        await bench.verifier().verify(bench.request(replace(signed, envelope=forged)))


@pytest.mark.requirement("S24")
async def test_a_rotated_directive_key_counts_as_soon_as_people_list_it(bench) -> None:
    artifact, old = await released(bench)
    verifier = bench.verifier()
    await verifier.verify(bench.request(old))
    key = ensure_key_file(bench.folder / "directive-2.pem")
    targets = bench.targets()
    targets.unrecognized_fields[FIELD]["directive_keys"] = {key.keyid: key.to_dict()}
    bench.force("targets", targets, "targets-2", "targets-3")
    bench.pass_time(seconds=3)
    fresh = replace(old, envelope=sign_envelope(bench.directive(artifact), bench.signers("directive-2")[0]))
    assert await verifier.verify(bench.request(fresh))
    with pytest.raises(UnknownDirectiveKey):
        await verifier.verify(bench.request(old))


async def test_a_miss_is_looked_up_again_once_for_all_who_missed(bench) -> None:
    _, signed = await released(bench)
    verifier = bench.verifier()
    await verifier.verify(bench.request(signed))
    bench.pass_time(seconds=1)
    _, second = await released(bench, version="1.2", counter=12)
    bench.blobs.reads.clear()
    await asyncio.gather(*(verifier.verify(bench.request(second, request_id=n)) for n in range(8)))
    assert bench.blobs.reads.count("tuf/metadata/timestamp.json") == 1


async def test_what_is_not_there_is_not_looked_for_again_and_again(bench) -> None:
    await released(bench)
    evil = directed(bench, bench.directive(await bench.upload("6.6", 66)))
    verifier = bench.verifier()
    bench.blobs.reads.clear()
    for _ in range(5):
        with pytest.raises(NotInRelease):
            await verifier.verify(bench.request(evil))
    assert bench.blobs.reads.count("tuf/metadata/timestamp.json") == 1


async def test_a_release_of_a_moment_ago_is_seen_without_waiting_five_minutes(bench) -> None:
    _, signed = await released(bench)
    verifier = bench.verifier()
    await verifier.verify(bench.request(signed))
    bench.pass_time(seconds=5)
    _, second = await released(bench, version="1.2", counter=12)
    assert (await verifier.verify(bench.request(second))).directive.version == "1.2"


@pytest.mark.requirement("S25")
async def test_going_back_needs_a_directive_that_says_so(bench) -> None:
    artifact, signed = await released(bench)
    request = bench.request(signed, installed_version="1.2", installed_counter=12)
    with pytest.raises(DowngradeRefused, match="downgrade"):
        await bench.verifier().verify(request)
    two = tuple(Approval(name, bench.now, "f" * 64) for name in ("sam", "tess"))
    back = bench.directive(artifact, downgrade=True, reason="1.2 faults connectors", approvals=two)
    signed = await bench.service().sign_directive(back, 0)
    verified = await bench.verifier().verify(replace(request, directive=signed))
    assert verified.directive.downgrade


@pytest.mark.requirement("S22")
async def test_without_fresh_metadata_nothing_is_sent(bench) -> None:
    _, signed = await released(bench)
    verifier = bench.verifier()
    await verifier.verify(bench.request(signed))
    bench.pass_time(minutes=5)
    bench.blobs.broken["tuf/metadata/timestamp.json"] = EngineUnavailable("S3 is away.")
    with pytest.raises(RepositoryUnreachable) as unreachable:
        await verifier.verify(bench.request(signed))
    assert unreachable.value.retryable


@pytest.mark.requirement("S22")
async def test_metadata_that_expires_between_two_reads_stops_the_next_dispatch(bench) -> None:
    artifact, _ = await released(bench)
    verifier = bench.verifier()
    bench.pass_time(hours=23, minutes=59)
    signed = await bench.service().sign_directive(bench.directive(artifact), 0)
    await verifier.verify(bench.request(signed))
    bench.pass_time(minutes=2)
    with pytest.raises(MetadataExpired):
        await verifier.verify(bench.request(signed))


@pytest.mark.requirement("S14", "S22")
async def test_a_vendor_role_past_its_expiry_is_not_sent_from(bench) -> None:
    artifact, _ = await released(bench)
    bench.enlist(models=WAIVED)
    bench.pass_time(days=90, minutes=-2)
    await bench.service().refresh()
    verifier = bench.verifier()
    signed = directed(bench, bench.directive(artifact))
    assert await verifier.verify(bench.request(signed, signed_update=False, unsafe_unsigned_waiver="ops"))
    bench.pass_time(minutes=3)
    with pytest.raises(MetadataExpired, match="acme"):
        await verifier.verify(bench.request(signed))


@pytest.mark.requirement("S32", "S33")
async def test_the_vendor_signature_must_be_of_the_models_scheme(bench) -> None:
    _, signed = await released(bench)
    with pytest.raises(VendorSignatureBad, match="no rsa-pss-sha256 signature"):
        await bench.verifier().verify(bench.request(signed, scheme=SignatureScheme.RSA_PSS))


@pytest.mark.requirement("S32")
@pytest.mark.parametrize("scheme", SignatureScheme)
async def test_a_vendor_signature_that_does_not_hold_is_not_sent_though_people_signed_it(
    bench, leaves, scheme
) -> None:
    good = leaves[scheme].sign(b"firmware 1.1")
    bad = leaves[scheme].sign(b"another file")
    assert good.certificate == bad.certificate
    artifact = await bench.upload(vendor_signatures=(bad,))
    service = bench.service()
    staged = await service.stage(artifact)
    current = bench.targets("acme")
    current.targets[artifact.target_path] = to_target(release_of(artifact))
    bench.force("acme", current, "acme-release", "acme-qa")
    assert staged.version == bench.targets("acme").version
    signed = directed(bench, bench.directive(artifact))
    request = bench.request(signed, scheme=scheme)
    with pytest.raises(VendorSignatureBad, match="does not fit the file"):
        await bench.verifier().verify(request)
    waived = replace(request, signed_update=False, unsafe_unsigned_waiver="ops: bench only")
    with pytest.raises(VendorSignatureBad):
        await bench.verifier().verify(waived)


@pytest.mark.requirement("S35")
async def test_a_signing_certificate_that_has_expired_by_now_is_not_sent(bench, manufacturer) -> None:
    leaf = manufacturer.leaf(SignatureScheme.ECDSA_P256, bench.now, life=timedelta(hours=1))
    artifact, signed = await released(bench, vendor_signatures=(leaf.sign(b"firmware 1.1"),))
    verifier = bench.verifier()
    assert (await verifier.verify(bench.request(signed))).directive.sha256 == artifact.artifact_id
    bench.pass_time(hours=2)
    with pytest.raises(VendorSignatureBad, match="expired"):
        await verifier.verify(bench.request(signed))


@pytest.mark.requirement("S37")
async def test_unsigned_goes_only_under_the_models_waiver(bench) -> None:
    _, signed = await released(bench)
    plain = bench.request(signed, signed_update=False)
    row = replace(plain, unsafe_unsigned_waiver="written by whoever writes rows")
    for request in (plain, row):
        with pytest.raises(UnsignedRefused, match="no signed waiver"):
            await bench.verifier().verify(request)
    bench.enlist(models=WAIVED)
    with pytest.raises(UnsignedRefused):
        await bench.verifier().verify(plain)
    verified = await bench.verifier().verify(row)
    assert verified.vendor_signature is None
    assert verified.evidence["unsigned_waiver"] == "Ada: its maker offers none"


@pytest.mark.requirement("S37")
async def test_an_image_without_any_vendor_signature_goes_only_under_the_waiver(bench) -> None:
    _, signed = await released(bench, vendor_signatures=())
    request = bench.request(signed)
    with pytest.raises(VendorSignatureBad):
        await bench.verifier().verify(replace(request, unsafe_unsigned_waiver="a row"))
    bench.enlist(models=WAIVED)
    waived = await bench.verifier().verify(replace(request, unsafe_unsigned_waiver="ops"))
    assert waived.vendor_signature is None


async def test_eight_at_once_share_one_read_of_the_repository(bench) -> None:
    _, signed = await released(bench)
    verifier = bench.verifier()
    bench.blobs.reads.clear()
    done = await asyncio.gather(*(verifier.verify(bench.request(signed, request_id=n)) for n in range(8)))
    assert len(done) == 8
    assert len(bench.blobs.reads) == len(set(bench.blobs.reads)) == 5


@pytest.mark.requirement("S25")
@pytest.mark.parametrize("row", [None, 1, 10])
async def test_an_edited_row_does_not_make_the_installed_version_older(bench, row) -> None:
    _, signed = await released(bench)
    await bench.release(await bench.upload("1.2", 12))
    request = bench.request(signed, installed_version="1.2", installed_counter=row)
    with pytest.raises(DowngradeRefused, match="installed 12"):
        await bench.verifier().verify(request)
    lying = bench.request(
        signed, installed_version="0.9", installed_counter=row, told=SelfReport("Acme", "Volt 22", "1.2")
    )
    with pytest.raises(DowngradeRefused, match="installed 12"):
        await bench.verifier().verify(lying)


@pytest.mark.requirement("S25")
async def test_no_way_back_leads_below_what_people_signed_for_the_model(bench) -> None:
    artifact, _ = await released(bench)
    bench.enlist(models={("Acme", "Volt 22"): ModelTrust(minimum_counter=12)})
    two = tuple(Approval(name, bench.now, "f" * 64) for name in ("sam", "tess"))
    back = bench.directive(artifact, downgrade=True, reason="1.2 faults", approvals=two)
    with pytest.raises(DowngradeRefused, match="minimum of 12"):
        await bench.verifier().verify(bench.request(directed(bench, back)))
    other = bench.request(directed(bench, back), model="Volt 50", hardware_revision="B")
    assert await bench.verifier().verify(other)


@pytest.mark.requirement("S26")
async def test_what_the_charger_says_it_is_counts_more_than_its_row(bench) -> None:
    _, signed = await released(bench)
    with pytest.raises(WrongHardware, match="says that it is a Bolt X9"):
        await bench.verifier().verify(bench.request(signed, told=SelfReport("Bolt", "X9", "1.0")))
    assert await bench.verifier().verify(bench.request(signed, told=SelfReport("ACME ", "Volt 22", "1.0")))


@pytest.mark.requirement("S24")
async def test_where_people_are_listed_only_what_they_signed_is_sent(bench) -> None:
    artifact, _ = await released(bench)
    bench.enlist("ada", "bob", approval_threshold=2)
    directive = bench.directive(artifact)
    verifier = bench.verifier()
    for short in (directive, bench.approved(directive, "ada"), bench.approved(directive, "ada", "ada")):
        with pytest.raises(ApprovalRefused, match="2 listed people"):
            await verifier.verify(bench.request(directed(bench, short)))
        with pytest.raises(ApprovalRefused):
            await bench.service().sign_directive(short, 0)
    both = bench.approved(directive, "ada", "bob")
    verified = await verifier.verify(bench.request(await bench.service().sign_directive(both, 0)))
    assert verified.evidence["approvals_signed_by"] == "ada,bob"


@pytest.mark.requirement("S24")
async def test_an_approver_of_a_moment_ago_counts_without_waiting_five_minutes(bench) -> None:
    artifact, _ = await released(bench)
    bench.enlist("ada")
    verifier = bench.verifier()
    await verifier.verify(bench.request(directed(bench, bench.approved(bench.directive(artifact), "ada"))))
    bench.pass_time(seconds=5)
    bench.enlist("bob")
    fresh = bench.approved(bench.directive(artifact), "bob")
    assert await verifier.verify(bench.request(directed(bench, fresh)))
