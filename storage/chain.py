"""Images in order (R32): how a charger stands in the campaign that has to be through with it first."""

from dataclasses import dataclass

from storage.campaign import REHEARSAL_WAVE, TERMINAL_CAMPAIGN_PHASES, CampaignPhase, goes_back
from storage.upkeep import PROVEN, Before

STOPPING = frozenset({CampaignPhase.ABORTING, CampaignPhase.ROLLING_BACK})
"""What was proven in it may be taken back at any moment, although no rollback has reached the charger yet."""


@dataclass(frozen=True, slots=True)
class First:
    """The campaign that comes first, as a whole."""

    campaign_id: str
    phase: CampaignPhase
    begun: int | None = None
    """The latest wave that has begun, rehearsals and rollbacks left aside; None: no wave has."""

    def judged(self, wave: int) -> bool:
        """Whether the gate behind a wave let it pass: the next one has begun, or all are through."""
        return self.phase is CampaignPhase.COMPLETED or (self.begun is not None and self.begun > wave)


def standing(first: First, wave: int, last: tuple[int, str | None, str]) -> Before:
    """``wave``: the charger's own; ``last``: of its last wave there number, outcome and reason, never empty.

    Nothing follows before the gate: who runs the next image already shows nobody what the first one does, and
    counts as fallen back there.
    """
    number, outcome, reason = last
    if outcome in PROVEN and not goes_back(number):
        if first.phase in STOPPING:
            return Before(first.campaign_id, None, f"it is {first.phase.value.replace('_', ' ')}")
        if not first.judged(wave) and first.phase in TERMINAL_CAMPAIGN_PHASES:
            # A gate, or a person, stopped it there: what it brought is no ground to build on.
            return Before(first.campaign_id, first.phase.value, "its wave there never passed its gate")
        if not first.judged(wave):
            return Before(first.campaign_id, None, "its wave there has not passed its gate yet")
    if number == REHEARSAL_WAVE and first.phase not in TERMINAL_CAMPAIGN_PHASES:
        # Whoever goes back in a rehearsal comes forward again, unless the campaign ends in between.
        return Before(first.campaign_id, None, "it rehearses a rollback")
    return Before(first.campaign_id, outcome, reason, goes_back(number))
