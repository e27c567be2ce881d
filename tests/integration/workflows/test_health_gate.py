"""Campaigns whose plan judges health, on a server that jumps over every wait."""

from datetime import datetime, timedelta

import pytest

from storage.campaign import CampaignPhase, GatePolicy, Outcome, VerdictWord
from storage.health import ChargerSpan, HealthHour, SpanQuery
from tests.integration.workflows.harness import Harness
from tests.unit.activities.world import World
from workflows.gate import POLICIES, recompute

pytestmark = pytest.mark.integration
P = CampaignPhase
PLAN = GatePolicy(health=POLICIES["fast"])


def life(world: World, failing: float, sick: str = ""):
    """Two sessions an hour, one in twenty without energy; more on those with the new version."""

    def lived(query: SpanQuery, until: datetime) -> ChargerSpan:
        charger = world.chargers.rows[query.charger_id].charger
        updated = world.version(query.charger_id) == "1.1" and charger.model.startswith(sick)
        hours = max(0, (until - query.since) // timedelta(hours=1))
        sessions = hours * 2
        failed = round(sessions * (failing if updated else 0.05) + (int(query.charger_id[-1]) % 3) * 0.4)
        return ChargerSpan(
            charger_id=query.charger_id,
            vendor=charger.vendor,
            model=charger.model,
            hardware_revision=None,
            site_id=charger.site_id,
            hours=hours,
            heard_hours=hours,
            window=HealthHour(
                attempts_failed=min(failed, sessions), attempts_ok=sessions - min(failed, sessions)
            ),
            base_hours=336,
            base_heard_hours=336,
            baseline=HealthHour(attempts_failed=3, attempts_ok=53),
            lately=True,
        )

    return lived


@pytest.mark.requirement("R38", "R39", "R43", "X5")
async def test_a_healthy_release_waits_for_evidence_and_reaches_everybody(
    skipping: Harness, world: World
) -> None:
    names = world.add_chargers(40, sites=12)
    world.health.life = life(world, 0.05)
    campaign = await world.add_campaign([names[:12], names[12:]], world.plan(gate=PLAN, waves=2))
    await skipping.start(campaign)

    assert await skipping.result(campaign) is P.COMPLETED
    decided = world.campaigns.decision_rows
    first = [each for each in decided if each.wave == 0]
    assert first[0].verdict is VerdictWord.HOLD
    assert first[-1].verdict is VerdictWord.PROCEED
    assert len(first) < 20, "looks come as evidence does"
    assert decided[-1].result["health"]["decided_by"] == "baseline"


@pytest.mark.requirement("R38", "R48", "R54", "X5", "X17")
async def test_failing_sessions_stop_the_release_and_take_it_back(skipping: Harness, world: World) -> None:
    names = world.add_chargers(40, sites=12)
    world.health.life = life(world, 0.6)
    campaign = await world.add_campaign([names[:12], names[12:]], world.plan(gate=PLAN, waves=2))
    await skipping.start(campaign)

    assert await skipping.result(campaign) is P.ROLLED_BACK
    assert {world.campaigns.outcomes("c1")[name] for name in names[12:]} == {Outcome.CANCELLED}
    stopped = next(each for each in world.campaigns.decision_rows if each.verdict is VerdictWord.ABORT)
    assert stopped.reason.startswith("Sessions that got no energy: ")
    for stored in world.campaigns.decision_rows:
        assert recompute(stored) == stored


@pytest.mark.requirement("R43", "R44")
async def test_health_that_nobody_counts_asks_a_person(skipping: Harness, world: World) -> None:
    names = world.add_chargers(8, sites=4)
    campaign = await world.add_campaign([names[:4], names[4:]], world.plan(gate=PLAN, waves=2))
    await skipping.start(campaign)
    await skipping.until_phase(campaign, P.PAUSED)

    assert {each.verdict for each in world.campaigns.decision_rows} == {VerdictWord.HOLD}
