"""Session records: what is told in any order meets in one record, and doubt ends nothing (F81-F89)."""

import itertools
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csms.session_records import fold
from storage.charging import ChargingSession, SessionState, StopCause, stop_cause
from storage.events import (
    ChargerBooted,
    ConnectorStatus,
    ConnectorStatusChanged,
    StoredEvent,
    TransactionEnded,
    TransactionStarted,
    TransactionUpdated,
)
from storage.findings import SessionAbandoned, SessionFinding, SessionQuestioned, SessionStuck
from storage.incident import IncidentChange, IncidentKind
from storage.watching import Sessions
from tests.support.trains import START, Train, meter

BOOT = ChargerBooted("Volt", "V2", "1.0")


def played(train: Train) -> tuple[Sessions, list[IncidentChange]]:
    """Folded one event at a time, as after a crash behind each."""
    sessions: Sessions = {}
    incidents: list[IncidentChange] = []
    for event in train.events:
        change = fold(sessions, [event])
        sessions |= change.sessions
        incidents += change.incidents
    return sessions, incidents


def only(train: Train) -> ChargingSession:
    [session] = played(train)[0].values()
    return session


def started(name: str = "7", evse: int = 1, wh: float | None = 1000.0) -> TransactionStarted:
    return TransactionStarted(name, evse, 1, "hash", wh)


@pytest.mark.requirement("F81")
def test_a_session_is_one_record_from_start_to_end() -> None:
    train = (
        Train()
        .at(0, started())
        .at(60, meter("7", 1500))
        .at(120, TransactionEnded("7", "EVDisconnected", 2000))
    )
    session = only(train)
    assert session.state is SessionState.ENDED
    assert session.started_at == START
    assert session.ended_at == START + timedelta(seconds=120)
    assert (session.evse_id, session.connector_id, session.id_token_hash) == (1, 1, "hash")
    assert (session.meter_start_wh, session.meter_stop_wh, session.energy_wh) == (1000, 2000, 1000)
    assert [cause.what for cause in session.causes] == ["started", "ended: EVDisconnected"]
    assert session.discrepancies == ()


@pytest.mark.requirement("F82")
def test_a_start_and_a_stop_that_are_sent_again_make_no_second_session() -> None:
    # With other times, so that no dedupe key keeps them out.
    train = Train().at(0, started()).at(9, started(), observed=5)
    train.at(60, TransactionEnded("7", "Local", 2000)).at(
        70, TransactionEnded("7", "Local", 2000), observed=65
    )
    session = only(train)
    assert session.state is SessionState.ENDED
    assert session.started_at == START
    assert session.ended_at == START + timedelta(seconds=60)


@pytest.mark.requirement("F83")
@given(st.permutations(range(6)))
def test_stops_race_in_any_order_and_one_ended_session_is_left(order: Sequence[int]) -> None:
    told = [
        (0, started()),
        (10, TransactionUpdated("7", 1, "Charging", 1, 1200.0)),
        (20, meter("7", 1500)),
        (30, TransactionEnded("7", "Remote", 1600.0)),
        (31, TransactionEnded("7", "EVDisconnected", 1600.0)),
        (32, TransactionEnded("7", "PowerLoss", 1600.0)),
    ]
    train = Train()
    for place, number in enumerate(order):
        observed, event = told[number]
        train.at(100 + place, event, observed=observed)
    session = only(train)
    assert session.state is SessionState.ENDED
    assert (session.stop_reason, session.stop_cause) == ("Remote", StopCause.REMOTE), "the earliest"
    assert session.ended_at == START + timedelta(seconds=30)
    assert (session.meter_start_wh, session.meter_stop_wh, session.register_wh) == (1000, 1600, 1500)
    assert session.discrepancies == ()


@pytest.mark.requirement("F83")
def test_what_comes_after_the_end_opens_nothing() -> None:
    # lbbrhzn/ocpp#2135: queued updates resurrected a transaction that had ended.
    train = Train().at(0, started()).at(60, TransactionEnded("7", "Local", 2000))
    train.at(90, TransactionUpdated("7", 1, "Charging", 2), observed=30).at(95, meter("7", 1500), observed=40)
    assert only(train).state is SessionState.ENDED


@pytest.mark.requirement("F83")
def test_an_end_that_waited_in_a_queue_is_not_lost() -> None:
    # citrineos-core#1053: the end of a transaction whose start was never heard came from the queue.
    session = only(Train().at(600, TransactionEnded("7", "PowerLoss", 2000), observed=60))
    assert session.state is SessionState.ENDED
    assert session.started_at is None
    assert session.energy_wh is None


@pytest.mark.requirement("F81")
def test_a_stop_without_identity_is_a_record_of_its_own_and_puts_the_open_one_in_doubt() -> None:
    # libocpp#495: started offline, so its stops say transaction -1, every one of them.
    train = Train().at(0, started("7")).at(60, TransactionEnded("-1", "Local", 2000))
    train.at(120, TransactionEnded("-1", "Local", 2500))
    sessions, _ = played(train)
    assert sessions["CP-1", "7"].state is SessionState.SUSPECT
    assert "does not say of which" in (sessions["CP-1", "7"].doubt or "")
    orphans = [session for (_, name), session in sessions.items() if name.startswith("-1")]
    assert [session.state for session in orphans] == [SessionState.ENDED, SessionState.ENDED]


@pytest.mark.requirement("F85")
def test_a_boot_opens_no_session() -> None:
    assert played(Train().at(0, BOOT))[0] == {}


@pytest.mark.requirement("F85")
def test_a_boot_puts_what_was_open_in_doubt_until_it_is_heard_of_again() -> None:
    # evcc#33909: a stale transaction after a reboot; some go on, some do not.
    train = Train().at(0, started()).at(60, BOOT)
    assert only(train).state is SessionState.SUSPECT
    assert only(train).doubt == "its charger restarted"
    train.at(70, meter("7", 1100), observed=50)
    assert only(train).state is SessionState.SUSPECT, "that reading is from before the boot"
    train.at(90, meter("7", 1200))
    assert only(train).state is SessionState.RECOVERED


@pytest.mark.requirement("F84", "F85")
def test_a_boot_loop_does_not_begin_the_doubt_anew_each_time() -> None:
    train = Train().at(0, started()).at(60, BOOT)
    train.at(70, SessionQuestioned("7", "its charger restarted", SessionFinding.FREE))
    train.at(120, BOOT).at(130, SessionQuestioned("7", "its charger restarted", SessionFinding.FREE))
    train.at(180, BOOT)
    session = only(train)
    assert (session.state, session.asked) == (SessionState.SUSPECT, 2)
    assert session.doubt_since == START + timedelta(seconds=60)
    assert session.asked_at == START + timedelta(seconds=130)
    train.at(190, meter("7", 1100), observed=150)
    assert only(train).state is SessionState.SUSPECT, "that reading is from before the last boot"
    train.at(200, meter("7", 1200))
    session = only(train)
    assert (session.state, session.asked) == (SessionState.RECOVERED, 0)


@pytest.mark.requirement("F85")
def test_a_boot_that_we_asked_for_is_no_restart() -> None:
    train = Train().at(0, started()).at(60, replace(BOOT, reason="Triggered"))
    assert only(train).state is SessionState.OPEN


@pytest.mark.requirement("F85")
def test_a_restart_that_sends_a_new_start_without_a_stop_leaves_the_old_one_in_doubt() -> None:
    # mobilityhouse/ocpp#186.
    train = Train().at(0, started("7")).at(60, BOOT).at(70, started("8"))
    sessions, _ = played(train)
    assert sessions["CP-1", "7"].state is SessionState.SUSPECT
    assert sessions["CP-1", "8"].state is SessionState.OPEN


def test_of_two_on_one_evse_the_older_is_in_doubt_whichever_was_told_first() -> None:
    late = Train().at(100, started("8"), observed=90).at(110, started("7"), observed=0)
    sessions, _ = played(late)
    assert sessions["CP-1", "7"].state is SessionState.SUSPECT
    assert sessions["CP-1", "8"].state is SessionState.OPEN


def test_sessions_on_two_evses_live_side_by_side() -> None:
    sessions, _ = played(Train().at(0, started("7", evse=1)).at(10, started("8", evse=2)))
    assert {session.state for session in sessions.values()} == {SessionState.OPEN}


@pytest.mark.requirement("F84")
def test_a_free_connector_is_remembered_from_when_it_was_first_told() -> None:
    free = ConnectorStatusChanged(1, 1, ConnectorStatus.AVAILABLE)
    train = Train().at(0, started()).at(60, free).at(90, free)
    assert only(train).free_since == START + timedelta(seconds=60)
    train.at(120, ConnectorStatusChanged(1, 1, ConnectorStatus.OCCUPIED))
    assert only(train).free_since is None
    assert only(train).state is SessionState.OPEN


@pytest.mark.requirement("F84")
def test_an_abandoned_session_opens_again_when_it_is_heard_of() -> None:
    train = Train().at(0, started()).at(60, SessionQuestioned("7", "it went quiet", SessionFinding.GONE))
    train.at(61, SessionAbandoned("7", "its charger says that it has no such session"))
    session = only(train)
    assert session.state is SessionState.ABANDONED
    assert session.asked == 1
    assert "no such session" in (session.stop_reason or "")
    train.at(120, meter("7", 1200))
    assert only(train).state is SessionState.RECOVERED
    assert only(train).stop_reason is None


@pytest.mark.requirement("F84")
def test_an_abandonment_that_was_overtaken_by_a_reading_does_not_hold() -> None:
    train = Train().at(0, started()).at(60, meter("7", 1200))
    train.at(61, SessionAbandoned("7", "it was free", as_of=START + timedelta(seconds=59)))
    assert only(train).state is SessionState.OPEN


@pytest.mark.requirement("F84")
def test_a_stuck_session_stays_open_opens_one_incident_and_closes_it_when_it_ends() -> None:
    train = Train().at(0, started()).at(60, SessionStuck("7", "it never answered"))
    train.at(90, SessionStuck("7", "it never answered"))
    sessions, incidents = played(train)
    assert sessions["CP-1", "7"].open
    [incident] = incidents
    assert (incident.kind, incident.subject) == (IncidentKind.SESSION_STUCK, "session/CP-1/7")
    train.at(120, TransactionEnded("7", "Local", 2000))
    assert played(train)[1][-1].close


@pytest.mark.requirement("F87")
@pytest.mark.parametrize(
    ("train", "words"),
    [
        (
            Train().at(0, started()).at(60, meter("7", 1500)).at(70, meter("7", 1400)),
            "went back from 1500 to 1400",
        ),
        (Train().at(0, started()).at(60, meter("7", 900)), "below its start"),
        (
            Train().at(0, started()).at(60, TransactionEnded("7", "Local", 900)),
            "stopped at 900 Wh, below its start",
        ),
        (
            Train().at(0, started()).at(60, meter("7", 5000)).at(70, TransactionEnded("7", "Local", 2000)),
            "after the register had read 5000",
        ),
    ],
    ids=["backwards", "below-start", "stop-below-start", "stop-below-register"],
)
def test_readings_that_contradict_each_other_open_an_incident_at_once(train: Train, words: str) -> None:
    sessions, incidents = played(train)
    [session] = sessions.values()
    assert any(words in sentence for sentence in session.discrepancies)
    assert [incident.kind for incident in incidents] == [IncidentKind.ENERGY_DISCREPANCY]


@pytest.mark.requirement("F87")
def test_readings_that_only_came_late_contradict_nothing() -> None:
    train = Train().at(0, started()).at(60, meter("7", 1500)).at(70, meter("7", 1200), observed=20)
    assert only(train).discrepancies == ()
    assert only(train).register_wh == 1500


@pytest.mark.requirement("F89")
@pytest.mark.parametrize(
    ("reason", "cause"),
    [
        ("Local", StopCause.USER),
        ("EVDisconnected", StopCause.EV),
        ("ImmediateReset", StopCause.CHARGER),
        ("PowerLoss", StopCause.POWER),
        ("Remote", StopCause.REMOTE),
        ("GroundFault", StopCause.ERROR),
        ("Other", StopCause.UNKNOWN),
        (None, StopCause.UNKNOWN),
    ],
)
def test_reasons_are_normalised(reason: str | None, cause: StopCause) -> None:
    assert stop_cause(reason) is cause


@given(st.data())
def test_how_the_train_is_cut_changes_nothing(data: st.DataObject) -> None:
    events: list[StoredEvent] = data.draw(trains).events
    cuts = sorted(data.draw(st.sets(st.integers(0, len(events)), max_size=5)) | {0, len(events)})
    whole = fold({}, events).sessions
    parts: Sessions = {}
    for start, end in itertools.pairwise(cuts):
        parts |= fold(parts, events[start:end]).sessions
    assert parts == whole


@st.composite
def _trains(draw: st.DrawFn) -> Train:
    names = st.sampled_from(["7", "8", "-1"])
    some = st.one_of(
        st.builds(started, names, st.sampled_from([1, 2])),
        st.builds(TransactionUpdated, names, st.sampled_from([1, None])),
        st.builds(meter, names, st.floats(0, 5000)),
        st.builds(TransactionEnded, names, st.sampled_from(["Local", "Reboot"]), st.floats(0, 5000)),
        st.builds(ConnectorStatusChanged, st.just(1), st.just(1), st.sampled_from(ConnectorStatus)),
        st.just(BOOT),
        st.builds(SessionAbandoned, names, st.just("over")),
        st.builds(SessionStuck, names, st.just("nobody knows")),
        st.builds(SessionQuestioned, names, st.just("quiet"), st.sampled_from(SessionFinding)),
    )
    train = Train()
    for place, event in enumerate(draw(st.lists(some, max_size=20))):
        train.at(place * 10, event, observed=place * 10 - draw(st.sampled_from([0, 0, 300])))
    return train


trains = _trains()


@given(trains)
def test_only_an_end_that_was_told_or_a_decision_closes_a_session(train: Train) -> None:
    closing = {event.body.get("transaction_id") for event in train.events if event.kind in _CLOSING}
    for (_, name), session in played(train)[0].items():
        assert session.open or name.partition(":")[0] in closing


_CLOSING = {"transaction_ended", "session_abandoned"}
