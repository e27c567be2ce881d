"""An enrolment as a row, written in the transaction that registers its charger."""

from datetime import datetime
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.audit import AuditEntry
from storage.codec import decode, to_json
from storage.errors import Conflict, NotFound
from storage.identifiers import charger_subject
from storage.postgres.audit import append_entry
from storage.postgres.life_tables import enrolment, provisioning_template
from storage.postgres.tables import charger
from storage.provisioning import Asset, Attestation, CheckResult, Enrolment, EnrolmentState, Origin
from storage.twin import Lifecycle

_E = enrolment.c


async def require_template(connection: AsyncConnection, name: str | None) -> None:
    """Raise NotFound."""
    if name is None:
        return
    known = select(provisioning_template.c.name).where(provisioning_template.c.name == name)
    if (await connection.execute(known)).one_or_none() is None:
        raise NotFound("template", name, hint="Write it first: ampwave provisioning template.")


async def require_no_service(connection: AsyncConnection, charger_id: str) -> None:
    """Raise Conflict for one that was never enrolled and is not on its way in: it would wait for ever."""
    query = (
        select(charger.c.lifecycle)
        .outerjoin(enrolment, _E.charger_id == charger.c.charger_id)
        .where(charger.c.charger_id == charger_id, _E.charger_id.is_(None))
    )
    lifecycle = (await connection.execute(query)).scalar_one_or_none()
    if lifecycle not in (None, Lifecycle.PROVISIONING.value):
        raise Conflict(
            f"{charger_id} is {lifecycle} already, without a checklist.",
            hint="It was registered at once; there is no way in left for it to go.",
        )


async def enrol_within(connection: AsyncConnection, given: Enrolment) -> bool:
    """Write the enrolment of a charger that was registered in this transaction; whether it is new."""
    await require_own_sim(connection, given.charger_id, given.asset)
    row = {
        "charger_id": given.charger_id,
        "origin": given.origin.value,
        "actor": given.actor,
        "requested_at": given.requested_at,
        "deadline_at": given.deadline_at,
        "environment": given.environment,
        "template": given.template,
        "parameters": dict(given.parameters),
        "profile": given.profile,
        "state": given.state.value,
        "waits_for": given.waits_for,
        "asset": to_json(given.asset),
        "iccid": given.asset.iccid,
        "attestations": [],
        "checks": [],
    }
    added = await connection.execute(
        insert(enrolment).values(**row).on_conflict_do_nothing(index_elements=["charger_id"])
    )
    if added.rowcount:
        detail = {"origin": given.origin.value, "environment": given.environment, "template": given.template}
        await tell(connection, given.requested_at, given.actor, "charger.enrolled", given.charger_id, detail)
        return True
    there = enrolment_of(
        (await connection.execute(select(enrolment).where(_E.charger_id == given.charger_id))).one()
    )
    names = ("origin", "environment", "template", "parameters", "profile")
    different = [each for each in names if getattr(there, each) != getattr(given, each)]
    if different:
        raise Conflict(
            f"{given.charger_id} is enrolled already, with another {', '.join(different)}.",
            hint=f"See where it is: ampwave provisioning show {given.charger_id}",
        )
    return False


async def tell(
    connection: AsyncConnection,
    at: datetime,
    actor: str,
    action: str,
    charger_id: str,
    detail: dict[str, Any],
) -> None:
    """On the audit log, in the same transaction."""
    await append_entry(connection, AuditEntry(at, actor, action, charger_subject(charger_id), detail))


async def locked(connection: AsyncConnection, charger_id: str) -> Enrolment:
    """The enrolment, locked until the transaction ends. Raises NotFound."""
    query = select(enrolment).where(_E.charger_id == charger_id).with_for_update()
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise NotFound("enrolment of charger", charger_id, hint="Nobody enrolled it.")
    return enrolment_of(row)


async def require_own_sim(connection: AsyncConnection, charger_id: str, asset: Asset) -> None:
    """Raise Conflict if the SIM is another charger's."""
    if asset.iccid is None:
        return
    query = select(_E.charger_id).where(_E.iccid == asset.iccid, _E.charger_id != charger_id)
    owner = (await connection.execute(query)).scalar_one_or_none()
    if owner is not None:
        raise Conflict(f"The SIM {asset.iccid} is in {owner}.", hint="One SIM is in one charger (F55).")


def enrolment_of(row: Row[Any]) -> Enrolment:
    """The noun."""
    return Enrolment(
        charger_id=row.charger_id,
        origin=Origin(row.origin),
        actor=row.actor,
        requested_at=row.requested_at,
        deadline_at=row.deadline_at,
        environment=row.environment,
        template=row.template,
        parameters=row.parameters,
        profile=row.profile,
        state=EnrolmentState(row.state),
        waits_for=row.waits_for,
        credential_at=row.credential_at,
        asset=decode(Asset, row.asset),
        attestations=tuple(decode(Attestation, each) for each in row.attestations),
        checks=tuple(decode(CheckResult, each) for each in row.checks),
        finished_at=row.finished_at,
    )
