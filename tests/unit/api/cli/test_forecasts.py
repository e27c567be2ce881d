"""``ampwave campaign plan --simulate`` and ``campaign forecast``: what people read of its answers."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from api.cli.http import Api
from api.schemas.forecasts import ComparedReply, ForecastReply
from tests.support.recorded_fleet import NOW, Shape, plan, recordings, study
from workflows.whatif import forecast
from workflows.whatif.fact import Line

PLAN = """
name: spring
artifact: acme/1.1.0
waves:
  - {name: a, share: 10%}
  - {name: b, share: 30%}
  - {name: c, share: 60%}
"""
SIMULATE = "/campaigns/plan/simulate"
CAMPAIGN = "/campaigns/spring-1a2b3c"
pytestmark = pytest.mark.requirement("X10", "R56")


def made() -> ForecastReply:
    """As the api makes it, of ten chargers."""
    found = forecast(study(plan(), recordings(Shape(10, weeks=1), 3), 1), 3, 7)
    return ForecastReply.of("ab" * 32, NOW, NOW, found)


def test_a_plan_is_replayed(run: Any, fake: Any, sample: Any, home: Path) -> None:
    (home / "plan.yaml").write_text(PLAN)
    fake.page("/artifacts", [sample.artifact()])
    fake.on("POST", SIMULATE, (200, made().model_dump(mode="json")))
    told = run("campaign", "plan", "plan.yaml", "--simulate", "--runs", "3")
    assert told.exit_code == 0, told.output
    assert fake.last("POST", SIMULATE).query == {"runs": ["3"]}
    assert "10 chargers, 3 replays of 1 recorded week." in told.stdout
    assert "Started now it ends about" in told.stdout
    assert "days to the gate of c" in told.stdout
    assert "Only one week is recorded" in told.stdout


def test_a_plan_with_a_date_starts_then(run: Any, fake: Any, sample: Any, home: Path) -> None:
    (home / "plan.yaml").write_text(PLAN)
    fake.page("/artifacts", [sample.artifact()])
    later = made().model_copy(update={"starts": NOW + timedelta(days=3)})
    fake.on("POST", SIMULATE, (200, later.model_dump(mode="json")))
    told = run("campaign", "plan", "plan.yaml", "--simulate")
    assert f"Started {NOW + timedelta(days=3):%a %Y-%m-%d}" in told.stdout


def test_it_is_waited_for_as_long_as_a_large_fleet_takes(
    run: Any, fake: Any, sample: Any, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "plan.yaml").write_text(PLAN)
    fake.page("/artifacts", [sample.artifact()])
    waited: list[float | None] = []

    def post(_api: Api, _path: str, _body: Any, *, patience_s: float | None = None, **_: Any) -> Any:
        waited.append(patience_s)
        return made().model_dump(mode="json")

    monkeypatch.setattr(Api, "post", post)
    assert run("campaign", "plan", "plan.yaml", "--simulate").exit_code == 0
    assert [seconds for seconds in waited if seconds is not None and seconds >= 900]


def test_a_plan_that_every_gate_stops_shows_no_numbers_of_an_end(
    run: Any, fake: Any, sample: Any, home: Path
) -> None:
    (home / "plan.yaml").write_text(PLAN)
    fake.page("/artifacts", [sample.artifact()])
    body = made().model_copy(update={"minutes": None}).model_dump(mode="json")
    fake.on("POST", SIMULATE, (200, body))
    told = run("campaign", "plan", "plan.yaml", "--simulate")
    assert told.exit_code == 0, told.output
    assert "it would not end" in told.stdout
    assert "chargers updated" not in told.stdout


def test_a_campaign_is_compared_with_its_forecast(run: Any, fake: Any, sample: Any) -> None:
    fake.page("/campaigns", [sample.summary()])
    fake.on("GET", CAMPAIGN, (200, sample.campaign("running")))
    lines = (Line("minutes", 1440, 2880, 4320, 5760, within=False), Line("updated", 8, 9, 10, None, None))
    reply = ComparedReply(forecast=made(), ended=False, completed=False, lines=lines)
    fake.on("GET", f"{CAMPAIGN}/forecast", (200, reply.model_dump(mode="json")))
    told = run("campaign", "forecast", "spring")
    assert told.exit_code == 0, told.output
    assert "days to its end" in told.stdout
    assert "NO" in told.stdout
    assert "It is still under way." in told.stdout
    assert f"{NOW:%Y-%m-%d}" in told.stdout
