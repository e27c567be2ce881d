"""Trains of messages in any order, doubled and with losses: the twin is right or says that it does not know.

Both generations speak: every train is built as frames, read by its dialect, and projected.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import reduce
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activities.facts import Sighting, sighting_in
from csms.clocks import believed
from csms.dialect import Reading
from csms.frames import OCPP16, OCPP201
from csms.gateway import DIALECTS
from csms.projection import project
from csms.timestamps import format_instant, parse_instant
from storage.codec import to_json
from storage.events import (
    FIRMWARE_FAILURES,
    ConnectionOpened,
    ConnectorStatus,
    EventRecord,
    FirmwareStatus,
)
from storage.twin import Gap, TwinState, busy_reason
from workflows.attest import Attempt, Finding, judge

T0 = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
BOTH = [OCPP16, OCPP201]
quick = settings(max_examples=120, deadline=None)


def minute(number: float) -> datetime:
    return T0 + timedelta(minutes=number)


@dataclass(frozen=True, slots=True)
class Said:
    """A message as the charger built it at its own minute."""

    at: float
    action: str
    payload: dict[str, Any]
    transaction_id: int | None = None


def records(dialect: str, said: Said, received: float) -> list[EventRecord]:
    """What the node makes of it when it comes in at that minute."""
    reading = Reading(parse_instant, lambda token: f"hash of {token}", said.transaction_id)
    observed = DIALECTS[dialect].to_events(said.action, said.payload, reading)
    return [
        EventRecord(
            "CP-1", each.event, believed(each.at, minute(received), 300), minute(received), 1, each.dedupe_key
        )
        for each in observed
    ]


def arriving(dialect: str, train: Sequence[Said], *, fresh: bool = True) -> TwinState:
    """The twin after this train, one message a second after the last of it was said.

    ``fresh``: the socket has just opened, so all of it may have been queued; else it has been open for long.
    """
    begin = max((said.at for said in train), default=0) + 1
    opened = EventRecord(
        "CP-1",
        ConnectionOpened(dialect, 1, "h", "n"),
        minute(begin),
        minute(begin if fresh else begin - 60),
        1,
    )
    seen: set[str] = set()
    twin = project(TwinState("CP-1"), opened)
    for place, said in enumerate(train):
        for record in records(dialect, said, begin + place / 1000):
            if record.dedupe_key is None or record.dedupe_key not in seen:
                seen.add(record.dedupe_key or "")
                twin = project(twin, record)
    return twin


@st.composite
def disturbed(
    draw: st.DrawFn, train: Sequence[Said], *, keep: Callable[[Said], bool] = lambda _: False
) -> list[Said]:
    """Any order, some of it twice, some of it lost; what ``keep`` names is not lost."""
    copies = [said for said in train for _ in range(draw(st.integers(1 if keep(said) else 0, 2)))]
    return draw(st.permutations(copies))


# A train of statuses.

WORDS = {
    OCPP16: ["Available", "Preparing", "Charging", "Finishing", "Unavailable", "Faulted"],
    OCPP201: ["Available", "Occupied", "Reserved", "Unavailable", "Faulted"],
}
IDLE = {ConnectorStatus.AVAILABLE, ConnectorStatus.UNAVAILABLE}


def status(dialect: str, at: float, word: str) -> Said:
    stamp = format_instant(minute(at))
    if dialect == OCPP16:
        payload = {"connectorId": 1, "errorCode": "NoError", "status": word, "timestamp": stamp}
    else:
        payload = {"evseId": 1, "connectorId": 1, "connectorStatus": word, "timestamp": stamp}
    return Said(at, "StatusNotification", payload)


@st.composite
def status_trains(draw: st.DrawFn) -> tuple[str, list[Said], list[Said]]:
    dialect = draw(st.sampled_from(BOTH))
    words = draw(st.lists(st.sampled_from(WORDS[dialect]), min_size=1, max_size=6))
    train = [status(dialect, at, word) for at, word in enumerate(words)]
    return dialect, train, draw(disturbed(train, keep=lambda said: said is train[-1]))


@quick
@given(status_trains())
@pytest.mark.requirement("F19")
def test_a_status_train_never_frees_a_connector_that_its_last_word_calls_busy(
    trains: tuple[str, list[Said], list[Said]],
) -> None:
    dialect, train, came = trains
    right = arriving(dialect, train).operation
    twin = arriving(dialect, came).operation
    assert right is not None
    assert twin is not None
    truth, told = right.connectors["1.1"].status, twin.connectors["1.1"].status
    assert told is truth or told not in IDLE, "wrong only to the safe side"


@quick
@given(st.sampled_from(BOTH), st.data())
def test_a_live_train_leaves_the_last_word_that_came(dialect: str, data: st.DataObject) -> None:
    words = data.draw(st.lists(st.sampled_from(WORDS[dialect]), min_size=1, max_size=6))
    twin = arriving(dialect, [status(dialect, at, word) for at, word in enumerate(words)], fresh=False)
    same = arriving(dialect, [status(dialect, 0, words[-1])], fresh=False)
    assert twin.operation is not None
    assert same.operation is not None
    assert twin.operation.connectors["1.1"].status is same.operation.connectors["1.1"].status


# A train of a session.


def session(dialect: str, updates: int) -> list[Said]:
    if dialect == OCPP16:
        return _session16(updates)
    parts = ["Started", *["Updated"] * updates, "Ended"]
    return [_event2x(part, number) for number, part in enumerate(parts)]


def _event2x(part: str, number: int) -> Said:
    payload = {
        "eventType": part,
        "timestamp": format_instant(minute(number)),
        "triggerReason": "Trigger",
        "seqNo": number,
        "transactionInfo": {"transactionId": "7"},
        "evse": {"id": 1, "connectorId": 1},
    }
    return Said(number, "TransactionEvent", payload)


def _session16(updates: int) -> list[Said]:
    start = {"connectorId": 1, "idTag": "T", "meterStart": 0, "timestamp": format_instant(T0)}
    value = [{"value": "1"}]
    readings = [
        Said(at, "MeterValues", {"connectorId": 1, "transactionId": 7, "meterValue": [
            {"timestamp": format_instant(minute(at)), "sampledValue": value}]})
        for at in range(1, updates + 1)
    ]  # fmt: skip
    stop = {"transactionId": 7, "meterStop": 9, "timestamp": format_instant(minute(updates + 1))}
    return [Said(0, "StartTransaction", start, 7), *readings, Said(updates + 1, "StopTransaction", stop)]


@st.composite
def sessions(draw: st.DrawFn) -> tuple[str, list[Said], list[Said]]:
    dialect = draw(st.sampled_from(BOTH))
    train = session(dialect, draw(st.integers(0, 4)))
    return dialect, train, draw(disturbed(train))


@quick
@given(sessions())
@pytest.mark.requirement("F19", "F82", "F83")
def test_a_session_is_open_exactly_if_something_of_it_came_and_its_end_did_not(
    trains: tuple[str, list[Said], list[Said]],
) -> None:
    dialect, train, came = trains
    operation = arriving(dialect, came).operation
    ended = train[-1] in came
    open_now = set(operation.transactions) if operation else set()
    assert open_now == ({"7"} if came and not ended else set())


@quick
@given(sessions().filter(lambda trains: trains[0] == OCPP201))
@pytest.mark.requirement("F19")
def test_the_gaps_of_a_session_are_what_did_not_come(trains: tuple[str, list[Said], list[Said]]) -> None:
    dialect, train, came = trains
    operation = arriving(dialect, came).operation
    numbers = {said.payload["seqNo"] for said in came}
    sequence = operation.sequences.get("7") if operation else None
    if not came or numbers == set(range(len(train))):
        assert sequence is None, "nothing came, or all of it did"
        return
    assert sequence is not None
    assert (sequence.first, sequence.last) == (min(numbers), max(numbers))
    assert (sequence.begun, sequence.ended) == (train[0] in came, train[-1] in came)
    missing = {number for gap in sequence.missing for number in range(gap.first, gap.last + 1)}
    assert missing == set(range(min(numbers), max(numbers))) - numbers


def test_a_gap_is_on_record_after_the_end_and_closes_when_the_missing_one_comes() -> None:
    train = session(OCPP201, 3)
    lossy = [train[0], train[1], train[4]]
    operation = arriving(OCPP201, lossy).operation
    assert operation is not None
    assert operation.sequences["7"].missing == (Gap(2, 3),)
    whole = arriving(OCPP201, [*lossy, train[3], train[2]]).operation
    assert whole is not None
    assert whole.sequences == {}


@quick
@given(st.lists(st.integers(-(2**31), 2**31), max_size=300))
def test_a_charger_that_counts_wildly_does_not_make_its_twin_grow(numbers: list[int]) -> None:
    train = [_event2x("Updated", 1) for _ in numbers]
    for said, number in zip(train, numbers, strict=True):
        said.payload["seqNo"] = number
    operation = arriving(OCPP201, train).operation
    assert operation is None or len(operation.sequences["7"].missing) <= 100


@quick
@given(sessions(), st.sampled_from(["Available", "Occupied"]))
def test_an_offline_session_never_overwrites_what_is_newer(
    trains: tuple[str, list[Said], list[Said]], word: str
) -> None:
    """The queue is replayed after the connector told how it stands now."""
    dialect, train, came = trains
    spoken = word if dialect == OCPP201 or word == "Available" else "Charging"
    now = status(dialect, len(train) + 10, spoken)
    operation = arriving(dialect, [now, *came]).operation
    assert operation is not None
    assert operation.connectors["1.1"].status is ConnectorStatus(word)
    for open_session in operation.transactions.values():
        assert open_session.started_at <= minute(len(train)), "it stands where it happened"


@quick
@given(sessions())
@pytest.mark.requirement("X1")
def test_unknown_counts_as_busy_and_an_open_session_too(trains: tuple[str, list[Said], list[Said]]) -> None:
    dialect, train, came = trains
    twin = arriving(dialect, [*came, status(dialect, len(train) + 10, "Available")])
    busy = busy_reason(twin.operation, minute(100))
    assert (busy is None) == (not came or train[-1] in came)
    assert busy_reason(arriving(dialect, came).operation, minute(100)) is not None


# A train of firmware statuses.

STAGES = ["Downloading", "Downloaded", "SignatureVerified", "Installing", "InstallRebooting", "Installed"]
PLAIN = ["Downloading", "Downloaded", "Installing", "Installed"]
ENDS = sorted(each.value for each in FIRMWARE_FAILURES)
REQUEST = 7


@st.composite
def updates(draw: st.DrawFn) -> tuple[str, list[Said], list[Said]]:
    """One update as a charger lived it: (dialect, what it said, what came of it)."""
    dialect = draw(st.sampled_from(BOTH))
    stages = PLAIN if dialect == OCPP16 else STAGES
    failed = draw(st.sampled_from([None, "DownloadFailed", "InstallationFailed"]))
    got_to = draw(st.integers(1, len(stages) - 1))
    words = [*stages[:got_to], failed] if failed else stages
    train = [firmware(dialect, at, word) for at, word in enumerate(words)]
    if not failed or draw(st.booleans()):
        version = "1.0" if failed else draw(st.sampled_from(["2.0", "1.0"]))
        train.append(boot(dialect, len(train), version))
    return dialect, train, draw(disturbed(train))


def firmware(dialect: str, at: float, word: str) -> Said:
    number = {} if dialect == OCPP16 else {"requestId": REQUEST}
    return Said(at, "FirmwareStatusNotification", {"status": word, **number})


def boot(dialect: str, at: float, version: str) -> Said:
    if dialect == OCPP16:
        payload = {"chargePointVendor": "V", "chargePointModel": "M", "firmwareVersion": version}
    else:
        station = {"vendorName": "V", "model": "M", "firmwareVersion": version}
        payload = {"chargingStation": station, "reason": "FirmwareUpdate"}
    return Said(at, "BootNotification", payload)


def sightings(dialect: str, came: Sequence[Said]) -> list[Sighting]:
    """As the workflow gets them: numbered in the order they were stored."""
    stored = [record for said in came for record in records(dialect, said, 100)]
    found = [
        sighting_in(number, record.received_at, record.kind.value, to_json(record.event))
        for number, record in enumerate(stored, start=1)
    ]
    return [each for each in found if each is not None]


@quick
@given(updates())
@pytest.mark.requirement("R28", "F19")
def test_an_update_is_judged_by_what_came_and_never_better_than_it_was(
    trains: tuple[str, list[Said], list[Said]],
) -> None:
    dialect, train, came = trains
    judgement = judge(Attempt("2.0", T0, REQUEST), sightings(dialect, came))
    words = [said.payload.get("status") for said in train]
    proof = any(said.action == "BootNotification" and _version(dialect, said) == "2.0" for said in came)
    if judgement is None:
        assert not proof
        assert not any(said.payload.get("status") in ENDS for said in came)
    elif judgement.finding is Finding.UPDATED:
        assert proof, "nothing but a boot with the version proves it"
    else:
        fell_back = "Installed" in words or "InstallRebooting" in words
        assert any(word in ENDS for word in words) or fell_back, "no failure is invented"


@pytest.mark.parametrize("dialect", BOTH)
@pytest.mark.parametrize("times", [0, 1, 2])
@pytest.mark.requirement("R28")
def test_installed_twice_or_never_changes_nothing(dialect: str, times: int) -> None:
    """Some chargers say Installed twice, some never, some before they restart (ev-server#2305)."""
    words = (PLAIN if dialect == OCPP16 else STAGES)[:-1] + ["Installed"] * times
    train = [firmware(dialect, at, word) for at, word in enumerate(words)]
    assert judge(Attempt("2.0", T0, REQUEST), sightings(dialect, train)) is None
    for version, finding in (("2.0", Finding.UPDATED), ("1.0", Finding.FAILED)):
        came = sightings(dialect, [*train, boot(dialect, 20, version)])
        judgement = judge(Attempt("2.0", T0, REQUEST), came)
        said_that_it_ran = times or dialect == OCPP201
        assert (judgement and judgement.finding) == (
            finding if version == "2.0" or said_that_it_ran else None
        )


def _version(dialect: str, said: Said) -> str:
    version: str = (said.payload if dialect == OCPP16 else said.payload["chargingStation"])["firmwareVersion"]
    return version


@quick
@given(updates(), st.integers(1, 6).filter(lambda number: number != REQUEST))
def test_the_train_of_another_request_decides_nothing(
    trains: tuple[str, list[Said], list[Said]], other: int
) -> None:
    """Request ids are only told in 2.x and by signed updates."""
    _, train, _ = trains
    stray = [firmware(OCPP201, said.at, said.payload["status"]) for said in train if "status" in said.payload]
    for said in stray:
        said.payload["requestId"] = other
    assert judge(Attempt("2.0", T0, REQUEST), sightings(OCPP201, stray)) is None


@quick
@given(updates())
def test_the_twin_keeps_the_last_firmware_status_that_came(
    trains: tuple[str, list[Said], list[Said]],
) -> None:
    dialect, _, came = trains
    words = [said.payload["status"] for said in came if "status" in said.payload]
    versions = [_version(dialect, said) for said in came if said.action == "BootNotification"]
    firmware_now = arriving(dialect, came).firmware
    assert (firmware_now.status if firmware_now else None) == (FirmwareStatus(words[-1]) if words else None)
    assert (firmware_now.version if firmware_now else None) == (versions[-1] if versions else None)


def test_reduce_order_is_the_order_of_arrival() -> None:
    """The helper above projects one by one; a twin that is rebuilt from its events is the same."""
    train = session(OCPP201, 3)
    stored = [record for said in train for record in records(OCPP201, said, 50)]
    rebuilt = reduce(project, stored, TwinState("CP-1"))
    assert rebuilt.operation is not None
    assert rebuilt.operation.ended == ("7",)
