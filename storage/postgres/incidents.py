"""Incidents, and what is read to find an outage of a site."""

from collections.abc import Sequence
from datetime import datetime

import orjson
from sqlalchemy import Row, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from storage.audit import AuditEntry
from storage.errors import Conflict, NotFound
from storage.incident import Closing, Incident, IncidentChange, IncidentKind
from storage.postgres.audit import append_entry
from storage.postgres.engine import reading, transaction
from storage.postgres.tables import incident
from storage.watching import SiteLoss

# A charger whose node died is not lost: its twin says online until it had its time to come back elsewhere.
_SITES = text("""
    WITH lost AS (
        SELECT c.site_id, c.charger_id, (s.reported->>'since')::timestamptz AS since
        FROM twin t
        JOIN charger c USING (charger_id)
        JOIN twin_section s ON s.charger_id = t.charger_id AND s.name = 'connectivity'
        WHERE NOT t.online AND c.lifecycle IN ('registered', 'active') AND s.reported->>'since' IS NOT NULL
          AND NOT EXISTS (
              SELECT FROM site_lease l WHERE l.charger_id = t.charger_id AND l.expires_at > now()
                AND l.kind <> 'download'
          )
    ), sites AS (
        SELECT site_id FROM lost
        UNION SELECT substr(subject, 6) FROM incident WHERE closed_at IS NULL AND kind = 'site_outage'
    )
    SELECT site_id,
           (SELECT count(*) FROM charger c
            JOIN twin_section s ON s.charger_id = c.charger_id AND s.name = 'connectivity'
            WHERE c.site_id = sites.site_id AND c.lifecycle IN ('registered', 'active')) AS total,
           (SELECT coalesce(jsonb_agg(jsonb_build_array(charger_id, since) ORDER BY charger_id), '[]')::text
            FROM lost WHERE lost.site_id = sites.site_id) AS lost
    FROM sites
""")


async def apply_changes(connection: AsyncConnection, changes: Sequence[IncidentChange]) -> int:
    """Open and close within a transaction of somebody else; how many made a difference."""
    done = 0
    for change in changes:
        done += await (_close(connection, change) if change.close else _open(connection, change))
    return done


async def _open(connection: AsyncConnection, change: IncidentChange) -> int:
    query = insert(incident).values(
        kind=change.kind.value,
        subject=change.subject,
        summary=change.summary,
        opened_at=change.at,
        detail=change.detail,
    )
    query = query.on_conflict_do_nothing(
        index_elements=["kind", "subject"], index_where=incident.c.closed_at.is_(None)
    )
    return (await connection.execute(query)).rowcount


async def _close(connection: AsyncConnection, change: IncidentChange) -> int:
    query = update(incident).where(
        incident.c.kind == change.kind.value,
        incident.c.subject == change.subject,
        incident.c.closed_at.is_(None),
    )
    at = func.greatest(incident.c.opened_at, change.at)
    return (await connection.execute(query.values(closed_at=at))).rowcount


class PostgresIncidentStore:
    """See ``storage.watching.IncidentStore``."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def apply(self, changes: Sequence[IncidentChange]) -> int:
        """All of them or none."""
        if not changes:
            return 0
        async with transaction(self._engine) as connection:
            return await apply_changes(connection, changes)

    async def get(self, incident_id: int) -> Incident:
        """One incident."""
        async with reading(self._engine) as connection:
            return await _one(connection, incident_id)

    async def end(self, given: Closing) -> Incident:
        """The closed incident; what was open at the same subject may open anew when it is found again."""
        values = {"closed_at": func.greatest(incident.c.opened_at, given.at)}
        mine = (incident.c.incident_id == given.incident_id, incident.c.closed_at.is_(None))
        query = update(incident).where(*mine)
        async with transaction(self._engine) as connection:
            done = await connection.execute(
                query.values(**values, closed_by=given.actor, close_reason=given.reason)
            )
            after = await _one(connection, given.incident_id)
            if done.rowcount == 0:
                raise Conflict(f"Incident {given.incident_id} is closed already.")
            detail = {"incident": after.incident_id, "kind": after.kind.value, "reason": given.reason}
            entry = AuditEntry(given.at, given.actor, "incident.closed", after.subject, detail)
            await append_entry(connection, entry)
        return after

    async def find(
        self, *, open_only: bool = True, limit: int = 100, kind: IncidentKind | None = None
    ) -> Sequence[Incident]:
        """Latest first."""
        query = select(incident).order_by(incident.c.incident_id.desc()).limit(limit)
        if open_only:
            query = query.where(incident.c.closed_at.is_(None))
        if kind is not None:
            query = query.where(incident.c.kind == kind.value)
        async with reading(self._engine) as connection:
            return [_incident(row) for row in await connection.execute(query)]

    async def sites(self) -> Sequence[SiteLoss]:
        """Sites that have lost somebody, or whose outage is open."""
        async with reading(self._engine) as connection:
            rows = await connection.execute(_SITES)
            return [
                SiteLoss(
                    site_id,
                    total,
                    tuple((name, datetime.fromisoformat(since)) for name, since in orjson.loads(lost)),
                )
                for site_id, total, lost in rows
            ]


async def _one(connection: AsyncConnection, incident_id: int) -> Incident:
    query = select(incident).where(incident.c.incident_id == incident_id)
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise NotFound("incident", str(incident_id))
    return _incident(row)


def _incident(row: Row[tuple[object, ...]]) -> Incident:
    return Incident(
        incident_id=row.incident_id,
        kind=IncidentKind(row.kind),
        subject=row.subject,
        summary=row.summary,
        opened_at=row.opened_at,
        closed_at=row.closed_at,
        detail=row.detail,
        closed_by=row.closed_by,
        close_reason=row.close_reason,
    )
