"""Verdicts leave the house as files, and another process that knows nothing of it comes to the same bytes."""

import json
from pathlib import Path
from typing import Any

import pytest

from api.demo.elsewhere import Recomputed, recompute_elsewhere
from api.schemas.campaigns import DecisionReply
from tests.support.gate_samples import looks
from tests.unit.workflows.facts import NOW


def exported(campaign_id: str, harm: float) -> dict[str, Any]:
    """As `campaign show --json` writes a campaign whose waves were judged by health."""
    decisions = [DecisionReply.of(one).model_dump(mode="json") for one in looks(campaign_id, NOW, harm=harm)]
    return {"campaign_id": campaign_id, "decisions": decisions}


@pytest.mark.requirement("X17", "R54")
def test_another_process_without_settings_comes_to_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AMPWAVE_PUBLIC_URL", "http://127.0.0.1:1/nobody-answers")
    campaigns = [exported("good", 0.0), exported("bad", 0.3)]
    assert [one["decisions"][-1]["verdict"] for one in campaigns] == ["proceed", "abort"]
    count = sum(len(one["decisions"]) for one in campaigns)
    assert recompute_elsewhere(campaigns, tmp_path) == Recomputed(count, 0)


@pytest.mark.requirement("X17")
def test_a_verdict_that_was_changed_on_the_way_does_not_hold(tmp_path: Path) -> None:
    campaign = json.loads(json.dumps(exported("bad", 0.3)))
    campaign["decisions"][-1]["verdict"] = "proceed"
    found = recompute_elsewhere([campaign], tmp_path)
    assert (found.verdicts, found.differing) == (len(campaign["decisions"]), 1)
