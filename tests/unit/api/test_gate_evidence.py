"""The campaign's page shows the evidence of its gates."""

import json
import re

import pytest

from api.gate_evidence import outlook
from storage.access import Role
from tests.support.gate_samples import looks
from tests.support.house import NOW
from tests.support.showcase import showcase


@pytest.mark.requirement("X17")
async def test_a_campaign_shows_what_its_gates_judged_health_by() -> None:
    house = showcase()
    decided = looks("spring-release-1-1", NOW, harm=0.05)
    house.campaigns.verdicts["spring-release-1-1"] = decided
    async with house.client() as client:
        await client.post("/login", data={"token": house.texts[Role.VIEWER]})
        page = (await client.get("/campaigns/spring-release-1-1")).text

    assert "Health after the update" in page
    assert 'id="signal-session_failures"' in page
    assert "Decided by " in page
    shown = re.search(r'data-looks="([^"]+)"', page)
    assert shown
    assert len(json.loads(shown[1])) == len(decided)
    assert "uPlot.iife.min.js" in page


@pytest.mark.parametrize(
    ("hours", "says"),
    [
        (None, "Waiting alone does not resolve this."),
        (0.5, "less than an hour"),
        (20, "20 hours"),
        (72, "3 days"),
    ],
)
def test_a_hold_says_how_long_it_can_take(hours: float | None, says: str) -> None:
    held = {"word": "hold", "decided_by": "exposure", "would_change": "Time.", "resolves_hours": hours}
    assert says in outlook(held)
    assert says not in outlook({**held, "word": "proceed"})
