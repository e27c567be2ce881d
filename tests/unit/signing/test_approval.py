"""A yes counts if a listed person signed exactly this, and for nobody and nothing else."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.signer import CryptoSigner

from signing.approval import (
    PAYLOAD_TYPE,
    Statement,
    check_given,
    open_statement,
    people_behind,
    sign_statement,
)
from signing.directive import check_approvals
from signing.errors import ApprovalRefused
from signing.policy import Approver, TrustPolicy
from storage.campaign import Approval, Campaign, CampaignPhase, CampaignPlan, Directive, WavePlan
from storage.charger import ChargerFilter

NOON = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
SIGNERS = {name: CryptoSigner.generate_ed25519() for name in ("ada", "bob", "mallory")}
APPROVERS = {
    signer.public_key.keyid: Approver(name, signer.public_key)
    for name, signer in SIGNERS.items()
    if name != "mallory"
}
SAID = Statement("c-1", "f" * 64, "a" * 64, "b" * 64, "ada", NOON, NOON + timedelta(days=30))
DIRECTIVE = Directive(
    directive_id="c-1.0.0.1",
    campaign_id="c-1",
    wave=0,
    plan_digest="f" * 64,
    charger_ids=("CP-1",),
    target_path="acme/1.1/f.bin",
    sha256="a" * 64,
    length=1,
    version="1.1",
    release_counter=11,
    compatible=(("Acme", "Volt"),),
    not_before=NOON,
    not_after=NOON + timedelta(hours=1),
    nonce="n" * 16,
    approvals=(),
)


def yes(statement: Statement, signer: str = "ada", actor: str = "ada") -> Approval:
    return Approval(actor, NOON, statement.plan_digest, sign_statement(statement, SIGNERS[signer]))


def people(*approvals: Approval, **changes: object) -> tuple[str, ...]:
    """One person is enough, but for a way back; here is what either finds wrong."""
    directive = replace(DIRECTIVE, approvals=approvals, **changes)  # type: ignore[arg-type]
    if directive.downgrade:
        behind = people_behind(directive, APPROVERS, NOON)
        if behind.problems:
            raise ApprovalRefused(" ".join(behind.problems))
        return behind.people
    return check_approvals(directive, TrustPolicy({}, approvers=APPROVERS), NOON)


@pytest.mark.requirement("S24")
def test_each_person_counts_once_and_who_did_not_sign_not_at_all() -> None:
    ada, bob = yes(SAID), yes(replace(SAID, actor="bob"), "bob", "bob")
    assert people(bob, ada, ada) == ("ada", "bob")
    assert people(Approval("carl", NOON, "f" * 64), ada) == ("ada",)
    mallory = yes(replace(SAID, actor="mallory"), "mallory", "mallory")
    assert people(mallory, ada) == ("ada",), "what does not count takes nothing from what does"
    with pytest.raises(ApprovalRefused, match="nobody; 1 listed people"):
        people()


@pytest.mark.requirement("S24", "S25")
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"campaign_id": "c-2"}, "another campaign"),
        ({"plan_digest": "e" * 64}, "another plan digest"),
        ({"artifact_id": "c" * 64}, "another image"),
        ({"not_after": NOON - timedelta(seconds=1)}, "expired"),
        ({"not_after": NOON + timedelta(days=91)}, "more than 90 days"),
    ],
)
def test_a_signature_for_anything_else_is_refused(change: dict[str, object], words: str) -> None:
    with pytest.raises(ApprovalRefused, match=words):
        people(yes(replace(SAID, **change)))  # type: ignore[arg-type]


@pytest.mark.requirement("S25")
def test_a_way_back_is_only_to_what_was_named_as_such() -> None:
    assert people(yes(SAID), downgrade=True, sha256="b" * 64) == ("ada",)
    for image, back in (("b" * 64, False), ("a" * 64, True), ("c" * 64, True)):
        with pytest.raises(ApprovalRefused, match="another image"):
            people(yes(SAID), downgrade=back, sha256=image)
    with pytest.raises(ApprovalRefused, match="another image"):
        people(yes(replace(SAID, rollback_artifact_id=None)), downgrade=True, sha256="b" * 64)


@pytest.mark.requirement("S24")
@pytest.mark.parametrize(
    ("approval", "words"),
    [
        (yes(replace(SAID, actor="mallory"), "mallory", "mallory"), "no key"),
        (yes(SAID, "mallory"), "no key"),
        (yes(SAID, "bob"), "the key is bob's"),
        (yes(SAID, actor="bob"), "another name"),
        (replace(yes(SAID), evidence="{}"), "not a DSSE"),
        (replace(yes(SAID), evidence="x" * 9000), "longer than"),
    ],
)
def test_nobody_signs_for_somebody_else(approval: Approval, words: str) -> None:
    with pytest.raises(ApprovalRefused, match=words):
        people(approval)


@pytest.mark.requirement("S24")
def test_a_changed_statement_or_signature_does_not_hold() -> None:
    envelope = json.loads(yes(SAID).evidence)
    other = json.loads(yes(replace(SAID, campaign_id="c-2")).evidence)
    for mixed in ({"payload": other["payload"]}, {"payloadType": "text/plain"}, {"signatures": []}):
        with pytest.raises(ApprovalRefused):
            open_statement(json.dumps(envelope | mixed), APPROVERS)
    assert PAYLOAD_TYPE in json.dumps(envelope)


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda data: data.decode("latin-1")))
def test_rubbish_is_refused_in_our_own_words(text: str) -> None:
    with pytest.raises(ApprovalRefused):
        open_statement(text, APPROVERS)


@given(
    st.recursive(
        st.none() | st.integers(-(2**60), 2**60) | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3),
    )
)
def test_signed_rubbish_is_refused_as_well(value: object) -> None:
    for field in ("campaign_id", "rollback_artifact_id", "at", "not_after", "actor"):
        statement = replace(SAID, **{field: value})  # type: ignore[arg-type]
        if field == "rollback_artifact_id" and (value is None or type(value) is str):
            continue
        if field == "campaign_id" and type(value) is str:
            continue
        with pytest.raises(ApprovalRefused):
            open_statement(sign_statement(statement, SIGNERS["ada"]), APPROVERS)


@pytest.mark.parametrize("text", ["x" * 201, "ada\nError: all is well", "\x1b[2J"])
def test_text_that_would_spoil_a_sentence_is_refused(text: str) -> None:
    for field in ("actor", "campaign_id", "rollback_artifact_id"):
        with pytest.raises(ApprovalRefused, match="canonical") as refused:
            open_statement(sign_statement(replace(SAID, **{field: text}), SIGNERS["ada"]), APPROVERS)
        assert text not in refused.value.message


@pytest.mark.requirement("S24", "S25")
def test_as_many_as_plan_policy_and_a_way_back_ask_for() -> None:
    ada, bob = yes(SAID), yes(replace(SAID, actor="bob"), "bob", "bob")
    one = TrustPolicy({}, approvers=APPROVERS)
    two = replace(one, approval_threshold=2)
    forward = replace(DIRECTIVE, approvals=(ada,))
    assert check_approvals(forward, one, NOON) == ("ada",)
    assert check_approvals(forward, TrustPolicy({}), NOON) == ()
    back = replace(forward, downgrade=True, sha256="b" * 64)
    for directive, policy in ((forward, two), (replace(forward, required_approvals=2), one), (back, one)):
        with pytest.raises(ApprovalRefused, match="2 listed people"):
            check_approvals(directive, policy, NOON)
        both = replace(directive, approvals=(ada, bob))
        assert check_approvals(both, policy, NOON) == ("ada", "bob")


@pytest.mark.requirement("S24")
def test_what_could_not_count_is_said_when_it_is_given() -> None:
    plan = CampaignPlan("n", "a" * 64, ChargerFilter(), (WavePlan("w", 1.0),), rollback_artifact_id="b" * 64)
    campaign = Campaign("c-1", plan, "f" * 64, CampaignPhase.AWAITING_APPROVAL, "rita", NOON)
    check_given(yes(SAID), campaign, APPROVERS, NOON)
    check_given(Approval("ada", NOON, "f" * 64), campaign, {}, NOON)
    with pytest.raises(ApprovalRefused, match="your own key"):
        check_given(Approval("ada", NOON, "f" * 64), campaign, APPROVERS, NOON)
    for wrong in (replace(SAID, rollback_artifact_id=None), replace(SAID, plan_digest="0" * 64)):
        with pytest.raises(ApprovalRefused, match="does not count"):
            check_given(yes(wrong), campaign, APPROVERS, NOON)


@pytest.mark.requirement("S24")
def test_a_yes_from_the_future_does_not_hold_for_years() -> None:
    """Ninety days count from when it was given, and a person says that: it is not believed blindly."""
    ahead = NOON + timedelta(days=900)
    late = yes(replace(SAID, at=ahead, not_after=ahead + timedelta(days=30)))
    behind = people_behind(replace(DIRECTIVE, approvals=(late,)), APPROVERS, NOON)
    assert behind.people == ()
    assert "given only on" in behind.problems[0]
    soon = NOON + timedelta(minutes=50)
    assert people_behind(replace(DIRECTIVE, approvals=(yes(replace(SAID, at=soon)),)), APPROVERS, NOON).people
