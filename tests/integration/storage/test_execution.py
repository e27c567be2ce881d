"""The execution of updates in PostgreSQL: penalties, what chargers were before, where each one stands."""

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from storage.audit import AuditEntry
from storage.campaign import (
    Campaign,
    CampaignPhase,
    CampaignPlan,
    Outcome,
    Target,
    TargetPhase,
    WavePlan,
)
from storage.charger import ChargerFilter
from storage.errors import NotFound
from storage.kept import Kept
from storage.penalty import Penalty
from storage.postgres.audit import PostgresAuditLog
from storage.postgres.campaigns import PostgresCampaignStore
from storage.postgres.kept import PostgresKeptStore
from storage.postgres.penalties import PostgresPenaltyStore
from tests.integration.storage.conftest import NOW

pytestmark = [pytest.mark.integration, pytest.mark.requirement("R27")]


async def test_a_penalty_is_imposed_once_seen_with_its_charger_and_released_once(engine, chargers) -> None:
    store, now = PostgresPenaltyStore(engine), datetime.now(UTC)
    first = Penalty("A", now, now + timedelta(hours=24), 3, 1, "3 attempts failed")
    imposed = await asyncio.gather(*(store.impose(first) for _ in range(5)))
    assert sorted(imposed) == [False, False, False, False, True]
    assert (await chargers.get("A")).penalty == first
    assert (await chargers.get("B")).penalty is None
    assert await store.in_force(now) == [first]

    released = await store.release("A", "ada", now)
    assert (released.released_by, await store.in_force(now)) == ("ada", [])
    assert (await chargers.get("A")).penalty is None
    with pytest.raises(NotFound):
        await store.release("A", "ada", now)

    again = replace(first, times=2, until=now - timedelta(seconds=1))
    assert await store.impose(again)
    assert await store.get("A") == again
    assert (await chargers.get("A")).penalty is None, "its time is over"


@pytest.mark.requirement("X9")
async def test_what_a_charger_was_is_kept_once_until_its_update_is_over(engine) -> None:
    store, now = PostgresKeptStore(engine), datetime.now(UTC)
    kept = Kept("c1", 0, "A", now, {"HeartbeatInterval": "60"}, 2, ("CSMSRootCertificate/k/7",), 7)
    await store.keep(kept)
    await store.keep(replace(kept, values={"HeartbeatInterval": "1"}))
    assert await store.get("c1", 0, "A") == kept
    assert await store.get("c1", 1000, "A") is None
    await store.forget("c1", 0, "A")
    assert await store.get("c1", 0, "A") is None


@pytest.mark.requirement("F120", "F121")
async def test_the_latest_target_of_each_charger_and_the_kinds_they_are_of(engine, chargers, sql) -> None:
    store = PostgresCampaignStore(engine)
    plan = CampaignPlan("r", "f" * 64, ChargerFilter(), (WavePlan("w", 1.0),))
    one = Target("c1", 0, 0, "A", "s1", "f" * 64, "1", "2")
    targets = [replace(one, charger_id=name, ordinal=number) for number, name in enumerate("CAB")]
    await store.create(Campaign("c1", plan, "d", CampaignPhase.RUNNING, "ada", NOW), targets, ())
    await store.add_targets([replace(one, wave=1000, charger_id="B", reason="back")])
    await sql(
        "INSERT INTO twin_section (charger_id, name, reported) VALUES ('A', 'connectivity', $1)"
        " ON CONFLICT (charger_id, name) DO UPDATE SET reported = $1",
        '{"dialect": "ocpp1.6"}',
    )

    first = await store.latest_targets("c1", limit=2)
    rest = await store.latest_targets("c1", limit=2, cursor=first.next_cursor)
    assert [(row.charger_id, row.wave) for row in (*first.items, *rest.items)] == [
        ("A", 0),
        ("B", 1000),
        ("C", 0),
    ]
    assert rest.next_cursor is None
    groups = [(each.dialect, each.key.back, each.chargers) for each in await store.outcome_groups("c1")]
    assert sorted(groups) == [("", False, 1), ("", True, 1), ("ocpp1.6", False, 1)]

    later = NOW + timedelta(hours=1)
    for deadline in (NOW, later, NOW):
        await store.note_wave("c1", 0, deadline)
    assert await store.wave_deadlines("c1") == {0: later}


@pytest.mark.requirement("F120", "R29", "R48")
async def test_who_is_back_is_told_by_what_it_says_now_and_only_while_it_is_connected(
    engine, chargers, sql
) -> None:
    store = PostgresCampaignStore(engine)
    plan = CampaignPlan("r", "f" * 64, ChargerFilter(), (WavePlan("w", 1.0),), rollback_artifact_id="e" * 64)
    sent = Target(
        "c1", 0, 0, "A", "s1", "f" * 64, "1.0", "1.1", TargetPhase.DONE, Outcome.UPDATED, "it booted",
        1, 7, NOW, NOW + timedelta(minutes=1),
    )  # fmt: skip
    targets = [replace(sent, charger_id=name, ordinal=number) for number, name in enumerate("ABC")]
    await store.create(Campaign("c1", plan, "d", CampaignPhase.ROLLED_BACK, "ada", NOW), targets, ())
    for name, version, online in (("A", "1.0", True), ("B", "1.0", False), ("C", "1.1", True)):
        await says(sql, name, version, online=online)
    assert await store.back_again("c1", "ABC") == {"A"}
    assert await store.back_again("c1", "BC") == frozenset()
    groups = {each.key.again: each.chargers for each in await store.outcome_groups("c1")}
    assert groups == {True: 1, False: 2}
    assert [each.charger_id for each in await store.gone_back("c1")] == ["A", "B"], (
        "whether it is here, others ask"
    )

    later = replace(sent, campaign_id="c2", charger_id="B", dispatched_at=NOW + timedelta(minutes=2))
    flying = replace(later, phase=TargetPhase.CONFIRMING, outcome=None, finished_at=None)
    await store.create(replace(await store.get("c1"), campaign_id="c2"), [flying], ())
    assert [each.charger_id for each in await store.gone_back("c1")] == ["A"], "it was sent something since"
    await store.finish_target("c2", 0, "B", Outcome.FAILED, "no", NOW + timedelta(minutes=3))
    assert [each.charger_id for each in await store.gone_back("c1")] == ["A"]

    ahead = replace(
        sent, campaign_id="c3", to_version="1.0", dispatched_at=None, finished_at=NOW + timedelta(hours=1)
    )
    await store.create(replace(await store.get("c1"), campaign_id="c3"), [ahead], ())
    assert await store.gone_back("c1") == [], "it installed what another campaign had it fetch"
    await sql("DELETE FROM campaign_target WHERE campaign_id = 'c3'")

    (gone,) = await store.gone_back("c1")
    told = AuditEntry(NOW, "campaign/c1", "campaign.charger_fell_back", "campaign/c1", {"charger_id": "A"})
    assert await store.note_fall_back(gone, "1.0", "boot loop", told)
    assert not await store.note_fall_back(gone, "1.0", "again", told)
    acts = [row.entry.action for row in await PostgresAuditLog(engine).rows()]
    assert acts.count("campaign.charger_fell_back") == 1, "with the outcome, or not at all"
    noted = await store.target("c1", 0, "A")
    assert (noted.outcome, noted.reason, noted.fell_back_to) == (Outcome.FAILED, "boot loop", "1.0")
    assert (noted.finished_at, await store.gone_back("c1")) == (gone.finished_at, [])
    await store.add_targets([replace(sent, charger_id="C", wave=1000, from_version="1.1", to_version="1.0")])
    assert await store.gone_back("c1") == [], "who fell forward after its rollback goes back once more"


async def says(sql, charger_id: str, version: str, *, online: bool) -> None:
    await sql("UPDATE twin SET online = $2 WHERE charger_id = $1", charger_id, online)
    await sql(
        "INSERT INTO twin_section (charger_id, name, reported) VALUES ($1, 'firmware', $2)"
        " ON CONFLICT (charger_id, name) DO UPDATE SET reported = $2",
        charger_id,
        json.dumps({"version": version}),
    )
