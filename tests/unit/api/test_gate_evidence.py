"""The campaign's page shows the evidence of its gates."""

import json
import re
from io import StringIO
from typing import Any

import pytest

from api.cli.evidence_views import draw_evidence
from api.cli.output import Screen
from api.gate_evidence import MEANINGS, decided_by, outlook, series_of
from storage.access import Role
from tests.support.gate_samples import looks
from tests.support.house import NOW
from tests.support.showcase import showcase
from workflows.gate.judgement import Says


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
    assert "Decided by sessions that got no energy." in page
    assert "primary · decided · " in page
    primary, others = page.split('id="other-signals"')
    assert 'id="signal-faults"' in others
    assert 'id="signal-faults"' not in primary
    shown = re.search(r'data-looks="([^"]+)"', page)
    assert shown
    assert len(json.loads(shown[1])) == len(decided)
    assert "uPlot.iife.min.js" in page


def test_who_reads_how_much_more_is_told_that_these_are_points() -> None:
    harm = {"word": "abort", "decided_by": "faults", "would_change": "Nothing."}
    assert "percentage points" in outlook({**harm, "reason": "66.7 % of 9, 0 % of 37. That is 66.3 % more."})
    assert "percentage points" not in outlook({**harm, "reason": "Nobody was heard."})


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


def test_every_word_of_a_signal_is_told_in_words() -> None:
    assert set(MEANINGS) == {each.value for each in Says}


@pytest.mark.requirement("X17")
def test_the_terminal_shows_what_decided_and_no_model_that_says_nothing() -> None:
    records = [
        {"verdict": one.verdict.value, "reason": one.reason, "result": one.result, "inputs": one.inputs}
        for one in looks("c1", NOW, harm=0.05)
    ]
    changed = {**records[-1]["inputs"]["evidence"], "changed": 3}
    records[-1] = {**records[-1], "inputs": {**records[-1]["inputs"], "evidence": changed}}
    shown, all_ = drawn(records), drawn(records, models=True)
    assert "Decided by sessions that got no energy." in shown
    assert "sessions that got no energy (primary, decided)" in shown
    assert "3 chargers are left out of the comparison" in shown
    assert "--models" in shown
    assert "--models" not in all_
    assert len(all_.splitlines()) > len(shown.splitlines())


def test_after_the_last_wave_the_past_decides_and_no_signal_is_said_to() -> None:
    results = [one.result for one in looks("c1", NOW)]
    alone = {"health": {**results[-1]["health"], "comparisons": [], "decided_by": "baseline"}}
    assert not any(each.decided for each in series_of([*results, alone]))
    assert "the chargers' own past" in decided_by(alone["health"])


def drawn(records: list[dict[str, Any]], *, models: bool = False) -> str:
    out = StringIO()
    draw_evidence(Screen(out, width=160), records, None, models=models)
    return out.getvalue()
