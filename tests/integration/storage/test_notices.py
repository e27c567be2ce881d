"""Notices are written by the database, in the transactions that they tell of."""

import asyncio
import json
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from api.webhook_post import WebhookPost
from api.webhook_url import WebhookRules
from storage.audit import AuditEntry
from storage.campaign import Decision, VerdictWord
from storage.errors import Conflict, NotFound
from storage.halt import EVERYTHING, Vote
from storage.incident import IncidentChange, IncidentKind
from storage.notice import BULK, DeliveryChange, DeliveryState, NoticeKind, Webhook
from storage.postgres.campaigns import PostgresCampaignStore
from storage.postgres.halts import PostgresHaltStore
from storage.postgres.notices import PostgresNoticeStore
from storage.postgres.watching import watch_stores
from tests.integration.storage.conftest import NOW
from tests.support.memory_notices import line_up
from tests.support.receiver import receiving
from workflows.herald import Herald

pytestmark = [pytest.mark.integration, pytest.mark.requirement("X15")]

RESTORED = AuditEntry(NOW, "ann", "halt.restore_voted", EVERYTHING, {})
LATER = NOW + timedelta(minutes=2)


@pytest.fixture
def notices(engine) -> PostgresNoticeStore:
    return PostgresNoticeStore(engine)


def hook(name: str, *kinds: NoticeKind) -> Webhook:
    return Webhook(name, f"https://{name}.test/", kinds, "ada", NOW)


async def told(notices: PostgresNoticeStore, name: str = "all") -> list[tuple[str, str]]:
    found = await notices.line(name, NOW, limit=100)
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
    planned, ended = await notices.line("maps", NOW, limit=10)
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
    first, second = await notices.line("all", NOW, limit=2)
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


async def test_each_has_its_turn_however_much_the_others_have_waiting(notices) -> None:
    for name in ("a", "b", "c"):
        await notices.add(hook(name))
        await notices.test(name, "ada")
    had = set()
    for _ in range(60):
        [held] = await notices.hold_due(NOW, LATER, limit=1)
        had.add(held.webhook_id)
        await notices.release(held.webhook_id)
    assert had == {"a", "b", "c"}


async def test_what_another_herald_delivered_does_not_wait_again(notices) -> None:
    """One whose hold ran out while its attempt failed."""
    await notices.add(hook("all"))
    number = await notices.test("all", "ada")
    delivered = DeliveryChange("all", number, DeliveryState.DELIVERED, NOW)
    await notices.record(delivered, NOW)
    for state in (DeliveryState.WAITING, DeliveryState.GIVEN_UP):
        await notices.record(DeliveryChange("all", number, state, NOW, "no", LATER, 1), NOW)
        [found] = await notices.deliveries("all")
        assert (found.state, found.attempts, found.retry_at) == (DeliveryState.DELIVERED, 1, None)
    second = await notices.test("all", "ada")
    await notices.record(DeliveryChange("all", second, DeliveryState.GIVEN_UP, NOW, "no"), NOW)
    await notices.record(replace(delivered, notice_id=second), NOW)
    assert (await notices.deliveries("all"))[0].state is DeliveryState.DELIVERED


async def test_an_attempt_is_written_down_on_both(notices) -> None:
    await notices.add(hook("all"))
    number = await notices.test("all", "ada")
    failed = DeliveryChange("all", number, DeliveryState.WAITING, NOW, "it answered 500", LATER, 1)
    await notices.record(failed, NOW)
    found = await notices.get("all")
    assert (found.failures, found.retry_at, found.last_error) == (1, None, "it answered 500")
    assert (found.waiting, found.held_up) == (1, 1)
    [waits] = await notices.deliveries("all")
    assert (waits.attempts, waits.retry_at) == (1, LATER)
    soon = NOW + timedelta(minutes=1)
    assert await notices.hold_due(soon, LATER, limit=9) == [], "of its subject nothing is due"
    await notices.record(replace(failed, retry_at=None, pause_until=LATER), NOW)
    assert (await notices.get("all")).retry_at == LATER
    assert await notices.hold_due(soon, LATER, limit=9) == [], "nothing is due at all"
    assert await notices.in_trouble("all", 2)
    assert not await notices.in_trouble("all", 3)
    await notices.record(DeliveryChange("all", number, DeliveryState.GIVEN_UP, NOW, "no"), NOW)
    assert (await notices.get("all")).waiting == 0
    assert await notices.in_trouble("all", 9)
    assert await notices.retry("all") == 1
    assert not await notices.in_trouble("all", 1)
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
    [one] = await notices.line("all", NOW, limit=10)
    said = one.notice.data
    assert (said["verdict"], said["reason"], said["record_sha256"]) == ("abort", "5 of 7", "r")


async def tell(sql, kind: NoticeKind, subject: str) -> int:
    return await sql.value("SELECT tell($1, $2, '{}')", kind.value, subject)


async def test_the_line_is_the_one_that_the_rules_say(notices, sql) -> None:
    """Whatever waits and whatever is tried again later: as ``line_up`` in memory has it."""
    chance = random.Random(7)
    await notices.add(hook("all"))
    await notices.add(hook("other"))
    subjects = [f"charger/{number}" for number in range(6)]
    for _ in range(40):
        for _ in range(chance.randrange(4)):
            await tell(sql, chance.choice(list(NoticeKind)), chance.choice(subjects))
        waiting = sorted(
            (each for each in await notices.deliveries("all", limit=500) if each.state.value == "waiting"),
            key=lambda each: each.notice.notice_id,
        )
        wanted = line_up(waiting, NOW)
        for limit in (1, 3, 500):
            assert await notices.line("all", NOW, limit=limit) == wanted[:limit]
        held = [each.webhook_id for each in await notices.hold_due(NOW, LATER, limit=9)]
        assert ("all" in held) == bool(wanted)
        for name in held:
            await notices.release(name)
        if wanted:
            number = wanted[0].notice.notice_id
            state, retry_at = chance.choice(
                [
                    (DeliveryState.DELIVERED, None),
                    (DeliveryState.GIVEN_UP, None),
                    (DeliveryState.WAITING, LATER),
                    (DeliveryState.WAITING, NOW),
                ]
            )
            error = "" if state is DeliveryState.DELIVERED else "no"
            back = chance.random() < 0.2
            await notices.record(DeliveryChange("all", number, state, NOW, error, retry_at, back=back), LATER)
            await notices.release("all")


async def test_a_receiver_that_is_back_has_everything_and_one_that_stays_away_loses_what_is_old(
    notices, sql
) -> None:
    await notices.add(hook("all"))
    await notices.add(hook("other"))
    first, second = [await tell(sql, NoticeKind.HALT_PULLED, f"halt/{number}") for number in (1, 2)]
    failed = DeliveryChange("all", first, DeliveryState.WAITING, NOW, "no", LATER, 3, LATER)
    await notices.record(failed, NOW)
    assert [each.notice.notice_id for each in await notices.line("all", NOW, limit=9)] == [second]
    await notices.record(DeliveryChange("all", second, DeliveryState.DELIVERED, NOW, back=True), NOW)
    assert [each.notice.notice_id for each in await notices.line("all", NOW, limit=9)] == [first]
    third = await tell(sql, NoticeKind.HALT_PULLED, "halt/3")
    at = await sql.value("SELECT at FROM notice WHERE notice_id = $1", third)
    await notices.record(replace(failed, lost_before=at), NOW)
    assert [each.notice.notice_id for each in await notices.line("all", NOW, limit=9)] == [third]
    assert len(await notices.line("other", NOW, limit=9)) == 3, "another one loses nothing"
    lost = (await notices.deliveries("all"))[-1]
    assert (lost.notice.notice_id, lost.state, lost.ended_at) == (first, DeliveryState.GIVEN_UP, NOW)


async def test_what_is_urgent_is_so_in_the_database_and_here(notices, sql) -> None:
    await notices.add(hook("all"))
    for kind in NoticeKind:
        await tell(sql, kind, "x")
    found = await sql("SELECT kind, urgent FROM notice JOIN webhook_delivery USING (notice_id)")
    assert {row["kind"]: row["urgent"] for row in found} == {
        kind.value: kind not in BULK for kind in NoticeKind
    }


async def test_no_trigger_notifies(sql) -> None:
    """Of transactions that do, PostgreSQL lets one of the whole cluster commit at a time."""
    ours = "pronamespace = 'public'::regnamespace AND prosrc ILIKE '%notify%'"
    assert await sql(f"SELECT proname FROM pg_proc WHERE {ours}") == []


class Picky:
    """What a receiver does that answers 500 to whatever is about one campaign, and takes all else."""

    def __init__(self) -> None:
        self.got: list[tuple[str, str]] = []
        self.broken = True

    def answers(self, body: bytes) -> bytes:
        said = json.loads(body)
        self.got.append((said["subject"], said["type"].removeprefix("io.ampwave.")))
        refused = self.broken and said["subject"] == "campaign/c1"
        return b"HTTP/1.1 500 Oh\r\n\r\n" if refused else b"HTTP/1.1 204 No Content\r\n\r\n"


async def test_a_receiver_that_fails_for_one_campaign_hears_of_a_halt_at_once(notices, engine, sql) -> None:
    now = [datetime.now(UTC)]
    picky, watch = Picky(), watch_stores(engine)
    async with receiving(answers=picky.answers) as receiver:
        post = WebhookPost(WebhookRules.of(["127.0.0.0/8"], plain_http=True), b"p" * 32, "https://a.test")
        herald = Herald(notices, watch.incidents, post, lambda: now[0])
        await notices.add(replace(hook("ops"), url=f"http://127.0.0.1:{receiver.port}/"))
        await sql(CAMPAIGN)
        await sql("UPDATE campaign SET phase = 'running'")
        running = asyncio.create_task(herald.run())
        try:
            async with asyncio.timeout(60):
                await receiver.has(1)
                await sql(TARGET)
                await sql("UPDATE campaign_target SET phase = 'reserved' WHERE charger_id = 'CP-1'")
                await receiver.has(2)
                await PostgresHaltStore(engine).pull(EVERYTHING, "ann", "smoke", now[0])
                await receiver.has(3)
                assert [kind for _, kind in picky.got] == [
                    "campaign.phase_changed",
                    "charger.maintenance_planned",
                    "halt.pulled",
                ]
                await sql.until("SELECT count(*) = 2 FROM webhook_delivery WHERE state = 'waiting'")
                found = await notices.get("ops")
                assert (found.waiting, found.held_up) == (2, 1), (
                    "the second of the campaign is behind the first"
                )
                picky.broken = False
                now[0] += timedelta(seconds=6)
                await receiver.has(5)
                await sql.until("SELECT count(*) = 0 FROM webhook_delivery WHERE state = 'waiting'")
        finally:
            running.cancel()
            await asyncio.wait({running})
    assert [json.loads(body)["data"]["phase"] for body in receiver.bodies[3:]] == ["draft", "running"]
    assert len({one.split("webhook-id: ")[1].split("\r")[0] for one in receiver.heads}) == 4, "one came twice"
