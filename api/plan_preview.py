"""A preview as the api tells it: waves in short, and page by page every charger."""

from bisect import bisect_right

from api.schemas.previews import PlannedCharger, PlannedPage, PreviewReply, WavePreview
from storage.campaign import CampaignPlan
from storage.errors import Conflict, InvalidInput
from workflows.plan_rules import detectable_failure_rate
from workflows.planning import Preview


def preview_reply(plan: CampaignPlan, found: Preview) -> PreviewReply:
    """Waves with their chargers, and who is left out."""
    waves, seen = [], 0
    for number, (each, targets) in enumerate(zip(plan.waves, found.waves, strict=True)):
        seen += len(targets)
        waves.append(
            WavePreview(
                name=each.name,
                wave=number,
                chargers=tuple(target.charger_id for target in targets),
                begins=found.begins[number],
                rules_out=detectable_failure_rate(seen),
            )
        )
    return PreviewReply(
        plan_digest=found.plan_digest,
        cohort_size=found.cohort_size,
        required_approvals=plan.approvals_needed,
        waves=tuple(waves),
        excluded=found.exclusions,
        warnings=found.warnings,
    )


def planned_page(plan: CampaignPlan, found: Preview, limit: int, cursor: str | None) -> PlannedPage:
    """The chargers behind the cursor, by id. Raises Conflict where the fleet changed since its page."""
    rows = _rows(plan, found)
    start = 0
    if cursor is not None:
        digest, _, last = cursor.partition("/")
        if not last:
            raise InvalidInput("This is no cursor of a preview.", hint="Begin again without one.")
        if digest != found.plan_digest:
            raise Conflict(
                "The fleet changed since the page before, and the plan means something else now.",
                hint="Begin again without a cursor.",
            )
        start = bisect_right([row.charger_id for row in rows], last)
    page = rows[start : start + limit]
    more = start + limit < len(rows)
    return PlannedPage(
        items=tuple(page),
        next_cursor=f"{found.plan_digest}/{page[-1].charger_id}" if more else None,
        plan_digest=found.plan_digest,
    )


def _rows(plan: CampaignPlan, found: Preview) -> list[PlannedCharger]:
    rows = [
        PlannedCharger(
            charger_id=target.charger_id,
            site_id=target.site_id,
            wave=target.wave,
            wave_name=plan.waves[target.wave].name,
            earliest=found.earliest.get(target.charger_id),
            reason=target.reason,
        )
        for wave in found.waves
        for target in wave
    ]
    rows += [
        PlannedCharger(
            charger_id=each.charger_id,
            site_id=None,
            wave=None,
            wave_name=None,
            earliest=None,
            reason=each.reason,
        )
        for each in found.exclusions
    ]
    return sorted(rows, key=lambda row: row.charger_id)
