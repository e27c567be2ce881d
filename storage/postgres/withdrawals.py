"""Withdrawals of images and signing certificates."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, Text, all_, any_, bindparam, exists, func, literal, select, update
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncEngine

from storage.errors import Conflict, NotFound
from storage.postgres.audit import append_entry
from storage.postgres.engine import reading, transaction
from storage.postgres.people_tables import withdrawal
from storage.postgres.prepared import Prepared
from storage.withdrawal import VOTES_TO_RESTORE, OnRecord, OnRecordAll, Source, Withdrawal, artifact_subject

_CHUNK = 1000
"""Rows of one statement: a list may name many thousands."""


Subject = str | ColumnElement[str]


def image_subject(column: ColumnElement[str]) -> ColumnElement[str]:
    """The subject of the image whose SHA-256 is in a column."""
    return literal(artifact_subject("")) + column


def not_withdrawn(subjects: Sequence[Subject]) -> ColumnElement[bool]:
    """True in a statement while none of them is withdrawn."""
    return ~exists(select(withdrawal.c.subject).where(*_in_force(subjects)))


def none_withdrawn(column: ColumnElement[Any]) -> ColumnElement[bool]:
    """The same for the subjects in a column."""
    columns = withdrawal.c
    standing = func.cardinality(columns.restored_by) < VOTES_TO_RESTORE
    return ~exists(select(columns.subject).where(columns.subject == any_(column), standing))


_AMONG = Prepared(
    select(withdrawal).where(
        withdrawal.c.subject == any_(bindparam("subjects", type_=ARRAY(Text))),
        func.cardinality(withdrawal.c.restored_by) < VOTES_TO_RESTORE,
    )
)


class PostgresWithdrawalStore:
    """``storage.withdrawal.WithdrawalStore``."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def add(
        self, withdrawals: Sequence[Withdrawal], on_record: OnRecordAll | None = None
    ) -> Sequence[str]:
        """Subjects that were not withdrawn before; for others the first reason stands."""
        rows = {
            each.subject: {
                "subject": each.subject,
                "reason": each.reason,
                "source": each.source.value,
                "withdrawn_by": each.withdrawn_by,
                "withdrawn_at": each.withdrawn_at,
                "restored_by": list(each.restored_by),
            }
            for each in withdrawals
        }
        given, added = list(rows.values()), []
        async with transaction(self._engine) as connection:
            for first in range(0, len(given), _CHUNK):
                answer = await connection.execute(_upsert(given[first : first + _CHUNK]))
                added += list(answer.scalars())
            if added and on_record is not None:
                await append_entry(connection, on_record(added))
        return added

    async def in_force(self, subjects: Sequence[str]) -> Sequence[Withdrawal]:
        """Those of them that are withdrawn now."""
        return [_withdrawal(row) for row in await _AMONG.rows(self._engine, subjects=list(subjects))]

    async def find(self, *, limit: int = 100) -> Sequence[Withdrawal]:
        """The newest, restored ones too."""
        columns = withdrawal.c
        query = select(withdrawal).order_by(columns.withdrawn_at.desc(), columns.subject).limit(limit)
        async with reading(self._engine) as connection:
            return [_withdrawal(row) for row in await connection.execute(query)]

    async def restore(self, subject: str, actor: str, on_record: OnRecord) -> Withdrawal:
        """One person's yes to its return. Raises NotFound or Conflict."""
        columns = withdrawal.c
        statement = (
            update(withdrawal)
            .where(
                columns.subject == subject,
                columns.source != Source.LIST.value,
                func.cardinality(columns.restored_by) < VOTES_TO_RESTORE,
                literal(actor) != all_(columns.restored_by),
            )
            .values(restored_by=func.array_append(columns.restored_by, actor))
            .returning(withdrawal)
        )
        async with transaction(self._engine) as connection:
            row = (await connection.execute(statement)).one_or_none()
            if row is None:
                held = await connection.execute(select(withdrawal).where(columns.subject == subject))
                raise _why_not(subject, actor, held.one_or_none())
            found = _withdrawal(row)
            await append_entry(connection, on_record(found))
        return found


def _in_force(subjects: Sequence[Subject]) -> tuple[ColumnElement[bool], ...]:
    columns = withdrawal.c
    return columns.subject.in_(subjects), func.cardinality(columns.restored_by) < VOTES_TO_RESTORE


def _upsert(rows: list[dict[str, Any]]) -> Any:
    statement = insert(withdrawal).values(rows)
    over = {name: statement.excluded[name] for name in ("reason", "source", "withdrawn_by", "withdrawn_at")}
    columns = withdrawal.c
    statement = statement.on_conflict_do_update(
        index_elements=[columns.subject],
        set_={**over, "restored_by": []},
        # One that was given back may be withdrawn again; a list's word goes over a person's; and who speaks
        # against a return that is half agreed knows something that whoever agreed did not.
        where=(func.cardinality(columns.restored_by) >= VOTES_TO_RESTORE)
        | ((statement.excluded.source == Source.PERSON.value) & (func.cardinality(columns.restored_by) > 0))
        | ((statement.excluded.source == Source.LIST.value) & (columns.source != Source.LIST.value)),
    )
    return statement.returning(columns.subject)


def _why_not(subject: str, actor: str, row: Row[*tuple[Any, ...]] | None) -> NotFound | Conflict:
    if row is None:
        return NotFound("withdrawal", subject, hint="See them: ampwave withdrawal list.")
    if row.source == Source.LIST.value:
        return Conflict(
            "Its issuer's revocation list names it, so it does not come back.",
            hint="Have the image signed under another certificate.",
        )
    if actor in row.restored_by and len(row.restored_by) < VOTES_TO_RESTORE:
        return Conflict(f"{actor} has said yes already.", hint="Another person has to.")
    return Conflict("It is back already.")


def _withdrawal(row: Row[*tuple[Any, ...]]) -> Withdrawal:
    return Withdrawal(
        subject=row.subject,
        reason=row.reason,
        source=Source(row.source),
        withdrawn_by=row.withdrawn_by,
        withdrawn_at=row.withdrawn_at,
        restored_by=tuple(row.restored_by),
    )
