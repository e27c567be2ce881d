from dataclasses import replace

import pytest

from storage.campaign import Outcome
from storage.canonical import canonical_json
from storage.passport import MOST_BYTES, PassportFacts, passport_of, proof_of, runs_of
from storage.ports import ChargerView
from storage.twin import TwinState
from tests.support.passports import ORDER, booted, facts, given, minutes, target


def test_an_update_is_told_with_its_image_its_signatures_its_approvals_its_verdict_and_its_proof() -> None:
    said = passport_of(facts(), ORDER, minutes(99))
    [update] = said["updates"]
    assert update["image"]["sha256"] == "ab" * 32
    assert (update["metadata"]["role"], update["metadata"]["version"]) == ("volta", 4)
    assert [each["signer"] for each in update["metadata"]["signed_by"]] == ["carl"]
    assert [each["actor"] for each in update["plan"]["approved_by"]] == ["bob"]
    assert len(update["plan"]["approved_by"][0]["envelope_sha256"]) == 64
    assert update["directive"]["sha256"] == "12" * 32
    assert [(each["verdict"], each["inputs_sha256"]) for each in update["verdicts"]] == [
        ("proceed", "aa" * 32)
    ]
    assert (update["proof"]["sequence"], update["proof"]["kind"]) == (9, "charger_booted")
    assert [each["version"] for each in said["versions"]] == ["1.1", "1.0"]
    assert said["versions"][1]["sequence"] == 2, "the first word of a version counts"
    assert said["certificates"][0]["phase"] == "proven"
    assert said["moves"][0]["before"] == {"site_id": "yard"}
    assert said["retirement"] is None
    assert not any(said["older_left_out"].values())


def test_a_charger_without_a_past_has_a_passport_all_the_same() -> None:
    charger = replace(facts().view.charger, serial_number=None, registered_at=None)
    nothing = PassportFacts(ChargerView(charger, TwinState("CP-1")), [], False, [], [], [])
    said = passport_of(nothing, ORDER, minutes(0))
    assert (said["updates"], said["versions"], said["firmware_now"]) == ([], [], None)


def test_one_that_was_retired_says_so_and_names_its_receipt() -> None:
    said = passport_of(facts(retired=True), ORDER, minutes(99))
    assert said["charger"]["lifecycle"] == "retired"
    assert said["retirement"]["receipt_sha256"] == "99" * 32
    assert said["retirement"]["memory"] == "unwiped"


def test_a_huge_past_is_cut_at_its_oldest_end_and_says_so() -> None:
    told = facts(updates=600)
    said = passport_of(told, ORDER, minutes(99))
    assert [each["wave"] for each in said["updates"]] == list(range(500))
    assert said["older_left_out"] == {
        "updates": True, "versions": False, "certificates": False, "moves": False,
    }  # fmt: skip
    people = tuple(replace(told.updates[0].campaign.approvals[0], actor=f"{n:0200}") for n in range(200))
    wordy = [replace(each, campaign=replace(each.campaign, approvals=people)) for each in told.updates]
    said = passport_of(replace(told, updates=wordy), ORDER, minutes(99))
    assert 0 < len(said["updates"]) < 500
    assert len(canonical_json(said)) <= MOST_BYTES
    assert said["older_left_out"]["updates"]


@pytest.mark.parametrize(
    ("one", "words", "sequence"),
    [
        (target(), [booted(1, "1.1", minutes(0.5))], None),  # before it was sent: no proof
        (target(), [booted(1, "1.1", minutes(1)), booted(2, "1.1", minutes(5))], 2),
        (target(), [booted(1, "1.1", minutes(6))], None),  # after it was over
        (target(), [booted(1, "1.0", minutes(3))], None),  # another version
        (target(outcome=Outcome.ALREADY_CURRENT), [booted(1, "1.1", minutes(-500))], 1),
        (target(outcome=Outcome.FAILED), [booted(1, "1.1", minutes(3))], None),
        (replace(target(), finished_at=None), [booted(1, "1.1", minutes(3))], None),
    ],
)
def test_only_its_own_word_in_time_proves_an_update(one, words, sequence) -> None:
    found = proof_of(one, words)
    assert (found.sequence if found else None) == sequence


def test_a_version_that_comes_again_is_told_again() -> None:
    words = [booted(n, version, minutes(n)) for n, version in enumerate(("1", "2", "2", "1"))]
    assert [(each.sequence, each.version) for each in runs_of(words)] == [(3, "1"), (1, "2"), (0, "1")]


def test_a_directive_of_others_and_an_image_without_a_record_are_not_made_up() -> None:
    bare = replace(given(target()), artifact=None, release=None, decisions=())
    other = replace(bare, directive=replace(bare.directive, charger_ids=("CP-2",)))
    [update] = passport_of(replace(facts(), updates=[other]), ORDER, minutes(99))["updates"]
    assert update["image"] == {"sha256": "ab" * 32}
    assert (update["metadata"], update["directive"], update["verdicts"]) == (None, None, [])
