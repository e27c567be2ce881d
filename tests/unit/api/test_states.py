"""One word for a charger: silence is unknown, never healthy."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from api.states import ChargerState, charger_state
from storage.charger import STALE_AFTER, SiteLease, stale_after
from storage.events import ConnectorStatus
from storage.ports import ChargerView
from storage.twin import ConnectorState, OpenTransaction, OperationSection
from tests.support.house import NOW, charger_view

LEASE = SiteLease("A", "harbour", "charger/A", "update", NOW + timedelta(minutes=5))


def connectors(*statuses: ConnectorStatus) -> dict[str, ConnectorState]:
    return {f"{n}.1": ConnectorState(n, 1, status, NOW) for n, status in enumerate(statuses, start=1)}


def operating(*statuses: ConnectorStatus, charging: bool = False) -> ChargerView:
    session = {"t": OpenTransaction("t", 1, 1, NOW, NOW)} if charging else {}
    view = charger_view("A")
    return replace(view, twin=replace(view.twin, operation=OperationSection(connectors(*statuses), session)))


def with_twin(**changes: Any) -> ChargerView:
    view = charger_view("A")
    return replace(view, twin=replace(view.twin, **changes))


S, C = ChargerState, ConnectorStatus
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("view", "word"),
    [
        (charger_view("A"), S.AVAILABLE),
        (charger_view("A", online=False), S.OFFLINE),
        (charger_view("A", online=False, maintenance=LEASE), S.MAINTENANCE),
        (charger_view("A", maintenance=replace(LEASE, expires_at=NOW)), S.AVAILABLE),
        (charger_view("A", last_message_at=NOW - STALE_AFTER - timedelta(seconds=1)), S.UNKNOWN),
        (charger_view("A", last_message_at=NOW - HOUR, stale_after=stale_after(3600)), S.AVAILABLE),
        (charger_view("A", last_message_at=NOW - 2 * HOUR, stale_after=stale_after(3600)), S.UNKNOWN),
        (charger_view("A", last_message_at=None), S.UNKNOWN),
        (with_twin(connectivity=None), S.UNKNOWN),
        (with_twin(operation=None), S.UNKNOWN),
        (operating(), S.UNKNOWN),
        (operating(C.AVAILABLE, C.OCCUPIED, charging=True), S.CHARGING),
        (operating(C.AVAILABLE, C.FAULTED, charging=True), S.FAULTED),
        (operating(C.AVAILABLE, C.OCCUPIED), S.OCCUPIED),
        (operating(C.AVAILABLE, C.RESERVED), S.OCCUPIED),
        (operating(C.AVAILABLE, C.UNAVAILABLE), S.AVAILABLE),
        (operating(C.UNAVAILABLE, C.UNAVAILABLE), S.UNAVAILABLE),
    ],
)
@pytest.mark.requirement("F5", "F104")
def test_the_word_for_a_charger(view: ChargerView, word: ChargerState) -> None:
    assert charger_state(view, NOW) is word
