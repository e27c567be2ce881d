"""The pure half of ingest: columns, and what a batch of events does to twins in memory."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.events import (
    NO_SESSION_EPOCH,
    ChargerBooted,
    CommandSent,
    ConnectionClosed,
    ConnectionRefused,
    ConnectorStatus,
    EventRecord,
    FrameRecord,
    HeartbeatReceived,
    TransactionStarted,
)
from storage.postgres.batch import (
    LONGEST_KEY,
    SEPARATOR,
    Batch,
    Known,
    NewEvents,
    json_text,
    last_messages,
    packed,
    short_key,
    summary,
)
from storage.twin import (
    ConnectivitySection,
    ConnectorState,
    FirmwareSection,
    OpenTransaction,
    OperationSection,
    TwinState,
)

AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
BOOT = ChargerBooted("V", "M", "1.0")


def record(event, *, epoch: int = 1, second: int = 0, charger_id: str = "A") -> EventRecord:
    at = AT + timedelta(seconds=second)
    return EventRecord(charger_id, event, at, at, epoch)


def unpacked(column: str) -> list[str]:
    return column.split(SEPARATOR) if column else []


@given(st.lists(st.integers() | st.none() | st.sampled_from(["A", "B*", "x:y"])))
def test_a_packed_column_has_a_place_for_every_value(values) -> None:
    if values in ([], [None]):
        assert packed(values) == ""
    else:
        assert unpacked(packed(values)) == ["" if value is None else str(value) for value in values]


@given(st.text())
def test_json_never_holds_a_separator_nor_what_the_server_refuses(text: str) -> None:
    encoded = json_text({text: [text, {"inner": text}]})
    assert SEPARATOR not in encoded
    assert "\x00" not in encoded
    assert "\\u0000" not in encoded.replace("\\\\", "")


def test_only_nul_is_replaced() -> None:
    assert json_text({"a": "x\x00\x1f\\u0000ü"}) == '{"a":"x\ufffd\\u001f\\\\u0000ü"}'


@given(st.text(max_size=3 * LONGEST_KEY), st.text(max_size=3 * LONGEST_KEY))
def test_keys_stay_apart_however_long(one: str, other: str) -> None:
    first, second = short_key(one), short_key(other)
    assert len(first) <= LONGEST_KEY
    assert (first == second) == (one == other) or "\x00" in one + other
    assert short_key(None) is None


def test_heard_is_what_the_charger_said_over_its_own_socket() -> None:
    frames = [
        FrameRecord("A", 1, "in", AT, ""),
        FrameRecord("B", 1, "out", AT, ""),
        FrameRecord("C", NO_SESSION_EPOCH, "in", AT, ""),
    ]
    events = [
        record(HeartbeatReceived(), second=5, charger_id="A"),
        record(ConnectionClosed(1006, ""), second=9, charger_id="A"),
        record(CommandSent("Reset", "m"), charger_id="D"),
        record(ConnectionRefused("no", "192.0.2.1"), epoch=NO_SESSION_EPOCH, charger_id="E"),
        record(HeartbeatReceived(), second=3, charger_id="F"),
        record(HeartbeatReceived(), second=2, charger_id="F"),
    ]
    assert last_messages(frames, events) == {
        "A": AT + timedelta(seconds=5),
        "F": AT + timedelta(seconds=3),
    }


@pytest.mark.parametrize(
    ("epoch", "event", "counts"),
    [
        (4, BOOT, False),
        (5, BOOT, True),
        (6, BOOT, True),
        (NO_SESSION_EPOCH, ConnectionRefused("no", "x"), True),
        (4, ConnectionRefused("no", "x"), True),
        (4, ConnectionClosed(1006, ""), False),
        (4, TransactionStarted("t1", 1, 1), True),
    ],
)
def test_who_speaks_for_the_charger(epoch, event, counts) -> None:
    batch = Batch({"A": Known(TwinState("A"), session_epoch=5)}, _renamed)
    batch.apply(record(event, epoch=epoch), 1)
    assert bool(batch.history) is counts


def _renamed(twin: TwinState, given: EventRecord) -> TwinState:
    return replace(twin, firmware=FirmwareSection(version=str(given.received_at)))


def test_the_store_counts_revisions_whatever_the_projector_says() -> None:
    def confused(twin: TwinState, given: EventRecord) -> TwinState:
        return replace(_renamed(twin, given), revision=99, charger_id="other")

    known = {"A": Known(TwinState("A", revision=7))}
    batch = Batch(known, confused)
    for second in range(3):
        batch.apply(record(BOOT, second=second), second)
    assert (known["A"].twin.revision, known["A"].twin.charger_id) == (10, "A")
    assert [row[1] for row in batch.history] == [8, 9, 10]


def test_an_equal_section_is_no_change() -> None:
    known = {"A": Known(TwinState("A", firmware=FirmwareSection(version="1")))}
    batch = Batch(known, lambda twin, _: replace(twin, firmware=FirmwareSection(version="1")))
    batch.apply(record(BOOT), 1)
    assert (batch.history, known["A"].twin.revision) == ([], 0)


def test_an_unknown_charger_is_left_alone() -> None:
    batch = Batch({}, _renamed)
    batch.apply(record(BOOT), 1)
    assert (batch.history, batch.signals) == ([], [])


def test_a_changed_section_is_written_once_with_its_last_value() -> None:
    batch = Batch({"A": Known(TwinState("A"))}, _renamed)
    for second in range(3):
        batch.apply(record(BOOT, second=second), second)
    chargers, names, values, versions = map(unpacked, batch.section_columns())
    assert (chargers, names, versions) == (["A"], ["firmware"], ["3"])
    assert str(AT + timedelta(seconds=2)) in values[0]


def test_a_late_boot_over_a_replaced_socket_still_wakes_the_workflow() -> None:
    """Signals are hints and the workflow judges; but a proof must not get lost (R28)."""
    known = Known(TwinState("A"), 5, "n", "b", "charger/A", ("booted",))
    batch = Batch({"A": known}, _renamed)
    batch.apply(record(BOOT, epoch=4), 17)
    assert batch.signals == [("A", "charger/A", 17, "n", "b", 5)]


def test_what_filters_see_of_a_twin() -> None:
    assert summary(TwinState("A")) == (False, False, False, None)
    connectors = {
        "1.1": ConnectorState(1, 1, ConnectorStatus.AVAILABLE, AT),
        "2.1": ConnectorState(2, 1, ConnectorStatus.FAULTED, AT),
    }
    sessions = {"t": OpenTransaction("t", 1, 1, AT, AT)}
    twin = TwinState(
        "A",
        firmware=FirmwareSection(version="1\x00"),
        connectivity=ConnectivitySection(online=True),
        operation=OperationSection(connectors, sessions),
    )
    assert summary(twin) == (True, True, True, "1\ufffd")


def test_new_events_are_a_sequence_of_what_was_new() -> None:
    given = [record(BOOT, second=second) for second in range(3)]
    bodies = [json_text(each.event) for each in given]
    new = NewEvents([(0, 41), (2, 43)], given, bodies)
    assert len(new) == 2
    assert [each.sequence for each in new] == [41, 43]
    assert new[-1].received_at == AT + timedelta(seconds=2)
    assert new[0].body["vendor"] == "V"
    assert list(new[1:]) == [new[1]]
    assert not NewEvents([], given, bodies)


def test_times_of_any_zone_are_packed_unambiguously() -> None:
    elsewhere = AT.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert datetime.fromisoformat(packed([elsewhere])) == AT
