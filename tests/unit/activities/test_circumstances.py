"""From what is stored to the facts of one charger, and the questions of the step that sends."""

from dataclasses import replace
from datetime import timedelta

import pytest

from activities.circumstances import Outlook, Surroundings, circumstances_of
from activities.fleet import FleetActivities, ShardQuery
from storage.campaign import (
    FORWARD_AGAIN_WAVE,
    REHEARSAL_WAVE,
    ROLLBACK_WAVE_BASE,
    CampaignPlan,
    Edge,
    Pace,
    WavePlan,
)
from storage.charger import ChargerFilter, ModelProfile, Site
from storage.twin import ConfigurationSection, SecuritySection
from storage.upkeep import Before, Booking, Claimant, Link, Metering, Rival, SiteRules, Surrounding, Upkeep
from storage.windows import Closure, ClosureKind
from tests.unit.activities.world import START, World

PLAN = CampaignPlan("p", "a" * 64, ChargerFilter(), (WavePlan("all", 1.0),), pace=Pace())
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def outlook(world: World, plan: CampaignPlan = PLAN, **changes) -> Outlook:
    return Outlook(plan, world.now, sites=world.chargers.site_rows, **changes)


def one_world() -> tuple[World, str]:
    world = World()
    [name] = world.add_chargers(1)
    return world, name


def seen(world: World, name: str, given: Outlook, profile: ModelProfile | None = None):
    return circumstances_of(world.chargers.rows[name], given, profile)


def test_who_has_nothing_has_no_circumstances() -> None:
    world, name = one_world()
    assert seen(world, name, outlook(world)) is None


def test_what_people_said_is_there_as_long_as_it_holds() -> None:
    world, name = one_world()
    said = Upkeep(name, "x", world.now + HOUR, "0.9", Link.WIFI)
    given = outlook(world, replace(PLAN, links=(Link.WIRED,)), surrounding=Surrounding({name: said}))
    found = seen(world, name, given)
    assert (found.hold, found.pin, found.link_refused) == ("x", "0.9", "wifi")
    later = replace(given, now=world.now + 2 * HOUR)
    assert seen(world, name, later).hold == ""
    back = replace(given, wave=ROLLBACK_WAVE_BASE)
    assert (seen(world, name, back).pin, seen(world, name, back).hold) == (None, "x"), "a rollback asks less"
    untold = outlook(world, replace(PLAN, links=(Link.WIRED,)))
    assert seen(world, name, untold).link_refused == "unknown"


@pytest.mark.requirement("R33")
def test_a_version_in_between_is_asked_for() -> None:
    world, name = one_world()
    edge = Edge("1.*", via="1.5", reason="loader")
    found = seen(world, name, outlook(world, replace(PLAN, edges=(edge,))))
    assert (found.risk.via, found.risk.reason) == ("1.5", "loader")
    world.run_version(name, "1.5")
    assert seen(world, name, outlook(world, replace(PLAN, edges=(edge,)))) is None


@pytest.mark.requirement("R34")
async def test_a_risk_is_asked_of_those_that_would_go_this_way() -> None:
    world, name = one_world()
    plan = replace(PLAN, edges=(Edge("2.*", risk="vendor = Voltworks"), Edge(risk=f"charger_id = {name}")))
    measure = Surroundings(world.stores.chargers, world.stores.upkeep)
    views = list(world.chargers.rows.values())
    given = await measure.outlook(plan, Claimant("", 500, START), views, {}, world.now)
    assert given.risky == {0: frozenset(), 1: {name}}
    assert seen(world, name, given).risk.reason == f"charger_id = {name}"


@pytest.mark.requirement("X12")
def test_the_end_of_its_certificate_is_news_only_when_it_is_near() -> None:
    world, name = one_world()
    for ends, told in ((world.now + HOUR, True), (world.now + timedelta(days=9), False)):
        world._twin(name, security=SecuritySection(certificate_until=ends))
        found = seen(world, name, outlook(world))
        assert (found is not None and found.certificate_ends == ends) == told


@pytest.mark.requirement("R21")
def test_a_charger_that_says_no_is_heard() -> None:
    world, name = one_world()
    profile = ModelProfile("Voltworks", "VW-22", veto_variable="UpdateAllowed", veto_value="False")
    assert seen(world, name, outlook(world), profile) is None, "it told nothing"
    world._twin(name, configuration=ConfigurationSection({"UpdateAllowed": "false"}, world.now))
    assert seen(world, name, outlook(world), profile).veto == "UpdateAllowed = false"
    world._twin(name, configuration=ConfigurationSection({"UpdateAllowed": "true"}, world.now))
    assert seen(world, name, outlook(world), profile) is None


@pytest.mark.requirement("F12")
def test_a_configuration_that_was_never_read_is_told_where_the_plan_needs_it() -> None:
    world, name = one_world()
    assert seen(world, name, outlook(world, replace(PLAN, needs_configuration=True))).unread
    world._twin(name, configuration=ConfigurationSection({}, world.now))
    assert seen(world, name, outlook(world, replace(PLAN, needs_configuration=True))) is None


@pytest.mark.requirement("X13")
def test_the_ledger_leaves_what_the_floor_allows_and_was_not_spent() -> None:
    world, name = one_world()
    site = world.chargers.rows[name].charger.site_id
    rules = SiteRules(uptime_floor=0.97, uptime_days=30)
    world.chargers.site_rows[site] = Site(site, site, "UTC", 1, rules)
    allowed = timedelta(seconds=0.03 * 30 * 86_400)

    def spent(lasted: timedelta) -> Outlook:
        booking = Booking(world.now - 10 * DAY, world.now - 10 * DAY + lasted, "update")
        return outlook(world, surrounding=Surrounding(downtime={name: (booking,)}))

    found = seen(world, name, spent(allowed - timedelta(seconds=600)))
    assert found.downtime_left == 600
    # An attempt may take an hour, so 50 minutes of that have to go by.
    assert found.downtime_frees == world.now + 20 * DAY + timedelta(minutes=50)
    assert seen(world, name, outlook(world)) is None
    assert seen(world, name, spent(allowed - HOUR)) is None, "an hour is left, which is enough"
    assert seen(world, name, spent(allowed * 2)).downtime_left == 0


@pytest.mark.requirement("X13")
def test_each_site_counts_its_own_period_beside_others_with_longer_ones() -> None:
    """Bookings are read as far back as the longest period of all sites asks for."""
    world, name = one_world()
    site = world.chargers.rows[name].charger.site_id
    world.chargers.site_rows[site] = Site(site, site, "UTC", 1, SiteRules(uptime_floor=0.9, uptime_days=1))
    old = Booking(world.now - 3 * DAY, world.now - 2 * DAY, "update")
    assert seen(world, name, outlook(world, surrounding=Surrounding(downtime={name: (old,)}))) is None


@pytest.mark.requirement("X13")
def test_a_floor_that_never_allows_an_attempt_is_told_as_that() -> None:
    world, name = one_world()
    site = world.chargers.rows[name].charger.site_id
    world.chargers.site_rows[site] = Site(site, site, "UTC", 1, SiteRules(uptime_floor=0.999, uptime_days=7))
    found = seen(world, name, outlook(world))
    assert (found.downtime_never, found.downtime_frees, found.downtime_left) == (True, None, 605.0)


@pytest.mark.requirement("X14", "F60")
def test_metering_firmware_goes_where_it_is_permitted_and_nowhere_else() -> None:
    world, name = one_world()
    site = world.chargers.rows[name].charger.site_id
    permit = Metering("a" * 64, ("DE",), "PTB", "ida", START)
    for country, told in ((None, "unknown"), ("FR", "FR"), ("DE", None)):
        world.chargers.site_rows[site] = Site(site, site, "UTC", 1, SiteRules(country=country))
        found = seen(world, name, outlook(world, metering=permit))
        assert (found and found.metering) == told


@pytest.mark.requirement("R14", "R18", "X4")
async def test_a_look_tells_of_rivals_and_closed_sites() -> None:
    world = World()
    names = world.add_chargers(2)
    campaign = await world.add_campaign([names])
    world.upkeep.rivals = {names[0]: Rival("urgent", 900)}
    event = Closure(world.now, world.now + HOUR, ClosureKind.GRID, "demand response")
    await world.upkeep.put_closures([event])
    facts = await FleetActivities(world.stores).measure_eligibility(ShardQuery("c1", 0, 0, 500))
    rivals = {entry.charger_id: facts.situations[entry.situation].around for entry in facts.entries}
    assert rivals[names[0]].rival == "urgent"
    assert rivals[names[1]] is None
    assert all("demand response" in site.closed for site in facts.sites)
    assert all(site.opens_at == world.now + HOUR for site in facts.sites)
    assert facts.takes == campaign.plan.pace.attempt_deadline_seconds


@pytest.mark.requirement("R32")
async def test_a_look_tells_who_is_not_through_the_campaign_that_comes_first() -> None:
    world = World()
    names = world.add_chargers(3)
    await world.add_campaign([names], world.plan(after="c0"))
    told = {names[0]: Before("c0", "updated", "it booted"), names[1]: Before("c0", None, "busy")}
    world.upkeep.standings = lambda _after: told
    facts = await FleetActivities(world.stores).measure_eligibility(ShardQuery("c1", 0, 0, 9))
    around = [facts.situations[entry.situation].around for entry in facts.entries]
    assert [each and each.before for each in around] == [None, Before("c0", None, "busy"), Before("c0")]


@pytest.mark.requirement("R32", "X11")
def test_a_rollback_waits_for_no_other_campaign_and_a_rehearsal_does() -> None:
    """It may go back to the very version that the other was stopped for."""
    world, name = one_world()
    plan = replace(PLAN, after="c0")
    waves = (0, REHEARSAL_WAVE, FORWARD_AGAIN_WAVE, ROLLBACK_WAVE_BASE)
    found = [seen(world, name, outlook(world, plan, wave=wave)) for wave in waves]
    assert [each.before if each else None for each in found] == [Before("c0")] * 3 + [None]
