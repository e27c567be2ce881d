"""Health hours: the same however the stream is cut, and every signal in the hour it belongs to."""

import itertools
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csms.health_hours import fold
from storage.events import (
    ChargerBooted,
    ClockDriftChanged,
    CommandAnswered,
    CommandSent,
    ConnectionClosed,
    ConnectionOpened,
    ConnectorStatus,
    ConnectorStatusChanged,
    Event,
    FirmwareStatus,
    FirmwareStatusReported,
    FrameRejected,
    HeartbeatReceived,
    StoredEvent,
    TransactionEnded,
    TransactionStarted,
    TransactionUpdated,
)
from storage.findings import ChargerFellSilent
from storage.health import HealthHour, HealthMemory
from storage.health_time import HealthTime
from tests.support.trains import START, Train, meter

BOOT = ChargerBooted("Volt", "V2", "1.0")
FREE = ConnectorStatusChanged(1, 1, ConnectorStatus.AVAILABLE)
FAULT = ConnectorStatusChanged(1, 1, ConnectorStatus.FAULTED)
GONE = ConnectorStatusChanged(1, 1, ConnectorStatus.UNAVAILABLE)


def opened(profile: int = 2) -> ConnectionOpened:
    return ConnectionOpened("ocpp1.6", profile, "10.0.0.1", "n1")


def played(*batches: Sequence[StoredEvent]) -> tuple[dict[datetime, HealthHour], HealthMemory]:
    """Every batch folded with nothing but what the one before left."""
    hours: dict[datetime, HealthHour] = {}
    memories: dict[str, HealthMemory] = {}
    for batch in batches:
        change = fold(memories, batch)
        memories |= change.memories
        for (_, hour), added in change.hours.items():
            hours[hour] = hours.get(hour, HealthHour()).merged(added)
    return hours, memories.get("CP-1", HealthMemory())


def total(train: Train) -> HealthHour:
    sum_ = HealthHour()
    for hour in played(train.events)[0].values():
        sum_ = sum_.merged(hour)
    return sum_


_names = st.sampled_from(["7", "8"])
_events: st.SearchStrategy[Event] = st.one_of(
    st.just(BOOT),
    st.just(HeartbeatReceived()),
    st.builds(opened, st.sampled_from([1, 2])),
    st.just(ConnectionClosed(1006, "")),
    st.sampled_from([FREE, FAULT, GONE]),
    st.builds(TransactionStarted, _names, st.just(1), st.just(1), st.none(), st.floats(0, 100)),
    st.builds(TransactionUpdated, _names, st.just(1), st.sampled_from(["Charging", None])),
    st.builds(meter, _names, st.floats(0, 100)),
    st.builds(TransactionEnded, _names, st.sampled_from(["Local", "Reboot"]), st.floats(0, 100)),
    st.just(CommandSent("TriggerMessage", "m1")),
    st.just(CommandAnswered("TriggerMessage", "m1", "Accepted")),
    st.just(CommandAnswered("UpdateFirmware", "m2", "Accepted")),
    st.just(CommandAnswered("Reset", "m3", "CallError:InternalError")),
    st.just(FirmwareStatusReported(FirmwareStatus.INSTALLING, 1)),
    st.just(FirmwareStatusReported(FirmwareStatus.INSTALLATION_FAILED, 1)),
    st.builds(ClockDriftChanged, st.just(-1000.0), st.booleans()),
    st.just(FrameRejected("FormationViolation", "no JSON")),
    st.just(ChargerFellSilent(150.0)),
)


@st.composite
def _trains(draw: st.DrawFn) -> list[StoredEvent]:
    train, second = Train(), 0.0
    for event in draw(st.lists(_events, max_size=25)):
        second += draw(st.sampled_from([0.0, 1.0, 90.0, 1000.0]))
        train.at(second, event, observed=second - draw(st.sampled_from([0.0, 5.0, 400.0])))
    return train.events


@given(_trains(), st.data())
def test_how_the_stream_is_cut_changes_nothing(events: list[StoredEvent], data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(0, len(events)), max_size=6)) | {0, len(events)})
    parts = [events[start:end] for start, end in itertools.pairwise(cuts)]
    assert played(*parts) == played(events)


@given(_trains(), st.data())
def test_what_was_counted_is_not_counted_again(events: list[StoredEvent], data: st.DataObject) -> None:
    again = data.draw(st.integers(0, len(events)))
    assert played(events, events[:again]) == played(events)


@given(_trains())
def test_every_attempt_has_at_most_one_fate(events: list[StoredEvent]) -> None:
    hours, _ = played(events)
    for hour in hours.values():
        assert hour.attempts_ok + hour.attempts_failed <= hour.attempts


def test_merging_has_no_order() -> None:
    one, other = HealthHour(heard=5, skew_min_s=3.0, boots=1), HealthHour(heard=6, return_max_s=9.0, boots=2)
    assert one.merged(other) == other.merged(one) == HealthHour(7, 3.0, 9.0, boots=3)


@pytest.mark.requirement("F104")
def test_a_minute_counts_as_heard_only_if_the_charger_said_something_in_it() -> None:
    train = Train().at(0, HeartbeatReceived()).at(61, HeartbeatReceived()).at(70, HeartbeatReceived())
    train.at(200, CommandSent("Reset", "m1")).at(300, ChargerFellSilent(180)).at(3600, HeartbeatReceived())
    hours, _ = played(train.events)
    assert [hour.heard for hour in hours.values()] == [0b11, 1]


def test_three_boots_in_a_quarter_of_an_hour_are_a_loop_and_slower_ones_are_not() -> None:
    assert total(Train().at(0, BOOT).at(400, BOOT).at(800, BOOT)).boot_loops == 1
    assert total(Train().at(0, BOOT).at(400, BOOT).at(901, BOOT)).boot_loops == 0
    asked = ChargerBooted("Volt", "V2", "1.0", reason="Triggered")
    assert total(Train().at(0, asked).at(1, asked).at(2, asked)).boots == 0


def test_the_return_after_an_update_is_timed_from_when_it_went_away() -> None:
    train = Train().at(0, CommandAnswered("SignedUpdateFirmware", "m1", "Accepted"))
    train.at(60, FirmwareStatusReported(FirmwareStatus.INSTALLING, 1))
    train.at(90, ConnectionClosed(1006, ""))
    _, memory = played(train.events)
    assert memory.left_at == START + timedelta(seconds=60), "it is away"
    train.at(180, BOOT).at(200, BOOT)
    found = total(train)
    assert (found.updates, found.returns, found.return_max_s) == (1, 1, 120.0)
    refused = Train().at(0, CommandAnswered("UpdateFirmware", "m1", "Rejected")).at(60, BOOT)
    assert (total(refused).updates, total(refused).returns) == (0, 0)


UPDATING = CommandAnswered("UpdateFirmware", "m1", "Accepted", 7)
FAILED = FirmwareStatusReported(FirmwareStatus.DOWNLOAD_FAILED, 7)


def test_an_update_that_failed_is_over_and_excuses_nothing_any_more() -> None:
    train = Train().at(0, FREE).at(1, UPDATING).at(600, FAILED)
    _, memory = played(train.at(700, ConnectionClosed(1006, "")).events)
    assert memory.left_at is None, "it did not go away for an update"
    assert total(train.at(7000, GONE)).went_unavailable == 1


def test_the_failure_of_an_earlier_update_does_not_end_the_one_that_replaced_it() -> None:
    # OCPP 2.0.1 L01.FR.24: the old request may still report its failure.
    other = FirmwareStatusReported(FirmwareStatus.DOWNLOAD_FAILED, 6)
    train = Train().at(0, UPDATING).at(5, other).at(60, ConnectionClosed(1006, ""))
    assert played(train.events)[1].left_at == START + timedelta(seconds=60)
    assert total(train.at(90, BOOT)).return_max_s == 30.0


def test_a_link_that_broke_during_the_download_is_no_absence_once_it_speaks_again() -> None:
    train = Train().at(0, UPDATING).at(60, ConnectionClosed(1006, "")).at(70, opened())
    train.at(75, FirmwareStatusReported(FirmwareStatus.DOWNLOADING, 7))
    assert played(train.events)[1].left_at is None
    train.at(900, ConnectionClosed(1006, "")).at(1000, opened()).at(1001, BOOT)
    assert total(train).return_max_s == 101.0


def test_a_charger_that_speaks_before_its_boot_came_back_when_it_booted() -> None:
    train = Train().at(0, UPDATING).at(600, ConnectionClosed(1006, "")).at(660, opened())
    train.at(661, HeartbeatReceived()).at(670, BOOT)
    assert total(train).return_max_s == 70.0


def test_connectors_that_an_update_left_unavailable_are_a_regression() -> None:
    # EVerest libocpp 1058: unavailable while it installs is right, for good afterwards is not.
    train = Train().at(0, FREE).at(1, UPDATING).at(60, GONE).at(600, FAILED)
    assert total(train).went_unavailable == 0
    train.at(1100, HeartbeatReceived()).at(1300, HeartbeatReceived()).at(1400, HeartbeatReceived())
    assert total(train).went_unavailable == 1
    back = Train().at(0, FREE).at(1, UPDATING).at(60, GONE).at(300, BOOT).at(310, FREE)
    assert total(back.at(9000, HeartbeatReceived())).went_unavailable == 0


def test_an_update_that_nobody_ever_ended_excuses_nothing_two_days_later() -> None:
    train = Train().at(0, FREE).at(1, UPDATING).at(200_000, GONE)
    assert total(train).went_unavailable == 1


def test_a_probe_counts_as_answered_within_ten_seconds() -> None:
    sent, answered = CommandSent("TriggerMessage", "m1"), CommandAnswered("TriggerMessage", "m1", "Rejected")
    quick, slow = Train().at(0, sent).at(9, answered), Train().at(0, sent).at(11, answered)
    assert (total(quick).probes, total(quick).probes_answered) == (1, 1)
    assert (total(slow).probes, total(slow).probes_answered) == (1, 0)


def test_a_connector_regresses_only_from_a_state_in_which_it_could_be_used() -> None:
    assert total(Train().at(0, FREE).at(1, FAULT).at(2, FAULT)).went_faulted == 1
    assert total(Train().at(0, FAULT)).went_faulted == 0
    assert total(Train().at(0, FREE).at(1, GONE)).went_unavailable == 1


def test_a_connector_that_we_took_out_of_service_is_no_regression() -> None:
    ours = CommandAnswered("ChangeAvailability", "m1", "Accepted")
    assert total(Train().at(0, FREE).at(1, ours).at(2, GONE)).went_unavailable == 0
    updating = CommandAnswered("UpdateFirmware", "m1", "Accepted")
    assert total(Train().at(0, FREE).at(1, updating).at(2000, GONE)).went_unavailable == 0


def test_connector_0_that_is_never_told_again_is_no_regression_and_its_next_closing_is_one() -> None:
    """OCPP 1.6: some tell of it at their boot alone, when it is out through us."""
    whole = ConnectorStatusChanged(0, 0, ConnectorStatus.UNAVAILABLE)
    served = ConnectorStatusChanged(0, 0, ConnectorStatus.AVAILABLE)
    back = CommandAnswered("ChangeAvailability", "m2", "Accepted", whole_back=True)
    train = Train().at(0, served).at(1, FREE).at(2, CommandAnswered("UpdateFirmware", "m1", "Accepted"))
    train.at(700, whole).at(701, BOOT).at(710, back).at(711, FREE).at(5000, HeartbeatReceived())
    assert total(train).went_unavailable == 0
    assert total(train.at(6000, whole)).went_unavailable == 1


def test_errors_and_messages_of_one_frame() -> None:
    train = Train().at(0, HeartbeatReceived()).at(0, FREE).at(5, FrameRejected("X", "y"))
    train.at(6, CommandAnswered("Reset", "m", "CallError:InternalError"))
    train.at(7, CommandAnswered("ClearCache", "m", "CallError:NotSupported"))
    found = total(train)
    assert (found.messages, found.errors) == (4, 2), "two facts of one instant are one message"


@pytest.mark.requirement("F102")
def test_the_clock_is_judged_by_the_message_that_was_least_late() -> None:
    train = Train().at(100, FREE, observed=-500).at(110, FREE, observed=75).at(120, HeartbeatReceived())
    assert total(train).skew_min_s == 35.0


@pytest.mark.requirement("F102")
def test_a_clock_too_wrong_to_take_a_time_from_is_wrong_in_every_hour_until_it_is_right() -> None:
    train = Train().at(0, ClockDriftChanged(-31_536_000.0, suspicious=True)).at(4000, FREE)
    train.at(8000, ClockDriftChanged(1.0, suspicious=False)).at(12_000, FREE)
    hours, _ = played(train.events)
    assert [hour.skew_min_s for _, hour in sorted(hours.items())] == [31_536_000.0, 31_536_000.0, 1.0, None]


START_7 = TransactionStarted("7", 1, 1, None, 1000.0)
NO_READING = TransactionStarted("7", 1, 1)


@pytest.mark.parametrize(
    ("train", "fate"),
    [
        (Train().at(0, START_7).at(200, meter("7", 1050)), (1, 1, 0)),
        (Train().at(0, START_7).at(200, TransactionUpdated("7", 1, "Charging")), (1, 1, 0)),
        (Train().at(0, START_7).at(250, meter("7", 1000)).at(400, HeartbeatReceived()), (1, 0, 1)),
        (Train().at(0, START_7).at(1, meter("7", 1000)).at(1300, HeartbeatReceived()), (1, 0, 0)),
        (Train().at(0, START_7).at(1, meter("7", 1000)).at(900, meter("7", 1000)), (1, 0, 1)),
        (Train().at(0, START_7).at(1, meter("7", 1000)).at(900, meter("7", 6000)), (1, 0, 0)),
        (Train().at(0, NO_READING).at(1, meter("7", 1000)).at(1300, HeartbeatReceived()), (1, 0, 0)),
        (Train().at(0, NO_READING).at(250, TransactionEnded("7", "Local", 9000.0)), (1, 0, 0)),
        (Train().at(0, START_7).at(100, TransactionEnded("7", "Local", 1000.0)), (1, 0, 1)),
        (Train().at(0, START_7).at(400, HeartbeatReceived()), (1, 0, 0)),
        (Train().at(0, START_7).at(400, meter("7", 1050)), (1, 0, 0)),
    ],
    ids=[
        "register",
        "state",
        "no-energy",
        "read-once-at-the-start",
        "still-none-later",
        "some-by-then",
        "one-reading-proves-nothing",
        "nor-does-the-last-one",
        "ended-empty",
        "nobody-knows",
        "first-reading-too-late",
    ],
)
def test_a_first_attempt_succeeds_when_energy_flows_in_time(train: Train, fate: tuple[int, int, int]) -> None:
    found = total(train)
    assert (found.attempts, found.attempts_ok, found.attempts_failed) == fate


def test_an_attempt_counts_in_the_hour_of_its_beginning() -> None:
    train = Train().at(3500, START_7).at(3650, meter("7", 1100))
    hours, _ = played(train.events)
    assert [(hour.attempts, hour.attempts_ok) for _, hour in sorted(hours.items())] == [(1, 1), (0, 0)]


def test_stops_that_no_driver_wants_are_told_apart() -> None:
    train = Train().at(0, TransactionEnded("7", "Local")).at(1, TransactionEnded("8", "PowerLoss"))
    assert (total(train).stops, total(train).abnormal_stops) == (2, 1)


def test_the_register_only_counts_up_except_in_what_came_late() -> None:
    assert total(Train().at(0, meter(None, 100)).at(60, meter(None, 50))).meter_backwards == 1
    queued = Train().at(0, meter(None, 100)).at(600, meter(None, 50), observed=-600)
    assert total(queued).meter_backwards == 0


def test_what_was_open_at_a_restart_is_drained_when_its_end_is_told() -> None:
    train = Train().at(0, START_7).at(60, BOOT)
    assert (total(train).open_at_boot, total(train).closed_after_boot) == (1, 0)
    train.at(90, BOOT).at(120, TransactionEnded("7", "Reboot", 1100.0))
    assert (total(train).open_at_boot, total(train).closed_after_boot) == (1, 1)


def test_a_lower_profile_and_silence_are_counted() -> None:
    train = Train().at(0, opened(2)).at(1, opened(1)).at(2, opened(2)).at(9, ChargerFellSilent(150))
    found = total(train)
    assert (found.connects, found.profile_drops, found.silences) == (3, 1, 1)


def test_the_synthetic_charger_has_no_health() -> None:
    assert fold({}, Train("~watchdog.n1").at(0, BOOT).events).hours == {}


def test_shorter_hours_count_the_same_things_apart() -> None:
    """A rehearsal: an hour lasts two seconds, and what it takes for a boot loop is still a quarter of one."""
    train = Train().at(0, BOOT).at(1.5, FREE).at(2, FAULT).at(5, BOOT).at(6, BOOT)
    hours = fold({}, train.events, HealthTime(2)).hours
    by_place = {round((hour - START).total_seconds()): counts for (_, hour), counts in hours.items()}
    assert {place: (one.boots, one.went_faulted, one.boot_loops) for place, one in by_place.items()} == {
        0: (1, 0, 0),
        2: (0, 1, 0),
        4: (1, 0, 0),
        6: (1, 0, 1),
    }
    assert by_place[0].heard == 1 | 1 << 45
