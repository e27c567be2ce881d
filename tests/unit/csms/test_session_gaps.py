"""Numbers that never came are on record, and never so many that the rest of the twin suffers."""

import itertools
from datetime import UTC, datetime
from functools import reduce

import pytest

from csms.projection import project
from storage.events import Event, EventRecord, TransactionEnded, TransactionUpdated
from storage.postgres.batch import changed_sections
from storage.twin import TwinState

T0 = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(("evses", "rounds"), [(2, 30), (12, 5)])
def test_a_counter_that_evses_share_cannot_freeze_the_twin(evses: int, rounds: int) -> None:
    """Each session sees every message of the others as a gap; the next start must count all the same."""
    twin, numbers = TwinState("CP-1"), itertools.count(1)
    for round_ in range(rounds):
        names = [f"session-{round_:02d}-{place:02d}-of-one-that-shares" for place in range(evses)]
        told: list[Event] = [
            TransactionUpdated(name, seq_no=next(numbers)) for _ in range(60) for name in names
        ]
        if round_ < rounds - 1:
            told += [TransactionEnded(name, seq_no=next(numbers)) for name in names]
        twin = reduce(project, [EventRecord("CP-1", event, T0, T0, 1) for event in told], twin)
        assert changed_sections(TwinState("CP-1"), twin)[2] == [], "or nothing new would reach the twin"
    assert twin.operation is not None
    assert len(twin.operation.transactions) == evses
