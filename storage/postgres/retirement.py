"""Retirements and tombstones: a charger ends once, and what it had is never let in again."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, literal, select, union_all, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from storage.audit import AuditEntry, AuditRow
from storage.campaign import TargetPhase
from storage.canonical import sha256_hex
from storage.codec import decode, to_json
from storage.errors import Conflict, NotFound
from storage.identifiers import charger_subject, serial_value
from storage.ports import Page
from storage.postgres import cursor as cursors
from storage.postgres.audit import append_entry
from storage.postgres.engine import reading, transaction
from storage.postgres.life_tables import credential_past, retirement, tombstone
from storage.postgres.people_tables import audit
from storage.postgres.quarantine import close_case
from storage.postgres.tables import campaign_target, charger, charger_route, out_of_service
from storage.quarantine import QuarantineAct
from storage.retirement import (
    Burial,
    Remains,
    Retirement,
    RetirementState,
    StepRecord,
    Tombstone,
    with_step,
)
from storage.twin import Lifecycle

_R = retirement.c
RETIRED = "charger.retired"


def serial_digest(vendor: str, serial_number: str) -> str:
    """How a vendor's serial number is remembered: capitals make no other one of it."""
    return sha256_hex(serial_value(vendor, serial_number).casefold().encode())


async def refuse_buried(connection: AsyncConnection, remains: Iterable[tuple[Remains, str]]) -> None:
    """Raise Conflict if any of these belonged to a charger that is retired."""
    wanted = [
        select(literal(kind.value).label("kind"), literal(digest).label("digest")) for kind, digest in remains
    ]
    if not wanted:
        return
    asked = union_all(*wanted).subquery()
    query = (
        select(tombstone.c.kind, tombstone.c.charger_id)
        .join(asked, (tombstone.c.kind == asked.c.kind) & (tombstone.c.digest == asked.c.digest))
        .limit(1)
    )
    found = (await connection.execute(query)).first()
    if found is not None:
        raise Conflict(
            f"This {found.kind} belonged to {found.charger_id}, which is retired.",
            hint="What a retired charger had is never let in again: give the charger new credentials.",
        )


class PostgresRetirementStore:
    """See ``storage.retirement.RetirementStore``."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def open(self, given: Retirement) -> Retirement:
        """Take a charger out of service for good."""
        async with transaction(self._engine) as connection:
            lifecycle = await _locked(connection, given.charger_id)
            there = await _one(connection, given.charger_id)
            if there is not None:
                return there
            if lifecycle is Lifecycle.RETIRED:
                raise Conflict(f"{given.charger_id} is retired already.", hint="A retired identity stays so.")
            row = {
                "charger_id": given.charger_id,
                "actor": given.actor,
                "reason": given.reason,
                "requested_at": given.requested_at,
                "deadline_at": given.deadline_at,
                "state": given.state.value,
                "waits_for": given.waits_for,
            }
            await connection.execute(insert(retirement).values(**row))
            await _set_lifecycle(connection, given.charger_id, Lifecycle.RETIRING)
            over = QuarantineAct(given.charger_id, given.actor, given.reason, given.requested_at)
            await close_case(connection, over, Lifecycle.RETIRING)
            detail = {
                "reason": given.reason,
                "before": lifecycle.value,
                "deadline": given.deadline_at.isoformat(),
            }
            await _tell(
                connection,
                given.requested_at,
                given.actor,
                "charger.retirement_requested",
                given.charger_id,
                detail,
            )
        return given

    async def get(self, charger_id: str) -> Retirement:
        """Raise NotFound."""
        async with reading(self._engine) as connection:
            found = await _one(connection, charger_id)
        if found is None:
            raise NotFound("retirement of charger", charger_id, hint="Nobody asked for it.")
        return found

    async def find(self, *, open_only: bool = False, limit: int = 100) -> Sequence[Retirement]:
        """The latest first."""
        query = select(retirement).order_by(_R.requested_at.desc(), _R.charger_id).limit(limit)
        if open_only:
            query = query.where(_R.state != RetirementState.RECEIPTED.value)
        async with reading(self._engine) as connection:
            return [_retirement(row) for row in await connection.execute(query)]

    async def page(self, *, limit: int = 100, cursor: str | None = None) -> Page[Retirement]:
        """All of them, the latest first, page by page."""
        query = select(retirement).order_by(_R.requested_at.desc(), _R.charger_id.desc()).limit(limit + 1)
        if cursor is not None:
            at, charger_id = cursors.decode(cursor, 2)
            place = func.row(_R.requested_at, _R.charger_id)
            query = query.where(place < func.row(cursors.instant(at), charger_id))
        async with reading(self._engine) as connection:
            rows = (await connection.execute(query)).all()
        return cursors.page(
            rows, limit, _retirement, lambda row: (row.requested_at.isoformat(), row.charger_id)
        )

    async def note(self, charger_id: str, record: StepRecord) -> None:
        """Write down how a step ended."""
        async with transaction(self._engine) as connection:
            query = select(retirement).where(_R.charger_id == charger_id).with_for_update()
            row = (await connection.execute(query)).one_or_none()
            if row is None:
                raise NotFound("retirement of charger", charger_id)
            steps = to_json(with_step(_retirement(row), record).steps)
            changed = update(retirement).where(_R.charger_id == charger_id)
            await connection.execute(changed.values(steps=steps, waits_for=""))

    async def wait(self, charger_id: str, reason: str) -> None:
        """Say what it waits for."""
        statement = update(retirement).where(_R.charger_id == charger_id).values(waits_for=reason[:500])
        async with transaction(self._engine) as connection:
            await connection.execute(statement)

    async def bury(self, given: Burial) -> int:
        """Retire it and leave its tombstones."""
        async with transaction(self._engine) as connection:
            query = select(charger).where(charger.c.charger_id == given.charger_id).with_for_update()
            row = (await connection.execute(query)).one_or_none()
            if row is None:
                raise NotFound("charger", given.charger_id)
            await _remember(connection, given, row)
            counted = select(tombstone.c.kind).where(tombstone.c.charger_id == given.charger_id)
            kinds = list((await connection.execute(counted)).scalars())
            if row.lifecycle != Lifecycle.RETIRED.value:
                await _set_lifecycle(connection, given.charger_id, Lifecycle.RETIRED)
                # It is nobody's budget any more.
                await connection.execute(
                    out_of_service.delete().where(out_of_service.c.charger_id == given.charger_id)
                )
                detail = {kind.value: kinds.count(kind.value) for kind in Remains if kind.value in kinds}
                await _tell(
                    connection, given.at, given.actor, RETIRED, given.charger_id, {"tombstones": detail}
                )
            moved = update(retirement).where(
                _R.charger_id == given.charger_id, _R.state == RetirementState.RUNNING.value
            )
            await connection.execute(
                moved.values(state=RetirementState.RETIRED.value, finished_at=given.at, waits_for="")
            )
        return len(kinds)

    async def close(self, charger_id: str, receipt_sha256: str, at: datetime) -> None:
        """Its receipt is signed and stored."""
        async with transaction(self._engine) as connection:
            statement = update(retirement).where(
                _R.charger_id == charger_id, _R.state == RetirementState.RETIRED.value
            )
            values = {"state": RetirementState.RECEIPTED.value, "receipt_sha256": receipt_sha256}
            if (await connection.execute(statement.values(**values))).rowcount:
                detail = {"sha256": receipt_sha256}
                await _tell(connection, at, "signer", "charger.retirement_receipted", charger_id, detail)

    async def unwelcome(self, *, limit: int = 200) -> Sequence[str]:
        """Chargers that are set aside or retired and still have a socket."""
        query = (
            select(charger.c.charger_id)
            .join(charger_route, charger_route.c.charger_id == charger.c.charger_id)
            .where(
                charger.c.lifecycle.in_([Lifecycle.QUARANTINED.value, Lifecycle.RETIRED.value]),
                charger_route.c.lease_until > func.now(),
            )
            .order_by(charger.c.charger_id)
            .limit(limit)
        )
        async with reading(self._engine) as connection:
            return list((await connection.execute(query)).scalars())

    async def open_targets(self, charger_id: str) -> Sequence[tuple[str, int]]:
        """Campaigns and waves that have this charger and are not done with it."""
        columns = campaign_target.c
        query = select(columns.campaign_id, columns.wave).where(
            columns.charger_id == charger_id, columns.phase != TargetPhase.DONE.value
        )
        async with reading(self._engine) as connection:
            rows = await connection.execute(query.order_by(columns.campaign_id, columns.wave))
            return [(row.campaign_id, row.wave) for row in rows]

    async def burial_row(self, charger_id: str) -> AuditRow | None:
        """The row of the audit log that says that it is retired."""
        columns = audit.c
        query = (
            select(audit)
            .where(columns.subject == charger_subject(charger_id), columns.action == RETIRED)
            .order_by(columns.number.desc())
            .limit(1)
        )
        async with reading(self._engine) as connection:
            row = (await connection.execute(query)).one_or_none()
        if row is None:
            return None
        entry = AuditEntry(row.at, row.actor, row.action, row.subject, row.detail)
        return AuditRow(row.number, entry, row.previous_hash, row.row_hash)

    async def tombstones(self, charger_id: str) -> Sequence[Tombstone]:
        """By kind."""
        query = select(tombstone).where(tombstone.c.charger_id == charger_id)
        async with reading(self._engine) as connection:
            rows = await connection.execute(query.order_by(tombstone.c.kind, tombstone.c.digest))
            return [Tombstone(Remains(row.kind), row.digest, row.charger_id, row.since) for row in rows]


async def _locked(connection: AsyncConnection, charger_id: str) -> Lifecycle:
    query = select(charger.c.lifecycle).where(charger.c.charger_id == charger_id).with_for_update()
    found = (await connection.execute(query)).scalar_one_or_none()
    if found is None:
        raise NotFound("charger", charger_id)
    return Lifecycle(found)


async def _set_lifecycle(connection: AsyncConnection, charger_id: str, lifecycle: Lifecycle) -> None:
    statement = update(charger).where(charger.c.charger_id == charger_id)
    await connection.execute(statement.values(lifecycle=lifecycle.value))


async def _remember(connection: AsyncConnection, given: Burial, row: Row[Any]) -> None:
    remains = [(Remains.IDENTITY, row.charger_id)]
    if row.serial_number:
        remains.append((Remains.SERIAL, serial_digest(row.vendor, row.serial_number)))
    remains += [(Remains.CERTIFICATE, each) for each in given.certificates]
    values = [
        {"kind": kind.value, "digest": digest, "charger_id": row.charger_id, "since": given.at}
        for kind, digest in remains
    ]
    await connection.execute(insert(tombstone).values(values).on_conflict_do_nothing())
    past = select(
        credential_past.c.kind, credential_past.c.digest, credential_past.c.charger_id, literal(given.at)
    ).where(credential_past.c.charger_id == row.charger_id)
    names = ["kind", "digest", "charger_id", "since"]
    await connection.execute(insert(tombstone).from_select(names, past).on_conflict_do_nothing())


async def _tell(
    connection: AsyncConnection,
    at: datetime,
    actor: str,
    action: str,
    charger_id: str,
    detail: dict[str, Any],
) -> None:
    await append_entry(connection, AuditEntry(at, actor, action, charger_subject(charger_id), detail))


async def _one(connection: AsyncConnection, charger_id: str) -> Retirement | None:
    row = (await connection.execute(select(retirement).where(_R.charger_id == charger_id))).one_or_none()
    return None if row is None else _retirement(row)


def _retirement(row: Row[Any]) -> Retirement:
    bare = Retirement(row.charger_id, row.actor, row.reason, row.requested_at, row.deadline_at)
    return replace(
        bare,
        state=RetirementState(row.state),
        waits_for=row.waits_for,
        steps=tuple(decode(StepRecord, each) for each in row.steps),
        finished_at=row.finished_at,
        receipt_sha256=row.receipt_sha256,
    )
