"""Every health signal at its thresholds, and unknown where nothing could tell."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from storage.health import ChargerSignals, FleetSignals, HealthHour, Watermark
from workflows.health_signals import SignalState, coverage, signals

UNTIL = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
SINCE = UNTIL - timedelta(hours=10)
FLEET = FleetSignals(Watermark(9, UNTIL), SINCE, UNTIL, SINCE - timedelta(days=14), ())
HEARD = ChargerSignals("CP-1", HealthHour(), HealthHour(), 600, 1200, 1, None, 0, baseline_heard_hours=100)
"""It says something every five minutes."""
FINE, BAD, UNKNOWN = SignalState.FINE, SignalState.BAD, SignalState.UNKNOWN


def state(
    name: str, now: dict[str, Any] | None = None, before: dict[str, Any] | None = None, **more: Any
) -> SignalState:
    charger = replace(HEARD, window=HealthHour(**(now or {})), baseline=HealthHour(**(before or {})), **more)
    [found] = [each for each in signals(FLEET, charger) if each.name == name]
    assert found.says
    return found.state


@pytest.mark.requirement("F104")
def test_a_charger_that_was_hardly_heard_is_unknown_and_never_fine() -> None:
    unheard = replace(HEARD, heard_minutes=119, baseline_heard_minutes=0, baseline_heard_hours=0)
    assert {each.state for each in signals(FLEET, unheard)} == {UNKNOWN}
    assert coverage(FLEET, unheard) == pytest.approx(119 / 600)


def test_what_was_told_is_bad_however_little_was_heard() -> None:
    assert state("connector_regression", {"went_faulted": 1}, heard_minutes=1) is BAD


CASES: list[tuple[str, dict[str, Any], SignalState]] = [
    ("return_after_update", {}, UNKNOWN),
    ("return_after_update", {"now": {"return_max_s": 1800.0}}, FINE),
    ("return_after_update", {"now": {"return_max_s": 1801.0}}, BAD),
    ("return_after_update", {"awaiting_return_since": UNTIL - timedelta(minutes=29)}, UNKNOWN),
    ("return_after_update", {"awaiting_return_since": UNTIL - timedelta(minutes=31)}, BAD),
    ("boots", {}, FINE),
    ("boots", {"now": {"boots": 2}}, FINE),
    ("boots", {"now": {"boots": 3}}, BAD),
    ("boots", {"now": {"boots": 3}, "before": {"boots": 20}}, FINE),
    ("boots", {"now": {"boots": 3, "boot_loops": 1}, "before": {"boots": 20}}, BAD),
    ("reconnects", {"most_connects": 3}, FINE),
    ("reconnects", {"most_connects": 4}, BAD),
    ("reconnects", {"most_connects": 4, "before": {"connects": 200}}, FINE),
    ("application_silence", {}, FINE),
    ("application_silence", {"now": {"silences": 1}}, BAD),
    ("application_silence", {"silent": True}, BAD),
    ("probes", {}, UNKNOWN),
    ("probes", {"now": {"probes": 3, "probes_answered": 2}}, FINE),
    ("probes", {"now": {"probes": 3, "probes_answered": 1}}, BAD),
    ("connector_regression", {}, FINE),
    ("connector_regression", {"now": {"went_unavailable": 1}}, BAD),
    ("security_profile", {"now": {"profile_drops": 1}}, BAD),
    ("protocol_errors", {"now": {"messages": 49, "errors": 49}}, UNKNOWN),
    ("protocol_errors", {"now": {"messages": 100, "errors": 1}}, FINE),
    ("protocol_errors", {"now": {"messages": 100, "errors": 2}}, BAD),
    (
        "protocol_errors",
        {"now": {"messages": 100, "errors": 2}, "before": {"messages": 100, "errors": 1}},
        FINE,
    ),
    ("clock", {}, UNKNOWN),
    ("clock", {"now": {"skew_min_s": 30.0}}, FINE),
    ("clock", {"now": {"skew_min_s": 31.0}}, BAD),
    ("first_attempt", {"now": {"attempts": 9, "attempts_ok": 4}}, UNKNOWN),
    ("first_attempt", {"now": {"attempts": 10, "attempts_ok": 7, "attempts_failed": 3}}, FINE),
    ("first_attempt", {"now": {"attempts": 10, "attempts_ok": 6, "attempts_failed": 4}}, BAD),
    ("abnormal_stops", {"now": {"stops": 4, "abnormal_stops": 4}}, UNKNOWN),
    ("abnormal_stops", {"now": {"stops": 10, "abnormal_stops": 3}}, FINE),
    ("abnormal_stops", {"now": {"stops": 10, "abnormal_stops": 4}}, BAD),
    ("ghost", {"before": {"attempts": 1}, "last_session_at": SINCE}, UNKNOWN),
    ("ghost", {"before": {"attempts": 20}, "last_session_at": UNTIL - timedelta(hours=15)}, FINE),
    ("ghost", {"before": {"attempts": 20}, "last_session_at": UNTIL - timedelta(hours=16)}, UNKNOWN),
    (
        "ghost",
        {"before": {"attempts": 20}, "last_session_at": UNTIL - timedelta(hours=16), "peer_attempts": 3},
        BAD,
    ),
    ("meter", {}, FINE),
    ("meter", {"now": {"meter_backwards": 1}}, BAD),
    ("queue_drained", {}, UNKNOWN),
    ("queue_drained", {"now": {"open_at_boot": 2, "closed_after_boot": 2}}, FINE),
    ("queue_drained", {"now": {"open_at_boot": 2, "closed_after_boot": 1}}, BAD),
]


@pytest.mark.requirement("F110")
@pytest.mark.parametrize(("name", "given", "expected"), CASES)
def test_each_signal_at_its_threshold(name: str, given: dict[str, Any], expected: SignalState) -> None:
    assert state(name, **given) is expected


def test_every_signal_has_cases() -> None:
    assert {each.name for each in signals(FLEET, HEARD)} == {name for name, _, _ in CASES}
