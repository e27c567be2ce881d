from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.facts import SiteFacts
from storage.charger import SignatureScheme
from storage.twin import Lifecycle
from tests.unit.workflows.facts import ARTIFACT, IDLE, NOW, SITE, charger
from workflows.eligibility import ONE_WAY, ChargerFacts, Ready, Skip, WaitUntil, assess, mismatch


def test_an_idle_charger_with_an_older_version_is_ready() -> None:
    assert assess(charger(), NOW) == Ready()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model": "VW-99"}, "not a model"),
        ({"vendor": "Other"}, "not a model"),
        ({"hardware_revision": "B"}, "hardware revision B"),
        ({"hardware_revision": None}, "hardware revision unknown"),
        ({"lifecycle": Lifecycle.QUARANTINED}, "quarantined"),
        ({"lifecycle": Lifecycle.RETIRED}, "retired"),
        ({"version": None}, "never reported its firmware version"),
        ({"installed_counter": 3}, "later release"),
        ({"takes_signed": False}, "signed update"),
        ({"updates": False, "unsigned_waiver": True}, "takes no firmware updates"),
        ({"scheme": SignatureScheme.RSA_PSS}, "rsa-pss-sha256 signature"),
    ],
)
@pytest.mark.requirement("F12", "S25", "S26", "S37")
def test_who_can_never_get_it(changes, words) -> None:
    answer = assess(charger(**changes), NOW)
    assert isinstance(answer, Skip)
    assert words in answer.reason
    assert not answer.already_current


def test_a_charger_on_the_version_is_done_already() -> None:
    answer = assess(charger(version="1.1"), NOW)
    assert isinstance(answer, Skip)
    assert answer.already_current


@pytest.mark.parametrize(
    ("changes", "words", "for_session"),
    [
        ({"online": False}, "offline", False),
        ({"heard_recently": False}, "nothing was heard", False),
        ({"busy": "session 7 is open on EVSE 1", "session": True}, "session 7", True),
        ({"busy": "reservation 4 is active"}, "reservation 4", False),
        ({"maintenance": "certificate"}, "certificate", False),
        ({"version": None, "unread": True}, "told no firmware version", False),
    ],
)
@pytest.mark.requirement("R22", "X1")
def test_who_has_to_wait(changes, words, for_session) -> None:
    answer = assess(charger(**changes), NOW)
    assert isinstance(answer, WaitUntil)
    assert words in answer.reason
    assert answer.for_session is for_session


def test_a_pending_remote_start_says_when_it_will_be_over() -> None:
    free_at = NOW + timedelta(minutes=2)
    answer = assess(charger(busy="a remote start is pending", free_at=free_at), NOW)
    assert isinstance(answer, WaitUntil)
    assert answer.when == free_at


@pytest.mark.requirement("X2", "R55")
def test_the_site_has_the_last_word() -> None:
    facts = replace(charger(), site=SiteFacts("berlin-1", 2, 2))
    answer = assess(facts, NOW)
    assert answer == WaitUntil("2 of 2 chargers that may be down at berlin-1 are", for_site=True)


def test_a_waiver_allows_what_no_signature_would() -> None:
    assert assess(charger(takes_signed=False, unsigned_waiver=True), NOW) == Ready()


def test_only_a_rollback_may_go_back() -> None:
    facts = charger(version="1.2", installed_counter=9)
    assert isinstance(assess(facts, NOW), Skip)
    assert assess(replace(facts, downgrade=True), NOW) == Ready()


@pytest.mark.requirement("R48", "S25")
def test_a_rollback_takes_back_what_it_is_about_and_never_a_newer_release() -> None:
    facts = replace(charger(version="1.3", installed_counter=9), downgrade=True, replaces="1.2")
    answer = assess(facts, NOW)
    assert isinstance(answer, Skip)
    assert "it runs 1.3 by now and not 1.2" in answer.reason
    assert assess(replace(facts, replaces="1.3"), NOW) == Ready()
    back = assess(replace(facts, situation=replace(facts.situation, version="1.1")), NOW)
    assert isinstance(back, Skip)
    assert back.already_current


def test_an_empty_list_of_revisions_means_all() -> None:
    assert mismatch(replace(IDLE, model="VW-11", hardware_revision=None), ARTIFACT) is None


@given(
    online=st.booleans(),
    heard=st.booleans(),
    busy=st.sampled_from([None, "busy"]),
    maintenance=st.sampled_from([None, "update"]),
    version=st.sampled_from([None, "1.0", "1.1"]),
    down=st.integers(0, 3),
)
@pytest.mark.requirement("X1", "X2")
def test_ready_means_that_nothing_at_all_stands_in_the_way(
    online, heard, busy, maintenance, version, down
) -> None:
    situation = replace(
        IDLE, online=online, heard_recently=heard, busy=busy, maintenance=maintenance, version=version
    )
    answer = assess(ChargerFacts(situation, ARTIFACT, replace(SITE, down=down, max_down=2)), NOW)
    free = online and heard and not busy and not maintenance and version == "1.0" and down < 2
    assert isinstance(answer, Ready) is free


@pytest.mark.requirement("R27")
def test_one_that_is_set_apart_gets_nothing_new_and_may_still_go_back() -> None:
    apart = charger(set_apart="it is set apart until noon: 3 attempts failed", version="1.0")
    assert assess(apart, NOW) == Skip("it is set apart until noon: 3 attempts failed")
    assert assess(replace(apart, downgrade=True), NOW) == Ready()


@pytest.mark.requirement("X11")
def test_a_model_that_goes_only_forward_is_never_sent_back() -> None:
    one_way = charger(goes_back=False)
    assert assess(one_way, NOW) == Ready()
    assert assess(replace(one_way, downgrade=True), NOW) == Skip(ONE_WAY)
