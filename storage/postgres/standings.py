"""The latest target of each charger of a campaign, and when waves must end (F120, F121)."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.ext.asyncio import AsyncEngine

from storage.campaign import REHEARSAL_WAVE, ROLLBACK_WAVE_BASE, Outcome, Target, TargetPhase
from storage.ports import Page
from storage.postgres import cursor as cursors
from storage.postgres.engine import reading, transaction
from storage.postgres.execution_tables import campaign_wave
from storage.postgres.tables import campaign_target
from storage.postgres.targets import target_of
from storage.standing import Key, OutcomeGroup

_COLUMNS = campaign_target.c
_GROUPS = text("""
    SELECT coalesce(link.reported->>'dialect', '') AS dialect, charger.vendor, charger.model,
           latest.phase, latest.outcome, (latest.wave >= :rollback OR latest.wave = :rehearsal) AS back,
           latest.sent, count(*) AS number
    FROM (
        SELECT DISTINCT ON (charger_id) charger_id, wave, phase, outcome, dispatched_at IS NOT NULL AS sent
        FROM campaign_target WHERE campaign_id = :campaign_id ORDER BY charger_id, wave DESC
    ) AS latest
    JOIN charger USING (charger_id)
    LEFT JOIN twin_section AS link ON link.charger_id = latest.charger_id AND link.name = 'connectivity'
    GROUP BY 1, 2, 3, 4, 5, 6, 7 ORDER BY 1, 2, 3, 4, 5, 6, 7
""")


class StandingRows:
    """The part of the campaign store that says where each charger stands."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def latest_targets(
        self, campaign_id: str, *, limit: int = 100, cursor: str | None = None
    ) -> Page[Target]:
        """By charger, each once: its rollback target if there is one."""
        after = cursors.decode(cursor, 1)[0] if cursor else ""
        query = (
            select(campaign_target)
            .ext(distinct_on(_COLUMNS.charger_id))
            .where(_COLUMNS.campaign_id == campaign_id, _COLUMNS.charger_id > after)
            .order_by(_COLUMNS.charger_id, _COLUMNS.wave.desc())
            .limit(limit + 1)
        )
        async with reading(self._engine) as connection:
            rows = (await connection.execute(query)).all()
        return cursors.page(rows, limit, lambda row: target_of(row._asdict()), lambda row: [row.charger_id])

    async def outcome_groups(self, campaign_id: str) -> Sequence[OutcomeGroup]:
        """How many chargers of each OCPP version, vendor and model stand where."""
        given = {"campaign_id": campaign_id, "rollback": ROLLBACK_WAVE_BASE, "rehearsal": REHEARSAL_WAVE}
        async with reading(self._engine) as connection:
            rows = (await connection.execute(_GROUPS, given)).all()
        return [
            OutcomeGroup(
                row.dialect,
                row.vendor,
                row.model,
                Key(
                    TargetPhase(row.phase),
                    Outcome(row.outcome) if row.outcome else None,
                    row.back,
                    row.sent,
                ),
                row.number,
            )
            for row in rows
        ]

    async def note_wave(self, campaign_id: str, wave: int, deadline: datetime) -> None:
        """A wave has begun, or its end was moved by a pause: it only ever moves along."""
        statement = insert(campaign_wave).values(campaign_id=campaign_id, wave=wave, deadline=deadline)
        later = func.greatest(campaign_wave.c.deadline, statement.excluded.deadline)
        statement = statement.on_conflict_do_update(
            index_elements=["campaign_id", "wave"], set_={"deadline": later}
        )
        async with transaction(self._engine) as connection:
            await connection.execute(statement)

    async def wave_deadlines(self, campaign_id: str) -> dict[int, datetime]:
        """Of the waves that have begun."""
        query = select(campaign_wave.c.wave, campaign_wave.c.deadline).where(
            campaign_wave.c.campaign_id == campaign_id
        )
        async with reading(self._engine) as connection:
            return {row.wave: row.deadline for row in await connection.execute(query)}
