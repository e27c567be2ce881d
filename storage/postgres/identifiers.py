"""Who is called what: names within namespaces, and the one way to change what was registered."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from storage.audit import AuditEntry
from storage.charger import Charger
from storage.errors import Conflict, InvalidInput, NotFound, StaleVersion
from storage.identifiers import (
    CHARGER_SAYS,
    IDENTITY_FIELDS,
    OCPP,
    SERIAL,
    Identifier,
    Reidentification,
    charger_subject,
    check_subject,
    claims,
)
from storage.postgres.audit import append_entry
from storage.postgres.charger_rows import charger_of
from storage.postgres.engine import reading, transaction
from storage.postgres.leases import ALIVE
from storage.postgres.retirement import refuse_buried, serial_digest
from storage.postgres.tables import charger, identifier, site, site_lease
from storage.postgres.trust import alone, look
from storage.retirement import Remains
from storage.twin import Lifecycle

_C = identifier.c


async def claim(connection: AsyncConnection, given: Identifier) -> None:
    """Take a name within a transaction of somebody else. Raises Conflict where it is another subject's.

    A serial number that only a charger told, or whose charger is retired, goes to who is registered with it.
    """
    if given.namespace == SERIAL:
        vendor, _, serial = given.value.partition("/")
        if given.actor != CHARGER_SAYS:
            await refuse_buried(connection, [(Remains.SERIAL, serial_digest(vendor, serial))])
    values = {"subject": given.subject, "actor": given.actor, "since": given.since or func.now()}
    query = insert(identifier).values(namespace=given.namespace, value=given.value, **values)
    gone = select(charger.c.charger_id).where(
        _C.subject == func.concat("charger/", charger.c.charger_id),
        charger.c.lifecycle == Lifecycle.RETIRED.value,
    )
    free = or_(_C.actor == CHARGER_SAYS, gone.exists())
    taken = query.on_conflict_do_update(
        index_elements=["namespace", "value"], set_=values, where=(_C.namespace == SERIAL) & free
    )
    if (await connection.execute(taken)).rowcount:
        return
    owner = (await connection.execute(_named(given.namespace, given.value))).scalar_one()
    if owner != given.subject:
        raise Conflict(
            f"{given.namespace} {given.value!r} is {owner} already, so it cannot be {given.subject}.",
            hint="Two things cannot have one name; look at both before you decide which is right.",
        )


def _named(namespace: str, value: str) -> Any:
    return select(_C.subject).where(_C.namespace == namespace, _C.value == value)


class PostgresIdentifierStore:
    """See ``storage.registry_ports.RegistryStore``."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def identify(self, given: Identifier) -> Identifier:
        """Give a subject a name."""
        kind, owner = check_subject(given.subject)
        place = site.c.site_id if kind == "site" else charger.c.charger_id
        async with transaction(self._engine) as connection:
            if (await connection.execute(select(place).where(place == owner))).one_or_none() is None:
                raise NotFound("site" if kind == "site" else "charger", owner)
            await claim(connection, given)
            return await _one(connection, given.namespace, given.value)

    async def forget(self, namespace: str, value: str) -> Identifier:
        """Take a name away."""
        async with transaction(self._engine) as connection:
            was = await _one(connection, namespace, value)
            await connection.execute(delete(identifier).where(_C.namespace == namespace, _C.value == value))
        return was

    async def lookup(self, namespace: str, value: str) -> Identifier:
        """Whose name it is."""
        async with reading(self._engine) as connection:
            return await _one(connection, namespace, value)

    async def names(self, subject: str) -> Sequence[Identifier]:
        """By namespace and value."""
        kind, owner = check_subject(subject)
        within = [f"evse/{owner}/", f"connector/{owner}/"] if kind == "charger" else []
        mine = or_(_C.subject == subject, *(_C.subject.startswith(each, autoescape=True) for each in within))
        query = select(identifier).where(mine).order_by(_C.subject, _C.namespace, _C.value)
        async with reading(self._engine) as connection:
            return [_identifier(row) for row in await connection.execute(query)]

    async def reidentify(self, given: Reidentification) -> Charger:
        """Change what was registered; the audit log says so in the same transaction."""
        async with transaction(self._engine) as connection:
            await alone(connection)
            before = await _for_change(connection, given)
            after = {**before, **given.values}
            changed = {
                name: [before[name], after[name]] for name in IDENTITY_FIELDS if before[name] != after[name]
            }
            if not changed:
                raise InvalidInput(f"{given.charger_id} is registered so already; nothing would change.")
            row = await _change(connection, given, after)
            detail = {"reason": given.reason, "changed": changed, "version": row.identity_version}
            subject = charger_subject(given.charger_id)
            entry = AuditEntry(given.at, given.actor, "charger.reidentified", subject, detail)
            await append_entry(connection, entry)
            await look(connection, given.charger_id, f"re-identified by {given.actor}: {given.reason}")
        return charger_of(row)


async def _for_change(connection: AsyncConnection, given: Reidentification) -> dict[str, str | None]:
    columns = charger.c
    query = select(charger).where(columns.charger_id == given.charger_id).with_for_update()
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise NotFound("charger", given.charger_id)
    if row.lifecycle in (Lifecycle.RETIRING.value, Lifecycle.RETIRED.value):
        raise Conflict(f"{given.charger_id} is {row.lifecycle}.", hint="What ends is never renamed.")
    if row.identity_version != given.expected_version:
        raise StaleVersion(
            f"The identity of {given.charger_id} is at version {row.identity_version},"
            f" not {given.expected_version}.",
            hint="Read the charger again, then decide again.",
        )
    held = select(site_lease.c.workflow_id, site_lease.c.kind).where(
        site_lease.c.charger_id == given.charger_id, ALIVE
    )
    lease = (await connection.execute(held)).one_or_none()
    if lease is not None:
        raise Conflict(f"{lease.workflow_id} has it for {lease.kind}.", hint="Wait until that has ended.")
    return {name: getattr(row, name) for name in IDENTITY_FIELDS}


async def _change(
    connection: AsyncConnection, given: Reidentification, after: dict[str, str | None]
) -> Row[Any]:
    charger_id = given.charger_id
    # Also one that only the charger told: what it tells under its new name counts from now on.
    mine = (_C.namespace == SERIAL, _C.subject == charger_subject(charger_id))
    await connection.execute(delete(identifier).where(*mine))
    for name in claims(charger_id, str(after["vendor"]), after["serial_number"]):
        if name.namespace != OCPP:
            await claim(connection, name)
    changed = (
        update(charger)
        .where(charger.c.charger_id == charger_id)
        .values(**after, identity_version=charger.c.identity_version + 1)
        .returning(charger)
    )
    row: Row[Any] = (await connection.execute(changed)).one()
    return row


async def _one(connection: AsyncConnection, namespace: str, value: str) -> Identifier:
    query = select(identifier).where(_C.namespace == namespace, _C.value == value)
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise NotFound(f"{namespace} identifier", value, hint="Nothing of ours is called that.")
    return _identifier(row)


def _identifier(row: Row[Any]) -> Identifier:
    return Identifier(row.namespace, row.value, row.subject, row.actor, row.since)
