"""Whether a charger is what our own records say, though nobody desired anything of it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.charger import Charger
from storage.events import EventKind, StoredEvent
from storage.fall_back import FallBack, Trial
from storage.trust import (
    ACCEPTABLE,
    Acceptance,
    Memory,
    Proved,
    TrustFacts,
    accepted,
    allowed_versions,
    fell_to,
    judge,
    on_trial,
    remembered,
    settled,
    settled_by,
)
from storage.twin import FirmwareSection, IdentitySection, SecuritySection, TwinState
from storage.twin_schema import Severity

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
CHARGER = Charger("A", "s1", "Volt", "V2", serial_number="SN-1", security_floor=2)
TWIN = TwinState(
    "A",
    identity=IdentitySection("Volt", "V2", "SN-1"),
    firmware=FirmwareSection("1.1"),
    security=SecuritySection(
        profile=2, floor=2, last_auth_ok_at=NOW, certificate_serial="aa", roots=("r/1/1",)
    ),
)
MEMORY = Memory(certificate="aa", roots=("r/1/1",))
FACTS = TrustFacts(CHARGER, TWIN, MEMORY, (Proved("1.1", True, NOW),), serial_owner="A")


def told(kind: EventKind, **body: Any) -> StoredEvent:
    return StoredEvent(7, "A", kind, body, NOW, NOW)


def twin(**sections: dict[str, Any]) -> TrustFacts:
    changed = {name: replace(getattr(TWIN, name), **values) for name, values in sections.items()}
    return replace(FACTS, twin=replace(TWIN, **changed))


@pytest.mark.requirement("F34")
def test_a_charger_that_is_what_our_records_say_is_in_no_doubt() -> None:
    assert judge(FACTS) == ()
    assert judge(TrustFacts(CHARGER, TwinState("A"))) == (), "nothing is known of it yet"


@pytest.mark.requirement("F2", "F15", "F34")
@pytest.mark.parametrize(
    ("facts", "path", "words", "severity"),
    [
        (twin(firmware={"version": "6.6"}), "firmware.version", "nobody rolled out", Severity.CRITICAL),
        (twin(security={"profile": 1}), "security.profile", "from 2 to 1", Severity.CRITICAL),
        (
            replace(FACTS, memory=replace(MEMORY, low_profile=0)),
            "security.profile",
            "to 0",
            Severity.CRITICAL,
        ),
        (
            replace(FACTS, memory=replace(MEMORY, told_profile=1)),
            "security.profile",
            "to 1",
            Severity.CRITICAL,
        ),
        (
            replace(FACTS, memory=replace(MEMORY, tampered_at=NOW)),
            "security.tampered",
            "opened or manipulated",
            Severity.CRITICAL,
        ),
        (
            twin(security={"certificate_serial": "bb"}),
            "security.certificate_serial",
            "did not give",
            Severity.CRITICAL,
        ),
        (twin(security={"roots": ("r/1/1", "r/6/6")}), "security.roots", "nobody gave it", Severity.CRITICAL),
        (
            twin(identity={"serial_number": "SN-9"}),
            "identity.serial_number",
            "is known with SN-1",
            Severity.CRITICAL,
        ),
        (
            replace(FACTS, serial_owner="B"),
            "identity.serial_number",
            "serial number of B",
            Severity.CRITICAL,
        ),
        (twin(identity={"vendor": "Amp"}), "identity.vendor", "registered with Volt", Severity.WARNING),
        (twin(identity={"model": "V9"}), "identity.model", "registered with V2", Severity.WARNING),
    ],
)
def test_what_contradicts_our_records_is_in_doubt(facts, path, words, severity) -> None:
    (doubt,) = judge(facts)
    assert (doubt.path, doubt.severity) == (path, severity)
    assert words in doubt.suspicion


def test_a_serial_that_was_never_registered_is_held_to_what_was_told_first() -> None:
    unregistered = replace(FACTS, charger=replace(CHARGER, serial_number=None), first_serial="SN-1")
    assert judge(unregistered) == ()
    swapped = replace(unregistered, twin=twin(identity={"serial_number": "SN-2"}).twin, serial_owner=None)
    assert [doubt.path for doubt in judge(swapped)] == ["identity.serial_number"]


LATER = NOW + timedelta(hours=1)


@pytest.mark.parametrize(
    ("proved", "memory", "allowed"),
    [
        ((), Memory(), ()),
        ((Proved("1.0", False, NOW),), Memory(), ()),
        ((Proved("1.0", True, NOW), Proved("1.1", False, LATER)), Memory(), ("1.0", "1.1")),
        ((Proved("1.0", True, NOW), Proved("1.1", True, LATER)), Memory(), ("1.1",)),
        ((Proved("1.0", True, NOW),), Memory(version="9", version_at=LATER), ("9",)),
        ((Proved("1.0", True, LATER),), Memory(version="9", version_at=NOW), ("1.0",)),
    ],
    ids=["never updated", "never proved", "sent since", "proved since", "accepted since", "accepted before"],
)
def test_it_may_run_what_it_proved_last_and_what_it_was_sent_since(proved, memory, allowed) -> None:
    assert allowed_versions(replace(FACTS, proved=proved, memory=memory)) == allowed


def test_one_that_fell_back_by_itself_is_told_from_one_that_somebody_else_flashed() -> None:
    proved = (Proved("1.0", True, NOW), Proved("1.1", True, LATER))
    (doubt,) = judge(replace(twin(firmware={"version": "1.0"}), proved=proved))
    assert doubt.suspicion == "it went back to 1.0 by itself; it last proved 1.1"


FELL = FallBack("c1", "1.1", "1.0", 3, LATER)


@pytest.mark.requirement("R29", "F34")
def test_one_whose_boots_show_that_an_update_made_it_fall_back_is_no_intruder() -> None:
    trial = Trial("c1", "1.1", "1.0", NOW)
    proved = (Proved("1.0", True, NOW), Proved("1.1", True, LATER, trial))
    facts = replace(twin(firmware={"version": "1.0"}), proved=proved)
    assert on_trial(facts) == trial
    fell = fell_to(facts, FELL)
    assert fell == f"restarts after an update by campaign c1: {FELL.sentence}"
    (doubt,) = judge(replace(facts, fell=fell))
    assert (doubt.path, doubt.severity, doubt.suspicion) == ("firmware.version", Severity.WARNING, "")
    assert doubt.cause == fell
    assert fell_to(facts, replace(FELL, to="0.9")) == "", "it runs another version than it fell back to"
    (other,) = judge(facts)
    assert other.severity is Severity.CRITICAL
    opened = replace(facts, fell=fell, memory=replace(MEMORY, tampered_at=NOW))
    assert "security.tampered" in [each.path for each in judge(opened)], "that stays what it is"
    sent_since = replace(facts, proved=(*proved, Proved("1.2", False, LATER)))
    assert on_trial(sent_since) is None, "what was sent since may be to blame"


@pytest.mark.requirement("R29", "F34")
def test_once_its_campaign_ended_it_is_held_to_what_it_fell_back_to() -> None:
    why = f"campaign c1 ended with it: {FELL.sentence}"
    settled_facts = replace(
        twin(firmware={"version": "1.0"}), proved=(Proved("1.0", True, LATER, settled=why, left="1.1"),)
    )
    assert (judge(settled_facts), settled_by(settled_facts)) == ((), why)
    strange = replace(settled_facts, twin=twin(firmware={"version": "6.6"}).twin)
    (doubt,) = judge(strange)
    assert (doubt.severity, doubt.expected, settled_by(strange)) == (Severity.CRITICAL, "1.0", "")
    assert doubt.suspicion == "it runs 6.6, which nobody rolled out to it; it last proved 1.0"
    again = replace(settled_facts, twin=twin(firmware={"version": "1.1"}).twin)
    (doubt,) = judge(again)
    assert doubt.severity is Severity.CRITICAL
    assert doubt.suspicion == "it runs 1.1 again, from which it had fallen back; it last proved 1.0"


@pytest.mark.parametrize("why", ["updating", "firmware_desired"])
def test_a_version_is_not_doubted_where_somebody_else_judges_it(why) -> None:
    assert judge(replace(twin(firmware={"version": "6.6"}), **{why: True})) == ()


def test_a_version_that_is_not_known_yet_is_no_doubt() -> None:
    assert judge(twin(firmware={"version": None})) == ()


def test_the_first_certificate_and_roots_are_taken_and_then_only_what_we_handed_out() -> None:
    first = settled(replace(FACTS, memory=Memory(), twin=twin(security={"roots_at": NOW}).twin))
    assert (first.certificate, first.roots) == ("aa", ("r/1/1",))
    other = twin(security={"certificate_serial": "bb", "roots": ("r/2/2",), "roots_at": LATER})
    assert settled(other) == MEMORY, "nobody gave it these"
    answer = {"status": "Accepted"}
    due = remembered(MEMORY, told(EventKind.COMMAND_ANSWERED, action="CertificateSigned", **answer))
    due = remembered(due, told(EventKind.COMMAND_ANSWERED, action="InstallCertificate", **answer))
    due = remembered(due, told(EventKind.COMMAND_ANSWERED, action="Reset", **answer))
    assert settled(replace(FACTS, memory=due)) == due, "the old one is still good"
    renewed = settled(replace(other, memory=due))
    assert renewed == Memory(certificate="bb", roots=("r/2/2",))
    assert judge(replace(other, memory=renewed)) == ()


@pytest.mark.parametrize("status", ["Rejected", "CallError:InternalError"])
def test_what_was_refused_was_not_handed_out(status) -> None:
    event = told(EventKind.COMMAND_ANSWERED, action="CertificateSigned", status=status)
    assert remembered(MEMORY, event) == MEMORY


def test_only_who_proved_to_be_the_charger_lowers_its_profile() -> None:
    stranger = told(EventKind.CONNECTION_REFUSED, reason="wrong password", remote_address="x")
    assert remembered(MEMORY, stranger) == MEMORY
    itself = told(EventKind.CONNECTION_REFUSED, reason="too low", remote_address="x", profile=1)
    assert remembered(MEMORY, itself).low_profile == 1
    for value, known in (("1", 1), ("2", 2), ("high", None)):
        event = told(EventKind.VARIABLES_REPORTED, values={"SecurityProfile": value})
        assert remembered(MEMORY, event).told_profile == known


@pytest.mark.requirement("F34")
@given(paths=st.sets(st.sampled_from(sorted(ACCEPTABLE)), min_size=1))
def test_what_a_person_accepts_is_in_doubt_no_more_and_the_rest_is(paths) -> None:
    memory = Memory("aa", roots=("r/1/1",), tampered_at=NOW, low_profile=0, cloned_at=NOW)
    strange = {"certificate_serial": "bb", "roots": ("r/6/6",)}
    facts = replace(twin(firmware={"version": "6.6"}, security=strange), memory=memory)
    assert {doubt.path for doubt in judge(facts)} == ACCEPTABLE
    given_ = Acceptance("A", tuple(paths), "ada", "seen on site", LATER)
    after = judge(replace(facts, memory=accepted(facts, given_)))
    assert {doubt.path for doubt in after} == ACCEPTABLE - paths


def test_tampering_again_is_in_doubt_again() -> None:
    memory = Memory(tampered_at=NOW, tamper_accepted_at=NOW)
    event = replace(
        told(EventKind.SECURITY_EVENT_REPORTED, type="TamperDetectionActivated"), received_at=LATER
    )
    again = remembered(memory, event)
    assert [
        doubt.path for doubt in judge(replace(FACTS, memory=replace(MEMORY, tampered_at=again.tampered_at)))
    ]
    assert judge(replace(FACTS, memory=replace(memory, certificate="aa", roots=("r/1/1",)))) == ()
