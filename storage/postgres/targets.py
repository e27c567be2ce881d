"""The frozen targets of campaigns. A target that is DONE stays as it is, whoever comes later."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, RowMapping, bindparam, func, literal, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from storage.campaign import (
    REHEARSAL_NAMES,
    ROLLBACK_WAVE_BASE,
    UNDER_WAY,
    CampaignPhase,
    CampaignPlan,
    Hindrance,
    Outcome,
    Target,
    TargetPhase,
    WaveTally,
)
from storage.codec import decode
from storage.errors import NotFound
from storage.postgres.chain import is_through
from storage.postgres.engine import reading, transaction, writing
from storage.postgres.halts import not_halted
from storage.postgres.prepared import Prepared
from storage.postgres.tables import campaign, campaign_target
from storage.postgres.withdrawals import not_withdrawn
from storage.withdrawal import artifact_subject

_MOVE_MANY = text("""
    UPDATE campaign_target target
    SET phase = move.phase, reason = move.reason,
        deferred_for_session = target.deferred_for_session OR move.deferred
    FROM unnest(CAST(:chargers AS text[]), CAST(:phases AS text[]), CAST(:reasons AS text[]),
                CAST(:deferred AS bool[])) AS move (charger_id, phase, reason, deferred)
    WHERE target.campaign_id = :campaign_id AND target.wave = :wave
      AND target.charger_id = move.charger_id AND target.phase <> 'done'
""")
_FINISH_MANY = text("""
    UPDATE campaign_target target
    SET phase = 'done', outcome = ended.outcome, reason = ended.reason, finished_at = :ended_at
    FROM unnest(CAST(:chargers AS text[]), CAST(:outcomes AS text[]), CAST(:reasons AS text[]))
      AS ended (charger_id, outcome, reason)
    WHERE target.campaign_id = :campaign_id AND target.wave = :wave
      AND target.charger_id = ended.charger_id AND target.phase <> 'done'
""")
_COLUMNS = campaign_target.c
_ITS = (
    _COLUMNS.campaign_id == bindparam("campaign"),
    _COLUMNS.wave == bindparam("of_wave"),
    _COLUMNS.charger_id == bindparam("charger"),
)
_TARGET = Prepared(select(campaign_target).where(*_ITS))
_OPEN = update(campaign_target).where(*_ITS, _COLUMNS.phase != TargetPhase.DONE.value)
_SAID: dict[str, Any] = {"reason": bindparam("said")}
_SAY = Prepared(_OPEN.values(_SAID).returning(_COLUMNS.charger_id))
_MOVE = Prepared(
    _OPEN.values(
        _SAID
        | {"phase": bindparam("to_phase")}
        | {
            name: func.coalesce(bindparam(f"new_{name}", type_=_COLUMNS[name].type), _COLUMNS[name])
            for name in ("attempt", "request_id", "dispatched_at")
        }
        | {"deferred_for_session": or_(_COLUMNS.deferred_for_session, bindparam("deferred", type_=Boolean))}
    ).returning(_COLUMNS.charger_id)
)
_FINISH = Prepared(
    _OPEN.values(
        _SAID
        | {
            "phase": TargetPhase.DONE.value,
            "outcome": bindparam("ended"),
            "finished_at": bindparam("ended_at"),
        }
    ).returning(_COLUMNS.charger_id)
)


class TargetRows:
    """The part of the campaign store that is about targets."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def targets(
        self, campaign_id: str, wave: int | None = None, first: int = 0, count: int = 100_000
    ) -> Sequence[Target]:
        """By ordinal: those from ``first`` on of one wave, or (wave None) of all waves one after another."""
        query = select(campaign_target).where(_COLUMNS.campaign_id == campaign_id)
        if wave is None:
            query = query.order_by(_COLUMNS.wave, _COLUMNS.ordinal).offset(first).limit(count)
        else:
            query = query.where(
                _COLUMNS.wave == wave, _COLUMNS.ordinal >= first, _COLUMNS.ordinal < first + count
            ).order_by(_COLUMNS.ordinal)
        async with reading(self._engine) as connection:
            return [target_of(row) for row in (await connection.execute(query)).mappings()]

    async def target(self, campaign_id: str, wave: int, charger_id: str) -> Target:
        """Raise NotFound if the wave does not have it."""
        row = await _TARGET.row(self._engine, campaign=campaign_id, of_wave=wave, charger=charger_id)
        if row is None:
            raise _unknown(campaign_id, wave, charger_id)
        return target_of(row._asdict())

    async def target_history(self, charger_id: str, *, limit: int = 20) -> Sequence[Target]:
        """Finished targets of one charger over all campaigns, latest finish first."""
        query = (
            select(campaign_target)
            .where(_COLUMNS.charger_id == charger_id, _COLUMNS.finished_at.is_not(None))
            .order_by(_COLUMNS.finished_at.desc())
            .limit(limit)
        )
        async with reading(self._engine) as connection:
            return [target_of(row) for row in (await connection.execute(query)).mappings()]

    async def sent_elsewhere(
        self, campaign_id: str, charger_ids: Sequence[str], since: datetime
    ) -> Sequence[Target]:
        """See ``storage.ports.CampaignStore``."""
        ended = _COLUMNS.finished_at
        query = select(campaign_target).where(
            _COLUMNS.charger_id.in_(charger_ids),
            _COLUMNS.campaign_id != campaign_id,
            _COLUMNS.dispatched_at.is_not(None),
            or_(ended.is_(None), ended >= since),
        )
        async with reading(self._engine) as connection:
            return [target_of(row) for row in (await connection.execute(query)).mappings()]

    async def add_targets(self, targets: Sequence[Target]) -> None:
        """Those that are there already stay as they are."""
        async with transaction(self._engine) as connection:
            await insert_targets(connection, targets)

    async def move_target(  # noqa: PLR0913 - the port's signature
        self,
        campaign_id: str,
        wave: int,
        charger_id: str,
        phase: TargetPhase,
        reason: str,
        *,
        at: datetime,
        attempt: int | None = None,
        request_id: int | None = None,
        deferred_for_session: bool = False,
    ) -> None:
        """See ``storage.ports.CampaignStore``. Raises NotFound if the wave does not have it."""
        await self._change(
            _MOVE,
            (campaign_id, wave, charger_id),
            said=reason,
            to_phase=phase.value,
            new_attempt=attempt,
            new_request_id=request_id,
            new_dispatched_at=at if phase is TargetPhase.DISPATCHED else None,
            deferred=deferred_for_session,
        )

    async def mark_dispatched(
        self,
        target: Target,
        while_in: CampaignPhase,
        subjects: Sequence[str] = (),
        after: str | None = None,
    ) -> bool:
        """See ``storage.ports.CampaignStore``."""
        statement = (
            update(campaign_target)
            .where(
                *_is(target.campaign_id, target.wave, target.charger_id),
                _COLUMNS.phase != TargetPhase.DONE.value,
                _COLUMNS.attempt <= target.attempt,
                _COLUMNS.recalled == "",
                or_(
                    campaign.c.ends_at.is_(None),
                    campaign.c.ends_at > target.dispatched_at,
                    literal(while_in is not CampaignPhase.RUNNING),
                ),
                campaign.c.campaign_id == _COLUMNS.campaign_id,
                campaign.c.phase == while_in.value,
                not_halted(),
                not_withdrawn((artifact_subject(target.artifact_id), *subjects)),
                *([is_through(after, target.charger_id)] if after else []),
            )
            .values(
                phase=TargetPhase.DISPATCHED.value,
                reason=target.reason,
                attempt=target.attempt,
                request_id=target.request_id,
                dispatched_at=target.dispatched_at,
                from_version=target.from_version,
            )
        )
        async with writing(self._engine) as connection:
            return (await connection.execute(statement)).rowcount == 1

    async def recall(self, campaign_id: str, wave: int, charger_id: str, why: str) -> bool:
        """See ``storage.ports.CampaignStore``."""
        statement = (
            update(campaign_target)
            .where(
                *_is(campaign_id, wave, charger_id),
                _COLUMNS.phase.in_([phase.value for phase in UNDER_WAY]),
                _COLUMNS.recalled == "",
            )
            .values(recalled=why, reason=why)
        )
        async with writing(self._engine) as connection:
            return (await connection.execute(statement)).rowcount == 1

    async def say_of_target(self, campaign_id: str, wave: int, charger_id: str, reason: str) -> None:
        """See ``storage.ports.CampaignStore``. Raises NotFound if the wave does not have it."""
        await self._change(_SAY, (campaign_id, wave, charger_id), said=reason)

    async def unmark_dispatched(self, target: Target) -> None:
        """See ``storage.ports.CampaignStore``."""
        statement = (
            update(campaign_target)
            .where(
                *_is(target.campaign_id, target.wave, target.charger_id),
                _COLUMNS.phase == TargetPhase.DISPATCHED.value,
                _COLUMNS.attempt == target.attempt,
            )
            .values(
                phase=TargetPhase.WAITING.value,
                reason=target.reason,
                dispatched_at=target.dispatched_at,
            )
        )
        async with writing(self._engine) as connection:
            await connection.execute(statement)

    async def move_targets(
        self, campaign_id: str, wave: int, moves: Sequence[tuple[str, TargetPhase, str, bool]]
    ) -> None:
        """Many at once, one statement."""
        given = {
            "campaign_id": campaign_id,
            "wave": wave,
            "chargers": [move[0] for move in moves],
            "phases": [move[1].value for move in moves],
            "reasons": [move[2] for move in moves],
            "deferred": [move[3] for move in moves],
        }
        async with writing(self._engine) as connection:
            await connection.execute(_MOVE_MANY, given)

    async def finish_targets(
        self, campaign_id: str, wave: int, ends: Sequence[tuple[str, Outcome, str]], at: datetime
    ) -> None:
        """Many at once, one statement; the first outcome of each stands."""
        given = {
            "campaign_id": campaign_id,
            "wave": wave,
            "chargers": [end[0] for end in ends],
            "outcomes": [end[1].value for end in ends],
            "reasons": [end[2] for end in ends],
            "ended_at": at,
        }
        async with writing(self._engine) as connection:
            await connection.execute(_FINISH_MANY, given)

    async def finish_target(
        self,
        campaign_id: str,
        wave: int,
        charger_id: str,
        outcome: Outcome,
        reason: str,
        at: datetime,
    ) -> None:
        """The first outcome stands. Raises NotFound if the wave does not have it."""
        key = campaign_id, wave, charger_id
        await self._change(_FINISH, key, said=reason, ended=outcome.value, ended_at=at)

    async def _change(self, statement: Prepared, key: tuple[str, int, str], **values: Any) -> None:
        """Of a target that is not DONE. Raises NotFound if the wave does not have it."""
        campaign_id, wave, charger_id = key
        named = {"campaign": campaign_id, "of_wave": wave, "charger": charger_id}
        if not await statement.rows(self._engine, **named, **values):
            await self.target(campaign_id, wave, charger_id)

    async def hindrances(self, campaign_id: str, *, limit: int = 8) -> Sequence[Hindrance]:
        """Of those that wait; equal ones by their words."""
        number = func.count().label("number")
        query = (
            select(_COLUMNS.reason, number)
            .where(_COLUMNS.campaign_id == campaign_id, _COLUMNS.phase == TargetPhase.WAITING.value)
            .group_by(_COLUMNS.reason)
            .order_by(number.desc(), _COLUMNS.reason)
            .limit(limit)
        )
        async with reading(self._engine) as connection:
            return [Hindrance(row.reason, row.number) for row in await connection.execute(query)]

    async def tallies(self, campaign_id: str) -> Sequence[WaveTally]:
        """One for each wave, in order."""
        query = (
            select(
                _COLUMNS.wave,
                _COLUMNS.phase,
                _COLUMNS.outcome,
                func.count(),
                func.count().filter(_COLUMNS.deferred_for_session),
            )
            .where(_COLUMNS.campaign_id == campaign_id)
            .group_by(_COLUMNS.wave, _COLUMNS.phase, _COLUMNS.outcome)
            .order_by(_COLUMNS.wave)
        )
        named = select(campaign.c.plan).where(campaign.c.campaign_id == campaign_id)
        async with reading(self._engine) as connection:
            rows = (await connection.execute(query)).all()
            plan = (await connection.execute(named)).scalar_one_or_none()
        names = [wave.name for wave in decode(CampaignPlan, plan).waves] if plan else []
        waves = sorted({row.wave for row in rows})
        return [_tally(wave, names, [row[1:] for row in rows if row.wave == wave]) for wave in waves]


async def insert_targets(connection: AsyncConnection, targets: Sequence[Target]) -> None:
    """Hundreds of thousands at once are fine."""
    if targets:
        rows = [_row(target) for target in targets]
        key = ["campaign_id", "wave", "charger_id"]
        await connection.execute(insert(campaign_target).on_conflict_do_nothing(index_elements=key), rows)


def _is(campaign_id: str, wave: int, charger_id: str) -> tuple[Any, ...]:
    return (
        _COLUMNS.campaign_id == campaign_id,
        _COLUMNS.wave == wave,
        _COLUMNS.charger_id == charger_id,
    )


def _unknown(campaign_id: str, wave: int, charger_id: str) -> NotFound:
    return NotFound("target", f"{campaign_id}/w{wave}/{charger_id}")


def _row(target: Target) -> dict[str, Any]:
    return {
        "campaign_id": target.campaign_id,
        "wave": target.wave,
        "ordinal": target.ordinal,
        "charger_id": target.charger_id,
        "site_id": target.site_id,
        "artifact_id": target.artifact_id,
        "from_version": target.from_version,
        "to_version": target.to_version,
        "phase": target.phase.value,
        "outcome": target.outcome and target.outcome.value,
        "reason": target.reason,
        "attempt": target.attempt,
        "request_id": target.request_id,
        "dispatched_at": target.dispatched_at,
        "finished_at": target.finished_at,
        "deferred_for_session": target.deferred_for_session,
        "recalled": target.recalled,
        "fell_back_to": target.fell_back_to,
    }


def target_of(row: RowMapping | Mapping[str, Any]) -> Target:
    """The noun of a row."""
    outcome = Outcome(row["outcome"]) if row["outcome"] else None
    return Target(**{**row, "phase": TargetPhase(row["phase"]), "outcome": outcome})


def _tally(wave: int, names: Sequence[str], groups: Sequence[Any]) -> WaveTally:
    by_phase: Counter[str] = Counter()
    by_outcome: Counter[str] = Counter()
    deferred = 0
    for phase, outcome, number, for_session in groups:
        by_phase[phase] += number
        if outcome:
            by_outcome[outcome] += number
        deferred += for_session
    return WaveTally(
        wave=wave,
        name=_wave_name(wave, names),
        total=sum(by_phase.values()),
        by_phase=dict(by_phase),
        by_outcome=dict(by_outcome),
        deferred_for_session=deferred,
    )


def _wave_name(wave: int, names: Sequence[str]) -> str:
    if wave < len(names):
        return names[wave]
    if wave in REHEARSAL_NAMES:
        return REHEARSAL_NAMES[wave]
    return f"rollback {wave - ROLLBACK_WAVE_BASE + 1}"
