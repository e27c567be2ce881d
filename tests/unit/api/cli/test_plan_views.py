"""A plan in one block, and the steps that a person is offered."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from api.cli.next_steps import gate_holds, next_step
from api.cli.plan_views import plan_fields, wanted
from api.schemas.campaigns import HealthBody, PlanBody

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
IMAGE, BACK = "ab" * 32, "cd" * 32
EVERYTHING = {
    "name": "spring",
    "artifact_id": IMAGE,
    "rollback_artifact_id": BACK,
    "required_approvals": 2,
    "targets": {"vendor": "Acme", "site_id": "harbour", "online": True, "query": "hardware = B2"},
    "waves": [
        {"name": "bench", "charger_ids": ["CP-1", "CP-2"]},
        {"name": "few", "query": "model = X", "count": 5},
        {"name": "canary", "share": 0.2, "soak_seconds": 3600, "min_attempts": 3, "max_failure_share": 0.1},
        {"name": "rest", "share": 0.8, "window": 12, "needs_approval": True},
    ],
    "gate": {"health": "fast", "hold_seconds": 5, "max_looks": 20, "early_stop_failures": 3},
    "pace": {
        "window": 50,
        "ramp": {"start": 1},
        "steady_seconds": 10,
        "download_ahead_seconds": 7200,
        "attempt_deadline_seconds": 180,
        "wave_deadline_seconds": 900,
    },
    "start_at": "2026-12-01T02:00:00+01:00",
    "end_at": "2026-12-24T18:00:00Z",
    "end_behaviour": "roll_back",
    "windows": [{"opens": "22:00", "closes": "05:00", "days": ["mon", "tue"]}],
    "rehearse_rollback": 2,
    "after": "winter-1",
    "priority": 700,
    "max_price": 0.5,
    "links": ["wired"],
    "needs_configuration": True,
    "late_joiners": "follow_up",
    "edges": [{"from_version": "0.*", "via": "1.0", "reason": "its loader"}, {"risk": "hardware = B1"}],
    "one_way_waiver": "ada: the vendor has no other way",
}


def _campaign(plan: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """As the api shows it: with the defaults of its schema."""
    whole = PlanBody.model_validate(plan).model_dump(mode="json")
    waves = [{"wave": 0, "name": "canary", "by_phase": {"done": 6}, "by_outcome": {"updated": 6}}]
    return {"name": "spring", "plan": whole, "phase": "paused", "approvals": [], "waves": waves, **changes}


def test_a_plan_is_shown_whole() -> None:
    item = _campaign(EVERYTHING, ends_at="2026-12-24T18:00:00Z")
    assert dict(plan_fields(item, {IMAGE: "acme/1.2", BACK: "acme/1.1"})) == {
        "Image": "acme/1.2",
        "Way back": "acme/1.1",
        "Targets": "vendor Acme, site harbour, query hardware = B2, online",
        "Waves": "bench 2 named; few 5 of model = X; canary 20 %, soaks 1 h, gate from 3 attempts on, "
        "10 % may fail; rest 80 %, 12 at once, approved by 1",
        "Gate": "health fast; 5 % may fail, from 3 attempts on; 3 failures stop it; a person after 20 looks, "
        "5 s apart",
        "Pace": "50 at once of each 500; 1 at first, times 2 every 5; 2 attempts of 3 min; up for 10 s "
        "before it counts; images up to 2 h ahead; a wave closes after 15 min",
        "Windows": "22:00 to 05:00 mon tue, on each site's clock",
        "Starts": "2026-12-01 01:00Z at the earliest",
        "Ends": "2026-12-24 18:00Z, then updated chargers go back",
        "Besides": "2 of the first wave rehearse the way back; after campaign winter-1; priority 700; no "
        "site with a tariff above 0.5; models that cannot go back are accepted: ada: the vendor has no other "
        "way; only by wired; only where the configuration was read; late joiners: follow up; from 0.* via "
        "1.0 (its loader); from * not where hardware = B1",
    }


@pytest.mark.parametrize(
    "field", sorted(set(PlanBody.model_fields) - {"name", "seed", "required_approvals", "end_at"})
)
def test_every_field_of_a_plan_is_shown(field: str) -> None:
    """Who says yes to exactly this plan has seen all of it; a field that is added later is shown, too."""
    least = {"name": "x", "artifact_id": "ee" * 32, "waves": [{"name": "all", "share": 1.0}]}
    other = PlanBody.model_validate(least).model_dump(mode="json")[field]
    ends = {"ends_at": EVERYTHING["end_at"]}
    whole = plan_fields(_campaign(EVERYTHING, **ends), {})
    assert plan_fields(_campaign({**EVERYTHING, field: other}, **ends), {}) != whole


def test_the_least_plan_says_that_there_is_no_way_back() -> None:
    plan = {"name": "x", "artifact_id": IMAGE, "waves": [{"name": "all", "share": 1.0}]}
    shown = {name: value for name, value in plan_fields(_campaign(plan), {}) if value is not None}
    assert shown["Image"] == IMAGE[:12], "who cannot read the image sees its digest"
    assert shown["Way back"] == "none: if it is stopped, updated chargers stay as they are"
    assert shown["Targets"] == "all chargers"
    assert set(shown) == {"Image", "Way back", "Targets", "Waves", "Gate", "Pace"}


def test_a_policy_that_only_bears_a_known_name_is_told_apart() -> None:
    def shown(health: Any) -> str:
        fields = dict(plan_fields(_campaign({**EVERYTHING, "gate": {"health": health}}), {}))
        return str(fields["Gate"]).partition(";")[0]

    shipped = PlanBody.model_validate({**EVERYTHING, "gate": {"health": "balanced"}}).to_noun().gate.health
    assert shown("balanced") == "health balanced"
    whole = HealthBody.model_validate(shipped).model_dump(mode="json")
    assert shown(whole) == "health balanced"
    for lax in ({"false_stop": 0.001}, {"signals": whole["signals"][:1]}, {"min_hours": 0}):
        assert shown({**whole, **lax}).startswith("health by a policy of its own called 'balanced', with ")


def test_many_named_chargers_are_counted() -> None:
    names = [f"CP-{n}" for n in range(60)]
    plan = {**EVERYTHING, "targets": {"charger_ids": names}}
    assert ("Targets", "CP-0, CP-1, CP-2 and 57 more") in plan_fields(_campaign(plan), {})


@pytest.mark.requirement("R11")
def test_how_many_have_to_say_yes_and_why() -> None:
    waves = [
        {"name": "a", "share": 0.5},
        {"name": "b", "needs_approval": True},
        {"name": "c", "approvals": 3},
    ]
    alone = "before it starts, of people other than its author"
    assert wanted({"required_approvals": 1}) == f"1 {alone}"
    assert wanted({"required_approvals": 3, "rollback_artifact_id": BACK}) == f"3 {alone}"
    back = {"required_approvals": 2, "rollback_artifact_id": BACK, "waves": waves}
    why = "(a way back asks for 2 at least)"
    assert wanted(back) == f"2 {alone} {why}; 1 before wave b; 3 before wave c"


def _held(
    wave: int = 0, verdict: str = "hold", at: str = "2026-11-20T11:00:00Z", **changes: Any
) -> dict[str, Any]:
    return {"wave": wave, "look": 0, "kind": "gate", "verdict": verdict, "decided_at": at, **changes}


def _tally(wave: int, phases: dict[str, int], outcomes: dict[str, int] | None = None) -> dict[str, Any]:
    return {"wave": wave, "name": f"w{wave}", "by_phase": phases, "by_outcome": outcomes or {}}


@pytest.mark.requirement("R13")
def test_a_paused_campaign_offers_to_pass_a_gate_only_where_one_holds() -> None:
    done, todo = _tally(0, {"done": 6}, {"updated": 6}), _tally(1, {"pending": 9})
    item = _campaign(EVERYTHING, waves=[done, todo])
    resume = "ampwave campaign resume spring"
    assert next_step(item, [], NOW) == f"Go on: {resume}"
    assert next_step(item, [_held(verdict="proceed")], NOW) == f"Go on: {resume}"
    later = _held(verdict="proceed", at="2026-11-20T11:00:00.5Z")
    assert next_step(item, [later, _held()], NOW) == f"Go on: {resume}"
    assert next_step(item, [_held(), later], NOW) == f"Go on: {resume}"
    said = next_step(item, [_held()], NOW)
    assert said.splitlines() == [
        f"Have its gate look again: {resume}",
        'Pass the held gate: ampwave campaign proceed spring --reason "..."',
    ]
    assert not gate_holds({**item, "waves": [done, _tally(1, {"pending": 8, "waiting": 1})]}, [_held()])
    assert not gate_holds({**item, "waves": [done, _tally(1, {"done": 9}, {"updated": 9})]}, [_held()])
    assert not gate_holds(item, [_held(kind="rollback")])


def test_one_that_its_end_paused_needs_a_later_end_first() -> None:
    item = _campaign(EVERYTHING, ends_at=(NOW - timedelta(minutes=1)).isoformat())
    first, _ = next_step(item, [_held()], NOW).splitlines()
    assert first.endswith('first: ampwave campaign extend spring --until TIME --reason "..."')
    assert "extend" not in next_step({**item, "ends_at": (NOW + timedelta(hours=1)).isoformat()}, [], NOW)


def test_who_signed_before_is_told_to_sign_again() -> None:
    yes = {"actor": "grace", "evidence": "{}"}
    item = _campaign(EVERYTHING, phase="awaiting_approval", approvals=[yes])
    assert next_step(item, [], NOW) == "Approve it: ampwave campaign approve spring --key file2:you.pem"
    begun = next_step({**item, "approvals": [yes, yes]}, [], NOW)
    assert begun == "Let the next wave begin: ampwave campaign approve spring --key file2:you.pem"
    unsigned = next_step({**item, "approvals": [{"actor": "grace", "evidence": ""}]}, [], NOW)
    assert unsigned.endswith("leave --key out.")


@pytest.mark.parametrize("phase", ["completed", "aborted", "aborting", "failed", "rolled_back"])
def test_nothing_is_offered_where_nothing_can_be_done(phase: str) -> None:
    assert next_step(_campaign(EVERYTHING, phase=phase), [_held()], NOW) == ""
