"""Small questions about one charger: a few columns, each by its key."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.sql.selectable import NamedFromClause

from storage.capability import Declared
from storage.charger import Charger
from storage.codec import decode
from storage.errors import NotFound
from storage.glances import Glance, Manner
from storage.ownership import Ownership
from storage.postgres.credentials import PostgresCredentialStore
from storage.postgres.grouped import Grouped, V
from storage.postgres.prepared import Keyed
from storage.postgres.tables import charger, model_profile, twin_section
from storage.twin import Lifecycle, OperationSection, SecuritySection

IDENTITY = (
    charger.c.charger_id,
    charger.c.site_id,
    charger.c.vendor,
    charger.c.model,
    charger.c.lifecycle,
    charger.c.serial_number,
    charger.c.hardware_revision,
    charger.c.registered_at,
    charger.c.security_floor,
    charger.c.identity_version,
    *(charger.c[each.name] for each in fields(Ownership)),
    charger.c.ownership_version,
)


def _section(name: str) -> tuple[NamedFromClause, Any]:
    """A section of the twin, and how it is joined."""
    section = twin_section.alias(name)
    return section, (section.c.charger_id == charger.c.charger_id) & (section.c.name == name)


_OPERATION, _HAS_OPERATION = _section("operation")
_SECURITY, _HAS_SECURITY = _section("security")
_CONNECTIVITY, _HAS_CONNECTIVITY = _section("connectivity")
_FIRMWARE, _HAS_FIRMWARE = _section("firmware")
_CONFIGURATION, _HAS_CONFIGURATION = _section("configuration")

_REGISTERED = Keyed(select(*IDENTITY), charger.c.charger_id)
_GLANCE = Keyed(
    select(
        charger.c.charger_id,
        charger.c.lifecycle,
        _OPERATION.c.reported.label("operation"),
        _SECURITY.c.reported.label("security"),
    )
    .outerjoin(_OPERATION, _HAS_OPERATION)
    .outerjoin(_SECURITY, _HAS_SECURITY),
    charger.c.charger_id,
)
_MANNER = Keyed(
    select(
        charger.c.charger_id,
        charger.c.vendor,
        charger.c.model,
        _CONNECTIVITY.c.reported["dialect"].astext.label("dialect"),
        _FIRMWARE.c.reported["version"].astext.label("version"),
        _CONFIGURATION.c.reported["values"].label("told"),
        model_profile.c.declared,
    )
    .outerjoin(_CONNECTIVITY, _HAS_CONNECTIVITY)
    .outerjoin(_FIRMWARE, _HAS_FIRMWARE)
    .outerjoin(_CONFIGURATION, _HAS_CONFIGURATION)
    .outerjoin(
        model_profile,
        (model_profile.c.vendor == charger.c.vendor) & (model_profile.c.model == charger.c.model),
    ),
    charger.c.charger_id,
)


class PostgresGlanceStore(PostgresCredentialStore):
    """``storage.glances.GlanceStore``, for each of a fleet that reconnects at once."""

    def __init__(self, engine: AsyncEngine) -> None:
        super().__init__(engine)
        self._registered: Grouped[str, Charger] = Grouped(self._read_registered)
        self._glances: Grouped[str, Glance] = Grouped(self._read_glances)
        self._manners: Grouped[str, Manner] = Grouped(self._read_manners)

    async def registered(self, charger_id: str) -> Charger:
        """As it is registered, without its twin. Raises NotFound."""
        return await known(self._registered, charger_id)

    async def glance(self, charger_id: str) -> Glance:
        """Raise NotFound for an unknown one."""
        return await known(self._glances, charger_id)

    async def manner(self, charger_id: str) -> Manner:
        """Raise NotFound for an unknown one."""
        return await known(self._manners, charger_id)

    async def _read_registered(self, charger_ids: Sequence[str]) -> dict[str, Charger]:
        return {row[0]: charger_of(row) for row in await _REGISTERED.rows(self._engine, charger_ids)}

    async def _read_glances(self, charger_ids: Sequence[str]) -> dict[str, Glance]:
        return {row.charger_id: _glance(row) for row in await _GLANCE.rows(self._engine, charger_ids)}

    async def _read_manners(self, charger_ids: Sequence[str]) -> dict[str, Manner]:
        return {row.charger_id: _manner(row) for row in await _MANNER.rows(self._engine, charger_ids)}


async def known(asked: Grouped[str, V], charger_id: str) -> V:
    """The answer for a charger that there is. Raises NotFound."""
    found = await asked.ask(charger_id)
    if found is None:
        raise NotFound("charger", charger_id)
    return found


def charger_of(row: Sequence[Any] | Row[*tuple[Any, ...]]) -> Charger:
    """From a row that begins with the columns of IDENTITY."""
    charger_id, site_id, vendor, model, lifecycle, serial_number, hardware_revision, registered_at = row[:8]
    floor, identity_version, *owned, ownership_version = row[8 : len(IDENTITY)]
    return Charger(
        charger_id,
        site_id,
        vendor,
        model,
        Lifecycle(lifecycle),
        serial_number,
        hardware_revision,
        registered_at,
        floor,
        identity_version,
        Ownership(*owned),
        ownership_version,
    )


def _glance(row: Any) -> Glance:
    return Glance(
        Lifecycle(row.lifecycle),
        None if row.operation is None else decode(OperationSection, row.operation),
        None if row.security is None else decode(SecuritySection, row.security),
    )


def _manner(row: Any) -> Manner:
    declared = Declared() if row.declared is None else decode(Declared, row.declared)
    return Manner(row.vendor, row.model, row.dialect, row.version, row.told or {}, declared)
