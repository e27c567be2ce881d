"""Campaigns: plan, approvals, decisions and directives. Their targets are in ``targets``."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, func, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from storage.campaign import (
    TERMINAL_CAMPAIGN_PHASES,
    Approval,
    Campaign,
    CampaignPhase,
    CampaignPlan,
    Decision,
    SignedDirective,
    Target,
    VerdictWord,
)
from storage.codec import decode, to_json
from storage.errors import Conflict, NotFound
from storage.ports import Page
from storage.postgres import cursor as cursors
from storage.postgres.engine import reading, transaction, writing
from storage.postgres.prepared import Prepared
from storage.postgres.standings import StandingRows
from storage.postgres.tables import (
    campaign,
    campaign_approval,
    campaign_exclusion,
    decision,
    directive,
    directive_use,
    request_id_sequence,
)
from storage.postgres.targets import TargetRows, insert_targets

_APPROVAL = (
    campaign_approval.c.actor.label("approver"),
    campaign_approval.c.at.label("approved_at"),
    campaign_approval.c.plan_digest.label("approved_digest"),
    campaign_approval.c.evidence,
)
_FIRST_APPROVED = (campaign_approval.c.at, campaign_approval.c.actor)
_APPROVED = Prepared(
    select(campaign, *_APPROVAL)
    .outerjoin(campaign_approval, campaign_approval.c.campaign_id == campaign.c.campaign_id)
    .where(campaign.c.campaign_id == bindparam("campaign"))
    .order_by(*_FIRST_APPROVED)
)
"""A campaign, as often as it was approved."""
_NEXT_REQUEST_ID = Prepared(select(request_id_sequence.next_value()))
_DIRECTIVE = Prepared(
    select(*(directive.c[each.name] for each in fields(SignedDirective)))
    .where(
        directive.c.campaign_id == bindparam("campaign"),
        directive.c.wave == bindparam("of_wave"),
        directive.c.shard == bindparam("of_shard"),
    )
    .order_by(directive.c.added.desc())
    .limit(1)
)
# An update that changes nothing: it returns the use that stands, in the same statement.
_USE_DIRECTIVE = Prepared(
    insert(directive_use)
    .on_conflict_do_update(
        index_elements=["directive_id", "charger_id"], set_={"request_id": directive_use.c.request_id}
    )
    .returning(directive_use.c.request_id)
)


class PostgresCampaignStore(TargetRows, StandingRows):
    """Everything that a campaign was, did and decided."""

    def __init__(self, engine: AsyncEngine) -> None:
        super().__init__(engine)
        self._engine = engine

    async def create(
        self, given: Campaign, targets: Sequence[Target], exclusions: Sequence[tuple[str, str]]
    ) -> None:
        """The campaign with its frozen cohort, all or nothing. Raises Conflict if the id is taken."""
        statement = insert(campaign).values(
            campaign_id=given.campaign_id,
            plan=to_json(given.plan),
            plan_digest=given.plan_digest,
            phase=given.phase.value,
            reason=given.reason,
            created_by=given.created_by,
            created_at=given.created_at,
            finished_at=given.finished_at,
            cohort_size=given.cohort_size,
            priority=given.plan.rank,
            ends_at=given.ends_at or given.plan.end_at,
        )
        async with transaction(self._engine) as connection:
            added = await connection.execute(statement.on_conflict_do_nothing())
            if added.rowcount == 0:
                raise Conflict(f"Campaign {given.campaign_id!r} is there already.")
            for approval in given.approvals:
                await _approve(connection, given.campaign_id, approval)
            await insert_targets(connection, targets)
            if exclusions:
                await connection.execute(
                    insert(campaign_exclusion),
                    [
                        {"campaign_id": given.campaign_id, "charger_id": charger_id, "reason": reason}
                        for charger_id, reason in exclusions
                    ],
                )

    async def get(self, campaign_id: str) -> Campaign:
        """Raise NotFound for an unknown one."""
        rows = await _APPROVED.rows(self._engine, campaign=campaign_id)
        if not rows:
            raise NotFound("campaign", campaign_id)
        return _campaign(rows[0], _by_campaign(rows))

    async def find(self, *, limit: int = 100, cursor: str | None = None) -> Page[Campaign]:
        """Newest first."""
        columns = campaign.c
        query = select(campaign).order_by(columns.created_at.desc(), columns.campaign_id.desc())
        if cursor is not None:
            at, campaign_id = cursors.decode(cursor, 2)
            position = tuple_(columns.created_at, columns.campaign_id)
            query = query.where(position < (cursors.instant(at), campaign_id))
        async with reading(self._engine) as connection:
            rows = (await connection.execute(query.limit(limit + 1))).all()
            approvals = await _approvals(connection, [row.campaign_id for row in rows])
        return cursors.page(
            rows, limit, lambda row: _campaign(row, approvals), lambda row: [row.created_at, row.campaign_id]
        )

    async def set_phase(self, campaign_id: str, phase: CampaignPhase, reason: str, at: datetime) -> None:
        """``finished_at`` is set with the first terminal phase. Raises NotFound for an unknown one."""
        finished = at if phase in TERMINAL_CAMPAIGN_PHASES else None
        statement = (
            update(campaign)
            .where(campaign.c.campaign_id == campaign_id)
            .values(phase=phase.value, reason=reason, finished_at=finished)
        )
        async with writing(self._engine) as connection:
            if (await connection.execute(statement)).rowcount == 0:
                raise NotFound("campaign", campaign_id)

    async def set_end(self, campaign_id: str, ends_at: datetime) -> None:
        """Never earlier than it has. Raises NotFound for an unknown one."""
        known = campaign.c.campaign_id == campaign_id
        later = func.greatest(campaign.c.ends_at, ends_at)  # Of two that were moved at once.
        async with writing(self._engine) as connection:
            changed = await connection.execute(update(campaign).where(known).values(ends_at=later))
            if changed.rowcount == 0:
                raise NotFound("campaign", campaign_id)

    async def add_approval(self, campaign_id: str, approval: Approval) -> None:
        """One per person and plan digest; the first stands, unless a later one is signed."""
        try:
            async with transaction(self._engine) as connection:
                await _approve(connection, campaign_id, approval)
        except Conflict as error:
            raise NotFound("campaign", campaign_id) from error

    async def exclusions(self, campaign_id: str) -> Sequence[tuple[str, str]]:
        """(charger, reason), by charger."""
        columns = campaign_exclusion.c
        query = select(columns.charger_id, columns.reason).where(columns.campaign_id == campaign_id)
        async with reading(self._engine) as connection:
            rows = await connection.execute(query.order_by(columns.charger_id))
            return [(charger_id, reason) for charger_id, reason in rows]

    async def next_request_id(self) -> int:
        """Unique for ever, fits OCPP's 32-bit integer."""
        number: int = (await _NEXT_REQUEST_ID.row(self._engine))[0]
        return number

    async def add_directive(self, given: SignedDirective) -> None:
        """The newest directive of a shard is the one that ``directive`` returns."""
        statement = insert(directive).values(
            directive_id=given.directive_id,
            campaign_id=given.campaign_id,
            wave=given.wave,
            shard=given.shard,
            envelope=given.envelope,
        )
        async with writing(self._engine) as connection:
            await connection.execute(statement.on_conflict_do_nothing())

    async def directive(self, campaign_id: str, wave: int, shard: int) -> SignedDirective | None:
        """The newest."""
        row = await _DIRECTIVE.row(self._engine, campaign=campaign_id, of_wave=wave, of_shard=shard)
        return SignedDirective(*row) if row else None

    async def use_directive(self, directive_id: str, charger_id: str, request_id: int) -> bool:
        """True the first time and for the same request again; False for another request."""
        try:
            used_by: int = (
                await _USE_DIRECTIVE.row(
                    self._engine, directive_id=directive_id, charger_id=charger_id, request_id=request_id
                )
            )[0]
        except Conflict as error:
            raise NotFound("directive", directive_id) from error
        return used_by == request_id

    async def add_decision(self, given: Decision) -> None:
        """The first decision of a look stands."""
        statement = insert(decision).values(
            campaign_id=given.campaign_id,
            wave=given.wave,
            look=given.look,
            kind=given.kind,
            decided_at=given.decided_at,
            verdict=given.verdict.value,
            reason=given.reason,
            inputs=given.inputs,
            inputs_sha256=given.inputs_sha256,
            result=given.result,
            result_sha256=given.result_sha256,
        )
        async with writing(self._engine) as connection:
            await connection.execute(statement.on_conflict_do_nothing())

    async def decisions(self, campaign_id: str) -> Sequence[Decision]:
        """In the order they were taken; inputs and results byte for byte as they were hashed."""
        columns = decision.c
        query = select(decision).where(columns.campaign_id == campaign_id)
        async with reading(self._engine) as connection:
            rows = await connection.execute(
                query.order_by(columns.decided_at, columns.wave, columns.look, columns.kind)
            )
            return [Decision(**{**row, "verdict": VerdictWord(row["verdict"])}) for row in rows.mappings()]


async def _approve(connection: AsyncConnection, campaign_id: str, approval: Approval) -> None:
    statement = insert(campaign_approval).values(
        campaign_id=campaign_id,
        actor=approval.actor,
        plan_digest=approval.plan_digest,
        at=approval.at,
        evidence=approval.evidence,
    )
    if approval.evidence:
        given = {"at": statement.excluded.at, "evidence": statement.excluded.evidence}
        key = list(campaign_approval.primary_key)
        later = campaign_approval.c.at <= statement.excluded.at
        statement = statement.on_conflict_do_update(index_elements=key, set_=given, where=later)
    else:
        statement = statement.on_conflict_do_nothing()
    await connection.execute(statement)


async def _approvals(
    connection: AsyncConnection, campaign_ids: Sequence[str]
) -> dict[str, tuple[Approval, ...]]:
    query = select(campaign_approval.c.campaign_id, *_APPROVAL)
    query = query.where(campaign_approval.c.campaign_id.in_(campaign_ids)).order_by(*_FIRST_APPROVED)
    return _by_campaign((await connection.execute(query)).all())


def _by_campaign(rows: Sequence[Row[*tuple[Any, ...]]]) -> dict[str, tuple[Approval, ...]]:
    """The approvals in these rows, in their order; a row without one is of a campaign without one."""
    found: dict[str, tuple[Approval, ...]] = {}
    for row in rows:
        if row.approver is not None:
            approval = Approval(row.approver, row.approved_at, row.approved_digest, row.evidence)
            found[row.campaign_id] = (*found.get(row.campaign_id, ()), approval)
    return found


def _campaign(row: Row[*tuple[Any, ...]], approvals: dict[str, tuple[Approval, ...]]) -> Campaign:
    return Campaign(
        campaign_id=row.campaign_id,
        plan=decode(CampaignPlan, row.plan),
        plan_digest=row.plan_digest,
        phase=CampaignPhase(row.phase),
        created_by=row.created_by,
        created_at=row.created_at,
        cohort_size=row.cohort_size,
        approvals=approvals.get(row.campaign_id, ()),
        reason=row.reason,
        finished_at=row.finished_at,
        ends_at=row.ends_at,
    )
