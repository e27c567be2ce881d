"""The audit log is one chain that anybody can check, and nobody can mend."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import asyncpg
import pytest

from storage.artifact import ArtifactPhase
from storage.audit import GENESIS, AuditEntry, chain_hash, first_break
from storage.errors import InvalidInput
from storage.postgres.audit import PostgresAuditLog

pytestmark = [pytest.mark.integration, pytest.mark.requirement("S65")]
AT = datetime(2026, 11, 20, 12, 0, 0, 123457, tzinfo=UTC)


def entry(number: int = 0, **detail: object) -> AuditEntry:
    return AuditEntry(
        AT + timedelta(seconds=number), "ann", "campaign.approved", f"campaign/{number}", detail
    )


@pytest.fixture
def audit(engine) -> PostgresAuditLog:
    return PostgresAuditLog(engine)


async def test_rows_read_again_hash_to_the_same(audit) -> None:
    written = [
        await audit.append(entry(1, zebra=1e22, apple=[0.1 + 0.2, -0.0, None], text="käse \u0000")),
        await audit.append(entry(2, phase=ArtifactPhase.RELEASED, at=AT, pair=("a", 1), nested={2: "two"})),
        await audit.append(replace(entry(3), at=AT.astimezone(timezone(timedelta(hours=2))))),
        await audit.append(replace(entry(4), actor="a\x00b")),
    ]
    rows = list(await audit.rows())
    assert rows == written
    assert [row.number for row in rows] == [1, 2, 3, 4]
    assert rows[0].previous_hash == GENESIS
    assert all(row.row_hash == chain_hash(row.number, row.previous_hash, row.entry) for row in rows)
    assert first_break(rows) is None


async def test_rows_are_read_in_pages(audit) -> None:
    for number in range(5):
        await audit.append(entry(number))
    assert [row.number for row in await audit.rows(after=1, limit=2)] == [2, 3]
    assert first_break(list(await audit.rows(after=3)), (await audit.rows(after=2))[0].row_hash) is None


async def test_eight_writers_make_one_chain(audit, engine) -> None:
    async def write(writer: int) -> None:
        log = PostgresAuditLog(engine)
        for number in range(10):
            await log.append(entry(number, writer=writer))

    await asyncio.gather(*map(write, range(8)))
    rows = list(await audit.rows())
    assert [row.number for row in rows] == list(range(1, 81))
    assert first_break(rows) is None
    for writer in range(8):
        own = [row.entry.at for row in rows if row.entry.detail["writer"] == writer]
        assert own == sorted(own)


@pytest.mark.parametrize(
    "statement",
    ["UPDATE audit SET actor = 'eve'", "DELETE FROM audit WHERE number = 1", "TRUNCATE audit"],
)
async def test_the_database_refuses_to_change_it(audit, sql, statement) -> None:
    await audit.append(entry())
    with pytest.raises(asyncpg.RaiseError, match="append-only"):
        await sql(statement)


@pytest.mark.parametrize(
    ("change", "broken"),
    [("UPDATE audit SET actor = 'eve' WHERE number = 2", 2), ("DELETE FROM audit WHERE number = 2", 3)],
)
async def test_whoever_gets_around_that_is_found_out(audit, sql, change, broken) -> None:
    for number in range(4):
        await audit.append(entry(number))
    connection = await asyncpg.connect(sql.url)
    await connection.execute(f"SET session_replication_role = replica; {change}")
    await connection.close()
    assert first_break(list(await audit.rows())) == broken


async def test_an_act_that_cannot_be_written_keeps_no_other_unrecorded(audit) -> None:
    hostile = [entry(1, size=2**70), entry(2, said="\ud800"), replace(entry(3), actor="\ud800")]
    given = [entry(0), *hostile, entry(4)]
    answers = await asyncio.gather(*(audit.append(one) for one in given), return_exceptions=True)
    assert [isinstance(each, InvalidInput) for each in answers] == [False, True, True, True, False]
    rows = list(await audit.rows())
    assert [row.entry.subject for row in rows] == ["campaign/0", "campaign/4"]
    assert first_break(rows) is None
