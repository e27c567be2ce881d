"""Plans over windows, closed times, rivals, edges and people's words: refused, or told charger by charger."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activities.circumstances import Outlook, circumstances_of
from storage.campaign import CampaignPlan, Edge, EndBehaviour, GatePolicy, Pace, Ramp, WavePlan
from storage.charger import Site
from storage.health_time import REAL, HealthTime
from storage.upkeep import Booking, Link, Metering, Rival, SiteRules, Surrounding, Upkeep
from storage.windows import Closure, ClosureKind, Day, Window
from tests.unit.workflows.facts import NOW  # 2026-11-20 12:00 UTC, a Friday
from tests.unit.workflows.test_planning import NEW, OLD, PLAN, fleet, view
from workflows.gate.policies import POLICIES
from workflows.planning import Ground, Preview, preview

HOUR = timedelta(hours=1)
BERLIN = {f"s{n}": Site(f"s{n}", f"s{n}", "Europe/Berlin") for n in range(7)}
NIGHT = (Window("22:00", "04:00"),)


def look(
    plan: CampaignPlan = PLAN,
    views=None,
    *,
    sites=BERLIN,
    closures=(),
    stopped=None,
    risky=None,
    metering=None,
    **said,
) -> Preview:
    outlook = Outlook(plan, NOW, Surrounding(**said), sites, risky, metering)
    ground = Ground(outlook, tuple(closures), {}, stopped or {})
    return preview(plan, fleet(60) if views is None else views, NEW, OLD, NOW, ground=ground)


@pytest.mark.requirement("R15", "R17", "R18")
def test_each_charger_has_its_earliest_time_on_its_own_clock() -> None:
    sites = {**BERLIN, "s3": Site("s3", "s3", "America/New_York"), "s4": Site("s4", "s4", "Asia/Kathmandu")}
    waves = (WavePlan("canary", 0.1, soak_seconds=86_400.0), WavePlan("rest", 0.9))
    found = look(replace(PLAN, windows=NIGHT, waves=waves), sites=sites)
    assert found.problems == ()
    canary = {target.site_id for target in found.waves[0]}
    assert {"s3", "s4"} <= canary
    by_site = {target.site_id: found.earliest[target.charger_id] for target in found.waves[1]}
    # The canary begins in Kathmandu and is through no sooner than New York has opened; then it soaks.
    assert found.begins[0] == datetime(2026, 11, 20, 16, 15, tzinfo=UTC)
    through = datetime(2026, 11, 21, 3, tzinfo=UTC) + timedelta(days=1, seconds=30)
    assert (found.begins[1], by_site["s3"]) == (through, through)
    assert by_site["s0"] == datetime(2026, 11, 22, 21, tzinfo=UTC)
    assert by_site["s4"] == datetime(2026, 11, 22, 16, 15, tzinfo=UTC)
    reasons = {target.reason for wave in found.waves for target in wave if target.site_id == "s0"}
    assert "not before 2026-11-22 21:00 UTC: its maintenance window is closed (Europe/Berlin)" in reasons


def test_a_start_that_nobody_lives_to_see_is_refused_and_breaks_nothing() -> None:
    far = NOW.replace(year=9999)
    found = look(replace(PLAN, windows=NIGHT, start_at=far))
    assert any("start_at must be within two years" in problem for problem in found.problems)
    slow = look(
        replace(PLAN, windows=NIGHT, waves=(WavePlan("a", 0.5, soak_seconds=1e300), WavePlan("b", 0.5)))
    )
    assert slow.cohort_size == 60


@pytest.mark.requirement("R17")
@pytest.mark.parametrize(
    ("windows", "pace", "part"),
    [
        (
            (Window("02:00", "02:30"),),
            Pace(),
            "an update may take 1 hour (pace.attempt_deadline), and no window is that long",
        ),
        (NIGHT, Pace(wave_deadline_seconds=4 * 3600.0), "before it ends 2026-11-20 16:00 UTC"),
        ((Window("22:00", "04:00", (Day.WED,)),), Pace(wave_deadline_seconds=86_400.0), "window is closed"),
    ],
)
def test_a_plan_that_cannot_finish_in_its_windows_is_refused(windows, pace, part) -> None:
    problems = look(replace(PLAN, windows=windows, pace=pace)).problems
    assert [problem for problem in problems if part in problem and "wave 'canary' cannot reach 6" in problem]


@pytest.mark.requirement("X4")
def test_a_freeze_that_outlasts_the_wave_refuses_the_plan_and_a_shorter_one_delays_it() -> None:
    freeze = Closure(NOW - HOUR, NOW + timedelta(days=30), ClosureKind.FREEZE, "holidays")
    assert any("holidays" in problem or "freeze" in problem for problem in look(closures=[freeze]).problems)
    short = replace(freeze, ends=NOW + HOUR, site_id="s0")
    found = look(closures=[short])
    assert found.problems == ()
    begun = {found.earliest[t.charger_id] for t in found.waves[0] if t.site_id == "s0"}
    assert begun <= {NOW + HOUR}


def test_a_site_without_a_time_zone_is_named_and_only_windows_need_one() -> None:
    sites = {**BERLIN, "s3": Site("s3", "s3", "Mars/Olympus"), "s4": Site("s4", "s4", "")}
    problems = look(replace(PLAN, windows=NIGHT), sites=sites).problems
    assert any("s3, s4 have no time zone that is known" in problem for problem in problems)
    assert look(sites=sites).problems == ()


def test_a_wave_that_is_tight_is_warned_of() -> None:
    plan = replace(PLAN, windows=(Window("02:00", "03:00"),), pace=Pace(wave_deadline_seconds=2 * 86_400.0))
    assert any("ends before everybody had a turn" in warning for warning in look(plan).warnings)
    assert not any("had a turn" in warning for warning in look().warnings)


@pytest.mark.requirement("R14")
def test_two_campaigns_that_want_a_charger_are_told_and_the_second_waits() -> None:
    found = look(rivals={"CP001": Rival("urgent", 900), "CP002": Rival("urgent", 900)})
    assert "2 chargers are also in campaign urgent, which goes first." in found.warnings
    reasons = {t.charger_id: t.reason for wave in found.waves for t in wave}
    assert reasons["CP001"] == "campaign urgent goes first"
    assert "CP001" not in found.earliest


@pytest.mark.requirement("R33", "R34", "F60", "X14", "F68")
def test_pins_edges_links_and_metering_leave_chargers_out_with_a_reason() -> None:
    views = [*fleet(60), view("OLD", version="0.9"), view("B2"), view("PIN"), view("FR", site="fr")]
    plan = replace(
        PLAN,
        links=(Link.WIRED,),
        edges=(Edge("0.*", via="1.0", reason="loader"), Edge(risk='hardware = "B2"')),
    )
    said = {each.charger.charger_id: Upkeep(each.charger.charger_id, link=Link.WIRED) for each in views}
    said["PIN"] = replace(said["PIN"], pin="1.0")
    said["CP000"] = replace(said["CP000"], link=Link.CELLULAR)
    sites = {name: replace(site, rules=SiteRules(country="DE")) for name, site in BERLIN.items()}
    sites["fr"] = Site("fr", "fr", "Europe/Paris", 1, SiteRules(country="FR"))
    found = look(
        plan,
        views,
        upkeep=said,
        sites=sites,
        risky={1: frozenset({"B2"})},
        metering=Metering(NEW.artifact_id, ("DE",), "PTB", "ida", NOW),
    )
    assert found.problems == ()
    assert {each.charger_id: each.reason for each in found.exclusions} == {
        "OLD": "from 0.9 the way leads over 1.0, which it has to run first: loader",
        "B2": 'it is at risk on the way from 1.0: hardware = "B2"',
        "PIN": "it is pinned to 1.0",
        "CP000": "its link is cellular, which this plan leaves out",
        "FR": "1.1 affects legal metering and is not permitted in FR",
    }


def test_holds_doubts_and_wifi_are_told_in_one_line_each() -> None:
    said = {
        "CP001": Upkeep("CP001", "cabinet open", NOW + HOUR),
        "CP002": Upkeep("CP002", link=Link.WIFI),
        "CP003": Upkeep("CP003", "over", NOW - HOUR),
    }
    found = look(upkeep=said, doubts={"CP004": ("security.tampered",)})
    assert {
        "1 charger is on hold, and will be waited for.",
        "1 charger is connected by Wi-Fi, where downloads break more often.",
        "1 charger is not what they should be (ampwave charger drift).",
    } <= set(found.warnings)
    assert found.earliest["CP001"] == NOW + HOUR
    reasons = {t.charger_id: t.reason for wave in found.waves for t in wave}
    assert reasons["CP001"] == "not before 2026-11-20 13:00 UTC: it is on hold: cabinet open"
    assert "opened or manipulated" in reasons["CP004"]
    assert reasons["CP003"] in ("", "not before 2026-11-20 12:00 UTC"), "that hold is over"
    assert found.earliest["CP003"] <= NOW + timedelta(seconds=30)


@pytest.mark.requirement("X13", "R15")
def test_who_has_spent_its_downtime_is_told_with_the_time_until_which_it_waits() -> None:
    """21 h 36 min allowed; of the twenty hours that CP001 spent, 24 minutes have to go by for an hour."""
    rules = SiteRules(uptime_floor=0.97, uptime_days=30)
    sites = {name: replace(site, rules=rules) for name, site in BERLIN.items()}
    day = timedelta(days=1)
    spent = (
        Booking(NOW - 20 * day, NOW - 20 * day + 20 * HOUR, "update", "spring"),
        Booking(NOW - 2 * day, NOW - 2 * day + HOUR, "certificate"),
    )
    found = look(sites=sites, downtime={"CP001": spent, "CP002": spent[1:]})
    assert found.problems == ()
    assert (
        "1 charger is short of planned downtime, by an uptime obligation, and will be waited for until "
        "2026-11-30 12:24 UTC at the latest, if nothing more is spent."
    ) in found.warnings
    reasons = {t.charger_id: t.reason for wave in found.waves for t in wave}
    assert reasons["CP001"] == (
        "not before 2026-11-30 12:24 UTC: its uptime obligation leaves it 36 minutes of planned downtime, "
        "and an update may take 60; enough is free again from 2026-11-30 12:24 UTC on"
    )
    assert found.earliest["CP001"] == NOW + 10 * day + timedelta(minutes=24)
    assert reasons["CP002"] in ("", "not before 2026-11-20 12:00 UTC")

    tight = {name: replace(site, rules=replace(rules, uptime_floor=0.999)) for name, site in BERLIN.items()}
    never = look(sites=tight)
    assert any(each.startswith("60 chargers are under an uptime floor that never") for each in never.warnings)
    assert not never.earliest


def test_an_image_that_somebody_withdrew_is_refused_by_name() -> None:
    problems = look(
        stopped={NEW.artifact_id: "its image was withdrawn by ida: bricks", OLD.artifact_id: "x"}
    ).problems
    assert "artifact 1.1: its image was withdrawn by ida: bricks" in problems
    assert "rollback artifact 1.0: x" in problems


def test_every_option_that_is_wrong_is_told_at_once() -> None:
    bad = replace(
        PLAN,
        windows=(Window("25:00", "03:00", ()),),
        priority=1001,
        links=(),
        edges=(Edge(), Edge("*", via="1.0", risk="x = 1"), Edge(risk="hardwar = 1")),
        pace=Pace(ramp=Ramp(0, 0.5, 0)),
        waves=(
            WavePlan(
                "a", 0.5, window=0, max_failure_share=1.0, min_attempts=0, early_stop_failures=0, approvals=11
            ),
            WavePlan("b", 0.5),
            WavePlan("c", query="hardwar = 1"),
        ),
    )
    text = "\n".join(look(bad).problems)
    for part in (
        "windows, the 1. one: '25:00' is no time of day",
        "it has no days",
        "priority must be from 0 to 1000",
        "links must not be empty",
        "edges, the 1. one: it says nothing",
        "edges, the 2. one: give via or risk",
        "edges, the 3. one: risk: ",
        "pace.ramp.start",
        "pace.ramp.factor",
        "pace.ramp.every",
        "wave 'a': window must be",
        "wave 'a': max_failure_share",
        "wave 'a': min_attempts",
        "wave 'a': early_stop_failures",
        "wave 'a': approvals",
        "wave 'c': ",
    ):
        assert part in text


@pytest.mark.requirement("R5")
def test_a_wave_has_its_own_limits_and_the_plans_where_it_says_nothing() -> None:
    gate, pace = GatePolicy(), Pace()
    own = WavePlan("a", 1.0, window=3, max_failure_share=0.0, early_stop_failures=1, approvals=2)
    assert (own.gated(gate).max_failure_share, own.gated(gate).early_stop_failures) == (0.0, 1)
    assert own.gated(gate).min_attempts == gate.min_attempts
    assert own.paced(pace) == replace(pace, window=3)
    plain = WavePlan("b", 1.0)
    assert (plain.gated(gate), plain.paced(pace), plain.voters) == (gate, pace, 0)
    assert (own.voters, replace(plain, needs_approval=True).voters) == (2, 1)


@pytest.mark.requirement("R7")
def test_sites_of_a_kind_and_versions_are_spread_over_the_waves() -> None:
    sites = {
        f"s{n}": Site(f"s{n}", f"s{n}", "UTC", 1, SiteRules(kind="depot" if n < 10 else "mall"))
        for n in range(40)
    }
    views = [view(f"CP{n:03}", site=f"s{n % 40}", version="1.0" if n % 2 else "0.9") for n in range(200)]
    plan = replace(PLAN, waves=(WavePlan("canary", 0.2), WavePlan("rest", 0.8)))
    canary = look(plan, views, sites=sites).waves[0]
    depots = sum(int(target.site_id[1:]) < 10 for target in canary)
    assert abs(depots - 10) <= 2
    assert abs(sum(target.from_version == "0.9" for target in canary) - 20) <= 2


@given(
    st.integers(0, 525_599).map(
        lambda minutes: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    ),
    st.sampled_from(["Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu", "America/St_Johns"]),
    st.integers(0, 23),
    st.integers(1, 23),
)
@settings(max_examples=40, deadline=None)
@pytest.mark.requirement("R18")
def test_whenever_one_plans_the_earliest_time_is_inside_the_window_with_room_to_the_end(
    now, zone, opens, hours
) -> None:
    from activities.circumstances import calendar_of

    closes = (opens + hours) % 24
    windows = (Window(f"{opens:02}:30", f"{closes:02}:30"),)
    site = Site("s", "s", zone)
    calendar = calendar_of(
        site, replace(PLAN, windows=windows, pace=Pace(attempt_deadline_seconds=1200.0)), ()
    )
    opening = calendar.opening(now)
    begins = opening.opens_at or now
    assert begins >= now
    assert calendar.opening(begins).closed == ""
    assert calendar.opening(begins + timedelta(seconds=1200)).closed == "" or calendar.room(
        begins, begins + timedelta(days=2)
    ) > timedelta(0)


@pytest.mark.requirement("F33")
def test_a_load_group_that_lets_nobody_away_is_told_with_the_plan() -> None:
    views = fleet(60)
    shut = frozenset({views[0].charger.charger_id, views[1].charger.charger_id, "somebody-else"})
    ground = Ground(Outlook(PLAN, NOW, Surrounding(), BERLIN, None, None), shut=shut)
    found = preview(PLAN, views, NEW, OLD, NOW, ground=ground)
    told = [each for each in found.warnings if "load group" in each]
    assert len(told) == 1
    assert told[0].startswith("2 chargers are in a load group that lets nobody away")
    assert not [each for each in look().warnings if "load group" in each]


@pytest.mark.requirement("F33", "X2")
def test_who_is_in_a_load_group_without_room_waits_and_says_for_what() -> None:
    why = "1 of 1 chargers that may be down in its load group bus-1 are"
    name = fleet(60)[0].charger.charger_id
    outlook = Outlook(PLAN, NOW, Surrounding(full_groups={name: why}), BERLIN, None, None)
    said = [circumstances_of(each, outlook) for each in fleet(60)]
    assert [each.no_room for each in said if each] == [why]


def steady(seconds: float, deadline_hours: float = 24.0) -> Pace:
    return Pace(
        attempt_deadline_seconds=2 * seconds,
        steady_seconds=seconds,
        wave_deadline_seconds=deadline_hours * 3600,
    )


TWO = (WavePlan("first", 0.5), WavePlan("rest", 0.5))


@pytest.mark.requirement("R17", "R28")
def test_a_wave_begins_after_every_charger_of_the_one_before_could_stay_up() -> None:
    """Ten chargers at one site, one or two at a time: five or three turns of an hour."""
    views = [replace(one, charger=replace(one.charger, site_id="s0")) for one in fleet(10)]
    at_once = look(replace(PLAN, waves=TWO), views).begins[1] - NOW
    for most, turns in ((1, 5), (2, 3)):
        sites = {"s0": Site("s0", "s0", "Europe/Berlin", most)}
        found = look(replace(PLAN, waves=TWO, pace=steady(3600.0)), views, sites=sites)
        assert found.problems == ()
        assert found.begins[1] - NOW == at_once + turns * HOUR
        late = NOW + timedelta(hours=2 * turns + 1)  # The last turn, and what an attempt may take.
        ends = replace(PLAN, waves=TWO, pace=steady(3600.0), end_at=late, end_behaviour=EndBehaviour.STOP)
        [problem] = look(ends, views, sites=sites).problems
        assert "comes before rest can be through" in problem
        assert look(replace(ends, end_at=late + HOUR), views, sites=sites).problems == ()


@pytest.mark.parametrize("time", [REAL, HealthTime(4)])
def test_a_wave_begins_after_all_before_it_have_lived_what_a_gate_demands_on_average(
    time: HealthTime,
) -> None:
    """The canaries live their four hours, and all of both the eight hours of the sum; soaks come on top."""
    gate = GatePolicy(health=POLICIES["fast"])
    waves = (WavePlan("canary", 0.2), WavePlan("half", 0.4, soak_seconds=60.0), WavePlan("rest", 0.4))
    plan = replace(PLAN, waves=waves, gate=gate, pace=replace(PLAN.pace, settle_seconds=1.0))
    found = preview(plan, fleet(60), NEW, OLD, NOW, ground=Ground(time=time))
    assert [len(wave) for wave in found.waves] == [12, 24, 24]
    lived = 4 * time.hour
    half, rest = found.begins[1] - NOW, found.begins[2] - NOW
    assert half == lived
    assert rest == half * 24 / 36 + lived + timedelta(seconds=60)
    settles = replace(plan, pace=replace(PLAN.pace, settle_seconds=50_000.0))
    late = preview(settles, fleet(60), NEW, OLD, NOW, ground=Ground(time=time))
    assert late.begins[1] - NOW == timedelta(seconds=50_000), "they live while it settles"
    endless = replace(plan, pace=replace(PLAN.pace, steady_seconds=1e300, wave_deadline_seconds=1e300))
    assert preview(endless, fleet(60), NEW, OLD, NOW, ground=Ground(time=time)).problems


@pytest.mark.requirement("R17", "R28")
def test_a_plan_whose_chargers_cannot_all_stay_up_within_its_windows_is_refused() -> None:
    views = [replace(one, charger=replace(one.charger, site_id="s0")) for one in fleet(10)]
    plan = replace(PLAN, waves=(WavePlan("all", 1.0),), pace=steady(3600.0, 8.5))
    [problem] = look(plan, views).problems
    assert problem.startswith(
        "wave 'all' ends 2026-11-20 20:30 UTC before everybody can have had a turn at s0"
    )
    assert "each for pace.steady (1:00:00) at the least; give it a longer pace.wave_deadline" in problem
    assert look(replace(plan, pace=steady(3600.0, 9.0)), views).problems == ()
    nights = replace(
        plan, windows=NIGHT, pace=steady(3600.0, 48.0)
    )  # Two nights of six hours, less two each.
    assert "had a turn at s0" in look(nights, views).problems[0]
    assert look(replace(nights, pace=steady(1800.0, 48.0)), views).problems == ()
    assert look(replace(plan, pace=replace(plan.pace, steady_seconds=None)), views).problems == ()
