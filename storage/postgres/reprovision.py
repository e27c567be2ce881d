"""Chargers that go through provisioning again: asked once, carried out in one transaction (F46)."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from storage.codec import decode, to_json
from storage.errors import Conflict, NotFound
from storage.postgres.engine import reading, transaction
from storage.postgres.enrolling import require_template, tell
from storage.postgres.life_tables import enrolment, reprovisioning
from storage.postgres.moves import in_the_way
from storage.postgres.quarantine import set_aside_within
from storage.postgres.tables import charger
from storage.provisioning import EnrolmentState, Origin
from storage.quarantine import QuarantineAct
from storage.reprovision import Reprovision, ReprovisionMode, ReprovisionState
from storage.retirement import StepRecord
from storage.twin import Lifecycle

_R = reprovisioning.c
_E = enrolment.c
_PATIENCE = timedelta(days=90)
_IN_SERVICE = (Lifecycle.REGISTERED.value, Lifecycle.ACTIVE.value)


class PostgresReprovisionStore:
    """See ``storage.reprovision.ReprovisionStore``."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def request(self, given: Reprovision) -> Reprovision:
        """Write it down; the charger's row is locked, so that two never run at once."""
        async with transaction(self._engine) as connection:
            there = await _charger(connection, given.charger_id)
            known = await _find(connection, given.reprovision_id)
            if known is not None:
                return _the_same(known, given)
            await require_template(connection, given.template)
            before = await _before(connection, given.charger_id, there.lifecycle)
            _require_in_service(given, before)
            open_ = select(_R.reprovision_id).where(
                _R.charger_id == given.charger_id, _R.finished_at.is_(None)
            )
            if (await connection.execute(open_)).first() is not None:
                raise Conflict(
                    f"{given.charger_id} is being provisioned anew already.",
                    hint=f"See how far it is: ampwave charger reprovision {given.charger_id}",
                )
            asked = replace(given, before=before)
            await connection.execute(insert(reprovisioning).values(_columns(asked)))
            detail = {"mode": given.mode.value, "reason": given.reason, "before": before}
            await tell(
                connection,
                given.requested_at,
                given.actor,
                "charger.reprovision_requested",
                given.charger_id,
                detail,
            )
        return asked

    async def get(self, reprovision_id: str) -> Reprovision:
        """Raise NotFound."""
        async with reading(self._engine) as connection:
            found = await _find(connection, reprovision_id)
        if found is None:
            raise NotFound("reprovisioning", reprovision_id)
        return found

    async def of(self, charger_id: str, *, limit: int = 100) -> Sequence[Reprovision]:
        """Newest first."""
        query = select(reprovisioning).where(_R.charger_id == charger_id)
        query = query.order_by(_R.requested_at.desc(), _R.reprovision_id).limit(limit)
        async with reading(self._engine) as connection:
            return [_noun(row) for row in await connection.execute(query)]

    async def running(self, *, limit: int = 200) -> Sequence[Reprovision]:
        """Oldest first."""
        query = select(reprovisioning).where(_R.finished_at.is_(None)).order_by(_R.requested_at).limit(limit)
        async with reading(self._engine) as connection:
            return [_noun(row) for row in await connection.execute(query)]

    async def note(self, reprovision_id: str, record: StepRecord) -> None:
        """Once: what is on record of a step stays."""
        async with transaction(self._engine) as connection:
            there = await _locked(connection, reprovision_id)
            if any(each.step is record.step for each in there.steps):
                return
            values = {"steps": to_json((*there.steps, record)), "waits_for": ""}
            await connection.execute(_changed(reprovision_id).values(**values))

    async def wait(self, reprovision_id: str, reason: str) -> None:
        """Say what it waits for."""
        async with transaction(self._engine) as connection:
            await connection.execute(_changed(reprovision_id).values(waits_for=reason[:500]))

    async def apply(self, reprovision_id: str, at: datetime) -> str:
        """The charger's row is held from the look to the act."""
        async with transaction(self._engine) as connection:
            given = await _locked(connection, reprovision_id)
            if given.state is not ReprovisionState.RUNNING:
                return ""
            there = await _charger(connection, given.charger_id)
            if there.lifecycle not in _enterable(given):
                await _end(connection, given, ReprovisionState.REFUSED, f"it is {there.lifecycle} by now", at)
                return ""
            if why := await in_the_way(connection, given.charger_id, there.site_id):
                return why
            await _restart(connection, given, at)
            await _lifecycle(connection, given, there.lifecycle, at)
            await _end(connection, given, ReprovisionState.DONE, "", at)
        return ""

    async def refuse(self, reprovision_id: str, why: str, at: datetime) -> None:
        """End it where it is."""
        async with transaction(self._engine) as connection:
            given = await _locked(connection, reprovision_id)
            if given.state is ReprovisionState.RUNNING:
                await _end(connection, given, ReprovisionState.REFUSED, why, at)


def _require_in_service(given: Reprovision, before: dict[str, Any]) -> None:
    """In service, or stuck on the way in: what runs out is started anew this way."""
    expired = before.get("state") == EnrolmentState.EXPIRED.value
    if before["lifecycle"] in _IN_SERVICE:
        return
    if before["lifecycle"] == Lifecycle.PROVISIONING.value and expired:
        return
    hint = {
        Lifecycle.PROVISIONING.value: "It is on its way in: ampwave provisioning show.",
        Lifecycle.QUARANTINED.value: "Look why, and release it first: ampwave charger quarantine.",
    }.get(before["lifecycle"], "A retired charger never comes back.")
    raise Conflict(f"{given.charger_id} is {before['lifecycle']}, not in service.", hint=hint)


def _enterable(given: Reprovision) -> tuple[str, ...]:
    parked = given.before.get("lifecycle") == Lifecycle.PROVISIONING.value
    return (*_IN_SERVICE, Lifecycle.PROVISIONING.value) if parked else _IN_SERVICE


async def _restart(connection: AsyncConnection, given: Reprovision, at: datetime) -> None:
    """Its enrolment from the beginning; what is known of the asset stays."""
    values: dict[str, Any] = {
        "origin": Origin.REPROVISION.value,
        "actor": given.actor,
        "requested_at": at,
        "deadline_at": at + _PATIENCE,
        "environment": given.environment,
        "template": given.template,
        "parameters": dict(given.parameters),
        "profile": given.profile,
        "state": EnrolmentState.REGISTERED.value,
        "waits_for": "",
        "credential_at": None,
        "checks": [],
        "finished_at": None,
        "look_at": None,
    }
    new = {"charger_id": given.charger_id, "asset": {}, "attestations": []}
    again = values if given.mode is ReprovisionMode.KEEP else {**values, "attestations": []}
    statement = insert(enrolment).values(**new, **values)
    await connection.execute(statement.on_conflict_do_update(index_elements=["charger_id"], set_=again))


async def _lifecycle(connection: AsyncConnection, given: Reprovision, before: str, at: datetime) -> None:
    if given.mode is ReprovisionMode.QUARANTINE:
        aside = QuarantineAct(given.charger_id, given.actor, given.reason, at)
        await set_aside_within(connection, aside, before)
        return
    statement = update(charger).where(charger.c.charger_id == given.charger_id)
    await connection.execute(statement.values(lifecycle=Lifecycle.PROVISIONING.value))


async def _end(
    connection: AsyncConnection, given: Reprovision, state: ReprovisionState, why: str, at: datetime
) -> None:
    values = {"state": state.value, "waits_for": why[:500], "finished_at": at}
    await connection.execute(_changed(given.reprovision_id).values(**values))
    done = state is ReprovisionState.DONE
    action = "charger.reprovisioned" if done else "charger.reprovision_refused"
    steps = {each.step.value: each.state.value for each in given.steps}
    detail = {
        "reprovision": given.reprovision_id,
        "mode": given.mode.value,
        "steps": steps,
        **({"why": why} if why else {}),
    }
    await tell(connection, at, given.actor, action, given.charger_id, detail)


async def _before(connection: AsyncConnection, charger_id: str, lifecycle: str) -> dict[str, Any]:
    row = (await connection.execute(select(enrolment).where(_E.charger_id == charger_id))).one_or_none()
    if row is None:
        return {"lifecycle": lifecycle}
    names = ("origin", "actor", "template", "profile", "state")
    return {"lifecycle": lifecycle, **{name: getattr(row, name) for name in names}}


async def _charger(connection: AsyncConnection, charger_id: str) -> Row[*tuple[Any, ...]]:
    query = select(charger.c.lifecycle, charger.c.site_id).where(charger.c.charger_id == charger_id)
    row = (await connection.execute(query.with_for_update())).one_or_none()
    if row is None:
        raise NotFound("charger", charger_id)
    return row


async def _find(connection: AsyncConnection, reprovision_id: str) -> Reprovision | None:
    query = select(reprovisioning).where(_R.reprovision_id == reprovision_id)
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else _noun(row)


async def _locked(connection: AsyncConnection, reprovision_id: str) -> Reprovision:
    query = select(reprovisioning).where(_R.reprovision_id == reprovision_id).with_for_update()
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise NotFound("reprovisioning", reprovision_id)
    return _noun(row)


def _the_same(known: Reprovision, given: Reprovision) -> Reprovision:
    if (known.charger_id, known.mode) != (given.charger_id, given.mode):
        raise Conflict(f"{given.reprovision_id} is another request.", hint="Use another key.")
    return known


def _changed(reprovision_id: str) -> Any:
    return update(reprovisioning).where(_R.reprovision_id == reprovision_id, _R.finished_at.is_(None))


def _columns(given: Reprovision) -> dict[str, Any]:
    names = ("reprovision_id", "charger_id", "actor", "reason", "requested_at", "deadline_at", "environment")
    more = ("template", "profile", "waits_for")
    return {
        **{name: getattr(given, name) for name in (*names, *more)},
        "mode": given.mode.value,
        "state": given.state.value,
        "parameters": dict(given.parameters),
        "steps": [],
        "before": dict(given.before),
    }


def _noun(row: Row[Any]) -> Reprovision:
    return Reprovision(
        row.reprovision_id,
        row.charger_id,
        ReprovisionMode(row.mode),
        row.actor,
        row.reason,
        row.requested_at,
        row.deadline_at,
        row.environment,
        row.template,
        row.parameters,
        row.profile,
        ReprovisionState(row.state),
        row.waits_for,
        tuple(decode(StepRecord, each) for each in row.steps),
        row.before,
        row.finished_at,
    )
