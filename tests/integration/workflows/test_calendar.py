"""Windows, closed times, ramps and rivals, on a server that jumps over every wait."""

from dataclasses import replace
from datetime import timedelta

import pytest

from activities.circumstances import calendar_of
from storage.campaign import CampaignPhase, Outcome, Pace, Ramp, WavePlan
from storage.charger import Site
from storage.downtime import account
from storage.upkeep import Booking, Rival, SiteRules, Upkeep
from storage.windows import OPEN, Closure, ClosureKind, Window
from tests.integration.workflows.harness import Harness
from tests.unit.activities.world import World

pytestmark = pytest.mark.integration
HOUR = timedelta(hours=1)


@pytest.mark.requirement("R17", "R18", "X4")
async def test_nothing_is_sent_while_a_site_is_closed_and_everybody_is_updated_after(
    skipping: Harness, world: World
) -> None:
    names, now = world.add_chargers(4, sites=2), await skipping.env.get_current_time()
    event = Closure(now - HOUR, now + 30 * HOUR, ClosureKind.GRID, "demand response", "site-0")
    await world.upkeep.put_closures([event])
    plan = world.plan(1, windows=(Window("22:00", "04:00"),))
    campaign = await world.add_campaign([names], plan)
    await skipping.start(campaign)

    assert await skipping.result(campaign) is CampaignPhase.COMPLETED
    for name in names:
        sent = (await world.campaigns.target("c1", 0, name)).dispatched_at
        site = world.chargers.site_rows[world.chargers.rows[name].charger.site_id]
        assert calendar_of(site, plan, [event]).opening(sent) == OPEN
        assert site.site_id != "site-0" or sent >= event.ends


@pytest.mark.requirement("R9", "R14")
async def test_few_at_first_and_a_held_or_wanted_charger_waits_for_its_turn(
    skipping: Harness, world: World
) -> None:
    names, now = world.add_chargers(12), await skipping.env.get_current_time()
    await world.upkeep.put_upkeep(Upkeep(names[0], "cabinet open", now + 5 * HOUR))
    world.upkeep.rivals = {names[1]: Rival("urgent", 900)}
    flying: list[int] = []

    async def watch(*_: object) -> None:
        flying.append(len(world.leases.rows))
        if len(flying) > 10:
            world.upkeep.rivals = {}

    world.on_send = watch
    pace = Pace(ramp=Ramp(start=1, factor=2, every=4), tick_seconds=30)
    campaign = await world.add_campaign([names], world.plan(1, pace=pace))
    await skipping.start(campaign)

    assert await skipping.result(campaign) is CampaignPhase.COMPLETED
    order = [name for name, _ in world.updates()]
    assert set(order) == set(names)
    assert max(flying[:4]) == 1, "the first chargers go one by one"
    assert order[-1] == names[0], "held until five hours had passed"
    assert (await world.campaigns.target("c1", 0, names[0])).dispatched_at >= now + 5 * HOUR


@pytest.mark.requirement("X13")
async def test_who_has_spent_its_downtime_is_updated_once_enough_of_that_has_gone_by(
    skipping: Harness, world: World
) -> None:
    """Of a day 2 h 24 min are allowed; it was away for three hours, twenty hours ago."""
    names, now = world.add_chargers(6), await skipping.env.get_current_time()
    name, site_id = names[0], world.chargers.rows[names[0]].charger.site_id
    rules = SiteRules(uptime_floor=0.9, uptime_days=1)
    world.chargers.site_rows[site_id] = Site(site_id, site_id, "UTC", 1, rules)
    spent = Booking(now - 20 * HOUR, now - 17 * HOUR, "update", "spring")
    world.upkeep.downtime = {name: (spent,)}
    said: list[str] = []

    async def listen(*_: object) -> None:
        said.append((await world.campaigns.target("c1", 0, name)).reason)

    world.on_send = listen
    campaign = await world.add_campaign([names], world.plan(1))
    await skipping.start(campaign)

    assert await skipping.result(campaign) is CampaignPhase.COMPLETED
    takes = timedelta(seconds=campaign.plan.pace.attempt_deadline_seconds)
    frees = account(rules, [spent], now).room_for(takes.total_seconds())
    assert frees is not None
    assert frees > now + HOUR
    sent = {each: (await world.campaigns.target("c1", 0, each)).dispatched_at for each in names}
    assert frees <= sent[name] <= frees + HOUR
    assert all(sent[each] < frees for each in names[1:]), "nobody else waits for it"
    assert f"enough is free again from {frees:%Y-%m-%d %H:%M} UTC on" in said[0]


@pytest.mark.requirement("R5", "R12")
async def test_a_wave_has_its_own_limits_and_needs_as_many_people_as_it_says(
    skipping: Harness, world: World
) -> None:
    names = world.add_chargers(4)
    waves = (WavePlan("a", 0.5), WavePlan("b", 0.5, approvals=2, min_attempts=9))
    plan = replace(world.plan(2), waves=waves, gate=replace(world.plan(2).gate, min_attempts=1))
    campaign = await world.add_campaign([names[:2], names[2:]], plan)
    await skipping.start(campaign)
    await skipping.until_phase(campaign, CampaignPhase.AWAITING_APPROVAL)
    handle = skipping.handle(campaign)
    for person in ("grace", "hedy"):
        status = await handle.query("status")
        assert status["phase"] == "awaiting_approval"
        await skipping.approve(campaign, person)
    await skipping.until_phase(campaign, CampaignPhase.PAUSED)
    assert "9" in world.campaigns.decision_rows[-1].reason, "its gate asks for nine attempts, and has two"


@pytest.mark.requirement("R18", "R22")
async def test_a_freeze_that_is_lifted_before_its_end_is_noticed_within_ten_ticks(
    skipping: Harness, world: World
) -> None:
    names, now = world.add_chargers(3), await skipping.env.get_current_time()
    freeze = Closure(now - HOUR, now + 100 * HOUR, ClosureKind.FREEZE, "market week")
    await world.upkeep.put_closures([freeze])
    world.agenda.append((now + HOUR, world.upkeep.closed.clear))
    await skipping.start(campaign := await world.add_campaign([names], world.plan(1)))

    assert await skipping.result(campaign) is CampaignPhase.COMPLETED
    assert set(world.campaigns.outcomes("c1").values()) == {Outcome.UPDATED}
    sent = [target.dispatched_at for target in await world.campaigns.targets("c1", 0)]
    assert max(sent) < now + 2 * HOUR
