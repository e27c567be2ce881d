"""Setting chargers aside and taking them back, each with its reason in the same transaction."""

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from storage.drift import DriftState
from storage.errors import Conflict, NotFound
from storage.postgres.engine import transaction
from storage.postgres.enrolling import tell
from storage.postgres.life_tables import enrolment
from storage.postgres.tables import charger, drift
from storage.provisioning import EnrolmentState
from storage.quarantine import QuarantineAct
from storage.twin import Lifecycle
from storage.twin_schema import Severity

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
            if lifecycle == Lifecycle.QUARANTINED.value:
                return
            await _set(connection, given.charger_id, Lifecycle.QUARANTINED)
            detail = {"why": given.reason, "before": lifecycle}
            await tell(connection, given.at, given.actor, "charger.quarantined", given.charger_id, detail)

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
            detail = {"reason": given.reason, "to": after.value}
            await tell(connection, given.at, given.actor, "charger.released", given.charger_id, detail)
        return after


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
