"""How chargers served: every second is counted once, and as what it was."""

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csms.service_days import fold
from storage.codec import decode, to_json
from storage.events import (
    KIND_OF,
    ChargerBooted,
    CommandAnswered,
    ConnectionClosed,
    ConnectionOpened,
    ConnectorStatus,
    ConnectorStatusChanged,
    FirmwareStatus,
    FirmwareStatusReported,
    HeartbeatReceived,
    MeterSample,
    MeterValuesSampled,
    MonitoredEventReported,
    StoredEvent,
    TransactionEnded,
    TransactionStarted,
)
from storage.findings import ChargerFellSilent, ChargerSpokeAgain
from storage.service import ServiceDay, ServiceMemory

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
OPENED = ConnectionOpened("ocpp2.0.1", 2, "10.0.0.1", "n1")
CLOSED = ConnectionClosed(1006, "")
FREE, FAULTED, OUT = ConnectorStatus.AVAILABLE, ConnectorStatus.FAULTED, ConnectorStatus.UNAVAILABLE
HOUR = 3600.0


def status(word: ConnectorStatus, evse: int = 1) -> ConnectorStatusChanged:
    return ConnectorStatusChanged(evse, 1, word)


def beats(first: int, last: int) -> list[tuple[float, Any]]:
    """Heartbeats every ten minutes, so that nothing is unknown."""
    return [(minute, HeartbeatReceived()) for minute in range(first, last, 10)]


def stored(train: list[tuple[float, Any]]) -> list[StoredEvent]:
    events = []
    for number, (minute, event) in enumerate(sorted(train, key=lambda each: each[0]), start=1):
        at = NOON + timedelta(minutes=minute)
        events.append(StoredEvent(number, "A", KIND_OF[type(event)], to_json(event), at, at))
    return events


@pytest.mark.requirement("F28", "F104")
def test_with_long_heartbeats_an_hour_without_a_word_is_known() -> None:
    train = stored([(0, OPENED), (0, status(FREE)), (60, HeartbeatReceived()), (200, HeartbeatReceived())])
    for minutes, (up_s, unknown_s) in {15: (0, 200 * 60), 90: (HOUR, 140 * 60)}.items():
        total = ServiceDay()
        for day in fold({}, train, timedelta(minutes=minutes)).days.values():
            total = total.merged(day)
        assert (total.up_s, total.unknown_s) == (up_s, unknown_s)


def served(train: list[tuple[float, Any]]) -> ServiceDay:
    total = ServiceDay()
    for day in fold({}, stored(train)).days.values():
        total = total.merged(day)
    return total


def seconds(day: ServiceDay) -> float:
    return day.up_s + day.down_s + day.maintenance_s + day.unknown_s


START: list[tuple[float, Any]] = [(0, OPENED), (0, ChargerBooted("V", "M", "1.0")), (0, status(FREE))]


@pytest.mark.requirement("F28")
def test_up_and_down_are_told_apart_and_a_repair_has_its_length() -> None:
    day = served(
        [*START, *beats(10, 240), (60, status(FAULTED)), (90, status(FREE)), (120, HeartbeatReceived())]
    )
    assert (day.up_s, day.down_s, day.unknown_s) == (230 * 60 - 1800, 1800, 0)
    assert (day.faults, day.repairs, day.repair_s) == (1, 1, 1800)


@pytest.mark.requirement("F28")
def test_of_two_connectors_each_counts_half() -> None:
    day = served([*START, (0, status(FREE, 2)), *beats(10, 130), (60, status(FAULTED, 2)), (120, CLOSED)])
    assert (day.up_s, day.down_s) == (1.5 * HOUR, 0.5 * HOUR)


@pytest.mark.requirement("F114")
def test_an_update_is_maintenance_and_no_failure() -> None:
    day = served(
        [
            *START,
            *beats(10, 60),
            (59, CommandAnswered("UpdateFirmware", "m1", "Accepted", 7)),
            (60, FirmwareStatusReported(FirmwareStatus.INSTALLING, 7)),
            (60, status(OUT)),
            (61, CLOSED),
            (70, OPENED),
            (70, ChargerBooted("V", "M", "1.1")),
            (72, status(FREE)),
            (80, HeartbeatReceived()),
        ]
    )
    assert (day.down_s, day.maintenance_s, day.repairs) == (0, 12 * 60, 0)


@pytest.mark.requirement("F114")
def test_an_update_that_does_not_come_back_in_time_becomes_a_failure() -> None:
    day = served(
        [
            *START,
            (1, CommandAnswered("UpdateFirmware", "m1", "Accepted", 7)),
            (2, FirmwareStatusReported(FirmwareStatus.INSTALLING, 7)),
            (2, CLOSED),
            (92, OPENED),
            (92, ChargerBooted("V", "M", "1.0")),
            (105, HeartbeatReceived()),
            (110, CLOSED),
        ]
    )
    assert (day.maintenance_s, day.down_s) == (30 * 60, 60 * 60)
    assert (day.repairs, day.repair_s) == (1, 60 * 60)


@pytest.mark.requirement("F114")
def test_what_we_took_out_of_service_stays_maintenance_however_long() -> None:
    day = served(
        [
            *START,
            (5, CommandAnswered("ChangeAvailability", "m1", "Accepted")),
            (5, status(OUT)),
            *beats(10, 120),
            (120, status(FREE)),
        ]
    )
    assert (day.down_s, day.maintenance_s, day.repairs) == (0, 115 * 60, 0)


@pytest.mark.requirement("F114")
def test_what_was_put_back_serves_although_it_never_says_so_of_itself_as_a_whole() -> None:
    whole = ConnectorStatusChanged(0, 0, OUT)
    back = CommandAnswered("ChangeAvailability", "m2", "Accepted", whole_back=True)
    drained: list[tuple[float, Any]] = [
        *START,
        (5, CommandAnswered("ChangeAvailability", "m1", "Accepted")),
        (5, whole),
        (5, status(OUT)),
    ]
    day = served([*drained, (20, back), (20, status(FREE)), *beats(25, 120)])
    assert (day.up_s, day.maintenance_s, day.down_s) == (100 * 60, 15 * 60, 0)
    closed = served([*drained, (20, back), (20, status(FREE)), (60, whole), *beats(65, 120)])
    assert closed.down_s == 55 * 60, "its owner closed it"


@pytest.mark.requirement("F28", "F104")
def test_a_live_socket_without_a_word_is_unknown_and_so_is_one_that_told_no_connector() -> None:
    assert served([*START, (60, HeartbeatReceived())]).unknown_s == HOUR
    assert served([(0, OPENED), (10, HeartbeatReceived())]).unknown_s == 600
    silent = served([*START, (5, ChargerFellSilent(300.0)), (65, ChargerSpokeAgain(3600.0))])
    assert (silent.up_s, silent.down_s) == (300, HOUR)


def test_time_falls_into_its_own_day_and_version() -> None:
    train = [*START, *beats(10, 730), (730, ChargerBooted("V", "M", "2.0")), (740, HeartbeatReceived())]
    days = fold({}, stored(train)).days
    found = {(day.isoformat(), version): seconds(each) for (_, day, version), each in days.items()}
    assert found == {
        ("2026-11-20", "1.0"): 12 * HOUR,
        ("2026-11-21", "1.0"): 600,
        ("2026-11-21", "2.0"): 600,
        ("2026-11-20", ""): 0,
    }


@pytest.mark.requirement("F7")
def test_meters_give_latest_values_and_one_sum() -> None:
    def sample(wh: float, *more: MeterSample) -> MeterValuesSampled:
        register = MeterSample("Energy.Active.Import.Register", wh / 1000, "kWh")
        return MeterValuesSampled(1, "T1", (register, *more))

    train = [
        *START,
        (1, TransactionStarted("T1", 1, 1, meter_wh=1000.0)),
        (2, sample(1500.0, MeterSample("Voltage", 231.0, "V", "L1"), MeterSample("Secret", 1.0))),
        (3, TransactionEnded("T1", "Local", 2000.0)),
        (4, sample(100.0)),
        (5, sample(150.0)),
        (6, sample(9e12)),
    ]
    change = fold({}, stored(train))
    metering = change.memories["A"].metering
    assert metering.delivered_wh == 1050.0
    assert sum(day.energy_wh for day in change.days.values()) == 1050.0
    assert (metering.registers["1"].wh, metering.since) == (9e12, NOON + timedelta(minutes=1))
    assert {name: (each.value, each.unit) for name, each in metering.readings.items()} == {
        "1/Voltage/L1": (231.0, "V")
    }
    # One that was queued and is older than the last adds nothing.
    late = replace(stored(train)[-1], sequence=99, observed_at=NOON, body=to_json(sample(5.0)))
    assert fold(change.memories, [late]).memories["A"].metering.registers["1"].wh == 9e12


@pytest.mark.requirement("F7", "F19")
def test_a_register_that_is_too_large_for_a_number_is_no_reading() -> None:
    huge = MeterValuesSampled(1, None, (MeterSample("Energy.Active.Import.Register", 1e306, "kWh"),))
    [kept] = fold({}, stored([*START, (1, huge), (2, HeartbeatReceived())])).memories.values()
    assert kept.metering.registers == {}
    assert decode(ServiceMemory, to_json(kept)) == kept


@pytest.mark.requirement("F7")
def test_a_register_that_drops_out_and_comes_back_delivered_nothing_by_it() -> None:
    def register(minute: float, wh: float) -> tuple[float, Any]:
        return minute, MeterValuesSampled(1, None, (MeterSample("Energy.Active.Import.Register", wh),))

    train = [*START, register(1, 900_000.0), register(2, 0.0), register(3, 900_100.0), register(4, 900_200.0)]
    assert served(train).energy_wh == 100.0
    # The same rise within an hour is what the largest chargers deliver.
    assert served([*START, register(1, 0.0), register(61, 900_000.0)]).energy_wh == 900_000.0


@pytest.mark.requirement("F7", "F102")
def test_meters_of_a_charger_whose_clock_was_put_back_are_read_again_after_a_day() -> None:
    def told(sequence: int, hours: float, wh: float) -> StoredEvent:
        samples = MeterSample("Energy.Active.Import.Register", wh), MeterSample("Voltage", wh, "V")
        body, behind = (
            to_json(MeterValuesSampled(1, None, samples)),
            timedelta(days=30 if sequence > 1 else 0),
        )
        at = NOON + timedelta(hours=hours)
        kind = KIND_OF[MeterValuesSampled]
        return StoredEvent(sequence, "A", kind, body, at - behind, at)

    soon = fold({}, [told(1, 0, 100.0), told(2, 23, 200.0)]).memories
    assert soon["A"].metering.registers["1"].wh == 100.0
    later = fold(soon, [told(3, 25, 300.0)]).memories["A"].metering
    assert (later.registers["1"].wh, later.readings["1/Voltage"].value) == (300.0, 300.0)
    assert later.delivered_wh == 200.0


@pytest.mark.requirement("F94")
def test_temperatures_come_in_any_unit_and_nonsense_is_none() -> None:
    def warm(value: float, unit: str | None) -> MeterValuesSampled:
        return MeterValuesSampled(1, None, (MeterSample("Temperature", value, unit),))

    day = served(
        [
            *START,
            (1, warm(40.0, "Celsius")),
            (2, warm(104.0, "Fahrenheit")),
            (3, warm(313.15, "K")),
            (4, warm(9999.0, "Celsius")),
            (5, warm(40.0, "Bananas")),
            (6, MonitoredEventReported("PowerModule", "Temperature", "55.5", "Alerting")),
            (7, MonitoredEventReported("PowerModule", "Temperature", "hot", "Alerting")),
        ]
    )
    assert (day.temperature_n, day.temperature_max) == (4, 55.5)
    assert day.temperature_sum == pytest.approx(175.5)


EVENTS = st.one_of(
    st.sampled_from(
        [
            OPENED,
            CLOSED,
            HeartbeatReceived(),
            ChargerBooted("V", "M", "1.0"),
            ChargerBooted("V", "M", "2.0"),
            CommandAnswered("UpdateFirmware", "m", "Accepted", 1),
            CommandAnswered("Reset", "m", "Accepted"),
            CommandAnswered("ChangeAvailability", "m", "Accepted"),
            FirmwareStatusReported(FirmwareStatus.INSTALLING, 1),
            FirmwareStatusReported(FirmwareStatus.INSTALLATION_FAILED, 1),
            ChargerFellSilent(1.0),
            TransactionEnded("T1"),
            TransactionStarted("T1", 1, 1),
        ]
    ),
    st.builds(ConnectorStatusChanged, st.integers(0, 2), st.integers(0, 2), st.sampled_from(ConnectorStatus)),
)
TRAINS = st.lists(st.tuples(st.integers(0, 3000), EVENTS), max_size=25)


@pytest.mark.requirement("F28", "F114")
@given(TRAINS, st.integers(1, 5))
def test_every_second_is_counted_once_however_the_stream_is_cut(
    train: list[tuple[float, Any]], size: int
) -> None:
    events = stored(train)
    whole = fold({}, events)
    memories: dict[str, ServiceMemory] = {}
    days: dict[Any, ServiceDay] = {}
    for first in range(0, len(events), size):
        change = fold(memories, events[first : first + size])
        memories = {name: decode(ServiceMemory, to_json(each)) for name, each in change.memories.items()}
        for key, more in change.days.items():
            days[key] = days[key].merged(more) if key in days else more
    assert memories == whole.memories
    assert days.keys() == whole.days.keys()
    for key, day in days.items():
        for each in fields(ServiceDay):
            assert getattr(day, each.name) == pytest.approx(getattr(whole.days[key], each.name))
        assert all((getattr(day, each.name) or 0) >= 0 for each in fields(ServiceDay))
    counted = sum(seconds(day) for day in whole.days.values())
    heard = [each.received_at for each in events]
    assert counted == pytest.approx((heard[-1] - heard[0]).total_seconds() if heard else 0.0)
    # The same events again change nothing.
    assert fold(whole.memories, events).days == {}
