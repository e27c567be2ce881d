"""What a node that hung writes late, of a connection before the one that its charger has now."""

from dataclasses import replace

import pytest

from storage.events import ConnectionOpened, ConnectorStatus
from tests.unit.csms.test_projection import AVAILABLE, FAULTED, OCCUPIED, at, operation, run, status, told


@pytest.mark.requirement("F6", "X3")
def test_what_a_hung_node_writes_late_does_not_replace_a_later_connections_word() -> None:
    """Its clock is an hour ahead, so no report's own time is one that we can compare."""
    words = (ConnectorStatus.UNAVAILABLE, AVAILABLE)
    out, back = (replace(told(status(word), 60 + n, n), session_epoch=7 + n) for n, word in enumerate(words))
    late = replace(out, received_at=at(5))
    assert operation(run(out, back, late)).connectors["1.1"].status is AVAILABLE
    busy = replace(late, event=status(OCCUPIED))
    assert operation(run(out, back, busy)).connectors["1.1"].status is OCCUPIED


@pytest.mark.requirement("F6", "X3")
@pytest.mark.parametrize("last", [ConnectorStatus.UNAVAILABLE, AVAILABLE, FAULTED])
@pytest.mark.parametrize("ahead", [0, 60])
def test_what_a_hung_node_writes_late_ends_at_what_was_said_after_it(
    last: ConnectorStatus, ahead: int
) -> None:
    """Busy for as long as the late words say so; then it is again what the later connection told."""
    opened = replace(told(ConnectionOpened("ocpp1.6", 1, "::1", "n"), 80), session_epoch=7)
    newest = replace(told(status(last), 100 + ahead, 100), session_epoch=7)
    busy, free = (
        replace(told(status(word), minute + ahead, 200 + n), session_epoch=6)
        for n, (word, minute) in enumerate(((OCCUPIED, 70), (AVAILABLE, 75)))
    )
    if last is not FAULTED:
        assert operation(run(opened, newest, busy)).connectors["1.1"].status is OCCUPIED
    ended = operation(run(opened, newest, busy, free)).connectors["1.1"]
    assert (ended.status, ended.session_epoch) == (last, 7)
    live = replace(told(status(OCCUPIED), 300), session_epoch=7)
    assert operation(run(opened, newest, busy, free, live)).connectors["1.1"].status is OCCUPIED
