"""What a gate judged health by, for somebody who has to decide."""

from pathlib import Path
from typing import Any

import pytest

from api.schemas.campaigns import DecisionReply
from tests.support.gate_samples import looks
from tests.support.house import NOW

ID = "spring-1a2b3c"
PATH = f"/campaigns/{ID}"


@pytest.fixture
def known(fake: Any, sample: Any) -> Any:
    """An api that knows one campaign."""
    fake.page("/artifacts", [sample.artifact(), sample.artifact(artifact_id="cc" * 32, version="1.0.0")])
    fake.page("/campaigns", [sample.summary()])
    fake.on("GET", PATH, (200, sample.campaign("awaiting_approval")))
    fake.page(f"{PATH}/decisions", [sample.decision()])
    return fake


@pytest.fixture
def judged(known: Any) -> Any:
    found = looks("c1", NOW, harm=0.05)
    known.page(f"{PATH}/decisions", [DecisionReply.of(one).model_dump(mode="json") for one in found])
    return found


@pytest.mark.requirement("R54", "X17")
def test_numbers_outlook_and_plots(run: Any, judged: Any) -> None:
    result = run("campaign", "verdicts", "spring")
    assert result.exit_code == 0, result.output
    assert judged[-1].reason.split(":")[0] in result.stdout
    assert "Decided by " in result.stdout
    assert "What would change it: " in result.stdout
    assert "sessions that got no energy (primary, " in result.stdout
    assert f"{len(judged)} looks, " in result.stdout
    one = run("campaign", "verdicts", "spring", "--signal", "faults").stdout
    assert "chargers with a fault (guard): " in one
    assert "sessions that got no energy (primary" not in one


def test_a_campaign_without_a_policy_says_so(run: Any, known: Any, sample: Any) -> None:
    known.page(f"{PATH}/decisions", [sample.decision()])
    assert "No gate of this campaign judged health" in run("campaign", "verdicts", "spring").stdout


@pytest.mark.requirement("R54", "X17")
def test_they_are_verified_from_a_file_alone(run: Any, judged: Any, home: Path) -> None:
    (home / "shown.json").write_text(run("campaign", "verdicts", "spring", "--json").stdout)
    result = run("campaign", "verify-verdict", "--file", "shown.json")
    assert result.exit_code == 0, result.output
    assert f"{len(judged)} of {len(judged)} verdicts follow" in result.stdout
