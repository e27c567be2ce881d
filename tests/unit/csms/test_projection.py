from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import reduce

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from csms.projection import project
from storage.events import (
    ChargerBooted,
    ConnectionClosed,
    ConnectionOpened,
    ConnectionRefused,
    ConnectorStatus,
    ConnectorStatusChanged,
    Event,
    EventRecord,
    FirmwareStatus,
    FirmwareStatusReported,
    HeartbeatReceived,
    MeterValuesSampled,
    ReservationChanged,
    SecurityEventReported,
    TransactionEnded,
    TransactionStarted,
    TransactionUpdated,
    VariablesReported,
)
from storage.twin import OperationSection, TwinState, busy_reason

T0 = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
quick = settings(max_examples=80)


def at(minutes: float) -> datetime:
    return T0 + timedelta(minutes=minutes)


def told(event: Event, observed: float, received: float | None = None) -> EventRecord:
    """A fact of minute ``observed`` that came in at minute ``received`` (default: at once)."""
    return EventRecord("CP-1", event, at(observed), at(observed if received is None else received), 1)


def run(*records: EventRecord, twin: TwinState | None = None) -> TwinState:
    return reduce(project, records, twin or TwinState("CP-1"))


def boot(version: str | None = "1.0", reason: str | None = None) -> ChargerBooted:
    return ChargerBooted("V", "M", version, "S", reason)


def status(word: ConnectorStatus, evse: int = 1, connector: int = 1) -> ConnectorStatusChanged:
    return ConnectorStatusChanged(evse, connector, word)


AVAILABLE, OCCUPIED, FAULTED = ConnectorStatus.AVAILABLE, ConnectorStatus.OCCUPIED, ConnectorStatus.FAULTED


def operation(twin: TwinState) -> OperationSection:
    assert twin.operation is not None
    return twin.operation


# Firmware and identity.


@pytest.mark.requirement("F8", "R28")
def test_a_boot_with_another_version_moves_the_old_one_back() -> None:
    twin = run(told(boot("1.0"), 0), told(boot("1.0"), 1), told(boot("1.1"), 2))
    assert twin.firmware is not None
    assert (twin.firmware.version, twin.firmware.previous_version) == ("1.1", "1.0")
    assert twin.firmware.booted_at == at(2)
    assert twin.firmware.boots == (at(0), at(1), at(2))
    assert twin.identity is not None
    assert twin.identity.serial_number == "S"


def test_only_the_latest_ten_boots_are_kept() -> None:
    twin = run(*(told(boot(), minute) for minute in range(15)))
    assert twin.firmware is not None
    assert twin.firmware.boots == tuple(at(minute) for minute in range(5, 15))


def test_a_boot_that_we_asked_for_is_no_restart() -> None:
    twin = run(told(boot(), 0), told(TransactionStarted("t", 1, 1), 1), told(boot(reason="Triggered"), 2))
    assert twin.firmware is not None
    assert twin.firmware.boots == (at(0),)
    assert twin.firmware.booted_at == at(2)
    assert not operation(twin).transactions["t"].suspect


@pytest.mark.requirement("F19")
def test_a_late_firmware_status_does_not_replace_a_newer_one() -> None:
    installed = told(FirmwareStatusReported(FirmwareStatus.INSTALLED, 0), 5)
    late = told(FirmwareStatusReported(FirmwareStatus.DOWNLOADING, 0), 3, received=6)
    twin = run(installed, late)
    assert twin.firmware is not None
    assert (twin.firmware.status, twin.firmware.status_request_id) == (FirmwareStatus.INSTALLED, 0)


# Connectors.


@quick
@given(st.permutations(list(enumerate([AVAILABLE, OCCUPIED, FAULTED, OCCUPIED, AVAILABLE, OCCUPIED]))))
@pytest.mark.requirement("F19", "F6")
def test_statuses_in_any_order_end_at_the_latest(train: list[tuple[int, ConnectorStatus]]) -> None:
    records = [told(status(word), minute, received=10 + place) for place, (minute, word) in enumerate(train)]
    state = operation(run(*records, *records)).connectors["1.1"]
    assert (state.status, state.since) == (OCCUPIED, at(5))


LINKED = told(ConnectionOpened("ocpp1.6", 1, "::1", "n"), -10)


@pytest.mark.requirement("X1", "F6", "F102")
@pytest.mark.parametrize("word", list(ConnectorStatus))
def test_a_live_status_counts_although_the_clock_jumped_back(word: ConnectorStatus) -> None:
    before = AVAILABLE if word is not AVAILABLE else OCCUPIED
    twin = run(LINKED, told(status(before), 0), told(status(word), -60, received=1))
    assert operation(twin).connectors["1.1"].status is word


@pytest.mark.requirement("X1", "F19")
@pytest.mark.parametrize("link", [(), (told(ConnectionOpened("ocpp1.6", 1, "::1", "n"), 0.5),)])
def test_what_may_have_been_queued_makes_no_connector_idle_but_may_make_it_busy(
    link: tuple[EventRecord, ...],
) -> None:
    idle, busy = (run(told(status(word), 0), *link) for word in (AVAILABLE, OCCUPIED))
    late = {word: told(status(word), -60, received=1) for word in ConnectorStatus}
    assert busy_reason(operation(run(late[OCCUPIED], twin=idle)), at(2)) is not None
    assert operation(run(late[FAULTED], twin=idle)).connectors["1.1"].status is FAULTED
    for word in (AVAILABLE, FAULTED, ConnectorStatus.UNAVAILABLE):
        assert run(late[word], twin=busy).operation is busy.operation
    queue_goes_on = run(late[OCCUPIED], told(status(AVAILABLE), -50, received=1.1), twin=idle)
    assert busy_reason(operation(queue_goes_on), at(2)) is None


@quick
@given(st.lists(st.tuples(st.sampled_from(list(ConnectorStatus)), st.integers(-600, 20)), min_size=1))
@pytest.mark.requirement("X1")
def test_the_last_word_of_a_live_charger_counts_whatever_its_clock_does(
    train: list[tuple[ConnectorStatus, int]],
) -> None:
    records = [told(status(word), clock, received=number) for number, (word, clock) in enumerate(train)]
    assert operation(run(LINKED, *records)).connectors["1.1"].status is train[-1][0]


def test_a_time_in_our_future_counts_as_now() -> None:
    ahead = told(status(AVAILABLE), 600, received=1)
    twin = run(ahead, told(status(OCCUPIED), 2))
    assert operation(twin).connectors["1.1"].status is OCCUPIED


def test_unavailable_is_no_fault_and_the_whole_charger_is_no_connector() -> None:
    twin = run(told(status(ConnectorStatus.UNAVAILABLE), 0), told(status(AVAILABLE, 0, 0), 1))
    assert operation(twin).connectors["1.1"].status is ConnectorStatus.UNAVAILABLE
    assert busy_reason(operation(twin), at(2)) is None
    assert busy_reason(run(told(status(AVAILABLE, 0, 0), 1)).operation, at(2)) is not None


@pytest.mark.requirement("F102")
def test_the_clocks_error_is_taken_from_live_changes_only() -> None:
    opened = told(ConnectionOpened("ocpp1.6", 1, "::1", "n"), 0)
    queued = told(status(AVAILABLE), -100, received=0.1)
    twin = run(opened, queued)
    assert twin.connectivity is not None
    assert twin.connectivity.clock_skew_s is None
    twin = run(told(status(OCCUPIED), 9, received=10), twin=twin)
    assert twin.connectivity is not None
    assert twin.connectivity.clock_skew_s == 60.0
    near = told(status(AVAILABLE), 10.0, received=11.01)
    assert run(near, twin=twin).connectivity is twin.connectivity


# Sessions.


@pytest.mark.requirement("F81", "F82", "F83")
@quick
@given(
    st.permutations(
        [
            told(TransactionStarted("t", 1, 1), 0),
            told(TransactionUpdated("t", 1, "Charging"), 1),
            told(TransactionUpdated("t", 1, "SuspendedEV"), 2),
            told(MeterValuesSampled(1, "t"), 3),
            told(TransactionEnded("t", "EVDisconnected"), 4),
            told(TransactionEnded("t", "Remote"), 5),
        ]
    ),
    st.integers(0, 6),
)
def test_a_session_that_ended_is_over_in_any_order_and_with_any_repetition(
    train: list[EventRecord], repeat: int
) -> None:
    twin = run(*train, *train[:repeat])
    assert operation(twin).transactions == {}
    assert operation(twin).ended == ("t",)


@quick
@given(
    st.permutations(
        [
            told(TransactionStarted("t", 1, 1), 0),
            told(TransactionUpdated("t", 1, "Charging"), 1),
            told(TransactionUpdated("t", 1, "SuspendedEV"), 2),
        ]
    )
)
@pytest.mark.requirement("F82")
def test_an_open_session_is_one_session_in_any_order(train: list[EventRecord]) -> None:
    session = operation(run(*train, *train)).transactions["t"]
    assert (session.started_at, session.updated_at) == (at(0), at(2))
    assert (session.evse_id, session.connector_id, session.charging_state) == (1, 1, "SuspendedEV")


def test_a_session_whose_start_was_never_heard_counts() -> None:
    twin = run(told(status(AVAILABLE), 0), told(MeterValuesSampled(1, "t"), 1))
    assert busy_reason(operation(twin), at(2)) == "session t is open on EVSE 1"


def test_samples_cost_a_revision_a_minute_at_most() -> None:
    twin = run(told(TransactionStarted("t", 1, 1), 0))
    assert run(told(MeterValuesSampled(1, "t"), 0.5), twin=twin) is twin
    assert operation(run(told(MeterValuesSampled(1, "t"), 1.5), twin=twin)).transactions[
        "t"
    ].updated_at == at(1.5)


@pytest.mark.requirement("F85")
def test_a_boot_opens_no_session_and_puts_open_ones_in_doubt() -> None:
    assert run(told(boot(), 0)).operation is None
    twin = run(told(status(OCCUPIED), 0), told(TransactionStarted("t", 1, 1), 1), told(boot(), 2))
    assert operation(twin).transactions["t"].suspect
    assert busy_reason(operation(twin), at(3)) is not None


@pytest.mark.requirement("F84", "F85")
def test_a_session_in_doubt_is_over_when_its_connector_is_free_after_the_boot() -> None:
    doubtful = run(
        told(status(AVAILABLE), 0),
        told(status(AVAILABLE, 2), 0),
        told(TransactionStarted("t", 1, 1), 1),
        told(boot(), 2),
    )
    assert "t" in operation(doubtful).transactions, "what was said before the boot proves nothing"
    assert "t" in operation(run(told(status(AVAILABLE, 2), 3), twin=doubtful)).transactions, "another EVSE"
    assert "t" in operation(run(told(status(OCCUPIED), 3), twin=doubtful)).transactions
    over = run(told(status(AVAILABLE), 3), twin=doubtful)
    assert busy_reason(operation(over), at(4)) is None


def test_a_status_queued_from_before_the_session_does_not_end_it() -> None:
    doubtful = run(told(TransactionStarted("t", 1, 1), 10), told(boot(), 12))
    assert "t" in operation(run(told(status(AVAILABLE), 9, received=13), twin=doubtful)).transactions


@pytest.mark.parametrize("place", [0, 1, 2, 3])
def test_a_start_that_was_queued_until_after_the_boot_does_not_block_for_ever(place: int) -> None:
    train = [told(boot(), 12), told(status(AVAILABLE), 12.5), told(HeartbeatReceived(), 13)]
    train.insert(place, told(TransactionStarted("t", 1, 1), 10, received=10 if place == 0 else 14))
    assert busy_reason(run(*train).operation, at(20)) is None


def test_a_session_that_is_heard_of_after_the_boot_was_alive() -> None:
    twin = run(
        told(status(OCCUPIED), 0),
        told(TransactionStarted("t", 1, 1), 1),
        told(boot(), 2),
        told(TransactionUpdated("t", 1, "Charging"), 3),
    )
    assert not operation(twin).transactions["t"].suspect
    freed = run(told(status(AVAILABLE), 4), twin=twin)
    assert "t" in operation(freed).transactions, "only its end ends a session that is alive"


def test_a_resumed_session_counts_again_although_its_connector_was_free_for_a_moment() -> None:
    twin = run(
        told(TransactionStarted("t", 1, 1), 1),
        told(boot(), 2),
        told(status(AVAILABLE), 3),
        told(TransactionUpdated("t", 1, "Charging"), 4),
    )
    assert busy_reason(operation(twin), at(5)) == "session t is open on EVSE 1"


def test_reservations_come_and_go() -> None:
    twin = run(told(ReservationChanged(7, active=True), 0), told(ReservationChanged(7, active=True), 1))
    assert operation(twin).reservations == (7,)
    assert operation(run(told(ReservationChanged(7, active=False), 2), twin=twin)).reservations == ()


# Connection, security, configuration.


@pytest.mark.requirement("F5", "F9", "F39")
def test_connections_and_refusals() -> None:
    opened = ConnectionOpened("ocpp2.0.1", 2, "10.0.0.1", "node-1")
    twin = run(
        told(opened, 0),
        told(ConnectionClosed(1006, ""), 1),
        told(opened, 2),
        told(ConnectionRefused("wrong password", "10.0.0.9"), 3),
    )
    assert twin.connectivity is not None
    assert twin.security is not None
    assert (twin.connectivity.online, twin.connectivity.reconnects, twin.connectivity.since) == (
        True,
        1,
        at(2),
    )
    assert (twin.security.profile, twin.security.auth_failures) == (2, 1)
    assert (twin.security.last_auth_ok_at, twin.security.last_auth_failed_at) == (at(2), at(3))


@pytest.mark.requirement("F95")
def test_tampering_stays_until_somebody_clears_it() -> None:
    late = told(SecurityEventReported("TamperDetectionActivated"), 1, received=9)
    twin = run(told(SecurityEventReported("StartupOfTheDevice"), 5), late)
    assert twin.security is not None
    assert (twin.security.last_event, twin.security.tampered) == ("StartupOfTheDevice", True)


@quick
@given(st.permutations([("A", "1", 1), ("A", "2", 2), ("B", "3", 1), ("A", "4", 3)]))
def test_variables_in_any_order_end_at_the_latest(train: list[tuple[str, str, int]]) -> None:
    twin = run(*(told(VariablesReported({name: value}), minute, received=9) for name, value, minute in train))
    assert twin.configuration is not None
    assert twin.configuration.values == {"A": "4", "B": "3"}
    assert twin.configuration.read_at == at(3)


def test_a_charger_that_invents_things_does_not_grow_its_twin_without_end() -> None:
    twin = run(*(told(status(OCCUPIED, evse), 0) for evse in range(1, 300)))
    twin = run(*(told(TransactionStarted(f"t{number}", 1, 1), 1) for number in range(300)), twin=twin)
    twin = run(told(VariablesReported({str(number): "" for number in range(30_000)}), 2), twin=twin)
    assert len(operation(twin).connectors) == len(operation(twin).transactions) == 200
    assert twin.configuration is None


@pytest.mark.parametrize("event", [HeartbeatReceived(), ConnectionClosed(1000, ""), MeterValuesSampled(1)])
def test_what_changes_nothing_returns_the_very_same_twin(event: Event) -> None:
    twin = run(told(boot(), 0))
    assert project(twin, told(event, 1)) is twin


@quick
@given(st.data())
@pytest.mark.requirement("F21")
def test_replaying_the_same_events_gives_the_same_twin(data: st.DataObject) -> None:
    makers: list[Callable[[int], Event]] = [
        lambda n: boot(f"1.{n % 3}"),
        lambda n: status(list(ConnectorStatus)[n % 5], n % 3),
        lambda n: TransactionStarted(f"t{n % 4}", 1 + n % 2, 1),
        lambda n: TransactionEnded(f"t{n % 4}"),
        lambda n: TransactionUpdated(f"t{n % 4}"),
    ]
    train = [
        told(makers[kind](number), number, received=number + lag)
        for kind, number, lag in data.draw(
            st.lists(st.tuples(st.integers(0, 4), st.integers(0, 30), st.integers(0, 5)), max_size=25)
        )
    ]
    twin = run(*train)
    assert run(*train) == twin
    if twin.operation:
        assert not set(twin.operation.transactions) & set(twin.operation.ended)
