"""What a release must prove: each attack on its evidence is found, and said in words."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signing import vex
from signing.dsse import sign_payload
from signing.errors import PolicyUnreadable, VerificationFailed
from signing.evidence import judge
from signing.evidence_policy import EvidencePolicy, read_policy
from signing.provenance import IN_TOTO, Builder, check_shape, provenance_problems
from signing.sbom import read_sbom
from signing.vsa import open_summary, sign_summary, summary_of
from storage.artifact import Compatible
from storage.errors import AmpwaveError, InvalidInput
from storage.evidence import EvidenceKind as Kind
from tests.support import evidence_maker as made
from tests.support.evidence_maker import BUILDER, MALLORY, OTHER, SHA
from tests.unit.signing.test_notary import START

MODELS = (Compatible("Voltworks", "VW-22"),)
CVE = "CVE-2026-1111"


@pytest.fixture
def policy(tmp_path: Path) -> EvidencePolicy:
    exploited = [{"cveID": CVE}, {"cveID": "CVE-2026-2222", "purls": ["pkg:generic/openssl@3.0.1"]}]
    return read_policy(made.write_policy(tmp_path, ("sbom", "provenance"), exploited))


def problems(policy: EvidencePolicy, **pieces: bytes) -> str:
    given = {Kind(kind): data for kind, data in pieces.items()}
    return "; ".join(judge(SHA, MODELS, given, policy).problems)


@pytest.mark.requirement("S49", "S50")
def test_what_the_policy_asks_for_passes(tmp_path: Path) -> None:
    policy = read_policy(made.write_policy(tmp_path, ("sbom", "provenance")))
    assert problems(policy, sbom=made.sbom(), provenance=made.provenance()) == ""


@pytest.mark.requirement("S49")
def test_without_a_policy_nothing_is_asked_and_what_is_brought_must_hold() -> None:
    nothing = EvidencePolicy()
    assert problems(nothing) == ""
    assert problems(nothing, sbom=made.sbom()) == ""
    assert "of another image" in problems(nothing, sbom=made.sbom(OTHER))
    assert "no builder is pinned" in problems(nothing, provenance=made.provenance())
    assert "Nobody is named" in problems(nothing, vex=made.openvex(CVE))


@pytest.mark.requirement("S49")
@pytest.mark.parametrize(
    ("data", "why"),
    [
        (made.sbom(OTHER), "it is of another image, with SHA-256"),
        (made.sbom(metadata={}), "does not say of which image"),
        (made.sbom(specVersion="1.2"), "is not a CycloneDX document of version 1.4"),
        (made.sbom(bomFormat="SPDX"), "is not a CycloneDX document"),
        (made.sbom(components=[{"name": "x"}]), "components/0"),
        (b"", "is not JSON"),
        (b"[]", "is not a JSON object"),
        (b"\xff\xfe", "is not JSON in UTF-8"),
        (b'{"a":' * 70 + b"1" + b"}" * 70, "nested more than 64 deep"),
        (b"[" * 1_000_000, "nested more than 64 deep"),
        (b'{"bomFormat":"CycloneDX","bomFormat":"SPDX"}', "'bomFormat' is there twice"),
        (b'{"a":NaN}', "NaN is no JSON number"),
        (b'{"a":' + b"9" * 5000 + b"}", "is refused"),
        (b'{"a":"\\ud800"}', "not Unicode"),
        (b" " * (8 * 1024 * 1024 + 1), "at most 8,388,608 are read"),
    ],
)
def test_an_sbom_of_another_image_or_shape_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_sbom(data, SHA)
    assert why in refused.value.diagnostics()


@pytest.mark.requirement("S49")
def test_a_missing_piece_is_named(policy: EvidencePolicy) -> None:
    assert problems(policy, provenance=made.provenance()) == (
        "An SBOM is required for every Voltworks model, and there is none"
    )
    assert problems(policy, sbom=made.sbom(sha256=SHA, components=[])) == (
        "Provenance is required for every Voltworks model, and there is none"
    )


@pytest.mark.requirement("S50")
@pytest.mark.parametrize(
    ("data", "why"),
    [
        (made.provenance(sha256=OTHER), "not about this image alone"),
        (made.provenance(signer=MALLORY), "none of these is trusted"),
        (
            made.provenance(builder="https://build.mallory.example"),
            "names the builder 'https://build.mallory",
        ),
        (made.provenance(build_type="x"), "the build type is 'x'"),
        (made.provenance(source="git+https://git.mallory.example/fw"), "external parameter 'source' is"),
        (made.provenance(extra_flags="-DBACKDOOR"), "external parameter 'extra_flags' is not expected"),
        (
            sign_payload(made.statement("https://slsa.dev/provenance/v0.2", {}), IN_TOTO, BUILDER),
            "not a https",
        ),
        (sign_payload(b"{}", "text/plain", BUILDER), "holds 'text/plain'"),
        (made.provenance().replace(b'"sig":"', b'"sig":"AAAA'), "signature of the provenance does not hold"),
        (b"{}", "is not a DSSE envelope"),
        (b"{" * 5000, "nested more than"),
    ],
)
def test_provenance_from_elsewhere_is_refused(policy: EvidencePolicy, data: bytes, why: str) -> None:
    assert why in problems(policy, sbom=made.sbom(), provenance=data)


@pytest.mark.requirement("S50")
def test_a_missing_parameter_fails_and_a_star_takes_any(tmp_path: Path) -> None:
    builder = json.loads(made.write_policy(tmp_path).read_text())["rules"][0]["builders"][0]
    builder["external_parameters"] = {"source": "*", "target": "vw22"}
    policy = read_policy(made.write_policy(tmp_path, builders=[builder]))
    assert problems(policy, sbom=made.sbom(), provenance=made.provenance(target="vw22", source="x")) == ""
    assert "'target' is missing" in problems(policy, sbom=made.sbom(), provenance=made.provenance())


@pytest.mark.requirement("S50")
def test_two_subjects_are_one_too_many() -> None:
    raw = json.loads(made.statement("https://slsa.dev/provenance/v1", {}))
    raw["subject"].append({"digest": {"sha256": OTHER}})
    envelope = sign_payload(json.dumps(raw).encode(), IN_TOTO, BUILDER)
    with pytest.raises(VerificationFailed, match="not about this image alone"):
        check_shape(envelope, SHA)


@pytest.mark.requirement("S51")
class TestKnownExploited:
    def _with(self, policy: EvidencePolicy, *names: str, **pieces: bytes) -> str:
        given = {"provenance": made.provenance(), "sbom": made.sbom(SHA, *names, components=[]), **pieces}
        return problems(policy, **given)

    def test_one_in_the_sbom_blocks(self, policy: EvidencePolicy) -> None:
        assert self._with(policy, "CVE-2020-0001") == ""
        assert f"{CVE} is known to be exploited" in self._with(policy, CVE.lower())

    def test_one_of_a_part_blocks_by_its_package(self, policy: EvidencePolicy) -> None:
        assert "CVE-2026-2222 is known" in self._with(policy, sbom=made.sbom())

    def test_what_the_sbom_says_of_itself_excuses_nothing(self, policy: EvidencePolicy) -> None:
        said = [{"id": CVE, "analysis": {"state": "not_affected", "justification": "code_not_present"}}]
        assert "is known" in self._with(policy, sbom=made.sbom(vulnerabilities=said, components=[]))

    @pytest.mark.parametrize("make", [made.openvex, made.cyclonedx_vex])
    def test_a_signed_vex_excuses_it(self, policy: EvidencePolicy, make: Any) -> None:
        assert self._with(policy, CVE, vex=make(CVE)) == ""
        assert "is known" in self._with(policy, CVE, vex=make("CVE-2026-9999"))
        assert "none of these is trusted" in self._with(policy, CVE, vex=make(CVE, signer=MALLORY))
        assert "about this image" in self._with(policy, CVE, vex=make(CVE, sha256=OTHER))

    @pytest.mark.parametrize(
        "change",
        [{"status": "affected"}, {"status": "under_investigation"}, {"justification": ""}],
    )
    def test_an_openvex_that_says_less_excuses_nothing(self, policy: EvidencePolicy, change: Any) -> None:
        assert "is known" in self._with(policy, CVE, vex=made.openvex(CVE, **change))

    @pytest.mark.parametrize("state", ["exploitable", "in_triage"])
    def test_a_cyclonedx_vex_that_says_less_excuses_nothing(self, policy: EvidencePolicy, state: str) -> None:
        assert "is known" in self._with(policy, CVE, vex=made.cyclonedx_vex(CVE, state=state))

    def test_an_in_toto_openvex_counts(self, policy: EvidencePolicy) -> None:
        document = {
            "@context": "https://openvex.dev/ns/v0.2.0",
            "statements": [{"vulnerability": {"name": "x", "aliases": [CVE]}, "status": "fixed"}],
        }
        signed = sign_payload(made.statement("https://openvex.dev/ns/v0.2.0", document), IN_TOTO, made.PSIRT)
        assert self._with(policy, CVE, vex=signed) == ""


@pytest.mark.requirement("S52")
def test_a_verdict_is_signed_and_found_again_by_whoever_has_the_files(policy: EvidencePolicy) -> None:
    pieces = {Kind.SBOM: made.sbom(components=[]), Kind.PROVENANCE: made.provenance()}
    judged = judge(SHA, MODELS, pieces, policy)
    document = sign_summary(SHA, "volt/1.1/x.bin", judged, START, BUILDER)
    keys = {BUILDER.public_key.keyid: BUILDER.public_key}
    assert open_summary(document, SHA, keys) == summary_of(judge(SHA, MODELS, pieces, policy))
    with pytest.raises(VerificationFailed, match="not about this image"):
        open_summary(document, OTHER, keys)
    with pytest.raises(VerificationFailed, match="none of these is trusted"):
        open_summary(document, SHA, {MALLORY.public_key.keyid: MALLORY.public_key})
    worse = judge(SHA, MODELS, {Kind.SBOM: made.sbom(SHA, CVE)}, policy)
    assert open_summary(sign_summary(SHA, "p", worse, START, BUILDER), SHA, keys).passed is False


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"require": ["sbom", "luck"]}, "'luck' is not a valid EvidenceKind"),
        ({"require": ["vsa"]}, "can require sbom"),
        ({"require": "sbom"}, "require has to be a list"),
        ({"requires": []}, "no field 'requires'"),
        ({"vex_keys": ["nobody.pub.json"]}, "is not a public key file"),
        ({"builders": [{"id": "x", "keys": [], "build_type": "y"}]}, "names no key"),
        ({"builders": [{"id": "x"}]}, "names no key"),
    ],
)
def test_a_policy_with_a_mistake_is_no_policy(tmp_path: Path, change: Any, why: str) -> None:
    with pytest.raises(PolicyUnreadable) as refused:
        read_policy(made.write_policy(tmp_path, **change))
    assert why in refused.value.message
    assert refused.value.retryable, "nothing is staged until it is mended"


def test_a_missing_policy_or_list_is_not_taken_for_none(tmp_path: Path) -> None:
    with pytest.raises(PolicyUnreadable):
        read_policy(tmp_path / "none.json")
    path = made.write_policy(tmp_path, exploited=[])
    (tmp_path / "kev.json").unlink()
    with pytest.raises(PolicyUnreadable):
        read_policy(path)


def test_every_model_of_a_release_is_held_to_its_own_rule(tmp_path: Path) -> None:
    raw = json.loads(made.write_policy(tmp_path, ()).read_text())
    strict = {"vendor": "Acme", "model": "AC22", "require": ["vex"]}
    (tmp_path / "policy.json").write_text(json.dumps({**raw, "rules": [*raw["rules"], strict]}))
    policy = read_policy(tmp_path / "policy.json")
    both = (*MODELS, Compatible("Acme", "AC22"))
    assert judge(SHA, MODELS, {}, policy).passed
    assert judge(SHA, both, {}, policy).problems == ("A VEX is required for Acme AC22, and there is none",)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "statements",
                    "products",
                    "hashes",
                    "vulnerability",
                    "status",
                    "subject",
                    "predicate",
                    "digest",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None)
@given(_JSON, st.sampled_from(sorted(vex.TYPES)))
def test_hostile_documents_are_refused_in_our_own_words(value: Any, payload_type: str) -> None:
    envelope = sign_payload(json.dumps(value).encode(), payload_type, made.PSIRT)
    keys = {made.PSIRT.public_key.keyid: made.PSIRT.public_key}
    for read in (
        lambda: vex.excused(envelope, SHA, keys),
        lambda: check_shape(envelope, SHA),
        lambda: read_sbom(json.dumps(value).encode(), SHA),
    ):
        with pytest.raises(AmpwaveError):
            read()


def openvex_of(*said: tuple[str, str, str | None], **document: Any) -> bytes:
    """A VEX of (vulnerability, status, time) statements about this image."""
    products = [{"@id": "pkg:generic/vw22@1.1", "hashes": {"sha-256": SHA}}]
    statements = [
        {
            "vulnerability": {"name": name},
            "products": products,
            "status": status,
            "justification": "component_not_present",
        }
        | ({"timestamp": at} if at else {})
        for name, status, at in said
    ]
    body = {"@context": "https://openvex.dev/ns/v0.2.0", "statements": statements, **document}
    return sign_payload(json.dumps(body).encode(), vex.OPENVEX, made.PSIRT)


EARLY, LATE = "2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z"


@pytest.mark.requirement("S51")
@pytest.mark.parametrize(
    ("said", "holds"),
    [
        ([(CVE, "not_affected", EARLY), (CVE, "affected", LATE)], False),
        ([(CVE, "affected", LATE), (CVE, "not_affected", EARLY)], False),
        ([(CVE, "not_affected", LATE), (CVE, "under_investigation", LATE)], False),
        ([(CVE, "not_affected", LATE), (CVE, "affected", None)], False),
        ([(CVE, "not_affected", None), (CVE, "affected", EARLY)], False),
        ([(CVE, "affected", EARLY), (CVE, "fixed", LATE)], True),
        ([(CVE, "not_affected", None), ("CVE-2026-3333", "affected", LATE)], True),
    ],
)
def test_the_last_word_of_a_vex_counts_and_doubt_excuses_nothing(
    policy: EvidencePolicy, said: list[tuple[str, str, str | None]], holds: bool
) -> None:
    found = problems(policy, sbom=made.sbom(SHA, CVE), provenance=made.provenance(), vex=openvex_of(*said))
    assert (CVE not in found) is holds, found


@pytest.mark.requirement("S51")
def test_a_cyclonedx_vex_that_contradicts_itself_excuses_nothing(policy: EvidencePolicy) -> None:
    document = json.loads(made.sbom(SHA))
    excuse = {"id": CVE, "analysis": {"state": "not_affected", "justification": "code_not_reachable"}}
    document["vulnerabilities"] = [excuse, {"id": CVE, "analysis": {"state": "exploitable"}}]
    signed = sign_payload(json.dumps(document).encode(), vex.CYCLONEDX, made.PSIRT)
    given = {"sbom": made.sbom(SHA, CVE), "provenance": made.provenance()}
    assert CVE in problems(policy, vex=signed, **given)


@pytest.mark.requirement("S50")
def test_true_is_not_one_and_one_builder_may_do_several_kinds_of_build() -> None:
    keys = {BUILDER.public_key.keyid: BUILDER.public_key}
    release = Builder(made.BUILDER_ID, keys, made.BUILD_TYPE, {"source": "*", "release": True})
    nightly = Builder(made.BUILDER_ID, keys, "https://build.example/nightly/v1", {"source": "*"})
    for pinned in ((release, nightly), (nightly, release)):
        assert provenance_problems(made.provenance(release=True), SHA, pinned) == []
        assert "is '1', not True" in provenance_problems(made.provenance(release=1), SHA, pinned)[0]
        assert provenance_problems(made.provenance(release=10**30), SHA, pinned) != []


@pytest.mark.requirement("S51")
def test_a_verdict_on_very_many_weaknesses_can_be_read_again(tmp_path: Path) -> None:
    names = [f"CVE-2026-{number}" for number in range(10_000, 13_000)]
    policy = read_policy(made.write_policy(tmp_path, (), [{"cveID": name} for name in names]))
    judgement = judge(SHA, MODELS, {Kind.SBOM: made.sbom(SHA, *names)}, policy)
    assert "2900 more" in judgement.problems[-1]
    document = sign_summary(SHA, "voltworks/1.1/fw.bin", judgement, START, BUILDER)
    assert open_summary(document, SHA, {BUILDER.public_key.keyid: BUILDER.public_key}) == summary_of(
        judgement
    )


@pytest.mark.requirement("S49")
def test_hostile_documents_cost_no_more_than_their_length() -> None:
    twice = ",".join(f'"k{number}":0' for number in (*range(200_000), 199_999))
    with pytest.raises(InvalidInput, match="'k199999' is there twice"):
        read_sbom(f"{{{twice}}}".encode(), SHA)
    with pytest.raises(InvalidInput) as refused:
        read_sbom(made.sbom(SHA, components=[{"type": "no such"}] * 300_000), SHA)
    assert len(refused.value.problems) == 1
    with pytest.raises(InvalidInput, match="beyond what a number holds"):
        read_sbom(b'{"version": 1e999}', SHA)


def test_a_scoped_package_is_the_same_however_its_address_is_escaped(tmp_path: Path) -> None:
    exploited = [{"cveID": CVE, "purls": ["pkg:npm/%40volt/core@1.0"]}]
    policy = read_policy(made.write_policy(tmp_path, (), exploited))
    part = {"type": "library", "name": "core", "purl": "pkg:npm/@volt/core@1.0"}
    assert CVE in problems(policy, sbom=made.sbom(components=[part]))
