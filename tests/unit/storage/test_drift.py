"""When a charger is not what it said it would be."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.desired import Ack, AckStatus, DesiredSection
from storage.drift import Drift, DriftFacts, DriftState, judge, same, worst
from storage.twin import (
    ConfigurationSection,
    ConnectivitySection,
    FirmwareSection,
    SecuritySection,
    TwinState,
)
from storage.twin_schema import Severity

T0 = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
GRACE = timedelta(minutes=10)
PATH = "configuration.values.A"


def at(minutes: float) -> datetime:
    return T0 + timedelta(minutes=minutes)


def desired(
    value: str = "1", status: AckStatus | None = AckStatus.ACCEPTED, version: int = 5
) -> DesiredSection:
    acks = {PATH: Ack(status, version, T0)} if status else {}
    return DesiredSection("CP-1", "configuration", {"values": {"A": value}}, version, acks)


def facts(
    reported: str | None,
    *known: Drift,
    read: float = 1,
    wanted: DesiredSection | None = None,
    online_since: float | None = 0,
) -> DriftFacts:
    values = {} if reported is None else {"A": reported}
    link = ConnectivitySection(online=online_since is not None, since=at(online_since or 0))
    twin = TwinState("CP-1", 7, configuration=ConfigurationSection(values, at(read)), connectivity=link)
    return DriftFacts(twin, (wanted or desired(),), known, connected=online_since is not None)


def look(given: DriftFacts, minute: float) -> Drift | None:
    drifts = judge(given, GRACE, at(minute)).drifts
    assert len(drifts) <= 1
    return drifts[0] if drifts else None


@pytest.mark.requirement("F14")
def test_a_difference_opens_one_drift_after_the_grace_period_online_and_closes_on_convergence() -> None:
    pending = look(facts("2"), 2)
    assert pending is not None
    assert (pending.state, pending.desired, pending.reported) == (DriftState.PENDING, "1", "2")
    still = look(facts("2", pending), 11)
    assert still is not None
    assert (still.state, still.differing_s) == (DriftState.PENDING, 540)
    opened = look(facts("2", still), 12)
    assert opened is not None
    assert (opened.state, opened.opened_at, opened.first_seen) == (DriftState.OPEN, at(12), at(2))
    assert look(facts("2", opened), 30) is None, "nothing new to say"
    closed = look(facts("1", opened), 31)
    assert closed is not None
    assert (closed.state, closed.closed_at, closed.reason) == (DriftState.CLOSED, at(31), "converged")


@pytest.mark.requirement("F62")
@pytest.mark.parametrize(
    ("name", "wanted", "found"),
    [
        ("ClockCtrlr.NtpServerUri", "ntp.example", "pool.ntp.org"),
        ("ClockCtrlr.TimeSource", "NTP", "Heartbeat"),
        ("NtpServer", "ntp.example", ""),
        ("LoggingCtrlr.Level", "info", "debug"),
        ("LogLevel", "info", "debug"),
    ],
)
def test_the_source_of_time_and_the_log_level_are_watched(name: str, wanted: str, found: str) -> None:
    path = f"configuration.values.{name}"
    section = DesiredSection(
        "CP-1", "configuration", {"values": {name: wanted}}, 5, {path: Ack(AckStatus.ACCEPTED, 5, T0)}
    )
    link = ConnectivitySection(online=True, since=at(0))
    twin = TwinState("CP-1", 7, configuration=ConfigurationSection({name: found}, at(1)), connectivity=link)
    (pending,) = judge(DriftFacts(twin, (section,), (), connected=True), GRACE, at(2)).drifts
    later = DriftFacts(twin, (section,), (replace(pending, differing_s=600.0),), connected=True)
    (opened,) = judge(later, GRACE, at(13)).drifts
    assert (opened.path, opened.state, opened.severity) == (path, DriftState.OPEN, Severity.WARNING)
    assert (opened.desired, opened.reported) == (wanted, found)


@pytest.mark.requirement("F14")
def test_the_clock_stands_while_it_is_offline() -> None:
    pending = look(facts("2"), 2)
    assert pending is not None
    away = look(facts("2", pending, online_since=None), 60)
    assert away is not None
    assert away.differing_s == 0
    # Back for five minutes: only these count.
    back = look(facts("2", away, online_since=115), 120)
    assert back is not None
    assert (back.state, back.differing_s) == (DriftState.PENDING, 300)


@pytest.mark.parametrize("status", [None, AckStatus.IN_PROGRESS, AckStatus.REFUSED, AckStatus.UNSUPPORTED])
@pytest.mark.requirement("F14")
def test_what_was_not_accepted_is_no_drift(status: AckStatus | None) -> None:
    assert look(facts("2", wanted=desired(status=status)), 100) is None
    known = look(facts("2"), 2)
    assert known is not None
    ended = look(facts("2", known, wanted=desired("3", status)), 100)
    assert ended is not None
    assert ended.state is DriftState.CLOSED


def test_what_was_read_before_the_answer_or_never_says_nothing() -> None:
    assert look(facts("2", read=-1), 100) is None
    assert look(facts(None), 100) is None
    never = facts("2")
    assert look(replace(never, twin=replace(never.twin, configuration=None)), 100) is None


def test_a_value_that_is_there_counts_as_accepted_whoever_set_it() -> None:
    verdict = judge(facts("1", wanted=desired(status=AckStatus.REFUSED)), GRACE, at(3))
    assert verdict.drifts == ()
    assert verdict.acks["configuration"][PATH].status is AckStatus.ACCEPTED
    assert judge(facts("1"), GRACE, at(3)).acks == {}


def test_what_is_no_longer_desired_is_over() -> None:
    known = look(facts("2"), 2)
    assert known is not None
    over = look(facts("2", known, wanted=DesiredSection("CP-1", "configuration", {}, 6)), 3)
    assert over is not None
    assert (over.state, over.reason) == (DriftState.CLOSED, "nothing is desired of it any more")


def controlled(section: str, value: dict[str, Any], reported: Any) -> Drift:
    (path,) = (f"{section}.{name}" for name in value)
    wanted = DesiredSection("CP-1", section, value, 3, {path: Ack(AckStatus.ACCEPTED, 3, T0)})
    link = ConnectivitySection(online=True, since=at(0))
    (drift,) = judge(
        DriftFacts(
            TwinState("CP-1", connectivity=link, **{section: reported}), (wanted,), (), connected=True
        ),
        timedelta(0),
        at(5),
    ).drifts
    return drift


@pytest.mark.parametrize(
    ("section", "value", "reported", "words"),
    [
        ("firmware", {"version": "1.0"}, FirmwareSection("9.9", booted_at=at(1)), "nobody rolled out"),
        (
            "security",
            {"profile": 2},
            SecuritySection(profile=1, last_auth_ok_at=at(1)),
            "went down from 2 to 1",
        ),
        ("security", {"profile": 2}, SecuritySection(profile=3, last_auth_ok_at=at(1)), ""),
        ("security", {"roots": ["a"]}, SecuritySection(roots=("a", "b"), roots_at=at(1)), "nobody gave it"),
        ("security", {"roots": ["a", "b"]}, SecuritySection(roots=("a",), roots_at=at(1)), ""),
        (
            "configuration",
            {"values": {"CentralSystemURL": "ours"}},
            ConfigurationSection({"CentralSystemURL": "theirs"}, at(1)),
            "whom it trusts or talks to",
        ),
    ],
)
@pytest.mark.requirement("F15", "F34")
def test_what_looks_like_an_intrusion_says_so_and_is_critical(
    section: str, value: dict[str, Any], reported: Any, words: str
) -> None:
    if section == "configuration":
        path = "configuration.values.CentralSystemURL"
        wanted = DesiredSection("CP-1", section, value, 3, {path: Ack(AckStatus.ACCEPTED, 3, T0)})
        link = ConnectivitySection(online=True, since=at(0))
        twin = TwinState("CP-1", connectivity=link, configuration=reported)
        (drift,) = judge(DriftFacts(twin, (wanted,), (), connected=True), timedelta(0), at(5)).drifts
    else:
        drift = controlled(section, value, reported)
    assert drift.state is DriftState.OPEN
    assert drift.severity is Severity.CRITICAL
    assert words in drift.suspicion
    assert bool(words) == bool(drift.suspicion)
    assert worst([drift]) is Severity.CRITICAL


def test_values_are_compared_as_chargers_spell_them() -> None:
    assert same("true", "True")
    assert not same("a", "A")
    assert same(["a", "b"], ("b", "a"))
    assert not same("1", 1)


LOOKS = st.lists(
    st.tuples(st.sampled_from(["1", "2", None]), st.booleans(), st.floats(0.1, 8)), min_size=1, max_size=30
)


@given(LOOKS)
@pytest.mark.requirement("F14")
def test_whatever_happens_there_is_at_most_one_drift_and_it_opens_only_after_its_grace(
    looks: list[tuple[str | None, bool, float]],
) -> None:
    alive: Drift | None = None
    now, online_since, differing = 1.0, 0.0, 0.0
    for reported, online, step in looks:
        before, now = now, now + step
        if not online:
            online_since = now
        known = (alive,) if alive else ()
        found = look(facts(reported, *known, read=now, online_since=online_since if online else None), now)
        if alive and online:
            differing += (now - max(before, online_since)) * 60
        latest = found or alive
        if (
            latest
            and latest.state is DriftState.OPEN
            and (alive is None or alive.state is DriftState.PENDING)
        ):
            assert differing >= GRACE.total_seconds() - 1e-6
        if reported == "1":
            assert latest is None or latest.state is DriftState.CLOSED
        if latest is None or latest.state is DriftState.CLOSED:
            alive, differing = None, 0.0
        else:
            alive = latest
        if alive is None and reported == "2":
            raise AssertionError("a difference went unseen")
