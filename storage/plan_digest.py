"""What an approval speaks of: one digest over a plan and the chargers it froze, in their waves."""

from collections.abc import Iterable

from storage.campaign import CampaignPlan
from storage.canonical import digest


def plan_digest(plan: CampaignPlan, cohort: Iterable[Iterable[str]]) -> str:
    """SHA-256 (hex) over the plan and the charger ids by wave; any change of either voids an approval."""
    return digest({"plan": plan, "cohort": [list(wave) for wave in cohort]})
