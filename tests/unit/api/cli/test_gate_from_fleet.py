"""``ampwave gate simulate --from-fleet``: what the api tells of a fleet becomes a trial on it."""

import json
from typing import Any

import pytest

from api.cli import gate_trial
from api.schemas.forecasts import FleetCharger, FleetReply, TrackReply
from storage.health import HealthHour
from storage.recording import WEEK_HOURS
from workflows.gate import POLICIES
from workflows.trial.fleet import tracks_of
from workflows.trial.many import scores, simulate, worlds

PATH = "/fleet/recording"
pytestmark = pytest.mark.requirement("R56")


def recorded(chargers: int, weeks: int = 1) -> Any:
    """As the api tells it: every hour heard, a session in each."""
    hour = HealthHour(heard=1, messages=4, attempts_ok=1, stops=1)
    tracks = tracks_of(dict.fromkeys(range(weeks * WEEK_HOURS), hour), weeks)
    told = {
        name: TrackReply(
            hits=tuple(track.hits),
            cases=None if track.cases is None else tuple(track.cases),
            per_hour=track.per_hour,
            once=track.once,
        )
        for name, track in tracks.items()
    }
    found = tuple(
        FleetCharger(
            name=f"C{number:05}",
            model=f"Acme/AC{number % 2}",
            hardware="",
            site=f"s{number // 2}",
            kind="",
            tracks=told,
        )
        for number in range(chargers)
    )
    return FleetReply(weeks=weeks, of=chargers, chargers=found).model_dump(mode="json")


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """All in this process."""
    monkeypatch.setattr(
        gate_trial,
        "carry_out",
        lambda trial, _tell: scores(trial, [(task, simulate(task)) for task in worlds(trial)]),
    )


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("harm", ["sessions", "one-model"])
@pytest.mark.parametrize("chargers", [1, 24])
def test_policies_are_tried_on_it(run: Any, fake: Any, chargers: int, harm: str) -> None:
    fake.on("GET", PATH, (200, recorded(chargers)))
    options = ["--from-fleet", "--campaigns", "1", "--harm", harm]
    told = run("gate", "simulate", *options)
    assert told.exit_code == 0, told.output
    assert f"on {chargers} chargers at" in told.stderr
    assert "of your own, 1 recorded weeks" in told.stderr
    assert fake.last("GET", PATH).query == {"chargers": ["600"], "seed": ["7"]}
    document = json.loads(run("gate", "simulate", *options, "--json").stdout)
    assert set(document["policies"]) == set(POLICIES)
    assert document["chargers"] == chargers


@pytest.mark.parametrize("harm", ["sessions", "one-model"])
def test_an_empty_fleet_has_nothing_to_try_on(run: Any, fake: Any, harm: str) -> None:
    fake.on("GET", PATH, (200, recorded(0)))
    told = run("gate", "simulate", "--from-fleet", "--campaigns", "1", "--harm", harm)
    assert told.exit_code == 1
    assert "no charger" in told.stderr


def test_a_fleet_is_not_described_besides(run: Any, fake: Any) -> None:
    told = run("gate", "simulate", "--from-fleet", "--fleet", "sites=3")
    assert told.exit_code == 2
    assert "--from-fleet has its own sites" in told.stderr


def test_a_fleet_without_a_recorded_week_says_so(run: Any, fake: Any) -> None:
    fake.refuse("GET", PATH, 422, title="There is not a whole week of this fleet to replay.")
    told = run("gate", "simulate", "--from-fleet")
    assert told.exit_code == 1
    assert "not a whole week" in told.stderr
