"""Notices are written by the database, in the transactions that they tell of."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from storage.audit import AuditEntry
from storage.campaign import Decision, VerdictWord
from storage.errors import Conflict, NotFound
from storage.halt import EVERYTHING, Vote
from storage.incident import IncidentChange, IncidentKind
from storage.notice import DeliveryChange, DeliveryState, NoticeKind, Webhook
from storage.postgres.campaigns import PostgresCampaignStore
from storage.postgres.halts import PostgresHaltStore
from storage.postgres.notices import PostgresNoticeStore
from storage.postgres.watching import watch_stores
from tests.integration.storage.conftest import NOW

pytestmark = [pytest.mark.integration, pytest.mark.requirement("X15")]

RESTORED = AuditEntry(NOW, "ann", "halt.restore_voted", EVERYTHING, {})
LATER = NOW + timedelta(minutes=2)


@pytest.fixture
def notices(engine) -> PostgresNoticeStore:
    return PostgresNoticeStore(engine)


def hook(name: str, *kinds: NoticeKind) -> Webhook:
    return Webhook(name, f"https://{name}.test/", kinds, "ada", NOW)


async def told(notices: PostgresNoticeStore, name: str = "all") -> list[tuple[str, str]]:
    found = await notices.next_deliveries(name, limit=100)
    return [(one.notice.kind.value, one.notice.subject) for one in found]


CAMPAIGN = """
    INSERT INTO campaign (campaign_id, plan, plan_digest, phase, reason, created_by, created_at, cohort_size)
    VALUES ('c1', '{"name": "Spring", "pace": {"attempt_deadline_seconds": 600}}', 'd', 'draft', '', 'ada',
            now(), 2)
"""
TARGET = """
    INSERT INTO campaign_target (campaign_id, wave, ordinal, charger_id, site_id, artifact_id, from_version,
        to_version, phase, reason, attempt)
    SELECT 'c1', 0, n, 'CP-' || n, 'depot', 'a', '1.0', '1.1', 'pending', '', 0 FROM generate_series(1, 2) n
"""


async def test_without_a_webhook_nothing_is_written(notices, sql) -> None:
    await sql(CAMPAIGN)
    await sql("UPDATE campaign SET phase = 'running'")
    assert await sql("SELECT * FROM notice") == []


async def test_a_charger_is_announced_before_it_is_touched_and_told_of_when_it_is_back(notices, sql) -> None:
    await notices.add(hook("all"))
    await notices.add(hook("maps", NoticeKind.MAINTENANCE_PLANNED, NoticeKind.MAINTENANCE_ENDED))
    await sql(CAMPAIGN)
    await sql(TARGET)
    for phase in ("waiting", "reserved", "reserved", "dispatched", "confirming"):
        await sql(f"UPDATE campaign_target SET phase = '{phase}' WHERE charger_id = 'CP-1'")
    await sql("UPDATE campaign_target SET phase = 'done', outcome = 'updated' WHERE charger_id = 'CP-1'")
    await sql("UPDATE campaign_target SET phase = 'done', outcome = 'skipped' WHERE charger_id = 'CP-2'")
    planned, ended = await notices.next_deliveries("maps", limit=10)
    assert (planned.notice.kind, ended.notice.kind) == (
        NoticeKind.MAINTENANCE_PLANNED,
        NoticeKind.MAINTENANCE_ENDED,
    )
    assert planned.notice.subject == "charger/CP-1"
    said = planned.notice.data
    assert (said["ocpi_status"], said["site_id"], said["to_version"]) == ("INOPERATIVE", "depot", "1.1")
    assert said["ends_at_latest"] > planned.notice.at.isoformat()[:16]
    assert ended.notice.data["outcome"] == "updated"


async def test_a_retry_is_two_absences(notices, sql) -> None:
    await notices.add(hook("all", NoticeKind.MAINTENANCE_PLANNED, NoticeKind.MAINTENANCE_ENDED))
    await sql(CAMPAIGN)
    await sql(TARGET)
    for phase in ("reserved", "dispatched", "waiting", "reserved", "done"):
        await sql(f"UPDATE campaign_target SET phase = '{phase}' WHERE charger_id = 'CP-1'")
    kinds = [kind.removeprefix("charger.maintenance_") for kind, _ in await told(notices)]
    assert kinds == ["planned", "ended", "planned", "ended"]


async def test_phases_verdicts_incidents_and_halts_are_told(notices, engine, sql) -> None:
    await notices.add(hook("all"))
    await sql(CAMPAIGN)
    await sql("UPDATE campaign SET phase = 'running'")
    await sql("UPDATE campaign SET reason = 'the same phase'")
    watch, halts = watch_stores(engine), PostgresHaltStore(engine)
    opened = IncidentChange(IncidentKind.SITE_OUTAGE, "site/depot", NOW, "It is dark.")
    await watch.incidents.apply([opened])
    await watch.incidents.apply([opened])
    await watch.incidents.apply([replace(opened, close=True)])
    made = await halts.pull(EVERYTHING, "ann", "smoke", NOW)
    for person in ("ann", "bob"):
        await halts.restore(made.halt_id, Vote(person, "steam", NOW), lambda _: RESTORED)
    assert [kind for kind, _ in await told(notices)] == [
        "campaign.phase_changed",
        "campaign.phase_changed",
        "incident.opened",
        "incident.closed",
        "halt.pulled",
        "halt.lifted",
    ]
    first, second = await notices.next_deliveries("all", limit=2)
    assert (first.notice.data["phase_before"], second.notice.data["phase_before"]) == (None, "draft")


async def test_what_is_rolled_back_was_never_told(notices, engine, sql) -> None:
    await notices.add(hook("all"))
    with pytest.raises(Exception, match="no"):
        await sql("DO $$ BEGIN PERFORM tell('halt.pulled', 'halt/1', '{}'); RAISE EXCEPTION 'no'; END $$")
    assert await told(notices) == []


async def test_one_herald_at_a_time_holds_a_webhook(notices) -> None:
    await notices.add(hook("all"))
    await notices.test("all", "ada")
    held = await asyncio.gather(*(notices.hold_due(NOW, LATER, limit=9) for _ in range(8)))
    assert sorted(len(each) for each in held) == [0] * 7 + [1]
    assert await notices.hold_due(NOW, LATER, limit=9) == []
    assert len(await notices.hold_due(LATER, LATER, limit=9)) == 1, "whoever died holds nothing for ever"


async def test_an_attempt_is_written_down_on_both(notices) -> None:
    await notices.add(hook("all"))
    number = await notices.test("all", "ada")
    failed = DeliveryChange("all", number, DeliveryState.WAITING, NOW, "it answered 500", LATER)
    await notices.record(failed, NOW)
    found = await notices.get("all")
    assert (found.failures, found.retry_at, found.last_error, found.waiting) == (
        1,
        LATER,
        "it answered 500",
        1,
    )
    assert await notices.hold_due(NOW + timedelta(minutes=1), LATER, limit=9) == []
    await notices.record(DeliveryChange("all", number, DeliveryState.GIVEN_UP, NOW, "no", NOW), NOW)
    assert (await notices.get("all")).waiting == 0
    assert await notices.retry("all") == 1
    await notices.record(DeliveryChange("all", number, DeliveryState.DELIVERED, NOW), NOW)
    [done] = await notices.deliveries("all")
    assert (done.state, done.attempts, done.ended_at) == (DeliveryState.DELIVERED, 1, NOW)
    assert (await notices.get("all")).failures == 0


async def test_it_is_paused_rotated_removed_and_forgotten(notices, sql) -> None:
    await notices.add(hook("all"))
    await notices.add(hook("other"))
    with pytest.raises(Conflict, match="all already"):
        await notices.add(hook("all"))
    number = await notices.test("all", "ada")
    assert (await notices.set_paused("all", "ada")).paused_by == "ada"
    assert await notices.hold_due(NOW, LATER, limit=9) == []
    assert (await notices.set_paused("all", None)).paused_by is None
    assert (await notices.rotate("all", LATER)).secret_number == 2
    far = NOW + timedelta(days=900)
    assert await notices.forget(far) == 0, "what waits is not forgotten"
    await notices.record(DeliveryChange("all", number, DeliveryState.DELIVERED, NOW), NOW)
    assert await notices.forget(far) == 1
    await notices.test("all", "ada")
    assert await notices.remove("all") == 1
    assert [each.webhook_id for each in await notices.find()] == ["other"]
    for act in (notices.get("all"), notices.remove("all"), notices.retry("all"), notices.test("all", "ada")):
        with pytest.raises(NotFound):
            await act
    assert await notices.forget(far) == 1
    assert await sql("SELECT * FROM notice") == []


async def test_a_verdict_is_told_with_the_digest_of_its_record(notices, engine, sql) -> None:
    await notices.add(hook("all", NoticeKind.WAVE_JUDGED))
    await sql(CAMPAIGN)
    decision = Decision("c1", 0, 1, NOW, "gate", VerdictWord.ABORT, "5 of 7", {}, "i", {}, "r")
    await PostgresCampaignStore(engine).add_decision(decision)
    [one] = await notices.next_deliveries("all", limit=10)
    said = one.notice.data
    assert (said["verdict"], said["reason"], said["record_sha256"]) == ("abort", "5 of 7", "r")
