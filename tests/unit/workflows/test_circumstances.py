"""What people, other campaigns and calendars say: each rule alone, and which goes first."""

from dataclasses import replace
from datetime import timedelta

import pytest

from activities.circumstances import Circumstances, Risk
from storage.twin import Lifecycle
from storage.upkeep import Before
from tests.unit.workflows.facts import NOW, SITE, charger
from workflows.eligibility import RULES, Readiness, Ready, Skip, WaitUntil, assess

HOUR = timedelta(hours=1)


def around(**changes):
    return replace(charger(around=Circumstances(**changes)), takes=3600.0)


@pytest.mark.requirement("F12", "F60", "F68", "R14", "R21", "R33", "R34", "X12", "X13", "X14")
@pytest.mark.parametrize(
    ("facts", "kind", "part"),
    [
        (around(pin="0.9"), Skip, "pinned to 0.9"),
        (
            around(risk=Risk("1.*", "1.0.5", "loader")),
            Skip,
            "leads over 1.0.5, which it has to run first: loader",
        ),
        (around(risk=Risk("*", None, "B2 loses its network")), Skip, "at risk on the way from 1.0: B2 loses"),
        (around(link_refused="cellular"), Skip, "its link is cellular"),
        (around(metering="FR"), Skip, "not permitted in FR"),
        (around(metering="unknown"), Skip, "a country that nobody told"),
        (around(doubts=("security.tampered", "x")), WaitUntil, "opened or manipulated"),
        (around(doubts=("security.roots",)), WaitUntil, "security.roots (ampwave charger drift)"),
        (around(hold="cabinet open", hold_until=NOW + HOUR), WaitUntil, "on hold: cabinet open"),
        (around(unread=True), WaitUntil, "never read"),
        (around(certificate_ends=NOW + HOUR), WaitUntil, "renew it first"),
        (
            around(downtime_left=1800.0),
            WaitUntil,
            "30 minutes of planned downtime, and an update may take 60",
        ),
        (
            around(downtime_left=1800.0, downtime_frees=NOW + HOUR),
            WaitUntil,
            f"may take 60; enough is free again from {NOW + HOUR:%Y-%m-%d %H:%M} UTC on",
        ),
        (around(downtime_left=60.0, downtime_never=True), WaitUntil, "60, which its floor never allows"),
        (around(rival="spring"), WaitUntil, "campaign spring goes first"),
        (around(veto="UpdateAllowed = false"), WaitUntil, "UpdateAllowed = false"),
        (around(no_room="its site would have 20 of 100 kW left"), WaitUntil, "20 of 100 kW"),
        (
            replace(charger(), site=replace(SITE, closed="its maintenance window is closed")),
            WaitUntil,
            "window",
        ),
    ],
)
def test_each_reason_alone(facts, kind, part) -> None:
    answer = assess(facts, NOW)
    assert isinstance(answer, kind)
    assert part in answer.reason


def test_what_is_over_or_far_away_stands_in_nobodys_way() -> None:
    assert assess(around(hold="x", hold_until=NOW), NOW) == Ready()
    assert assess(around(certificate_ends=NOW + 3 * HOUR), NOW) == Ready()
    assert assess(around(downtime_left=3600.0), NOW) == Ready()
    assert assess(around(downtime_left=0.0, downtime_frees=NOW), NOW) == Ready()
    assert assess(around(pin="1.1"), NOW) == Ready(), "pinned to what it gets"


@pytest.mark.requirement("X4", "R18")
def test_when_it_may_go_on_is_told_where_it_is_known() -> None:
    closed = replace(charger(), site=replace(SITE, closed="x", opens_at=NOW + HOUR))
    assert assess(closed, NOW).when == NOW + HOUR
    assert assess(around(hold="x", hold_until=NOW + HOUR), NOW).when == NOW + HOUR
    assert assess(around(hold="x"), NOW).when is None
    assert assess(around(downtime_left=0.0, downtime_frees=NOW + HOUR), NOW).when == NOW + HOUR
    assert assess(around(downtime_left=0.0, downtime_never=True), NOW).when is None


def test_what_is_final_is_said_before_what_passes() -> None:
    both = around(pin="0.9", hold="x")
    assert isinstance(assess(both, NOW), Skip)
    gone = charger(lifecycle=Lifecycle.RETIRED, around=Circumstances(pin="0.9"))
    assert assess(gone, NOW).reason == "it is retired"
    words = [rule.answer for rule in RULES]
    assert words == sorted(words), "skip before wait"
    assert len({rule.name for rule in RULES}) == len(RULES)


@pytest.mark.requirement("R32")
def test_one_image_comes_after_another_charger_by_charger() -> None:
    def answer(before: Before | None) -> Readiness:
        return assess(charger(around=Circumstances(before=before)), NOW)

    assert answer(None) == Ready()
    waits = answer(Before("c0", None, "session 7 is open"))
    assert isinstance(waits, WaitUntil)
    assert waits.reason == "campaign c0, which comes first, is not through: session 7 is open"
    for before, tells in (
        (Before("c0", "failed", "it reported InstallationFailed"), "ended for it with failed: it reported"),
        (Before("c0", "deferred", "it was offline"), "ended for it with deferred: it was offline"),
        (Before("c0", "updated", "back", taken_back=True), "rolled back"),
        (Before("c0", None, "waiting", taken_back=True), "rolled back"),
        (Before("c0"), "no part in campaign c0"),
    ):
        skipped = answer(before)
        assert isinstance(skipped, Skip)
        assert tells in skipped.reason
        assert not skipped.already_current
        assert not before.proven
    assert Before("c0", "updated", "it booted").proven
    assert Before("c0", "already_current", "it runs it").proven
