"""What the twin says of a charger's proofs of identity."""

from datetime import UTC, datetime, timedelta
from functools import reduce

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from csms.projection import project
from storage.charger import Charger
from storage.events import ConnectionOpened, EventRecord
from storage.trust import Memory, TrustFacts, judge
from storage.twin import TwinState

T0 = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
quick = settings(max_examples=80)
CERTIFICATE = 3


def at(minutes: float) -> datetime:
    return T0 + timedelta(minutes=minutes)


def told(event: ConnectionOpened, minute: float) -> EventRecord:
    return EventRecord("CP-1", event, at(minute), at(minute), 1)


def run(*records: EventRecord) -> TwinState:
    return reduce(project, records, TwinState("CP-1"))


@pytest.mark.requirement("S61")
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 3), st.integers(0, 3)), min_size=1))
@quick
def test_the_floor_is_the_highest_profile_in_any_order(opened: list[tuple[int, int, int]]) -> None:
    records = [
        told(
            ConnectionOpened(
                "ocpp2.0.1", profile, "10.0.0.1", "node-1", floor, "AB12" if profile == CERTIFICATE else None
            ),
            minute,
        )
        for minute, profile, floor in opened
    ]
    security = run(*records).security
    assert security is not None
    assert security.floor == max(max(profile, floor) for _, profile, floor in opened)


@pytest.mark.requirement("F44", "S61")
def test_what_a_factory_gave_it_is_no_profile_that_a_charger_fell_from() -> None:
    """Zero touch, then a password of its own: a step up, and no reason to set the charger aside."""
    by_factory = ConnectionOpened("ocpp2.0.1", CERTIFICATE, "10.0.0.1", "node-1", 0)
    by_password = ConnectionOpened("ocpp2.0.1", 2, "10.0.0.1", "node-1", 2)
    twin = run(told(by_factory, 1), told(by_password, 2))
    assert twin.security is not None
    assert twin.security.floor == 2
    charger = Charger("CP-1", "s1", "Volt", "V2", serial_number="SN-1", security_floor=2)
    facts = TrustFacts(charger, twin, Memory(), (), serial_owner="CP-1")
    assert [doubt.path for doubt in judge(facts)] == []


def test_the_twin_shows_the_certificate_of_the_latest_connection() -> None:
    with_one = ConnectionOpened("ocpp2.0.1", 3, "10.0.0.1", "node-1", 3, "AB12", at(99), "the list is stale")
    security = run(told(with_one, 1)).security
    assert security is not None
    assert (security.certificate_serial, security.certificate_until) == ("AB12", at(99))
    assert security.caution == "the list is stale"
    without = ConnectionOpened("ocpp2.0.1", 2, "10.0.0.1", "node-1", 2)
    later = run(told(with_one, 1), told(without, 2)).security
    assert later is not None
    assert (later.certificate_serial, later.caution, later.floor) == (None, None, 3)
