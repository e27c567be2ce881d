"""One person halts at once, two different people restore; what is halted is not sent (S66)."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import asyncpg
import pytest

from storage.audit import AuditEntry
from storage.campaign import Campaign, CampaignPhase, CampaignPlan, Target, WavePlan
from storage.canonical import digest
from storage.charger import ChargerFilter
from storage.errors import Conflict, NotFound
from storage.halt import EVERYTHING, Vote
from storage.postgres.audit import PostgresAuditLog
from storage.postgres.campaigns import PostgresCampaignStore
from storage.postgres.halts import PostgresHaltStore
from storage.postgres.withdrawals import PostgresWithdrawalStore
from storage.withdrawal import Source, Withdrawal, artifact_subject
from tests.integration.storage.conftest import NOW

pytestmark = [pytest.mark.integration, pytest.mark.requirement("S66")]

IMAGE = "a" * 64


@pytest.fixture
def halts(engine) -> PostgresHaltStore:
    return PostgresHaltStore(engine)


def vote(actor: str, minutes: int = 1) -> Vote:
    return Vote(actor, "looked into it", NOW + timedelta(minutes=minutes))


def on_record(found: object) -> AuditEntry:
    return AuditEntry(NOW, "ann", "halt.voted", "everything", {"found": repr(found)})


async def test_one_person_halts_and_two_restore(halts) -> None:
    made = await halts.pull(EVERYTHING, "ann", "smoke at depot 3", NOW)
    assert (await halts.standing()) == made
    assert (await halts.restore(made.halt_id, vote("ann"), on_record)).lifted_at is None
    assert (await halts.restore(made.halt_id, vote("ann", 2), on_record)).votes == (vote("ann"),), (
        "one person, once"
    )
    lifted = await halts.restore(made.halt_id, vote("bob", 3), on_record)
    assert lifted.lifted_at == NOW + timedelta(minutes=3)
    assert await halts.standing() is None
    assert await halts.in_force() == []
    assert [halt.halt_id for halt in await halts.recent()] == [made.halt_id]
    with pytest.raises(Conflict, match="was lifted"):
        await halts.restore(made.halt_id, vote("cid"), on_record)
    with pytest.raises(NotFound):
        await halts.restore(99, vote("cid"), on_record)


async def test_many_at_once_make_one_halt_and_two_votes_lift_it_once(halts) -> None:
    made = await asyncio.gather(*(halts.pull(EVERYTHING, f"p{n}", "now", NOW) for n in range(8)))
    assert len({halt.halt_id for halt in made}) == 1
    votes = (halts.restore(made[0].halt_id, vote(f"p{n}", n), on_record) for n in range(4))
    results = await asyncio.gather(*votes, return_exceptions=True)
    refused = [each for each in results if isinstance(each, Conflict)]
    assert len(refused) == 2, "whoever comes third is told that it is lifted"
    assert len((await halts.recent())[0].votes) == 2


async def test_what_is_halted_or_withdrawn_cannot_be_marked_as_sent(halts, engine) -> None:
    """The last gate in front of a socket is one statement: no halt and no withdrawal slips in between."""
    store = PostgresCampaignStore(engine)
    plan = CampaignPlan("c", IMAGE, ChargerFilter(), (WavePlan("all", 1.0),))
    campaign = Campaign("c1", plan, digest(plan), CampaignPhase.DRAFT, "ann", NOW, cohort_size=1)
    await store.create(campaign, [Target("c1", 0, 0, "A", "s1", IMAGE, "1.0", "1.1")], [])
    await store.set_phase(campaign.campaign_id, CampaignPhase.RUNNING, "", NOW)
    target = replace(
        (await store.targets(campaign.campaign_id))[0], attempt=1, request_id=1, dispatched_at=NOW
    )
    made = await halts.pull(EVERYTHING, "ann", "now", NOW)
    assert not await store.mark_dispatched(target, CampaignPhase.RUNNING)
    for name in ("bob", "cid"):
        await halts.restore(made.halt_id, vote(name), on_record)
    withdrawals = PostgresWithdrawalStore(engine)
    for subject, subjects in ((artifact_subject(IMAGE), ()), ("certificate:c1", ("certificate:c1",))):
        await withdrawals.add([Withdrawal(subject, "now", Source.PERSON, "ann", NOW)])
        assert not await store.mark_dispatched(target, CampaignPhase.RUNNING, subjects)
        for name in ("bob", "cid"):
            await withdrawals.restore(subject, name, on_record)
    assert await store.mark_dispatched(target, CampaignPhase.RUNNING, ("certificate:c1",))


async def test_nobody_removes_a_halt_and_none_is_forgotten_by_the_audit_log(halts, sql) -> None:
    made = await halts.pull(EVERYTHING, "ann", "now", NOW)
    with pytest.raises(asyncpg.RaiseError, match="never removed"):
        await sql("DELETE FROM halt")
    assert await halts.unrecorded() == [made]
    await halts.mark_recorded(made.halt_id)
    assert await halts.unrecorded() == []


async def test_who_halts_what_is_halted_already_is_not_outvoted_by_words_said_before(halts) -> None:
    made = await halts.pull(EVERYTHING, "ann", "smoke at depot 3", NOW)
    await halts.restore(made.halt_id, vote("bob"), on_record)
    again = await halts.pull(EVERYTHING, "cid", "and at depot 4", NOW + timedelta(minutes=2))
    assert (again.halt_id, again.votes) == (made.halt_id, ())
    assert (await halts.restore(made.halt_id, vote("dan", 3), on_record)).lifted_at is None
    assert (await halts.restore(made.halt_id, vote("bob", 4), on_record)).lifted_at is not None


async def test_a_halt_while_the_last_word_for_its_end_is_said_is_in_force(halts) -> None:
    for _ in range(10):
        made = await halts.pull(EVERYTHING, "ann", "smoke", NOW)
        await halts.restore(made.halt_id, vote("bob"), on_record)
        said, pulled = await asyncio.gather(
            halts.restore(made.halt_id, vote("cid"), on_record),
            halts.pull(EVERYTHING, "dan", "flames", NOW),
            return_exceptions=True,
        )
        assert await halts.standing() is not None, (said, pulled)
        assert pulled.lifted_at is None
        for name in ("bob", "cid"):
            with suppress(Conflict):  # cid's word came after the new halt, so bob's ends it
                await halts.restore(pulled.halt_id, vote(name), on_record)


async def test_a_word_that_cannot_be_recorded_is_not_said(halts, engine) -> None:
    made = await halts.pull(EVERYTHING, "ann", "smoke", NOW)
    with pytest.raises(AttributeError):
        await halts.restore(made.halt_id, vote("bob"), lambda found: found.no_such_word)
    assert (await halts.standing()).votes == ()
    await halts.restore(made.halt_id, vote("bob"), on_record)
    (row,) = await PostgresAuditLog(engine).rows()
    assert "votes=(Vote(actor='bob'" in row.entry.detail["found"]
