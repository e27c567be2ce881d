"""Setting chargers aside and taking them back, each with its reason in the same transaction."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from storage.drift import DriftState
from storage.errors import Conflict, NotFound
from storage.postgres.engine import reading, transaction
from storage.postgres.enrolling import tell
from storage.postgres.life_tables import enrolment, quarantine
from storage.postgres.tables import charger, drift
from storage.provisioning import EnrolmentState
from storage.quarantine import QuarantineAct, QuarantineCase, Signal
from storage.twin import Lifecycle
from storage.twin_schema import Severity

_Q = quarantine.c
_ENDING = (Lifecycle.RETIRING.value, Lifecycle.RETIRED.value)


class QuarantineDesk:
    """See ``storage.provisioning.ProvisioningStore``."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def set_aside(self, given: QuarantineAct) -> None:
        """Quarantine it."""
        async with transaction(self._engine) as connection:
            lifecycle = await _locked(connection, given.charger_id)
            if lifecycle in _ENDING:
                raise Conflict(f"{given.charger_id} is {lifecycle}.", hint="It is on its way out already.")
            await set_aside_within(connection, given, lifecycle)

    async def take_back(self, given: QuarantineAct) -> Lifecycle:
        """Where it is again."""
        async with transaction(self._engine) as connection:
            lifecycle = await _locked(connection, given.charger_id)
            if lifecycle != Lifecycle.QUARANTINED.value:
                raise Conflict(f"{given.charger_id} is {lifecycle}, not set aside.")
            await _require_settled(connection, given.charger_id)
            query = select(enrolment.c.state).where(enrolment.c.charger_id == given.charger_id)
            state = (await connection.execute(query)).scalar_one_or_none()
            after = _after(state)
            await _set(connection, given.charger_id, after)
            await close_case(connection, given, after)
            detail = {"reason": given.reason, "to": after.value}
            await tell(connection, given.at, given.actor, "charger.released", given.charger_id, detail)
        return after

    async def cases(self, charger_id: str, *, limit: int = 100) -> Sequence[QuarantineCase]:
        """The latest first; one that has no end goes on."""
        query = select(quarantine).where(_Q.charger_id == charger_id).order_by(_Q.since.desc()).limit(limit)
        async with reading(self._engine) as connection:
            return [_case(row) for row in await connection.execute(query)]


async def set_aside_within(connection: AsyncConnection, given: QuarantineAct, lifecycle: str) -> None:
    """Write it down in a transaction that holds the charger's row; one that is set aside stays so."""
    if lifecycle == Lifecycle.QUARANTINED.value:
        return
    await _set(connection, given.charger_id, Lifecycle.QUARANTINED)
    values = {
        "charger_id": given.charger_id,
        "since": given.at,
        "signal": given.signal.value,
        "reason": given.reason,
        "actor": given.actor,
        "before": lifecycle,
    }
    await connection.execute(insert(quarantine).values(**values))
    detail = {"why": given.reason, "signal": given.signal.value, "before": lifecycle}
    await tell(connection, given.at, given.actor, "charger.quarantined", given.charger_id, detail)


async def close_case(connection: AsyncConnection, given: QuarantineAct, after: Lifecycle) -> None:
    """Its stay is over, if it has one."""
    ended = {"released_at": given.at, "released_by": given.actor, "release_reason": given.reason}
    statement = update(quarantine).where(_Q.charger_id == given.charger_id, _Q.released_at.is_(None))
    await connection.execute(statement.values(**ended, after=after.value))


def _case(row: Row[Any]) -> QuarantineCase:
    return QuarantineCase(
        row.charger_id,
        Signal(row.signal),
        row.reason,
        row.actor,
        row.since,
        Lifecycle(row.before),
        row.released_at,
        row.released_by,
        row.release_reason,
        Lifecycle(row.after) if row.after else None,
    )


def _after(state: str | None) -> Lifecycle:
    """Who was never commissioned by us goes back to service; who was on the way in goes on from there."""
    if state is None:
        return Lifecycle.REGISTERED
    return Lifecycle.ACTIVE if state == EnrolmentState.ACTIVE.value else Lifecycle.PROVISIONING


async def _locked(connection: AsyncConnection, charger_id: str) -> str:
    query = select(charger.c.lifecycle).where(charger.c.charger_id == charger_id).with_for_update()
    found = (await connection.execute(query)).scalar_one_or_none()
    if found is None:
        raise NotFound("charger", charger_id)
    return str(found)


async def _set(connection: AsyncConnection, charger_id: str, lifecycle: Lifecycle) -> None:
    statement = update(charger).where(charger.c.charger_id == charger_id)
    await connection.execute(statement.values(lifecycle=lifecycle.value))


async def _require_settled(connection: AsyncConnection, charger_id: str) -> None:
    columns = drift.c
    query = select(columns.path).where(
        columns.charger_id == charger_id,
        columns.state == DriftState.OPEN.value,
        columns.severity == Severity.CRITICAL.value,
    )
    paths = sorted(set((await connection.execute(query)).scalars()))
    if paths:
        raise Conflict(
            f"{charger_id} is still in doubt: {', '.join(paths)}.",
            hint=f"Put it right, or say that it is: ampwave charger accept {charger_id} {' '.join(paths)}",
        )
