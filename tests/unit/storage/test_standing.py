"""One named state per charger, whatever its target and its campaign are (F120), and by kind (F121)."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from storage.campaign import (
    Campaign,
    CampaignPhase,
    CampaignPlan,
    Outcome,
    Pace,
    Target,
    TargetPhase,
    WavePlan,
)
from storage.charger import ChargerFilter
from storage.standing import (
    CANNOT_GO_BACK,
    NEXT,
    Key,
    OutcomeGroup,
    Standing,
    outcome_rows,
    stand,
    standing_of,
)

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
P, T, S = CampaignPhase, TargetPhase, Standing
PLAN = CampaignPlan(
    "r", "a", ChargerFilter(), (WavePlan("w", 1.0),), pace=Pace(attempt_deadline_seconds=600.0)
)
KEYS = [
    Key(phase, outcome, back, sent)
    for phase, back, sent in product(TargetPhase, (False, True), (False, True))
    for outcome in (Outcome if phase is T.DONE else (None,))
]


def campaign(phase: CampaignPhase) -> Campaign:
    return Campaign("c1", PLAN, "d", phase, "ada", NOW)


def target(key: Key, reason: str = "") -> Target:
    wave = 1000 if key.back else 0
    sent = NOW if key.sent else None
    return Target(
        "c1", wave, 0, "CP", "s", "a", "1", "2", key.phase, key.outcome, reason, 1, 7, dispatched_at=sent
    )


@pytest.mark.requirement("F120")
@pytest.mark.parametrize("phase", CampaignPhase)
def test_every_charger_is_in_one_state_with_a_reason_and_a_next_action(phase: CampaignPhase) -> None:
    seen = set()
    for key in KEYS:
        found = stand(campaign(phase), target(key), {0: NOW + timedelta(hours=1)})
        assert found.reason
        assert found.next_action.endswith((".", "c1"))
        assert (found.deadline is None) is (key.phase is T.DONE or (key.back and not _flies(key)))
        seen.add(found.standing)
    assert seen >= set(S) - {S.LEFT_BEHIND, S.BACK, S.GOING_BACK}


def _flies(key: Key) -> bool:
    return key.sent and key.phase in (T.DISPATCHED, T.CONFIRMING)


@pytest.mark.requirement("F120")
def test_every_state_has_an_action_and_is_reached() -> None:
    assert set(NEXT) == set(S)
    assert {standing_of(key, phase) for key, phase in product(KEYS, P)} == set(S)


@pytest.mark.requirement("F120")
def test_while_a_charger_flies_its_deadline_is_its_attempts_and_else_its_waves() -> None:
    end = NOW + timedelta(days=7)
    flying = stand(campaign(P.RUNNING), target(Key(T.CONFIRMING, None, False, True)), {0: end})
    waiting = stand(campaign(P.RUNNING), target(Key(T.WAITING, None, False, False), "a car"), {0: end})
    planned = stand(campaign(P.RUNNING), target(Key(T.PENDING, None, False, False), "not before 22:00"), {})
    assert (flying.standing, flying.deadline) == (S.UPDATING, NOW + timedelta(seconds=600))
    assert (waiting.standing, waiting.deadline, waiting.reason) == (S.WAITING, end, "a car")
    assert (planned.standing, planned.deadline) == (S.PLANNED, None)
    assert planned.reason == "its wave has not begun; not before 22:00"


@pytest.mark.requirement("F120")
def test_whoever_waits_for_a_person_is_told_for_which_word() -> None:
    waits = target(Key(T.WAITING, None, False, False))
    assert "campaign resume c1" in stand(campaign(P.PAUSED), waits, {}).next_action
    assert "campaign approve c1" in stand(campaign(P.AWAITING_APPROVAL), waits, {}).next_action


@pytest.mark.requirement("F120", "R48")
@pytest.mark.parametrize("phase", [P.ROLLED_BACK, P.FAILED])
def test_what_was_not_taken_back_is_named(phase: CampaignPhase) -> None:
    kept = Key(T.DONE, Outcome.UPDATED, False, True)
    for outcome in set(Outcome) - {Outcome.UPDATED, Outcome.ALREADY_CURRENT}:
        assert standing_of(Key(T.DONE, outcome, True, True), phase) is S.LEFT_BEHIND
    assert standing_of(kept, phase) is S.LEFT_BEHIND
    assert standing_of(kept, P.ABORTED) is S.UPDATED, "nobody asked for it back"
    assert standing_of(Key(T.DONE, Outcome.UPDATED, True, True), phase) is S.BACK
    found = stand(campaign(phase), target(kept), {})
    assert "may run the stopped version" in found.next_action


@pytest.mark.requirement("F120", "R48")
@pytest.mark.parametrize("phase", [P.ROLLED_BACK, P.FAILED])
def test_who_is_connected_and_runs_the_former_version_is_not_left_behind(phase: CampaignPhase) -> None:
    for key in (Key(T.DONE, Outcome.UPDATED, False, True), Key(T.DONE, Outcome.CANCELLED, True, False)):
        found = stand(campaign(phase), target(key, "it booted with 2"), {}, {"CP"})
        assert (found.standing, found.next_action) == (S.BACK, NEXT[S.BACK])
        assert found.reason == "it runs the former version again; of its last attempt: it booted with 2"
        assert stand(campaign(phase), target(key), {}, {"another"}).standing is S.LEFT_BEHIND
    failed = stand(campaign(phase), target(Key(T.DONE, Outcome.FAILED, False, True)), {}, {"CP"})
    assert failed.standing is S.FAILED, "its update failed, wherever it is now"
    updated = stand(campaign(P.COMPLETED), target(Key(T.DONE, Outcome.UPDATED, False, True)), {}, {"CP"})
    assert updated.standing is S.UPDATED


@pytest.mark.requirement("X11")
def test_what_cannot_go_back_is_named_with_what_to_do_instead() -> None:
    kept = stand(campaign(P.FAILED), target(Key(T.DONE, Outcome.SKIPPED, True, False)), {})
    assert (kept.standing, kept.next_action) == (S.LEFT_BEHIND, CANNOT_GO_BACK)
    lost = stand(campaign(P.FAILED), target(Key(T.DONE, Outcome.SILENT, True, True)), {})
    assert lost.next_action == NEXT[S.LEFT_BEHIND]


@pytest.mark.requirement("X11", "F120")
def test_a_canary_that_rehearses_goes_back_and_is_updated_again() -> None:
    done = target(Key(T.DONE, Outcome.UPDATED, False, True))
    told = {
        wave: stand(campaign(P.RUNNING), replace(done, wave=wave), {}).standing
        for wave in (0, 900, 901, 1000)
    }
    assert told == {0: S.UPDATED, 900: S.BACK, 901: S.UPDATED, 1000: S.BACK}


@pytest.mark.requirement("F121")
def test_outcomes_are_told_apart_by_version_vendor_and_model() -> None:
    done, lost = Key(T.DONE, Outcome.UPDATED, False, True), Key(T.DONE, Outcome.SILENT, False, True)
    groups = [
        OutcomeGroup("ocpp1.6", "Acme", "A", done, 5),
        OutcomeGroup("ocpp2.0.1", "Acme", "A", done, 3),
        OutcomeGroup("ocpp1.6", "Acme", "A", lost, 2),
        OutcomeGroup("", "Volt", "V", Key(T.PENDING, None, False, False), 1),
        OutcomeGroup("ocpp1.6", "Acme", "A", Key(T.DONE, Outcome.UPDATED, False, False), 1),
    ]
    rows = outcome_rows(groups, P.RUNNING)
    assert [(row.dialect, row.vendor, row.model, row.chargers, dict(row.by_standing)) for row in rows] == [
        ("", "Volt", "V", 1, {S.PLANNED: 1}),
        ("ocpp1.6", "Acme", "A", 8, {S.UPDATED: 6, S.SILENT: 2}),
        ("ocpp2.0.1", "Acme", "A", 3, {S.UPDATED: 3}),
    ]
