from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.provisioning import HOST, Asset, Attestation, ConnectorPlan, EnrolmentState, LinkTest
from workflows.provisioning_rules import (
    CheckFacts,
    LinkFacts,
    Move,
    advance,
    came_without,
    checklist,
    failed,
    look_again,
    proof_missing,
)

AT = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
YES = tuple((name, "Accepted", 0.1) for name in ("Heartbeat", "StatusNotification", "MeterValues"))
GOOD = CheckFacts(
    connected=True,
    vendor="V",
    model="M",
    serial_number="S",
    told_vendor="v",
    told_model="M ",
    told_serial="S",
    profile=2,
    wanted_profile=2,
    clock_suspicious=False,
    version="1.0",
    connectors=((1, 1, "Available"), (0, 0, "Available")),
    answers=YES,
    has_model=True,
    takes_updates=True,
    asset=Asset(connectors=(ConnectorPlan(1, 1, "cable", 32, 22),)),
    attestations=(),
    wanted_attestations=(),
)
WAY = [
    EnrolmentState.PARKED,
    EnrolmentState.CREDENTIAL_PENDING,
    EnrolmentState.PROVED,
    EnrolmentState.CONFIGURED,
    EnrolmentState.CHECKED,
    EnrolmentState.ACTIVE,
]


def said(name: str, *, passed: bool = True) -> Attestation:
    return Attestation(name, passed, "ida", AT)


@pytest.mark.requirement("F50")
@given(st.lists(st.sampled_from(list(Move)), max_size=40))
def test_nobody_is_active_without_every_state_before(moves: list[Move]) -> None:
    seen = [EnrolmentState.REGISTERED]
    for move in moves:
        after = advance(seen[-1], move)
        if after is not None and after is not seen[-1]:
            seen.append(after)
    if seen[-1] is EnrolmentState.ACTIVE:
        assert seen[-len(WAY) :] == WAY


def test_every_pair_of_state_and_move_leads_somewhere_or_nowhere() -> None:
    ways = {(state, move): advance(state, move) for state in EnrolmentState for move in Move}
    assert not any(ways[EnrolmentState.ACTIVE, move] for move in Move)
    assert [state for state in EnrolmentState if ways[state, Move.ACTIVATE]] == [EnrolmentState.CHECKED]
    assert {after for after in ways.values() if after} == set(EnrolmentState)


@pytest.mark.requirement("F51", "F53")
def test_all_good_passes_and_nothing_is_no_pass() -> None:
    assert failed(checklist(GOOD, AT)) == ""
    assert failed(()) == "nothing was checked"


@pytest.mark.requirement("F51", "F53", "F65")
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"connected": False}, "not connected"),
        ({"answers": ()}, "heartbeat"),
        ({"answers": (("Heartbeat", "Accepted", 11.0), *YES[1:])}, "11 s"),
        ({"told_vendor": None}, "has not told its vendor"),
        ({"told_serial": "X"}, "serial number is X"),
        ({"profile": 1}, "security profile 1"),
        ({"clock_suspicious": True}, "clock"),
        ({"version": None}, "what it runs"),
        ({"connectors": ()}, "no connector"),
        ({"connectors": ((1, 1, "Faulted"),)}, "1.1 cannot be used"),
        ({"connectors": ((1, 1, "Available"), (2, 1, "Available"))}, "were built in"),
        ({"answers": YES[:2]}, "meter readings"),
        ({"has_model": False}, "ampwave model set"),
        ({"takes_updates": False}, "no firmware updates"),
        ({"wanted_attestations": ("rcd-test",)}, "nobody attested it"),
    ],
)
def test_each_thing_that_is_not_good_is_named(change: dict[str, object], words: str) -> None:
    assert words in failed(checklist(replace(GOOD, **change), AT))  # type: ignore[arg-type]


def test_a_person_vouches_for_what_a_parked_charger_does_not_say_and_takes_it_back() -> None:
    silent = replace(GOOD, connectors=(), answers=YES[:1])
    words = (said("connectors"), said("metering"), said("monitoring"))
    vouched = replace(silent, attestations=words)
    assert failed(checklist(vouched, AT)) == ""
    taken_back = replace(silent, attestations=(*words, said("metering", passed=False)))
    assert "metering" in failed(checklist(taken_back, AT))
    tried = (said("rcd-test", passed=False),)
    asked = replace(GOOD, wanted_attestations=("rcd-test",), attestations=tried)
    assert "ida attested that it failed" in failed(checklist(asked, AT))


SUITE = "TLSv1.3 TLS_AES_256_GCM_SHA384"


@pytest.mark.requirement("F56")
@pytest.mark.parametrize(
    ("tls", "profile", "words"),
    [
        (SUITE, 2, ""),
        ("TLSv1.2 ECDHE-RSA-AES128-GCM-SHA256", 3, ""),
        ("TLSv1.1 AES128-SHA", 2, "it speaks TLSv1.1"),
        (None, 2, "not known"),
        (None, 1, ""),
    ],
)
def test_how_a_connection_is_encrypted_is_a_line_of_the_checklist(
    tls: str | None, profile: int, words: str
) -> None:
    facts = replace(GOOD, profile=profile, wanted_profile=profile, link=LinkTest(tls, None))
    lines = {each.name: each for each in checklist(facts, AT)}
    assert lines["tls"].passed == (not words)
    assert (words or tls or "has none") in lines["tls"].detail
    assert "answered within 0.10 s" in lines["connectivity"].detail


@pytest.mark.requirement("F56")
def test_what_a_server_cannot_see_is_the_installers_word() -> None:
    wanted = ("signal", "ports", "dns", HOST)
    asked = replace(GOOD, wanted_attestations=wanted, link=LinkTest(SUITE, None))
    open_ = {each.name: each.detail for each in checklist(asked, AT) if not each.passed}
    assert list(open_) == [f"attested:{name}" for name in wanted]
    assert "ampwave charger logs" in open_[f"attested:{HOST}"]

    signal = replace(said("signal"), value="-71 dBm")
    told = replace(asked, attestations=(signal, said("ports"), said("dns")))
    assert failed(checklist(told, AT)).startswith(f"attested:{HOST}")
    # A log that came shows that it reaches our host; an installer's word does where it uploads none.
    reached = replace(told, link=LinkTest(SUITE, AT))
    vouched = replace(told, attestations=(*told.attestations, said(HOST)))
    for good in (reached, vouched):
        lines = {each.name: each.detail for each in checklist(good, AT)}
        assert failed(checklist(good, AT)) == ""
        assert lines["attested:signal"] == "passed: ida attested -71 dBm"
    assert (
        "log of it came to our host" in {e.name: e.detail for e in checklist(reached, AT)}[f"attested:{HOST}"]
    )


LATER = AT + timedelta(seconds=1)


@pytest.mark.requirement("F44")
@pytest.mark.parametrize(
    ("link", "words"),
    [
        (LinkFacts(connected=False), "not connected"),
        (LinkFacts(connected=True, since=AT), "has not come back"),
        (LinkFacts(connected=True, since=LATER, credential_settled=False), "passwords"),
        (LinkFacts(connected=True, since=LATER, profile=1), "security profile 1"),
        (LinkFacts(connected=True, since=LATER, profile=0), "what its factory gave it"),
        (LinkFacts(connected=True, since=LATER, profile=2), ""),
    ],
)
def test_only_a_new_connection_with_its_own_credential_is_a_proof(link: LinkFacts, words: str) -> None:
    told = proof_missing(link, 2, AT)
    assert words in told
    assert bool(told) == bool(words)


@pytest.mark.requirement("F44")
@pytest.mark.parametrize(
    ("link", "without"),
    [
        (LinkFacts(connected=True, since=LATER, profile=0), True),
        (LinkFacts(connected=True, since=AT, profile=0), False),
        (LinkFacts(connected=True, since=LATER, profile=2), False),
        (LinkFacts(connected=False, since=LATER, profile=0), False),
    ],
)
def test_who_comes_back_by_its_factorys_key_lost_what_it_was_given(link: LinkFacts, without: bool) -> None:
    assert came_without(link, AT) is without


@given(st.integers(-10, 10**7))
def test_it_is_looked_at_again_soon_and_never_in_the_past(waited: int) -> None:
    again = look_again(AT, AT - timedelta(seconds=waited))
    assert timedelta(seconds=5) <= again - AT <= timedelta(minutes=10)
