from dataclasses import replace

import pytest

from api.demo.report import CampaignLine, Cost, Promises, Report, harmed, unattested, wave_lines

GOOD = CampaignLine("1.1", "completed", (), attested=60, rolled_back=0, harmed=0)
BAD = CampaignLine("1.2", "rolled_back", (), attested=60, rolled_back=4, harmed=6)
REPORT = Report(90.0, 60, (GOOD, BAD), Promises(0, 0, 0, 0, 0), Cost(7.2, 33.0, 3900.0))


def test_a_run_that_kept_every_promise_has_no_failures():
    assert REPORT.failures() == []


@pytest.mark.parametrize(
    "name", ["sessions_cut", "unsigned_sends", "sites_dark", "unattested_successes", "lost_events"]
)
def test_any_broken_promise_fails_the_run_by_name(name):
    broken = replace(REPORT, promises=replace(REPORT.promises, **{name: 1}))
    assert broken.failures() == [f"{name.replace('_', ' ')}: 1, not 0"]


def test_a_bad_release_that_reached_nobody_shows_nothing():
    report = replace(REPORT, campaigns=(GOOD, replace(BAD, harmed=0)))
    assert report.failures() == ["the bad release 1.2 reached no charger, so nothing was shown"]


def test_a_charger_left_on_the_bad_release_fails_the_run():
    report = replace(REPORT, campaigns=(GOOD, replace(BAD, attested=59)))
    assert report.failures() == ["59 of 60 chargers are back on 1.1"]


def test_spending_over_the_budget_fails_the_run():
    assert replace(REPORT, cost=Cost(8.1, 33.0, 3900.0)).failures() == ["actions per charger: 8.1, over 8"]


def test_the_last_look_of_a_gate_is_its_verdict():
    waves = [
        {"wave": 0, "name": "canary", "by_outcome": {"updated": 3, "silent": 1}, "deferred_for_session": 2}
    ]
    looks = [
        {"wave": 0, "verdict": "hold", "reason": "too few"},
        {"wave": 0, "verdict": "proceed", "reason": "fine"},
    ]
    [line] = wave_lines(waves, looks)
    assert (line.verdict, line.reason, line.updated, line.failed, line.deferred) == (
        "proceed",
        "fine",
        3,
        1,
        2,
    )


def test_a_wave_without_a_verdict_says_so():
    [line] = wave_lines([{"wave": 1, "name": "half", "by_outcome": {}, "deferred_for_session": 0}], [])
    assert (line.verdict, line.reason) == ("none", "not reached")


def test_harm_counts_attempts_and_not_those_spared():
    targets = [
        {"charger_id": "a", "outcome": "updated"},
        {"charger_id": "b", "outcome": "failed"},
        {"charger_id": "c", "outcome": "cancelled"},
        {"charger_id": "d", "outcome": None},
    ]
    assert harmed(targets) == 2


def test_success_claimed_for_a_version_never_run_is_found():
    assert unattested({"a": "1.1", "b": "1.1", "c": "1.1"}, {"a": {"1.0", "1.1"}, "b": {"1.0"}}) == 2
