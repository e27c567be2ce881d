"""Where chargers of a campaign stand (F120, F121): their latest targets, what they run, when waves end."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, text, update
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.ext.asyncio import AsyncEngine

from storage.audit import AuditEntry
from storage.campaign import REHEARSAL_WAVE, ROLLBACK_WAVE_BASE, Outcome, Target, TargetPhase
from storage.ports import Page
from storage.postgres import cursor as cursors
from storage.postgres.audit import append_entry
from storage.postgres.engine import reading, transaction
from storage.postgres.execution_tables import campaign_wave
from storage.postgres.tables import campaign_target
from storage.postgres.targets import target_of
from storage.standing import Key, OutcomeGroup

_COLUMNS = campaign_target.c
_GROUPS = text("""
    SELECT coalesce(link.reported->>'dialect', '') AS dialect, charger.vendor, charger.model,
           latest.phase, latest.outcome, (latest.wave >= :rollback OR latest.wave = :rehearsal) AS back,
           latest.sent, latest.charger_id = ANY(:again) AS again, count(*) AS number
    FROM (
        SELECT DISTINCT ON (charger_id) charger_id, wave, phase, outcome, dispatched_at IS NOT NULL AS sent
        FROM campaign_target WHERE campaign_id = :campaign_id ORDER BY charger_id, wave DESC
    ) AS latest
    JOIN charger USING (charger_id)
    LEFT JOIN twin_section AS link ON link.charger_id = latest.charger_id AND link.name = 'connectivity'
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8 ORDER BY 1, 2, 3, 4, 5, 6, 7, 8
""")
# Whoever is away may have gone on since it last told, so only who is connected counts.
_BACK_AGAIN = text("""
    SELECT DISTINCT target.charger_id FROM campaign_target target
    JOIN campaign USING (campaign_id)
    JOIN twin ON twin.charger_id = target.charger_id AND twin.online
    JOIN twin_section firmware ON firmware.charger_id = target.charger_id AND firmware.name = 'firmware'
    LEFT JOIN artifact former ON former.artifact_id = campaign.plan->>'rollback_artifact_id'
    WHERE target.campaign_id = :campaign_id AND (:everybody OR target.charger_id = ANY(:names))
      AND target.wave < :rollback AND target.wave <> :rehearsal AND target.dispatched_at IS NOT NULL
      AND firmware.reported->>'version' <> target.to_version
      AND firmware.reported->>'version' IN (target.from_version, former.version)
""")
# The last that anybody sent them: whoever was sent something since did not go back by itself, nor did one
# that counts as updated elsewhere since without a command, with what it had fetched ahead.
_GONE_BACK = text("""
    SELECT target.* FROM campaign_target target
    JOIN twin_section firmware ON firmware.charger_id = target.charger_id AND firmware.name = 'firmware'
    WHERE target.campaign_id = :campaign_id AND target.wave < :rollback AND target.wave <> :rehearsal
      AND target.outcome = 'updated' AND target.dispatched_at IS NOT NULL
      AND target.from_version <> target.to_version AND firmware.reported->>'version' = target.from_version
      AND NOT EXISTS (
          SELECT FROM campaign_target later WHERE later.charger_id = target.charger_id
            AND later.finished_at > target.dispatched_at
            AND (later.dispatched_at > target.dispatched_at
                 OR later.outcome = 'updated' AND later.finished_at > target.finished_at))
      AND NOT EXISTS (
          SELECT FROM campaign_target later WHERE later.charger_id = target.charger_id
            AND later.finished_at IS NULL AND later.dispatched_at > target.dispatched_at)
    ORDER BY target.wave, target.ordinal
""")
_BACKWARD = {"rollback": ROLLBACK_WAVE_BASE, "rehearsal": REHEARSAL_WAVE}


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
        given: dict[str, Any] = {"campaign_id": campaign_id, **_BACKWARD}
        async with reading(self._engine) as connection:
            back = await connection.execute(_BACK_AGAIN, {**given, "everybody": True, "names": []})
            given["again"] = list(back.scalars())
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
                    row.again,
                ),
                row.number,
            )
            for row in rows
        ]

    async def back_again(self, campaign_id: str, charger_ids: Sequence[str]) -> frozenset[str]:
        """See ``storage.ports.CampaignStore``."""
        given = {"campaign_id": campaign_id, **_BACKWARD, "everybody": False, "names": list(charger_ids)}
        async with reading(self._engine) as connection:
            return frozenset((await connection.execute(_BACK_AGAIN, given)).scalars())

    async def gone_back(self, campaign_id: str) -> Sequence[Target]:
        """See ``storage.ports.CampaignStore``."""
        given = {"campaign_id": campaign_id, **_BACKWARD}
        async with reading(self._engine) as connection:
            return [target_of(row) for row in (await connection.execute(_GONE_BACK, given)).mappings()]

    async def note_fall_back(self, target: Target, to: str, reason: str, told: AuditEntry) -> bool:
        """See ``storage.ports.CampaignStore``."""
        statement = (
            update(campaign_target)
            .where(
                _COLUMNS.campaign_id == target.campaign_id,
                _COLUMNS.wave == target.wave,
                _COLUMNS.charger_id == target.charger_id,
                _COLUMNS.outcome == Outcome.UPDATED.value,
            )
            .values(outcome=Outcome.FAILED.value, reason=reason, fell_back_to=to)
        )
        async with transaction(self._engine) as connection:
            if (await connection.execute(statement)).rowcount != 1:
                return False
            await append_entry(connection, told)
            return True

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
