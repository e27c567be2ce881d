"""One withdraws, two restore; a list's word stands; two people at once count as two."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from storage.audit import AuditEntry
from storage.errors import Conflict, NotFound
from storage.postgres.audit import PostgresAuditLog
from storage.postgres.withdrawals import PostgresWithdrawalStore
from storage.withdrawal import Source, Withdrawal, artifact_subject

pytestmark = pytest.mark.integration
AT = datetime(2026, 11, 20, 12, 0, 0, 5, tzinfo=UTC)
IMAGE = Withdrawal(artifact_subject("a" * 64), "it bricks", Source.PERSON, "ada", AT)


@pytest.fixture
def store(engine) -> PostgresWithdrawalStore:
    return PostgresWithdrawalStore(engine)


def on_record(found: Withdrawal) -> AuditEntry:
    return AuditEntry(AT, "ada", "artifact.restore_voted", found.subject, {"yes": list(found.restored_by)})


@pytest.mark.requirement("S66")
async def test_one_person_withdraws_and_two_restore(store) -> None:
    assert await store.add([IMAGE]) == [IMAGE.subject]
    assert await store.add([replace(IMAGE, reason="another")]) == []
    assert await store.in_force([IMAGE.subject, "artifact:x"]) == [IMAGE]
    assert (await store.restore(IMAGE.subject, "ada", on_record)).in_force
    with pytest.raises(Conflict, match="ada has said yes"):
        await store.restore(IMAGE.subject, "ada", on_record)
    assert len(await store.in_force([IMAGE.subject])) == 1
    back = await store.restore(IMAGE.subject, "grace", on_record)
    assert (back.in_force, back.restored_by) == (False, ("ada", "grace"))
    assert await store.in_force([IMAGE.subject]) == []
    with pytest.raises(Conflict, match="back already"):
        await store.restore(IMAGE.subject, "hedy", on_record)


@pytest.mark.requirement("S66")
async def test_what_came_back_can_be_withdrawn_again_and_needs_two_again(store) -> None:
    await store.add([IMAGE])
    for person in ("ada", "grace"):
        await store.restore(IMAGE.subject, person, on_record)
    again = replace(IMAGE, reason="again", withdrawn_by="hedy", withdrawn_at=AT + timedelta(days=1))
    assert await store.add([again]) == [IMAGE.subject]
    assert await store.find() == [again]
    assert (await store.restore(IMAGE.subject, "ada", on_record)).in_force


@pytest.mark.requirement("S66")
async def test_two_at_once_count_as_two_and_one_twice_at_once_as_one(store) -> None:
    await store.add([IMAGE])
    answers = await asyncio.gather(
        *(store.restore(IMAGE.subject, who, on_record) for who in ("ada", "ada", "ada")),
        return_exceptions=True,
    )
    assert sorted(type(answer).__name__ for answer in answers) == ["Conflict", "Conflict", "Withdrawal"]
    await asyncio.gather(*(store.restore(IMAGE.subject, who, on_record) for who in ("bob",)))
    assert await store.in_force([IMAGE.subject]) == []


@pytest.mark.requirement("S36")
async def test_people_cannot_overrule_a_manufacturers_list(store) -> None:
    listed = replace(IMAGE, subject="serial:" + "b" * 64 + ":7", source=Source.LIST)
    by_hand = replace(listed, source=Source.PERSON)
    assert await store.add([by_hand]) == [listed.subject]
    assert await store.add([listed]) == [listed.subject], "a list's word goes over a person's"
    assert await store.add([by_hand, listed]) == []
    with pytest.raises(Conflict, match="revocation list"):
        await store.restore(listed.subject, "ada", on_record)


async def test_a_long_list_is_taken_whole_and_hostile_text_stays_text(store) -> None:
    many = [replace(IMAGE, subject=f"serial:{'c' * 64}:{number:x}") for number in range(2500)]
    assert len(await store.add([*many, many[0]])) == 2500
    assert await store.add([]) == []
    with pytest.raises(NotFound):
        await store.restore("artifact:' OR 1=1 --", "ada'; DROP TABLE withdrawal; --", on_record)
    assert len(await store.in_force([each.subject for each in many])) == 2500


async def test_a_second_withdrawal_voids_what_was_said_for_its_return(store) -> None:
    await store.add([IMAGE])
    await store.restore(IMAGE.subject, "ada", on_record)
    assert await store.add([replace(IMAGE, source=Source.CHARGER)]) == [], "no charger outvotes people"
    again = replace(IMAGE, withdrawn_by="cid", reason="it burns as well")
    assert await store.add([again]) == [IMAGE.subject]
    assert await store.in_force([IMAGE.subject]) == [again]
    assert (await store.restore(IMAGE.subject, "grace", on_record)).in_force
    assert not (await store.restore(IMAGE.subject, "ada", on_record)).in_force


async def test_a_withdrawal_is_on_record_or_was_not_made(store, engine) -> None:
    with pytest.raises(AttributeError):
        await store.add([IMAGE], lambda new: new.no_such_word)
    assert await store.in_force([IMAGE.subject]) == []
    for _ in range(2):
        await store.add([IMAGE], lambda new: AuditEntry(AT, "ada", "artifact.withdrawn", new[0], {}))
    (row,) = await PostgresAuditLog(engine).rows()
    assert row.entry.subject == IMAGE.subject
