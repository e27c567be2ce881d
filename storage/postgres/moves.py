"""Moves of chargers: whose they are and where they belong, changed under a lock and on record (F3)."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Row, exists, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from storage.audit import AuditEntry
from storage.campaign import TargetPhase
from storage.codec import to_json
from storage.errors import Conflict, InvalidInput, NotFound, StaleVersion
from storage.ownership import OWNERSHIP_FIELDS, SITE, Move, MoveState
from storage.postgres.audit import append_entry
from storage.postgres.engine import reading, transaction
from storage.postgres.leases import ALIVE
from storage.postgres.tables import (
    campaign,
    campaign_target,
    charger,
    charger_move,
    out_of_service,
    site,
    site_lease,
)
from storage.twin import Lifecycle

_C = charger_move.c
_OVER = (MoveState.DONE, MoveState.REFUSED)


class PostgresMoveStore:
    """See ``storage.ownership.MoveStore``."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def request_move(self, given: Move) -> Move:
        """Look first: what can never be done is refused before a workflow is started for it."""
        async with transaction(self._engine) as connection:
            known = await _find(connection, given.move_id)
            if known is None:
                _require_change(given, await _charger(connection, given.charger_id))
                await _require_site(connection, given.values.get(SITE))
                row = {**_columns(given), "requested_at": given.requested_at}
                await connection.execute(insert(charger_move).values(row).on_conflict_do_nothing())
                known = await _find(connection, given.move_id)
        if known is None or (known.charger_id, dict(known.values)) != (given.charger_id, dict(given.values)):
            raise Conflict(f"The move {given.move_id} is another one.", hint="Use another key.")
        return known

    async def apply_move(self, move_id: str, at: datetime) -> Move:
        """The old site is locked as those lock it who take a lease there: one of the two comes first."""
        async with transaction(self._engine) as connection:
            given = await _locked(connection, move_id)
            if given.state in _OVER:
                return given
            before = await _charger(connection, given.charger_id, lock=True)
            why = await _obstacle(connection, given, before)
            if why is not None:
                return await _close(connection, replace(given, state=MoveState.REFUSED, why=why), at)
            await connection.execute(
                update(charger)
                .where(charger.c.charger_id == given.charger_id)
                .values(**given.values, ownership_version=charger.c.ownership_version + 1)
            )
            old = {name: getattr(before, name) for name in given.values}
            return await _close(connection, replace(given, state=MoveState.DONE, before=old), at)

    async def refuse_move(self, move_id: str, why: str, at: datetime) -> Move:
        """Unless it is over."""
        async with transaction(self._engine) as connection:
            given = await _locked(connection, move_id)
            if given.state in _OVER:
                return given
            return await _close(connection, replace(given, state=MoveState.REFUSED, why=why), at)

    async def moves(self, charger_id: str, *, limit: int = 100) -> Sequence[Move]:
        """Newest first."""
        query = select(charger_move).where(_C.charger_id == charger_id)
        query = query.order_by(_C.requested_at.desc(), _C.move_id).limit(limit)
        async with reading(self._engine) as connection:
            return [_move(row) for row in await connection.execute(query)]


def _require_change(given: Move, there: Row[*tuple[Any, ...]]) -> None:
    """What can never be done as it is asked."""
    if there.lifecycle in (Lifecycle.RETIRING, Lifecycle.RETIRED):
        raise Conflict(f"{given.charger_id} is retired.", hint="It belongs nowhere any more.")
    if there.ownership_version != given.expected_version:
        raise StaleVersion(
            f"The ownership of {given.charger_id} is at version {there.ownership_version},"
            f" not {given.expected_version}.",
            hint="Read the charger again, then decide again.",
        )
    if all(getattr(there, name) == value for name, value in given.values.items()):
        raise InvalidInput(f"{given.charger_id} is there already; nothing would change.")


async def _require_site(connection: AsyncConnection, site_id: str | None) -> None:
    if site_id is None:
        return
    known = select(exists().where(site.c.site_id == site_id))
    if not (await connection.execute(known)).scalar_one():
        raise NotFound("site", site_id, hint="Create the site first.")


async def _obstacle(connection: AsyncConnection, given: Move, there: Row[*tuple[Any, ...]]) -> str | None:
    """Why it cannot be moved now, in words."""
    try:
        _require_change(given, there)
    except (Conflict, StaleVersion, InvalidInput) as error:
        return error.message
    return await in_the_way(connection, given.charger_id, there.site_id)


async def in_the_way(connection: AsyncConnection, charger_id: str, site_id: str) -> str | None:
    """What has this charger now, in words; its site stays locked, so that nobody takes it meanwhile."""
    lock = select(site.c.site_id).where(site.c.site_id == site_id).with_for_update(key_share=True)
    await connection.execute(lock)
    mine = {"charger_id": charger_id}
    held = select(site_lease.c.workflow_id, site_lease.c.kind).filter_by(**mine).where(ALIVE)
    lease = (await connection.execute(held)).one_or_none()
    if lease is not None:
        return f"{lease.workflow_id} has it for {lease.kind}"
    out = select(out_of_service.c.cause).filter_by(**mine)
    cause = (await connection.execute(out)).scalar_one_or_none()
    if cause is not None:
        return f"we took it out of service for {cause} and have not put it back"
    targets = (
        select(campaign_target.c.campaign_id)
        .join(campaign, campaign.c.campaign_id == campaign_target.c.campaign_id)
        .where(
            campaign_target.c.charger_id == charger_id,
            campaign_target.c.phase != TargetPhase.DONE.value,
            campaign.c.finished_at.is_(None),
        )
        .limit(1)
    )
    campaign_id = (await connection.execute(targets)).scalar_one_or_none()
    if campaign_id is None:
        return None
    return f"campaign {campaign_id} has it as a target; skip it there, or wait until that campaign is over"


async def _charger(
    connection: AsyncConnection, charger_id: str, *, lock: bool = False
) -> Row[*tuple[Any, ...]]:
    columns = [charger.c[name] for name in OWNERSHIP_FIELDS]
    query = select(*columns, charger.c.lifecycle, charger.c.ownership_version)
    query = query.where(charger.c.charger_id == charger_id)
    row = (await connection.execute(query.with_for_update(key_share=True) if lock else query)).one_or_none()
    if row is None:
        raise NotFound("charger", charger_id)
    return row


async def _find(connection: AsyncConnection, move_id: str) -> Move | None:
    row = (await connection.execute(select(charger_move).where(_C.move_id == move_id))).one_or_none()
    return None if row is None else _move(row)


async def _locked(connection: AsyncConnection, move_id: str) -> Move:
    query = select(charger_move).where(_C.move_id == move_id).with_for_update()
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise NotFound("move", move_id)
    return _move(row)


async def _close(connection: AsyncConnection, given: Move, at: datetime) -> Move:
    after = replace(given, finished_at=at)
    await connection.execute(
        update(charger_move).where(_C.move_id == given.move_id).values(**_columns(after), finished_at=at)
    )
    detail: Mapping[str, Any] = {
        "move": given.move_id,
        "reason": given.reason,
        "changed": {name: [given.before.get(name), value] for name, value in given.values.items()},
        **({"refused": given.why} if given.why else {}),
    }
    action = "charger.moved" if given.state is MoveState.DONE else "charger.move_refused"
    await append_entry(
        connection, AuditEntry(at, given.actor, action, f"charger/{given.charger_id}", dict(detail))
    )
    return after


def _columns(given: Move) -> dict[str, Any]:
    names = ("move_id", "charger_id", "expected_version", "actor", "reason", "why")
    told = {name: getattr(given, name) for name in names}
    return {
        **told,
        "state": given.state.value,
        "values": to_json(dict(given.values)),
        "before": to_json(dict(given.before)),
    }


def _move(row: Row[*tuple[Any, ...]]) -> Move:
    return Move(
        row.move_id,
        row.charger_id,
        row.expected_version,
        row.values,
        row.actor,
        row.reason,
        row.requested_at,
        MoveState(row.state),
        row.before,
        row.why,
        row.finished_at,
    )
