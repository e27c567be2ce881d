"""Who may begin: installers' claims, manufacturers' lists, and who came without being on one."""

import hmac
from collections.abc import Sequence
from datetime import datetime, timedelta
from secrets import token_bytes
from typing import Any

from sqlalchemy import Row, delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from storage.audit import AuditEntry
from storage.charger import Charger, ChargerCredential
from storage.errors import Conflict, NotFound
from storage.postgres.audit import append_entry
from storage.postgres.chargers import register_within
from storage.postgres.credentials import put_credential
from storage.postgres.engine import reading, transaction
from storage.postgres.enrolling import enrol_within, locked, require_template, tell
from storage.postgres.life_tables import (
    credential_past,
    enrolment,
    factory_unit,
    installer_claim,
    stranger,
)
from storage.postgres.retirement import refuse_buried, serial_digest
from storage.postgres.tables import charger, site
from storage.provisioning import (
    Arrival,
    Claim,
    Enrolment,
    EnrolmentState,
    FactoryUnit,
    Origin,
    Redemption,
    Stranger,
)
from storage.retirement import Remains
from storage.twin import Lifecycle

_STRANGERS = 1000
"""So many are remembered; a flood of them fills no disk."""
_PATIENCE = timedelta(days=90)
_CLAIMABLE = (EnrolmentState.REGISTERED.value, EnrolmentState.CLAIMED.value)


class AllowList:
    """See ``storage.provisioning.ProvisioningStore``."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def issue_claim(self, given: Claim) -> None:
        """Leave for one charger; what it ever was is remembered for its end."""
        async with transaction(self._engine) as connection:
            query = select(charger).where(charger.c.charger_id == given.charger_id).with_for_update()
            row = (await connection.execute(query)).one_or_none()
            if row is None:
                raise NotFound("charger", given.charger_id, hint="Enrol it first, without a password.")
            if row.lifecycle != Lifecycle.PROVISIONING.value:
                raise Conflict(
                    f"{given.charger_id} is {row.lifecycle}; only what is on its way in is claimed."
                )
            if (row.site_id, row.serial_number) != (given.site_id, given.serial_number):
                raise Conflict(f"{given.charger_id} is registered with another site or serial number.")
            found = await locked(connection, given.charger_id)
            if found.state.value not in _CLAIMABLE:
                raise Conflict(f"{given.charger_id} is {found.state.value} already, and needs no claim.")
            values = {name: getattr(given, name) for name in given.__slots__}
            await connection.execute(insert(installer_claim).values(**values))
            past = {"kind": Remains.CLAIM.value, "digest": given.claim_sha256, "charger_id": given.charger_id}
            await connection.execute(insert(credential_past).values(**past, since=given.issued_at))
            detail = {
                "to": given.issued_to,
                "expires": given.expires_at.isoformat(),
                "site_id": given.site_id,
            }
            await tell(connection, given.issued_at, given.issued_by, "claim.issued", given.charger_id, detail)

    async def redeem(self, given: Redemption) -> str:
        """Once, by whoever has it, for this very serial number and site."""
        async with transaction(self._engine) as connection:
            query = select(installer_claim).where(installer_claim.c.claim_sha256 == given.claim_sha256)
            row = (await connection.execute(query.with_for_update())).one_or_none()
            if row is None or not _fits(row, given):
                # Alike for all: who guesses learns nothing of what was right.
                raise Conflict(
                    "This claim opens nothing here.",
                    hint="It is for one charger at one site, once, and not for long: ask for a new one.",
                )
            await refuse_buried(connection, [(Remains.CLAIM, given.claim_sha256)])
            alive = (
                select(charger.c.lifecycle).where(charger.c.charger_id == row.charger_id).with_for_update()
            )
            found = await locked(connection, row.charger_id)
            lifecycle = (await connection.execute(alive)).scalar_one()
            if lifecycle != Lifecycle.PROVISIONING.value or found.state.value not in _CLAIMABLE:
                raise Conflict("This claim opens nothing here.", hint="The charger is not on its way in.")
            used = update(installer_claim).where(installer_claim.c.claim_sha256 == given.claim_sha256)
            await connection.execute(used.values(used_at=given.at))
            await put_credential(connection, ChargerCredential(row.charger_id, given.secret_hmac, given.at))
            moved = update(enrolment).where(enrolment.c.charger_id == row.charger_id)
            values = {"state": EnrolmentState.CLAIMED.value, "look_at": None}
            await connection.execute(moved.values(**values, waits_for="its installer sets its password"))
            detail = {"issued_to": row.issued_to, "site_id": row.site_id}
            await tell(connection, given.at, given.actor, "claim.redeemed", row.charger_id, detail)
            return str(row.charger_id)

    async def allow(self, units: Sequence[FactoryUnit], actor: str, at: datetime) -> int:
        """The whole list or nothing of it."""
        async with transaction(self._engine) as connection:
            for name in sorted({unit.template for unit in units if unit.template}):
                await require_template(connection, name)
            known = set((await connection.execute(select(site.c.site_id))).scalars())
            for missing in sorted({unit.site_id for unit in units} - known):
                raise NotFound("site", missing, hint="Create the site first.")
            added = 0
            for unit in units:
                await _refuse_retired(connection, unit)
                values = {name: getattr(unit, name) for name in unit.__slots__}
                statement = insert(factory_unit).values(**values).on_conflict_do_nothing()
                new = (await connection.execute(statement)).rowcount
                if not new:
                    await _require_same(connection, unit)
                added += new
            if units:
                detail = {"units": len(units), "new": added}
                subject = f"manifest/{units[0].manifest_sha256}"
                await append_entry(connection, AuditEntry(at, actor, "manifest.imported", subject, detail))
        return added

    async def arrive(self, given: Arrival, environment: str) -> str:
        """Deny by default: only a listed key opens anything, and it opens its own charger alone."""
        try:
            async with transaction(self._engine) as connection:
                return await _arrived(connection, given, environment)
        except (Conflict, NotFound) as error:
            return error.message

    async def strangers(self, *, limit: int = 100) -> Sequence[Stranger]:
        """The latest first."""
        query = select(stranger).order_by(stranger.c.last_seen.desc()).limit(limit)
        async with reading(self._engine) as connection:
            return [Stranger(**row._mapping) for row in await connection.execute(query)]  # noqa: SLF001


def _fits(row: Row[Any], given: Redemption) -> bool:
    """Every part is compared, whatever the first one says, and in constant time."""
    pairs = (
        (row.claim_sha256, given.claim_sha256),
        (row.site_id, given.site_id),
        (row.serial_number, given.serial_number),
    )
    same = [hmac.compare_digest(str(ours).encode(), theirs.encode()) for ours, theirs in pairs]
    return all(same) and row.used_at is None and given.at < row.expires_at


async def _refuse_retired(connection: AsyncConnection, unit: FactoryUnit) -> None:
    remains = [(Remains.SERIAL, serial_digest(unit.vendor, unit.serial_number))]
    if unit.key_sha256:
        remains.append((Remains.CERTIFICATE, unit.key_sha256))
    await refuse_buried(connection, remains)


async def _require_same(connection: AsyncConnection, unit: FactoryUnit) -> None:
    columns = factory_unit.c
    query = select(factory_unit).where(
        columns.vendor == unit.vendor, columns.serial_number == unit.serial_number
    )
    row = (await connection.execute(query)).one_or_none()
    names = ("model", "site_id", "key_sha256", "template", "profile")
    if row is None or any(getattr(row, name) != getattr(unit, name) for name in names):
        raise Conflict(
            f"{unit.vendor} {unit.serial_number} is listed already, with other values.",
            hint="A unit is listed once; look at both lists before you decide which is right.",
        )


async def _remember(connection: AsyncConnection, given: Arrival) -> None:
    row = {
        "key_sha256": given.key_sha256,
        "charger_id": given.charger_id,
        "serial_number": given.serial_number[:100],
        "address": given.address,
        "first_seen": given.at,
        "last_seen": given.at,
        "times": 1,
    }
    statement = insert(stranger).values(**row)
    again = {"charger_id": given.charger_id, "address": given.address, "last_seen": given.at}
    await connection.execute(
        statement.on_conflict_do_update(
            index_elements=["key_sha256"], set_={**again, "times": stranger.c.times + 1}
        )
    )
    kept = select(stranger.c.key_sha256).order_by(stranger.c.last_seen.desc()).limit(_STRANGERS)
    await connection.execute(delete(stranger).where(stranger.c.key_sha256.not_in(kept)))


async def _arrived(connection: AsyncConnection, given: Arrival, environment: str) -> str:
    query = select(factory_unit).where(factory_unit.c.key_sha256 == given.key_sha256)
    unit = (await connection.execute(query)).one_or_none()
    if unit is None or unit.serial_number != given.serial_number:
        await _remember(connection, given)
        return "its manufacturer's certificate is on no list of ours"
    there = select(charger.c.lifecycle, charger.c.vendor, charger.c.serial_number).where(
        charger.c.charger_id == given.charger_id
    )
    row = (await connection.execute(there)).one_or_none()
    if row is not None:
        mine = (row.vendor, row.serial_number) == (unit.vendor, unit.serial_number)
        fit = mine and row.lifecycle == Lifecycle.PROVISIONING.value
        return "" if fit else "it calls itself what another charger is called, or is in service already"
    remains = [
        (Remains.SERIAL, serial_digest(unit.vendor, unit.serial_number)),
        (Remains.CERTIFICATE, given.key_sha256),
        (Remains.IDENTITY, given.charger_id),
    ]
    await refuse_buried(connection, remains)
    await _take_in(connection, given, unit, environment)
    return ""


async def _take_in(connection: AsyncConnection, given: Arrival, unit: Row[Any], environment: str) -> None:
    new = Charger(
        given.charger_id,
        unit.site_id,
        unit.vendor,
        unit.model,
        Lifecycle.PROVISIONING,
        unit.serial_number,
        unit.hardware_revision,
        given.at,
    )
    # A password that nobody knows: the first one that it is given takes its place (A01).
    nobody = ChargerCredential(given.charger_id, token_bytes(32), given.at)
    await register_within(connection, new, nobody)
    past = {"kind": Remains.CERTIFICATE.value, "digest": given.key_sha256, "charger_id": given.charger_id}
    await connection.execute(insert(credential_past).values(**past, since=given.at).on_conflict_do_nothing())
    began = Enrolment(
        charger_id=given.charger_id,
        origin=Origin.ZERO_TOUCH,
        actor=f"manifest/{unit.manifest_sha256[:12]}",
        requested_at=given.at,
        deadline_at=given.at + _PATIENCE,
        environment=environment,
        template=unit.template,
        profile=unit.profile,
    )
    await enrol_within(connection, began)
