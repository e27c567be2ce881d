"""What sets a charger aside: each row of the table, and where one charger ends and two begin."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csms.session import SUPERSEDED
from storage.charger import Charger
from storage.events import EventKind, StoredEvent
from storage.quarantine import SIGNALS, Signal, advice, rule_of
from storage.trust import (
    ACCEPTABLE,
    CLONE_TURNS,
    CLONE_WITHIN,
    TAKEN_OVER,
    Acceptance,
    Memory,
    Proved,
    TrustFacts,
    accepted,
    judge,
    remembered,
)
from storage.twin import FirmwareSection, IdentitySection, SecuritySection, TwinState
from storage.twin_schema import Severity

pytestmark = pytest.mark.requirement("F34")
NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
SOUND = TrustFacts(
    Charger("A", "s1", "Volt", "V2", serial_number="SN-1", security_floor=2),
    TwinState(
        "A",
        identity=IdentitySection("Volt", "V2", "SN-1"),
        firmware=FirmwareSection("1.1"),
        security=SecuritySection(profile=2, last_auth_ok_at=NOW, certificate_serial="aa", roots=("r",)),
    ),
    Memory(certificate="aa", roots=("r",)),
    (Proved("1.1", attested=True, finished_at=NOW),),
    serial_owner="A",
)


def told(kind: EventKind, at: datetime = NOW, **body: Any) -> StoredEvent:
    return StoredEvent(7, "A", kind, body, at, at)


def after(*events: StoredEvent) -> TrustFacts:
    memory = SOUND.memory
    for event in events:
        memory = remembered(memory, event)
    return replace(SOUND, memory=memory)


def differs(section: str, **values: Any) -> TrustFacts:
    changed = replace(getattr(SOUND.twin, section), **values)
    return replace(SOUND, twin=replace(SOUND.twin, **{section: changed}))


def turns(count: int, *addresses: str, every: timedelta = timedelta(seconds=20)) -> list[StoredEvent]:
    """So many sockets, each from the next address, each pushing out the one before."""
    events = []
    for turn in range(count):
        at = NOW + turn * every
        events.append(told(EventKind.CONNECTION_OPENED, at, remote_address=addresses[turn % len(addresses)]))
        if turn:
            events.append(told(EventKind.CONNECTION_CLOSED, at, code=TAKEN_OVER, reason="newer"))
    return events


ROWS: dict[Signal, list[tuple[TrustFacts, str]]] = {
    Signal.VERSION: [(differs("firmware", version="6.6"), "firmware.version")],
    Signal.PROFILE: [
        (after(told(EventKind.CONNECTION_REFUSED, reason="too low", profile=1)), "security.profile"),
        (after(told(EventKind.VARIABLES_REPORTED, values={"SecurityProfile": "1"})), "security.profile"),
    ],
    Signal.CERTIFICATE: [(differs("security", certificate_serial="bb"), "security.certificate_serial")],
    Signal.ROOT: [(differs("security", roots=("r", "s")), "security.roots")],
    Signal.TAMPER: [
        (
            after(told(EventKind.SECURITY_EVENT_REPORTED, type="TamperDetectionActivated")),
            "security.tampered",
        )
    ],
    Signal.CLONE: [
        (after(*turns(4, "10.0.0.1", "10.6.6.6")), "security.clone"),
        (replace(SOUND, serial_owner="B"), "identity.serial_number"),
    ],
}
"""The other two rows have their tests where they happen: a desired value, and a person."""


@pytest.mark.parametrize(
    ("signal", "facts", "path"),
    [(signal, facts, path) for signal, rows in ROWS.items() for facts, path in rows],
)
def test_each_row_is_one_critical_doubt_with_a_way_out(signal: Signal, facts: TrustFacts, path: str) -> None:
    (doubt,) = judge(facts)
    assert (doubt.path, doubt.severity) == (path, Severity.CRITICAL)
    assert rule_of(doubt.path).signal is signal
    assert "ampwave" in advice(path, "A")
    assert "{" not in advice(path, "A")


def test_the_table_is_whole() -> None:
    assert {rule.signal for rule in SIGNALS} == set(Signal) == {*ROWS, Signal.BACK_END, Signal.PERSON}
    paths = [path for rule in SIGNALS for path in rule.paths]
    assert len(paths) == len(set(paths))
    assert set(paths) >= ACCEPTABLE, "what a person may accept is in a row"
    assert rule_of("configuration.values.OCPPCommCtrlr.X").signal is Signal.BACK_END
    assert rule_of("anything else").signal is Signal.PERSON


def test_nothing_of_a_charger_that_is_as_recorded_is_in_any_row() -> None:
    assert judge(SOUND) == ()
    assert TAKEN_OVER == SUPERSEDED, "the close code that the node gives"


@pytest.mark.parametrize(
    ("events", "why"),
    [
        (turns(CLONE_TURNS, "a", "b"), "too few"),
        (turns(20, "a"), "one address: its own network loses sockets"),
        (turns(8, *"abcdefgh"), "a mobile network gives it another address each time"),
        (turns(9, "a", "b", every=CLONE_WITHIN * 3 / 4), "a router that changes over now and then"),
        (
            [each for each in turns(9, "a", "b") if each.kind is EventKind.CONNECTION_OPENED],
            "it closed each socket itself before it came back",
        ),
    ],
)
def test_one_charger_on_a_bad_network_is_not_two(events: list[StoredEvent], why: str) -> None:
    assert judge(after(*events)) == (), why


def test_a_clone_that_was_accepted_is_in_doubt_again_once_it_goes_on() -> None:
    facts = after(*turns(4, "a", "b"))
    given_ = Acceptance("A", ("security.clone",), "ada", "two lines of one router", NOW + timedelta(hours=1))
    memory = accepted(facts, given_)
    assert judge(replace(facts, memory=memory)) == ()
    later = [replace(each, received_at=each.received_at + timedelta(hours=2)) for each in turns(6, "a", "b")]
    for event in later:
        memory = remembered(memory, event)
    assert [doubt.path for doubt in judge(replace(facts, memory=memory))] == ["security.clone"]


_EVENTS = st.lists(
    st.tuples(st.booleans(), st.sampled_from("ab"), st.integers(0, 400), st.sampled_from((1000, 1006, 4001)))
)


@given(_EVENTS)
def test_without_pushes_nobody_is_two_and_what_is_remembered_stays_small(events: Any) -> None:
    memory, at = Memory(), NOW
    for opened, address, seconds, code in events:
        at += timedelta(seconds=seconds)
        event = (
            told(EventKind.CONNECTION_OPENED, at, remote_address=address)
            if opened
            else told(EventKind.CONNECTION_CLOSED, at, code=code, reason="")
        )
        memory = remembered(memory, event)
    pushes = sum(not opened and code == TAKEN_OVER for opened, _, _, code in events)
    assert memory.cloned_at is None or pushes >= CLONE_TURNS
    assert len(memory.openings) <= 12
    assert len(memory.pushed_out) <= 12
