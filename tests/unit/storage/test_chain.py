"""How a charger stands in the campaign that comes first, where that one ended early."""

import pytest

from storage.campaign import CampaignPhase
from storage.chain import First, standing

pytestmark = pytest.mark.requirement("R32")
UPDATED = (1, "updated", "it booted with 1.1")


@pytest.mark.parametrize("phase", [CampaignPhase.ABORTED, CampaignPhase.FAILED])
def test_nothing_follows_a_wave_that_was_stopped_before_its_gate_let_it_pass(phase: CampaignPhase) -> None:
    stopped = standing(First("c1", phase, begun=1), 1, UPDATED)
    assert (stopped.proven, stopped.open) == (False, False)
    ended = f"campaign c1, which comes first, ended for it with {phase.value}"
    assert stopped.why == f"{ended}: its wave there never passed its gate"
    assert standing(First("c1", phase, begun=2), 1, UPDATED).proven, "its own gate did"


def test_all_waves_of_a_completed_one_are_through() -> None:
    assert standing(First("c1", CampaignPhase.COMPLETED, begun=1), 1, UPDATED).proven
