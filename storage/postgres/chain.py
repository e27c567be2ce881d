"""Images in order (R32), as PostgreSQL tells it: what ``storage.chain`` says, to read and as a condition."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, ScalarSelect, Text, any_, cast, exists, func, or_, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.campaign import REHEARSAL_WAVE, ROLLBACK_WAVE_BASE, CampaignPhase
from storage.chain import STOPPING, First, standing
from storage.postgres.tables import campaign, campaign_target, campaign_wave
from storage.upkeep import PROVEN, Before


async def standings(connection: AsyncConnection, after: str, names: Sequence[str]) -> dict[str, Before]:
    """The last wave of each decides: a rollback comes after what it takes back."""
    target = campaign_target.c
    query = (
        select(
            target.charger_id,
            target.wave,
            target.outcome,
            target.reason,
            target.phase,
            campaign.c.phase.label("stands"),
            _begun(after).label("begun"),
        )
        .join(campaign, campaign.c.campaign_id == target.campaign_id)
        .where(target.campaign_id == after, target.charger_id == any_(cast(list(names), ARRAY(Text))))
        .order_by(target.wave)
    )
    own: dict[str, int] = {}
    found: dict[str, Before] = {}
    for row in await connection.execute(query):
        wave = own.setdefault(row.charger_id, row.wave)
        first = First(after, CampaignPhase(row.stands), row.begun)
        found[row.charger_id] = standing(first, wave, (row.wave, row.outcome, row.reason or row.phase))
    return found


def is_through(after: str, charger_id: str) -> ColumnElement[bool]:
    """True in a statement while ``standing`` of this charger is proven."""
    target, first = campaign_target.alias("earlier_target"), campaign.alias("earlier_campaign")
    mine = (target.c.campaign_id == after, target.c.charger_id == charger_id)
    last = (
        select(target.c.wave, target.c.outcome, first.c.phase)
        .join(first, first.c.campaign_id == target.c.campaign_id)
        .where(*mine)
        .order_by(target.c.wave.desc())
        .limit(1)
        .subquery()
        .c
    )
    own = select(func.min(target.c.wave)).where(*mine).scalar_subquery()
    return exists().where(
        last.outcome.in_(PROVEN),
        last.wave < ROLLBACK_WAVE_BASE,
        last.wave != REHEARSAL_WAVE,
        last.phase.not_in([phase.value for phase in STOPPING]),
        or_(
            last.phase == CampaignPhase.COMPLETED.value,
            _begun(after) > own,
        ),
    )


def _begun(campaign_id: str) -> ScalarSelect[int]:
    wave = campaign_wave.c
    known = (wave.campaign_id == campaign_id, wave.wave < REHEARSAL_WAVE)
    return select(func.max(wave.wave)).where(*known).scalar_subquery()
