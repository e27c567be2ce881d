from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.artifact import Artifact, ArtifactPhase, Compatible, VendorSignature
from storage.campaign import CampaignPlan, GatePolicy, Pace, WavePlan
from storage.capability import Declared
from storage.charger import Charger, ChargerFilter, ModelProfile, SignatureScheme
from storage.errors import InvalidInput
from storage.health_policy import SignalLimit
from storage.ports import ChargerView
from storage.twin import ConnectivitySection, FirmwareSection, Lifecycle, TwinState
from tests.unit.workflows.facts import NOW
from workflows.draw import Lot, draw, wave_sizes
from workflows.gate import POLICIES
from workflows.plan_rules import Findings, check_proof, detectable_failure_rate, planned_seconds
from workflows.planning import Preview, preview

MODELS = ("VW-11", "VW-22", "VW-50")


def artifact(version: str, counter: int, **changes) -> Artifact:
    made = Artifact(
        artifact_id=version * 8,
        vendor_role="voltworks",
        version=version,
        release_counter=counter,
        length=10,
        compatible=tuple(Compatible("Voltworks", model) for model in MODELS),
        vendor_signatures=(VendorSignature(SignatureScheme.ECDSA_P256, "", ""),),
        phase=ArtifactPhase.RELEASED,
        uploaded_by="ada",
        uploaded_at=NOW,
    )
    return replace(made, **changes)


NEW, OLD = artifact("1.1", 2), artifact("1.0", 1)
PLAN = CampaignPlan(
    name="November",
    artifact_id=NEW.artifact_id,
    targets=ChargerFilter(),
    waves=(WavePlan("canary", 0.1), WavePlan("rest", 0.9)),
    rollback_artifact_id=OLD.artifact_id,
)


def view(
    name: str, *, model: str = "VW-22", site: str = "s1", version: str | None = "1.0", **changes
) -> ChargerView:
    charger = Charger(name, site, "Voltworks", model, Lifecycle.ACTIVE)
    twin = TwinState(
        name, firmware=FirmwareSection(version=version), connectivity=ConnectivitySection(online=True)
    )
    return ChargerView(replace(charger, **changes), twin)


def fleet(count: int) -> list[ChargerView]:
    return [view(f"CP{n:03d}", model=MODELS[n % 3], site=f"s{n % 7}") for n in range(count)]


def look(plan: CampaignPlan = PLAN, views=None, new=NEW, old=OLD, **options) -> Preview:
    return preview(plan, fleet(60) if views is None else views, new, old, NOW, **options)


@pytest.mark.requirement("R1", "R15")
def test_the_exact_targets_are_known_before_anything_starts() -> None:
    found = look()
    assert found.problems == ()
    assert [len(wave) for wave in found.waves] == [6, 54]
    assert found.cohort_size == 60
    first = found.waves[0][0]
    assert (first.wave, first.ordinal, first.from_version, first.to_version) == (0, 0, "1.0", "1.1")
    assert {target.charger_id for wave in found.waves for target in wave} == {f"CP{n:03d}" for n in range(60)}


@pytest.mark.requirement("R6")
def test_the_draw_follows_from_the_seed_and_nothing_else() -> None:
    assert look() == look(views=list(reversed(fleet(60))))
    assert look().waves != look(replace(PLAN, seed=1)).waves
    assert look().plan_digest != look(replace(PLAN, seed=1)).plan_digest


@pytest.mark.requirement("R15")
def test_who_is_left_out_and_why() -> None:
    odd = [
        view("CPa", version="1.1"),
        view("CPb", version=None),
        view("CPc", model="other"),
        view("CPd", lifecycle=Lifecycle.QUARANTINED),
        view("CPe", version="9.9"),
    ]
    found = look(views=[*fleet(20), *odd], released={"9.9": 9, "1.0": 1})
    reasons = {exclusion.charger_id: exclusion.reason for exclusion in found.exclusions}
    assert set(reasons) == {"CPa", "CPb", "CPc", "CPd", "CPe"}
    assert "already" in reasons["CPa"]
    assert "later release" in reasons["CPe"]
    assert found.cohort_size == 20


def test_signature_schemes_count_where_the_models_are_known() -> None:
    profile = ModelProfile("Voltworks", "VW-22", SignatureScheme.RSA_PSS)
    found = look(models={("Voltworks", "VW-22"): profile})
    assert {exclusion.reason for exclusion in found.exclusions} == {
        "the artifact carries no rsa-pss-sha256 signature, which its model needs"
    }


@pytest.mark.requirement("X11")
def test_a_rehearsal_needs_a_way_back_and_somebody_after_it() -> None:
    assert look(replace(PLAN, rehearse_rollback=2)).problems == ()
    alone = replace(PLAN, rehearse_rollback=0, rollback_artifact_id=None, waves=(WavePlan("all", 1.0),))
    text = "\n".join(look(alone, old=None).problems)
    for part in ("must be at least 1", "needs rollback_artifact_id", "name at least two"):
        assert f"rehearse_rollback {part}" in text or part in text


def test_every_problem_is_said_at_once() -> None:
    bad = replace(
        PLAN,
        name=" ",
        waves=(WavePlan("a", 0.5), WavePlan("a", -0.1, soak_seconds=-1)),
        targets=ChargerFilter(charger_ids=("CP000", "nobody")),
        gate=GatePolicy(min_attempts=0, max_failure_share=2),
        pace=Pace(window=0, shard_size=501, tick_seconds=0.99),
        required_approvals=0,
    )
    found = look(bad, new=replace(NEW, phase=ArtifactPhase.AWAITING_SIGNATURES), old=None)
    text = "\n".join(found.problems)
    for part in (
        "name must not be empty",
        "add up to 1, not 0.4",
        "share must be above 0",
        "soak_seconds",
        "name of its own",
        "nobody",
        "min_attempts",
        "max_failure_share",
        "pace.window",
        "pace.shard_size",
        "pace.tick_seconds must be at least 1: every tick reads all who wait",
        "required_approvals",
        "not released",
        "no rollback artifact",
    ):
        assert part in text
    assert found.waves == ()
    with pytest.raises(InvalidInput) as error:
        found.check()
    assert error.value.problems == found.problems


@pytest.mark.parametrize(
    ("plan", "views", "part"),
    [
        (PLAN, [], "matches no charger"),
        (PLAN, [view("CP1", model="other")], "none of the 1 matching"),
        (PLAN, [view("CP1")], "would be empty"),
        (replace(PLAN, waves=()), fleet(3), "at least one"),
        (replace(PLAN, pace=Pace(download_ahead_seconds=0.0)), fleet(3), "download_ahead_seconds must"),
        (replace(PLAN, pace=Pace(steady_seconds=-1.0)), fleet(3), "steady_seconds must be above 0"),
        (replace(PLAN, pace=Pace(steady_seconds=1801.0)), fleet(3), "at most half of pace.attempt_deadline"),
        (replace(PLAN, pace=Pace(steady_seconds=float("nan"))), fleet(3), "steady_seconds must be above 0"),
        (replace(PLAN, waves=(WavePlan("a", float("nan")),)), fleet(3), "add up to 1"),
        (replace(PLAN, start_at=NOW.replace(tzinfo=None)), fleet(20), "time zone"),
    ],
)
def test_plans_that_cannot_run(plan, views, part) -> None:
    assert any(part in problem for problem in look(plan, views).problems)


@pytest.mark.requirement("X11")
def test_a_rollback_must_be_possible_for_every_model() -> None:
    gone = replace(OLD, compatible=OLD.compatible[:2])
    assert any("VW-50" in problem for problem in look(old=gone).problems)
    assert any("another version" in problem for problem in look(old=replace(OLD, version="1.1")).problems)
    assert any("of other" in problem for problem in look(old=replace(OLD, vendor_role="other")).problems)
    warnings = look(replace(PLAN, rollback_artifact_id=None), old=None).warnings
    assert any("stay as they are" in warning for warning in warnings)


@pytest.mark.requirement("X11")
def test_a_way_back_leads_to_an_earlier_release() -> None:
    later = replace(OLD, version="1.3", release_counter=9)
    [problem] = look(old=later).problems
    assert problem.startswith("rollback artifact 1.3 is a later release than 1.1 (release counters 9 and ")
    found = look(replace(PLAN, name=" ", waves=()), views=[], old=later).problems
    assert problem in found, "whoever is targeted, beside all else that is wrong"
    assert len(found) > 2
    other = look(old=replace(later, vendor_role="other")).problems
    assert not any("later release" in each for each in other), "counters of two roles say nothing"


@pytest.mark.requirement("X11")
def test_a_way_back_to_what_nobody_runs_is_warned_of() -> None:
    def told(*versions: str | None) -> list[str]:
        views = [view(f"CP{n:03d}", version=versions[n % len(versions)]) for n in range(30)]
        return [each for each in look(views=views).warnings if "runs 1.0 now" in each]

    [warning] = told("0.8", "0.9")
    assert "a version that it did not have (0.8, 0.9)" in warning
    assert told("0.8", "1.0") == []
    assert told("1.0") == []


@pytest.mark.requirement("X11")
def test_a_model_that_can_never_go_back_blocks_the_plan_until_somebody_accepts_it() -> None:
    one_way = ModelProfile("Voltworks", "VW-22", declared=Declared(goes_back=False))
    models = {("Voltworks", "VW-22"): one_way}
    [problem] = look(models=models).problems
    assert problem.startswith("Voltworks VW-22 can never go back to an earlier version")
    assert "one_way_waiver" in problem
    accepted = look(replace(PLAN, one_way_waiver="ada: the vendor has no other way"), models=models)
    assert accepted.problems == ()
    assert any("VW-22 can never go back: ada" in warning for warning in accepted.warnings)
    assert accepted.plan_digest != look().plan_digest, "it is approved with the plan"
    no_way_back = look(replace(PLAN, rollback_artifact_id=None), old=None, models=models)
    assert any("can never go back" in problem for problem in no_way_back.problems)


@pytest.mark.requirement("X6")
def test_the_plan_says_what_its_canary_cannot_see() -> None:
    assert any("39.3 %" in warning for warning in look().warnings)
    rates = [round(detectable_failure_rate(n) * 100, 1) for n in (10, 20, 50, 100, 300)]
    assert rates == [25.9, 13.9, 5.8, 3.0, 1.0]


def test_warnings_about_small_waves_offline_chargers_and_a_start_in_the_past() -> None:
    away = replace(view("CPx"), twin=TwinState("CPx", firmware=FirmwareSection(version="1.0")))
    plan = replace(PLAN, start_at=NOW - timedelta(days=1))
    warnings = "\n".join(look(plan, [*fleet(11), away]).warnings)
    assert "wait for a person" in warnings
    assert "1 chargers are offline" in warnings
    assert "in the past" in warnings


shares = st.lists(st.integers(1, 100), min_size=1, max_size=6)


@given(st.integers(0, 2000), shares)
def test_wave_sizes_add_up_and_none_is_empty_where_there_are_enough(total, parts) -> None:
    sizes = wave_sizes(total, [part / sum(parts) for part in parts])
    assert sum(sizes) == total
    assert all(size >= 0 for size in sizes)
    if total >= len(parts):
        assert min(sizes) >= 1


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), min_size=1, max_size=120),
    shares,
    st.integers(0, 5),
)
@settings(max_examples=50)
@pytest.mark.requirement("R6", "R7")
def test_everybody_is_drawn_once_and_models_are_spread(kinds, parts, seed) -> None:
    lots = [Lot(f"CP{n:04d}", ("v", f"m{model}"), f"s{site}", n) for n, (model, site) in enumerate(kinds)]
    sizes = wave_sizes(len(lots), [part / sum(parts) for part in parts])
    waves = draw(lots, sizes, seed)
    assert [len(wave) for wave in waves] == sizes
    assert sorted(item for wave in waves for item in wave) == list(range(len(lots)))
    models = {model for model, _ in kinds}
    for model in models:
        everywhere = sum(kind[0] == model for kind in kinds)
        for wave in waves:
            fair = everywhere * len(wave) / len(lots)
            assert abs(sum(kinds[item][0] == model for item in wave) - fair) <= len(models) + 1


def test_a_canary_visits_as_many_sites_as_it_can() -> None:
    lots = [Lot(f"CP{n:02d}", ("v", "m"), f"s{n // 10}", n) for n in range(60)]
    [canary, _] = draw(lots, [6, 54], 3)
    assert len({item // 10 for item in canary}) == 6


@pytest.mark.requirement("S35")
@pytest.mark.parametrize(
    ("days", "problem", "warning"),
    [(3, "1.0 hours", ""), (-1, "4.0 days", ""), (3.2, "", "13.8 days longer"), (17.5, "", "")],
)
def test_a_certificate_that_ends_before_the_last_install_forbids_the_plan(days, problem, warning) -> None:
    """Two waves: the first soaks for two days, the start is in one, an attempt may take an hour."""
    waves = (WavePlan("canary", 0.5, soak_seconds=2 * 86_400), WavePlan("rest", 0.5))
    plan = replace(PLAN, waves=waves, start_at=NOW + timedelta(days=1), gate=GatePolicy(min_attempts=1))
    until = NOW + timedelta(days=days)
    found = preview(plan, fleet(40), NEW, OLD, NOW, proof_until=until)
    said = " ".join(text for text in found.problems if "certificate expires" in text)
    warned = " ".join(text for text in found.warnings if "certificate expires" in text)
    assert (bool(said), bool(warned)) == (bool(problem), bool(warning))
    assert problem in said
    assert warning in warned


@pytest.mark.requirement("S35")
@given(
    st.integers(-(10**6), 10**6),
    st.floats(0, 1e300),
    st.floats(0, 1e300),
    st.sampled_from([None, NOW, NOW.replace(year=9999)]),
)
def test_no_plan_however_long_breaks_the_look_at_the_certificate(hours, soak, deadline, start) -> None:
    waves = (WavePlan("a", 0.5, soak_seconds=soak), WavePlan("b", 0.5))
    pace = replace(Pace(), attempt_deadline_seconds=deadline)
    plan = replace(PLAN, waves=waves, start_at=start, pace=pace)
    found = Findings()
    try:
        until = NOW + timedelta(hours=hours)
    except OverflowError:
        return
    check_proof(plan, NOW, until, found)
    left = (until - max(NOW, start or NOW)).total_seconds()
    assert bool(found.problems) == (left < planned_seconds(plan)[0])
    assert not (found.problems and found.warnings)


@pytest.mark.requirement("X5")
def test_each_hardware_of_a_model_is_spread_over_the_waves() -> None:
    views = [
        view(f"CP{n:03d}", site=f"s{n}", hardware_revision="B" if n % 4 == 0 else "A") for n in range(80)
    ]
    drawn = preview(PLAN, views, NEW, OLD, NOW).waves
    old = {each.charger.charger_id for each in views if each.charger.hardware_revision == "B"}
    assert sum(target.charger_id in old for target in drawn[0]) == 2, "a quarter of the canary's eight"


@pytest.mark.requirement("X6")
def test_a_canary_too_small_to_see_what_matters_is_told() -> None:
    judged = replace(PLAN, gate=GatePolicy(health=POLICIES["balanced"]))
    warned = preview(judged, fleet(60), NEW, OLD, NOW).warnings
    assert any("sessions that got no energy" in each and "80 % power" in each for each in warned)
    many = preview(
        replace(judged, waves=(WavePlan("canary", 0.5), WavePlan("rest", 0.5))), fleet(3000), NEW, OLD, NOW
    )
    assert not any("80 % power" in each for each in many.warnings)
    assert any("judge outcomes only" in each for each in preview(PLAN, fleet(60), NEW, OLD, NOW).warnings)


@pytest.mark.requirement("R43")
def test_a_policy_that_cannot_work_is_refused_with_every_problem() -> None:
    bad = replace(POLICIES["fast"], signals=(SignalLimit("sessions", 2.0),), growth=1.0)
    plan = replace(PLAN, gate=GatePolicy(health=bad), waves=(WavePlan("all", 1.0),))
    problems = " ".join(preview(plan, fleet(60), NEW, OLD, NOW).problems)
    for part in (
        "growth must be",
        "needs at least one primary",
        "'sessions' is not a signal",
        "at least two waves",
    ):
        assert part in problems


def test_the_hours_a_gate_demands_are_part_of_how_long_a_plan_takes() -> None:
    judged = replace(PLAN, gate=GatePolicy(health=POLICIES["balanced"]))
    assert planned_seconds(judged)[0] - planned_seconds(PLAN)[0] == 24 * 3600


def test_chargers_that_have_to_stay_up_are_part_of_how_long_a_plan_takes() -> None:
    patient = replace(PLAN, pace=replace(PLAN.pace, steady_seconds=600.0))
    assert planned_seconds(patient)[0] - planned_seconds(PLAN)[0] == 600.0 * (len(PLAN.waves) - 1)
