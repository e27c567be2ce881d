"""What is known of a charger as a whole once it agreed to be put back into service."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import reduce

import pytest

from activities.facts import out_of_service
from csms.projection import project
from storage.events import CommandAnswered, ConnectorStatus, ConnectorStatusChanged, Event, EventRecord
from storage.twin import OperationSection, TwinState

T0 = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
AVAILABLE, FAULTED = ConnectorStatus.AVAILABLE, ConnectorStatus.FAULTED


def told(event: Event, observed: float, received: float | None = None) -> EventRecord:
    """A fact of minute ``observed`` that came in at minute ``received`` (default: at once)."""
    seen, came = (
        T0 + timedelta(minutes=each) for each in (observed, observed if received is None else received)
    )
    return EventRecord("CP-1", event, seen, came, 1)


def run(*records: EventRecord, twin: TwinState | None = None) -> TwinState:
    return reduce(project, records, twin or TwinState("CP-1"))


def status(word: ConnectorStatus, evse: int = 1, connector: int = 1) -> ConnectorStatusChanged:
    return ConnectorStatusChanged(evse, connector, word)


def operation(twin: TwinState) -> OperationSection:
    assert twin.operation is not None
    return twin.operation


OUT = ConnectorStatus.UNAVAILABLE
BACK = CommandAnswered("ChangeAvailability", "m1", "Accepted", whole_back=True)


@pytest.mark.requirement("X3")
@pytest.mark.parametrize("answer", ["Accepted", "Scheduled"])
def test_a_charger_that_agreed_to_serve_is_not_out_as_a_whole_although_it_never_says_so(answer: str) -> None:
    """Many of 1.6 tell of connectors 1 to n alone when they are put back."""
    drained = run(told(status(OUT, 0, 0), 0), told(status(OUT), 0))
    twin = run(told(replace(BACK, status=answer), 1), told(status(AVAILABLE), 1), twin=drained)
    assert out_of_service(operation(twin)) == ()
    closed = run(told(status(OUT, 0, 0), 1.5), twin=twin)
    assert out_of_service(operation(closed)) == ("0.0",), "its owner closes it: that is news"
    behind = run(told(status(OUT, 0, 0), 0.5, 1.5), twin=twin)
    assert out_of_service(operation(behind)) == ("0.0",), "also where its clock is behind ours"


@pytest.mark.requirement("X3")
@pytest.mark.parametrize(
    "answer",
    [
        replace(BACK, status="Rejected"),
        replace(BACK, status="CallError:InternalError"),
        replace(BACK, whole_back=None),  # it is taken out, or one connector is meant
        CommandAnswered("Reset", "m1", "Accepted"),
    ],
)
def test_nothing_else_puts_a_charger_back(answer: CommandAnswered) -> None:
    drained = run(told(status(OUT, 0, 0), 0), told(status(OUT), 0))
    assert run(told(answer, 1), twin=drained) is drained


def test_an_answer_over_an_earlier_connection_is_older_than_what_it_told_since() -> None:
    closed = run(replace(told(status(OUT, 0, 0), 0), session_epoch=8))
    late = replace(told(BACK, 1), session_epoch=7)
    assert run(late, twin=closed) is closed
    assert out_of_service(operation(run(replace(late, session_epoch=8), twin=closed))) == ()


def test_one_that_agreed_to_serve_is_as_broken_as_it_said() -> None:
    broken = run(told(status(FAULTED, 0, 0), 0), told(status(OUT), 0))
    assert run(told(BACK, 1), twin=broken) is broken, "its connectors have to say themselves that they serve"
    assert run(told(BACK, 1)) == run(), "of one that told nothing nothing is known"
