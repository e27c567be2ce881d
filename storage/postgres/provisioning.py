"""Enrolments: registered with their charger, and moved against the state they were decided on."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from sqlalchemy import func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.audit import AuditEntry
from storage.charger import Charger, ChargerCredential
from storage.codec import to_json
from storage.errors import NotFound
from storage.ports import Page
from storage.postgres import cursor as cursors
from storage.postgres.allowing import AllowList
from storage.postgres.audit import append_entry
from storage.postgres.chargers import register_within
from storage.postgres.credentials import put_credential
from storage.postgres.engine import reading, transaction
from storage.postgres.enrolling import (
    enrol_within,
    enrolment_of,
    locked,
    require_no_service,
    require_own_sim,
    require_template,
    tell,
)
from storage.postgres.life_tables import enrolment, provisioning_template, site_constraint
from storage.postgres.quarantine import QuarantineDesk
from storage.postgres.tables import charger, charger_route, site
from storage.provisioning import (
    ENROLMENT_OVER,
    Advance,
    Asset,
    Attestation,
    Enrolment,
    EnrolmentState,
    SiteConstraints,
)
from storage.twin import Lifecycle

_E = enrolment.c
_OPEN = _E.finished_at.is_(None)


class _TakenBack(Exception):
    """It was only tried."""


async def _enrolled(
    connection: AsyncConnection, given: Charger, credential: ChargerCredential | None, began: Enrolment
) -> bool:
    await require_template(connection, began.template)
    if await register_within(connection, given, None):
        if credential is not None:
            # Once it has one of its own, a repeated import must not bring the first one back.
            await put_credential(connection, credential)
    else:
        await require_no_service(connection, given.charger_id)
    return await enrol_within(connection, began)


class PostgresProvisioningStore(AllowList, QuarantineDesk):
    """See ``storage.provisioning.ProvisioningStore``."""

    async def enrol(
        self,
        charger: Charger,
        credential: ChargerCredential | None,
        given: Enrolment,
        *,
        dry_run: bool = False,
    ) -> bool:
        """Register a charger and its enrolment in one transaction; ``dry_run``: and take it back."""
        with suppress(_TakenBack):
            async with transaction(self._engine) as connection:
                new = await _enrolled(connection, charger, credential, given)
                if dry_run:
                    raise _TakenBack
        return new

    async def get(self, charger_id: str) -> Enrolment:
        """Raise NotFound."""
        async with reading(self._engine) as connection:
            row = (
                await connection.execute(select(enrolment).where(_E.charger_id == charger_id))
            ).one_or_none()
        if row is None:
            raise NotFound("enrolment of charger", charger_id, hint="Nobody enrolled it.")
        return enrolment_of(row)

    async def find(self, *, open_only: bool = False, limit: int = 100) -> Sequence[Enrolment]:
        """Those that wait first, oldest first."""
        query = select(enrolment).order_by(
            _E.finished_at.desc().nulls_first(), _E.requested_at, _E.charger_id
        )
        if open_only:
            query = query.where(_OPEN)
        async with reading(self._engine) as connection:
            return [enrolment_of(row) for row in await connection.execute(query.limit(limit))]

    async def waiting(self, *, limit: int = 100, cursor: str | None = None) -> Page[Enrolment]:
        """The open ones, oldest first."""
        query = select(enrolment).where(_OPEN).order_by(_E.requested_at, _E.charger_id).limit(limit + 1)
        if cursor is not None:
            at, charger_id = cursors.decode(cursor, 2)
            place = func.row(_E.requested_at, _E.charger_id)
            query = query.where(place > func.row(cursors.instant(at), charger_id))
        async with reading(self._engine) as connection:
            rows = (await connection.execute(query)).all()
        return cursors.page(
            rows, limit, enrolment_of, lambda row: (row.requested_at.isoformat(), row.charger_id)
        )

    async def standing(self) -> Mapping[EnrolmentState, int]:
        """How many are in each state."""
        query = select(_E.state, func.count()).group_by(_E.state)
        async with reading(self._engine) as connection:
            return {EnrolmentState(state): count for state, count in await connection.execute(query)}

    async def due(self, *, limit: int = 200) -> Sequence[str]:
        """Open ones that may move."""
        live = select(charger_route.c.charger_id).where(
            charger_route.c.charger_id == _E.charger_id, charger_route.c.lease_until > func.now()
        )
        fresh = or_(_E.look_at.is_(None), _E.look_at <= func.now())
        query = (
            select(_E.charger_id)
            .join(charger, charger.c.charger_id == _E.charger_id)
            .where(
                _OPEN,
                charger.c.lifecycle == Lifecycle.PROVISIONING.value,
                or_(_E.deadline_at <= func.now(), live.exists() & fresh),
            )
            .order_by(_E.look_at.nulls_first(), _E.charger_id)
            .limit(limit)
        )
        async with reading(self._engine) as connection:
            return list((await connection.execute(query)).scalars())

    async def looked(self, charger_id: str, again_at: datetime, waits_for: str) -> None:
        """Nothing moved; look again then."""
        statement = update(enrolment).where(_E.charger_id == charger_id, _OPEN)
        async with transaction(self._engine) as connection:
            await connection.execute(statement.values(look_at=again_at, waits_for=waits_for[:500]))

    async def advance(self, given: Advance) -> bool:
        """Move it, audited, with its lifecycle."""
        async with transaction(self._engine) as connection:
            query = (
                select(charger.c.lifecycle).where(charger.c.charger_id == given.charger_id).with_for_update()
            )
            lifecycle = (await connection.execute(query)).scalar_one_or_none()
            if lifecycle != Lifecycle.PROVISIONING.value:
                return False
            values: dict[str, Any] = {
                "state": given.state.value,
                "waits_for": given.waits_for,
                "look_at": None,
            }
            if given.credential_at is not None:
                values["credential_at"] = given.credential_at
            if given.checks is not None:
                values["checks"] = to_json(given.checks)
            if given.state in ENROLMENT_OVER:
                values["finished_at"] = given.at
            here = (_E.charger_id == given.charger_id, _E.state == given.expected.value)
            if (await connection.execute(update(enrolment).where(*here).values(**values))).rowcount == 0:
                return False
            if given.state is EnrolmentState.ACTIVE:
                served = update(charger).where(charger.c.charger_id == given.charger_id)
                await connection.execute(served.values(lifecycle=Lifecycle.ACTIVE.value))
            if given.state is given.expected:
                return True  # Only what it waits for is another; that is no act.
            action = (
                "charger.activated" if given.state is EnrolmentState.ACTIVE else "charger.enrolment_moved"
            )
            detail = {"from": given.expected.value, "to": given.state.value}
            await tell(connection, given.at, "provisioning", action, given.charger_id, detail)
        return True

    async def attest(self, charger_id: str, given: Attestation) -> Enrolment:
        """A person's result; told again it replaces the older one."""
        async with transaction(self._engine) as connection:
            found = await locked(connection, charger_id)
            others = [each for each in found.attestations if each.name != given.name]
            values = {"attestations": to_json([*others, given]), "look_at": None}
            await connection.execute(update(enrolment).where(_E.charger_id == charger_id).values(**values))
            detail = {"name": given.name, "passed": given.passed, "value": given.value}
            await tell(connection, given.at, given.actor, "charger.attested", charger_id, detail)
        return await self.get(charger_id)

    async def describe(self, charger_id: str, asset: Asset) -> Enrolment:
        """What is known of the asset."""
        async with transaction(self._engine) as connection:
            await locked(connection, charger_id)
            await require_own_sim(connection, charger_id, asset)
            values = {"asset": to_json(asset), "iccid": asset.iccid, "look_at": None}
            await connection.execute(update(enrolment).where(_E.charger_id == charger_id).values(**values))
        return await self.get(charger_id)

    async def put_template(self, name: str, body: Mapping[str, Any], actor: str, at: datetime) -> None:
        """Create or replace one."""
        values = {"body": dict(body), "actor": actor, "at": at}
        statement = insert(provisioning_template).values(name=name, **values)
        async with transaction(self._engine) as connection:
            await connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_=values))
            entry = AuditEntry(at, actor, "template.written", f"template/{name}", {})
            await append_entry(connection, entry)

    async def template(self, name: str) -> Mapping[str, Any]:
        """Raise NotFound."""
        query = select(provisioning_template.c.body).where(provisioning_template.c.name == name)
        async with reading(self._engine) as connection:
            found = (await connection.execute(query)).scalar_one_or_none()
        if found is None:
            raise NotFound("template", name)
        return dict(found)

    async def templates(self) -> Sequence[tuple[str, Mapping[str, Any]]]:
        """By name."""
        query = select(provisioning_template).order_by(provisioning_template.c.name)
        async with reading(self._engine) as connection:
            return [(row.name, row.body) for row in await connection.execute(query)]

    async def put_constraints(self, given: SiteConstraints, actor: str, at: datetime) -> None:
        """Raise NotFound for an unknown site."""
        values = {"constraints": dict(given.values)}
        statement = insert(site_constraint).values(site_id=given.site_id, **values)
        async with transaction(self._engine) as connection:
            known = select(site.c.site_id).where(site.c.site_id == given.site_id)
            if (await connection.execute(known)).one_or_none() is None:
                raise NotFound("site", given.site_id)
            await connection.execute(statement.on_conflict_do_update(index_elements=["site_id"], set_=values))
            subject, detail = f"site/{given.site_id}", dict(given.values)
            await append_entry(connection, AuditEntry(at, actor, "site.constraints_written", subject, detail))

    async def constraints(self, site_id: str) -> SiteConstraints | None:
        """None: nobody said what the site allows."""
        query = select(site_constraint.c.constraints).where(site_constraint.c.site_id == site_id)
        async with reading(self._engine) as connection:
            found = (await connection.execute(query)).scalar_one_or_none()
        return None if found is None else SiteConstraints(site_id, found)
