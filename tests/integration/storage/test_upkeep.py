"""What people say of chargers and sites, over PostgreSQL: who goes first, what is booked, what has room."""

import asyncio
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from sqlalchemy import select

from storage.campaign import (
    FORWARD_AGAIN_WAVE,
    REHEARSAL_WAVE,
    ROLLBACK_WAVE_BASE,
    Campaign,
    CampaignPhase,
    CampaignPlan,
    Outcome,
    Target,
    TargetPhase,
    WavePlan,
)
from storage.canonical import digest
from storage.chain import STOPPING
from storage.charger import Charger, ChargerFilter, OutOfService, Site, SiteLease
from storage.errors import NotFound
from storage.parked import DOWNLOAD
from storage.postgres.campaigns import PostgresCampaignStore
from storage.postgres.chain import is_through
from storage.postgres.engine import reading
from storage.postgres.leases import PostgresLeaseStore
from storage.postgres.out_of_service import PostgresOutOfServiceStore
from storage.postgres.upkeep import PostgresUpkeepStore
from storage.upkeep import Before, Claimant, Link, Rival, SiteRules, Upkeep
from storage.windows import Closure, ClosureKind

pytestmark = pytest.mark.integration
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def upkeep(engine, chargers) -> PostgresUpkeepStore:
    return PostgresUpkeepStore(engine)


async def test_what_was_said_last_of_a_charger_stands(upkeep) -> None:
    said = Upkeep("A", "cabinet open", NOW, "1.0", Link.CELLULAR, 22.0, ("cCCS2", "cType2"), "ada")
    await upkeep.put_upkeep(said)
    assert await upkeep.upkeep(["A", "B"]) == {"A": said}
    await upkeep.put_upkeep(Upkeep("A"))
    assert await upkeep.upkeep(["A"]) == {"A": Upkeep("A")}
    with pytest.raises(NotFound):
        await upkeep.put_upkeep(Upkeep("nobody"))


@pytest.mark.requirement("X4")
async def test_closures_come_back_once_and_by_time(upkeep) -> None:
    event = Closure(NOW, NOW + HOUR, ClosureKind.GRID, "demand response", "s1")
    peak = Closure(NOW - HOUR, NOW + 2 * HOUR, ClosureKind.TARIFF, "peak", price=0.4)
    stored = await upkeep.put_closures([event, peak])
    assert await upkeep.put_closures([event]) == [stored[0]], "the same again is the same one"
    assert await upkeep.closures(NOW, NOW + HOUR) == [stored[1], stored[0]]
    assert await upkeep.closures(NOW + HOUR, NOW + 3 * HOUR) == [stored[1]], "half open"
    assert await upkeep.remove_closure(stored[0].closure_id)
    assert not await upkeep.remove_closure(stored[0].closure_id)
    with pytest.raises(NotFound):
        await upkeep.put_closures([peak, replace(event, site_id="nowhere")])
    assert len(await upkeep.closures(NOW, NOW + HOUR)) == 1


def campaign(name: str, *, priority: int | None = None, minutes: int = 0) -> Campaign:
    plan = CampaignPlan(name, "a" * 64, ChargerFilter(), (WavePlan("all", 1.0),), priority=priority)
    return Campaign(name, plan, name, CampaignPhase.RUNNING, "ann", NOW + timedelta(minutes=minutes))


@pytest.mark.requirement("R14")
async def test_a_rollback_then_the_higher_priority_then_the_earlier_campaign_goes_first(
    engine, upkeep
) -> None:
    store = PostgresCampaignStore(engine)

    async def add(given: Campaign, charger_id: str, wave: int = 0) -> None:
        target = Target(given.campaign_id, wave, 0, charger_id, "s1", "a" * 64, "1.0", "1.1")
        await store.create(given, [target], [])

    async def rival(claimant: Claimant, charger_id: str) -> Rival | None:
        found = await upkeep.surrounding(claimant, [charger_id], downtime_since=None)
        return found.rivals.get(charger_id)

    early, late, urgent = campaign("early"), campaign("late", minutes=5), campaign("urgent", priority=900)
    for each in (early, late, replace(urgent, created_at=NOW + HOUR)):
        await add(each, "A")
    mine = {
        each.campaign_id: Claimant(each.campaign_id, each.plan.rank, each.created_at)
        for each in (early, late)
    }
    top = Claimant("urgent", 900, NOW + HOUR)
    assert await rival(top, "A") is None
    assert await rival(mine["early"], "A") == Rival("urgent", 900)
    await store.set_phase("urgent", CampaignPhase.COMPLETED, "", NOW)
    assert await rival(mine["late"], "A") == Rival("early", 500)
    assert await rival(mine["early"], "A") is None
    await add(campaign("back", priority=0, minutes=9), "A", ROLLBACK_WAVE_BASE)
    assert await rival(mine["early"], "A") == Rival("back", 0), "what is bad goes away first"
    assert await rival(mine["early"], "B") is None


async def test_open_critical_drift_is_a_doubt_but_not_a_version_that_an_update_mends(upkeep, sql) -> None:
    async def drift(path: str, state: str = "open", severity: str = "critical", suspicion: str = "") -> None:
        await sql(
            "INSERT INTO drift (desired_version, differing_s, first_seen, judged_at, charger_id, path,"
            " severity, state, suspicion, reason) VALUES (1, 0, now(), now(), 'A', $1, $2, $3, $4, '')",
            path,
            severity,
            state,
            suspicion,
        )

    await drift("firmware.version")
    await drift("configuration.variables.X", severity="warning")
    await drift("security.roots", state="closed")
    claimant = Claimant("c", 500, NOW)
    assert (await upkeep.surrounding(claimant, ["A"], downtime_since=None)).doubts == {}
    await drift("security.tampered")
    await drift("security.profile")
    found = await upkeep.surrounding(claimant, ["A", "B"], downtime_since=None)
    assert found.doubts == {"A": ("security.profile", "security.tampered")}


def lease(charger_id: str, *, minutes: float = 60, length: int = 0) -> SiteLease:
    expires = datetime.now(UTC) + timedelta(minutes=minutes)
    return SiteLease(charger_id, "s2", f"charger/{charger_id}", "update", expires, download_bytes=length)


@pytest.mark.requirement("X13")
async def test_the_ledger_adds_up_what_leases_took_within_the_period(engine, upkeep, sql) -> None:
    leases, claimant = PostgresLeaseStore(engine), Claimant("c", 500, NOW)

    async def spent(hours: float = 24) -> float:
        now = datetime.now(UTC)
        since = now - timedelta(hours=hours)
        books = (await upkeep.surrounding(claimant, ["C"], downtime_since=since)).downtime.get("C", ())
        shown = (await upkeep.bookings(["C", "A"], since)).get("C", ())
        assert [one.began for one in shown] == [one.began for one in books], "people see what is judged"
        return sum(one.within(since) for one in books)

    async def taken(minutes: int) -> None:
        await sql(f"UPDATE site_lease SET taken_at = now() - interval '{minutes} minutes'")

    assert await spent() == 0.0
    await leases.take(lease("C"))
    await taken(10)
    assert spent_minutes(await spent()) == 10, "what runs counts already"
    assert await leases.release("C", "charger/C")
    await leases.take(lease("C", minutes=-5))
    await taken(25)
    assert spent_minutes(await spent()) == 10 + 20, "an expired lease counts until it expired"
    assert len(await leases.sweep()) == 1
    assert spent_minutes(await spent()) == 30
    assert spent_minutes(await spent(hours=0.25)) == 10 + 10, "what is older has gone by"


@pytest.mark.requirement("X13")
async def test_the_ledger_says_for_which_campaign_a_charger_was_away(engine, upkeep, sql) -> None:
    leases, since = PostgresLeaseStore(engine), datetime.now(UTC) - timedelta(hours=24)
    await leases.take(replace(lease("C"), campaign_id="spring"))
    await sql("UPDATE site_lease SET taken_at = now() - interval '30 minutes'")
    [running] = (await upkeep.bookings(["C"], since))["C"]
    assert (running.kind, running.campaign_id, running.lasts) == ("update", "spring", True)
    held = await leases.get("C")
    assert held is not None
    assert held.campaign_id == "spring"
    assert await leases.release("C", "charger/C")
    await leases.take(replace(lease("C"), kind="certificate"))
    await leases.release("C", "charger/C")
    await PostgresOutOfServiceStore(engine).add(OutOfService("C", "s2", (), datetime.now(UTC), "x"))
    await PostgresOutOfServiceStore(engine).remove("C")
    booked = (await upkeep.bookings(["C"], since))["C"]
    assert [(one.kind, one.campaign_id, one.lasts) for one in booked] == [
        ("update", "spring", False),
        ("certificate", None, False),
    ], "that it was put back took no time"
    assert booked[0].began == running.began
    await leases.take(replace(lease("C", length=10), kind=DOWNLOAD, campaign_id="summer"))
    assert len((await upkeep.bookings(["C"], since))["C"]) == 2, "who fetches is not away"


def spent_minutes(seconds: float) -> int:
    return round(seconds / 60)


@pytest.mark.requirement("X2", "R55")
@pytest.mark.parametrize("seed", range(3))
async def test_power_and_connector_types_hold_whoever_asks_and_in_any_order(
    engine, upkeep, chargers, seed
) -> None:
    rules = SiteRules(keep_power_share=0.5, keep_connector_types=True)
    await chargers.put_site(Site("s2", "Mall", "Europe/Berlin", 10, rules))
    power = {"P0": 150.0, "P1": 50.0, "P2": 50.0, "P3": 50.0, "P4": 100.0, "C": 0.0}
    kinds = {"P0": ("cCCS2",), "P1": ("cType2",), "P2": ("cType2",), "P3": ("cCHAdeMO",), "P4": ("cCCS2",)}
    for name, kw in power.items():
        if name != "C":
            await chargers.register(Charger(name, "s2", "Volt", "V2"), None)
        await upkeep.put_upkeep(Upkeep(name, power_kw=kw, connector_types=kinds.get(name, ())))
    leases, chance = PostgresLeaseStore(engine), random.Random(seed)
    away: set[str] = set()

    async def check() -> None:
        room = (await upkeep.rooms(["s2"]))["s2"]
        left = set(power) - room.away
        assert sum(power[name] for name in left) >= 0.5 * sum(power.values())
        assert {kind for name in left for kind in kinds.get(name, ())} == {"cCCS2", "cType2", "cCHAdeMO"}

    for _ in range(25):
        wanted = chance.sample(sorted(power), 3)
        answers = await asyncio.gather(*(leases.take(lease(name)) for name in wanted))
        away |= {name for name, answer in zip(wanted, answers, strict=True) if answer.granted}
        await check()
        assert "P3" not in away, "the only one of its type"
        for name in chance.sample(sorted(away), min(2, len(away))):
            await leases.release(name, f"charger/{name}")
            away.discard(name)


@pytest.mark.requirement("X2")
async def test_a_site_that_keeps_power_which_nobody_told_lets_nobody_go(engine, upkeep, chargers) -> None:
    await chargers.put_site(Site("s2", "Mall", "Europe/Berlin", 3, SiteRules(keep_power_share=0.5)))
    answer = await PostgresLeaseStore(engine).take(lease("C"))
    assert not answer.granted
    assert "nobody told the power of C" in answer.why_not


@pytest.mark.requirement("X16")
async def test_downloads_share_the_uplink_of_their_site(engine, upkeep, chargers) -> None:
    await chargers.put_site(Site("s2", "Mall", "Europe/Berlin", 9, SiteRules(max_download_bytes=250)))
    for name in ("D", "E"):
        await chargers.register(Charger(name, "s2", "Volt", "V2"), None)
    leases = PostgresLeaseStore(engine)
    assert (await leases.take(lease("C", length=100))).granted
    assert (await leases.take(lease("D", length=100))).granted
    refused = await leases.take(lease("E", length=100))
    assert "takes 250" in refused.why_not
    assert (await leases.take(lease("C", length=100))).granted, "its own again"
    assert (await leases.take(lease("E"))).granted, "work that fetches nothing"
    await chargers.put_site(Site("s2", "Mall", "Europe/Berlin", 9, SiteRules(max_downloads=2)))
    await leases.release("E", "charger/E")
    assert "2 of 2 downloads" in (await leases.take(lease("E", length=1))).why_not


async def test_ids_alone_of_who_matches(chargers) -> None:
    assert await chargers.names(ChargerFilter(query="site = s1")) == {"A", "B"}
    assert await chargers.names(ChargerFilter(charger_ids=("A", "C"), query="vendor = Volt")) == {"A", "C"}


@pytest.mark.requirement("R32")
async def test_how_a_charger_stands_in_the_campaign_before(engine, upkeep, chargers) -> None:
    campaigns = PostgresCampaignStore(engine)
    plan = CampaignPlan("c", "a" * 64, ChargerFilter(), (WavePlan("all", 1.0),))
    first = Campaign("c0", plan, digest(plan), CampaignPhase.DRAFT, "ann", NOW, cohort_size=3)
    rows = [Target("c0", 0, n, name, "s1", "a" * 64, "1.0", "1.1") for n, name in enumerate("ABC")]
    await campaigns.create(first, rows, [])
    for name, outcome in (("A", Outcome.UPDATED), ("B", Outcome.UPDATED)):
        await campaigns.finish_target("c0", 0, name, outcome, "it booted", NOW)
    back = Target("c0", 1000, 0, "B", "s1", "b" * 64, "1.1", "1.0")
    await campaigns.add_targets([back])

    async def before(after: str | None) -> dict[str, Before]:
        claimant = Claimant("c1", 500, NOW, after)
        found = await upkeep.surrounding(claimant, ["A", "B", "C", "D"], downtime_since=None)
        return dict(found.before)

    assert await before(None) == {}
    assert await before("nothing") == {}
    found = await before("c0")
    assert found["A"] == Before("c0", None, "its wave there has not passed its gate yet")
    await campaigns.note_wave("c0", 1, NOW)
    found = await before("c0")
    assert {name: (one.proven, one.open) for name, one in found.items()} == {
        "A": (True, False),
        "B": (False, False),
        "C": (False, True),
    }
    assert await upkeep.before("c0", ["A", "B", "C", "D"]) == found

    # Being stopped, it may take back what it proved, and no rollback has reached the charger yet.
    for phase in STOPPING:
        await campaigns.set_phase("c0", phase, "", NOW)
        stopping = (await before("c0"))["A"]
        assert (stopping.proven, stopping.open) == (False, True)
        assert stopping.reason == f"it is {phase.value.replace('_', ' ')}"
    await campaigns.set_phase("c0", CampaignPhase.RUNNING, "", NOW)

    # A rehearses the way back: the earlier image is not there, until it has come forward again.
    rehearsal = replace(back, wave=REHEARSAL_WAVE, charger_id="A")
    await campaigns.add_targets([rehearsal])
    await campaigns.finish_target("c0", REHEARSAL_WAVE, "A", Outcome.UPDATED, "it booted", NOW)
    rehearsing = (await before("c0"))["A"]
    assert (rehearsing.proven, rehearsing.open) == (False, True)
    await campaigns.set_phase("c0", CampaignPhase.ABORTED, "", NOW)
    assert (await before("c0"))["A"].taken_back, "it was cut short"
    await campaigns.add_targets([replace(rehearsal, wave=FORWARD_AGAIN_WAVE)])
    await campaigns.finish_target("c0", FORWARD_AGAIN_WAVE, "A", Outcome.UPDATED, "it booted", NOW)
    assert (await before("c0"))["A"].proven


@pytest.mark.requirement("R32")
async def test_what_comes_first_is_a_condition_of_the_statement_and_a_reading_alike(engine, upkeep) -> None:
    """One rule, told twice: whatever its last wave there is, its outcome, and the campaign's phase."""
    campaigns = PostgresCampaignStore(engine)
    plan = CampaignPlan("c", "a" * 64, ChargerFilter(), (WavePlan("all", 1.0),))
    target = Target("c0", 0, 0, "", "s1", "a" * 64, "1.0", "1.1", phase=TargetPhase.DONE)
    rows = []
    for wave, outcome in product((0, REHEARSAL_WAVE, FORWARD_AGAIN_WAVE, ROLLBACK_WAVE_BASE), Outcome):
        mine = replace(target, ordinal=len(rows), charger_id=f"{wave}/{outcome}")
        rows.append(replace(mine, wave=wave, outcome=outcome))
        rows += [replace(mine, outcome=Outcome.UPDATED)] if wave else []
    await campaigns.create(Campaign("c0", plan, digest(plan), CampaignPhase.DRAFT, "ann", NOW), rows, [])
    names = [*{row.charger_id for row in rows}, "nobody"]
    for begun, passed in ((0, False), (REHEARSAL_WAVE, False), (1, True)):
        await campaigns.note_wave("c0", begun, NOW)
        proven = 0
        for phase in (CampaignPhase.PAUSED, *STOPPING, CampaignPhase.ABORTED, CampaignPhase.COMPLETED):
            await campaigns.set_phase("c0", phase, "", NOW)
            told = await upkeep.before("c0", names)
            async with reading(engine) as connection:
                said = (await connection.execute(select(*(is_through("c0", name) for name in names)))).one()
            assert list(said) == [name in told and told[name].proven for name in names], (phase, begun)
            proven += sum(said)
        # Updated and found current, in a wave of its own or forward again after a rehearsal. Who was aborted
        # before its gate let it pass is through with nothing.
        assert proven == 2 * 2 * (3 if passed else 1)
