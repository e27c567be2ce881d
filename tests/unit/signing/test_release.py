import hashlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tuf.api.metadata import TargetFile, Targets

from signing.errors import VerificationFailed
from signing.metadata import canonical, decode_payload
from signing.release import Release, from_target, release_problems, to_target
from storage.artifact import Compatible, VendorSignature
from storage.charger import SignatureScheme

text = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=20)
versions = st.from_regex(r"[A-Za-z0-9](?:[A-Za-z0-9._+~:=@,()-]{0,30}[A-Za-z0-9)])?", fullmatch=True)


@st.composite
def some_release(draw: st.DrawFn) -> Release:
    version = draw(versions)
    models = draw(st.lists(st.tuples(text, text), min_size=1, max_size=4, unique=True))
    schemes = draw(st.lists(st.sampled_from(SignatureScheme), max_size=3, unique=True))
    return Release(
        role="acme",
        path=f"acme/{version}/firmware.bin",
        version=version,
        release_counter=draw(st.integers(1, 2**31)),
        sha256=hashlib.sha256(draw(st.binary())).hexdigest(),
        length=draw(st.integers(1, 2**40)),
        compatible=tuple(
            Compatible(vendor, model, tuple(draw(st.lists(text, max_size=2)))) for vendor, model in models
        ),
        vendor_signatures=tuple(VendorSignature(scheme, draw(text), draw(text)) for scheme in schemes),
    )


@pytest.mark.requirement("S17")
@given(some_release())
def test_what_people_sign_reads_back_as_what_was_staged(release: Release) -> None:
    targets = Targets(targets={release.path: to_target(release)})
    read = decode_payload(canonical(targets)).targets[release.path]
    assert from_target("acme", read) == release


GOOD = Release("acme", "acme/1.1/f.bin", "1.1", 3, "0" * 64, 9, (Compatible("Acme", "Volt"),), ())


def changed(**custom: object) -> TargetFile:
    target = to_target(GOOD)
    return TargetFile(target.length, target.hashes, target.path, {"custom": target.custom | custom})


@pytest.mark.parametrize(
    "target",
    [
        TargetFile(9, {"sha256": "0" * 64}, "acme/1.1/f.bin"),
        TargetFile(9, {"sha256": "0" * 64}, "acme/1.1/f.bin", {"custom": []}),
        TargetFile(9, {"sha256": "0" * 64, "md5": "0"}, "acme/1.1/f.bin", {"custom": to_target(GOOD).custom}),
        TargetFile(9, {"sha512": "0" * 64}, "acme/1.1/f.bin", {"custom": to_target(GOOD).custom}),
        TargetFile(9, {"sha256": "0" * 63}, "acme/1.1/f.bin", {"custom": to_target(GOOD).custom}),
        TargetFile(9, {"sha256": "0" * 64}, "bolt/1.1/f.bin", {"custom": to_target(GOOD).custom}),
        changed(format=2),
        changed(more=1),
        changed(version="1.2"),
        changed(release_counter=True),
        changed(release_counter="3"),
        changed(release_counter=0),
        changed(compatible=[]),
        changed(compatible=[{"vendor": "Acme"}]),
        changed(compatible=[{"vendor": 1, "model": "Volt", "hardware_revisions": []}]),
        changed(vendor_signatures=[{"scheme": "md5", "signature": "", "certificate": ""}]),
    ],
)
def test_a_target_in_any_other_form_is_refused(target: TargetFile) -> None:
    with pytest.raises(VerificationFailed):
        from_target("acme", target)


def test_every_problem_of_a_release_is_listed_at_once() -> None:
    twice = Compatible("Acme", "Volt")
    proof = VendorSignature(SignatureScheme.RSA_PSS, "s", "c")
    bad = replace(
        GOOD, length=0, release_counter=0, compatible=(twice, twice), vendor_signatures=(proof, proof)
    )
    words = " ".join(release_problems(bad))
    for expected in ("empty", "counter 0", "named twice", "two rsa-pss-sha256 signatures"):
        assert expected in words
    assert release_problems(GOOD) == []


@pytest.mark.requirement("S26")
@pytest.mark.parametrize(
    ("revisions", "given_revision", "fits"),
    [
        ((), None, True),
        ((), "A", True),
        (("A", "B"), "A", True),
        (("A", "B"), "C", False),
        (("A",), None, False),
    ],
)
def test_the_hardware_revision_must_be_in_the_signed_list(revisions, given_revision, fits) -> None:
    release = replace(GOOD, compatible=(Compatible("Acme", "Volt", revisions),))
    assert release.fits("Acme", "Volt", given_revision) is fits
    assert not release.fits("Acme", "Bolt", given_revision)
    assert not release.fits("Bolt", "Volt", given_revision)


@pytest.mark.requirement("S15")
@pytest.mark.parametrize(
    "payload", [b"", b"[]", b"{}", b'{"_type":"targets"}', b"\xff", b'{"a":1,"a":2}', b"[" * 100_000]
)
def test_staged_bytes_that_are_not_metadata_are_refused(payload: bytes) -> None:
    with pytest.raises(VerificationFailed):
        decode_payload(payload)


@pytest.mark.requirement("S15")
def test_staged_bytes_that_could_be_read_two_ways_are_refused() -> None:
    good = canonical(Targets(targets={GOOD.path: to_target(GOOD)}))
    decode_payload(good)
    for twisted in (b" " + good, good.replace(b'"version":1}', b'"version":7,"version":1}')):
        assert twisted != good
        with pytest.raises(VerificationFailed, match="canonical"):
            decode_payload(twisted)
