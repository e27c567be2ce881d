"""Sites, models, chargers, their credentials, and the view of a charger with its twin."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, Select, bindparam, func, select, update
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from storage.capability import Declared
from storage.charger import (
    STALE_AFTER,
    Charger,
    ChargerCredential,
    ChargerFilter,
    FleetCounts,
    FleetGroups,
    GroupQuestion,
    ModelProfile,
    SignatureScheme,
    Site,
)
from storage.clock import Clock, system_clock
from storage.codec import decode, decode_twin, to_json
from storage.errors import Conflict, NotFound
from storage.identifiers import claims
from storage.ownership import MOVE_HINT, SITE
from storage.ports import ChargerView, Page
from storage.postgres import cursor as cursors
from storage.postgres.counting import count_fleet
from storage.postgres.credentials import put_credential, raised_floor
from storage.postgres.engine import reading, transaction
from storage.postgres.glances import IDENTITY, PostgresGlanceStore, charger_of, known
from storage.postgres.grouped import Grouped
from storage.postgres.identifiers import claim
from storage.postgres.leases import ALIVE, LEASE_COLUMNS, lease_of
from storage.postgres.penalties import PENALTY_COLUMNS, STANDING, penalty_of
from storage.postgres.prepared import Keyed, Prepared
from storage.postgres.query import asking
from storage.postgres.query_sources import Instant
from storage.postgres.selecting import count_groups, matching
from storage.postgres.tables import (
    charger,
    charger_penalty,
    model_profile,
    site,
    site_lease,
    twin,
    twin_section,
)
from storage.twin import Lifecycle
from storage.upkeep import SiteRules

_VIEW_BEGINS = len(IDENTITY)
_SECTIONS = (
    select(func.jsonb_object_agg(twin_section.c.name, twin_section.c.reported, type_=JSONB))
    .where(twin_section.c.charger_id == charger.c.charger_id, twin_section.c.reported.is_not(None))
    .scalar_subquery()
    .label("sections")
)
_VIEW = (
    select(*IDENTITY, twin.c.revision, twin.c.last_message_at, _SECTIONS, *LEASE_COLUMNS, *PENALTY_COLUMNS)
    .join(twin, twin.c.charger_id == charger.c.charger_id)
    .outerjoin(site_lease, (site_lease.c.charger_id == charger.c.charger_id) & ALIVE)
    .outerjoin(charger_penalty, (charger_penalty.c.charger_id == charger.c.charger_id) & STANDING)
)

_VIEWS = Keyed(_VIEW, charger.c.charger_id)
_MODEL = Prepared(
    select(model_profile).where(
        model_profile.c.vendor == bindparam("of_vendor"), model_profile.c.model == bindparam("of_model")
    )
)

_ALL = 10_000_000
QUERIES_AT_ONCE = 4
"""Queries of people that a process has running; others wait here, and leave the pool to everybody else."""


class PostgresChargerStore(PostgresGlanceStore):
    """The fleet as registered, beside what it reported."""

    def __init__(
        self, engine: AsyncEngine, clock: Clock = system_clock, stale_after: timedelta = STALE_AFTER
    ) -> None:
        super().__init__(engine)
        self._clock = clock
        self._stale_after = stale_after
        self._seats = asyncio.Semaphore(QUERIES_AT_ONCE)
        self._views: Grouped[str, ChargerView] = Grouped(self._look_up)

    async def put_site(self, given: Site) -> None:
        """Create or change a site."""
        rules = to_json(given.rules)
        values = {
            "name": given.name,
            "time_zone": given.time_zone,
            "max_down": given.max_down,
            "rules": rules,
        }
        statement = insert(site).values(site_id=given.site_id, **values)
        async with transaction(self._engine) as connection:
            await connection.execute(statement.on_conflict_do_update(index_elements=["site_id"], set_=values))

    async def sites(self) -> Sequence[Site]:
        """All of them, by id."""
        async with reading(self._engine) as connection:
            return [_site(row) for row in await connection.execute(select(site).order_by(site.c.site_id))]

    async def site(self, site_id: str) -> Site | None:
        """One of them."""
        query = select(site).where(site.c.site_id == site_id)
        async with reading(self._engine) as connection:
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else _site(row)

    async def put_model(self, profile: ModelProfile) -> None:
        """Create or change what holds for a model."""
        values: dict[str, Any] = {
            "signature_scheme": profile.signature_scheme.value,
            "unsafe_unsigned_waiver": profile.unsafe_unsigned_waiver,
            "needs_reset_after_install": profile.needs_reset_after_install,
            "reboot_seconds": profile.reboot_seconds,
            "veto_variable": profile.veto_variable,
            "veto_value": profile.veto_value,
            "declared": asdict(profile.declared),
        }
        statement = insert(model_profile).values(vendor=profile.vendor, model=profile.model, **values)
        async with transaction(self._engine) as connection:
            await connection.execute(
                statement.on_conflict_do_update(index_elements=["vendor", "model"], set_=values)
            )

    async def model(self, vendor: str, model: str) -> ModelProfile | None:
        """What holds for a model; None if nobody said."""
        row = await _MODEL.row(self._engine, of_vendor=vendor, of_model=model)
        if row is None:
            return None
        return ModelProfile(
            vendor=row.vendor,
            model=row.model,
            signature_scheme=SignatureScheme(row.signature_scheme),
            unsafe_unsigned_waiver=row.unsafe_unsigned_waiver,
            needs_reset_after_install=row.needs_reset_after_install,
            reboot_seconds=row.reboot_seconds,
            declared=decode(Declared, row.declared),
            veto_variable=row.veto_variable,
            veto_value=row.veto_value,
        )

    async def register(self, given: Charger, credential: ChargerCredential | None) -> None:
        """Idempotent for the same charger; a credential that is given replaces the stored one.

        A security floor that is higher than the stored one raises it.

        Raises:
            NotFound: there is no such site.
            Conflict: the identity belongs to a charger that differs, or that is retired; or the
                password is another charger's.
        """
        async with transaction(self._engine) as connection:
            await register_within(connection, given, credential)

    async def get(self, charger_id: str) -> ChargerView:
        """Raise NotFound for an unknown one."""
        return await known(self._views, charger_id)

    async def _look_up(self, charger_ids: Sequence[str]) -> dict[str, ChargerView]:
        return {view.charger.charger_id: view for view in await self.views(charger_ids)}

    async def set_lifecycle(self, charger_id: str, lifecycle: Lifecycle) -> None:
        """Raise NotFound for an unknown one."""
        statement = (
            update(charger).where(charger.c.charger_id == charger_id).values(lifecycle=lifecycle.value)
        )
        async with transaction(self._engine) as connection:
            if (await connection.execute(statement)).rowcount == 0:
                raise NotFound("charger", charger_id)

    async def find(
        self, where: ChargerFilter, *, limit: int = 100, cursor: str | None = None
    ) -> Page[ChargerView]:
        """By id, each once whatever changes between two pages; a query's now is that of its first page.

        Raises QueryError, or QueryTooBroad.
        """
        after, now = self._position(where, cursor)
        chosen = matching(where, self._question(now), after=after, limit=limit + 1)
        query = _VIEW.where(charger.c.charger_id.in_(chosen)).order_by(charger.c.charger_id)
        rows = await self._rows(query, asked=where.query is not None)
        moment = [] if where.query is None else [now.isoformat()]
        return cursors.page(rows, limit, self._view, lambda row: [row[0], *moment])

    async def _rows(self, query: Select[*tuple[Any, ...]], *, asked: bool) -> Sequence[Row[*tuple[Any, ...]]]:
        if not asked:
            async with reading(self._engine) as connection:
                return (await connection.execute(query)).all()
        async with self._seats, asking(self._engine) as connection:
            return (await connection.execute(query)).all()

    def _position(self, where: ChargerFilter, cursor: str | None) -> tuple[str | None, datetime]:
        """Behind whom the page begins, and the instant of the question, which all its pages share."""
        if cursor is None:
            return None, self._clock()
        if where.query is None:
            return cursors.decode(cursor, 1)[0], self._clock()
        last, moment = cursors.decode(cursor, 2)
        return last, cursors.instant(moment)

    async def names(self, where: ChargerFilter) -> frozenset[str]:
        """The ids of all that a filter means, from one instant. Raises QueryError, or QueryTooBroad."""
        query = matching(where, self._question(self._clock()), after=None, limit=_ALL)
        async with self._seats, asking(self._engine) as connection:
            return frozenset(row[0] for row in await connection.execute(query))

    async def views(self, charger_ids: Sequence[str]) -> Sequence[ChargerView]:
        """In the order asked; unknown ids are left out."""
        rows = await _VIEWS.rows(self._engine, charger_ids)
        found = {row[0]: self._view(row) for row in rows}
        return [found[charger_id] for charger_id in charger_ids if charger_id in found]

    async def counts(self) -> FleetCounts:
        """Without retired chargers; all numbers from one statement."""
        async with reading(self._engine) as connection:
            return await count_fleet(connection)

    async def count_by(self, where: ChargerFilter, question: GroupQuestion) -> FleetGroups:
        """See ``storage.ports.ChargerStore``."""
        async with self._seats, asking(self._engine) as connection:
            return await count_groups(connection, where, question, self._question(self._clock()))

    def _question(self, now: datetime) -> Instant:
        return Instant(now, self._stale_after)

    def _view(self, row: Row[*tuple[Any, ...]]) -> ChargerView:
        revision, last_message_at, sections, *held = row[_VIEW_BEGINS:]
        lease, penalty = held[: len(LEASE_COLUMNS)], held[len(LEASE_COLUMNS) :]
        return ChargerView(
            charger=charger_of(row),
            twin=decode_twin(row[0], revision, sections or {}),
            last_message_at=last_message_at,
            maintenance=lease_of(lease) if lease[0] is not None else None,
            penalty=penalty_of(penalty) if penalty[0] is not None else None,
            stale_after=self._stale_after,
        )


async def register_within(
    connection: AsyncConnection, given: Charger, credential: ChargerCredential | None
) -> bool:
    """The same, within a transaction of somebody else; whether it was new."""
    new = await _insert_charger(connection, given)
    if new:
        await connection.execute(insert(twin).values(charger_id=given.charger_id))
        for name in claims(given.charger_id, given.vendor, given.serial_number):
            await claim(connection, name)
    else:
        await _require_same(connection, given)
        await connection.execute(raised_floor(given.charger_id, given.security_floor))
    if credential is not None:
        await put_credential(connection, credential)
    return new


async def _insert_charger(connection: AsyncConnection, given: Charger) -> bool:
    statement = insert(charger).values(
        charger_id=given.charger_id,
        site_id=given.site_id,
        vendor=given.vendor,
        model=given.model,
        lifecycle=given.lifecycle.value,
        serial_number=given.serial_number,
        hardware_revision=given.hardware_revision,
        registered_at=given.registered_at or func.now(),
        security_floor=given.security_floor,
        **asdict(given.ownership),
    )
    there = select(site.c.site_id).where(site.c.site_id == given.site_id)
    if (await connection.execute(there)).one_or_none() is None:
        raise NotFound("site", given.site_id, hint="Create the site first.")
    return (await connection.execute(statement.on_conflict_do_nothing())).rowcount == 1


async def _require_same(connection: AsyncConnection, given: Charger) -> None:
    stored = (
        await connection.execute(select(*IDENTITY).where(charger.c.charger_id == given.charger_id))
    ).one()
    if stored.lifecycle in (Lifecycle.RETIRING, Lifecycle.RETIRED):
        raise Conflict(
            f"Charger {given.charger_id!r} is {stored.lifecycle}.",
            hint="A retired identity is never used again.",
        )
    names = ("site_id", "vendor", "model", "serial_number", "hardware_revision")
    different = [name for name in names if getattr(stored, name) != getattr(given, name)]
    # What a registration leaves out is not said to be nothing.
    owned = {name: value for name, value in asdict(given.ownership).items() if value is not None}
    moved = [name for name, value in owned.items() if getattr(stored, name) != value]
    if different or moved:
        raise Conflict(
            f"Charger {given.charger_id!r} is registered with another {', '.join([*different, *moved])}.",
            hint=MOVE_HINT
            if set(different) <= {SITE}
            else "Look at the registered one before you decide which is right.",
        )


def _site(row: Row[*tuple[Any, ...]]) -> Site:
    return Site(row.site_id, row.name, row.time_zone, row.max_down, decode(SiteRules, row.rules))
