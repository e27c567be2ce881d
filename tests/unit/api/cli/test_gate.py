"""``ampwave gate simulate``: what is typed becomes a trial, and its numbers are those of the gate."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from api.cli import gate_trial
from api.cli.errors import WrongUse
from api.cli.gate_trial import Given, kinds, trial_of
from api.cli.main import app
from workflows.gate import POLICIES
from workflows.trial import HARMS
from workflows.trial.many import scores, simulate, worlds

PLAN = """
name: mine
artifact: acme/1.1.0
waves:
  - {name: canary, share: 20%}
  - {name: rest, share: 80%}
gate:
  max_failure_share: 7%
  health:
    name: mine
    min_hours: 6
    min_exposure: 10
    signals:
      - {signal: session_failures, threshold: 5%, role: primary}
"""


def given(
    plan: Path | None = None, fleet: str = "", models: str | None = None, harm: str = "sessions"
) -> Given:
    return Given(plan, fleet, models, harm)


def test_a_fleet_as_typed() -> None:
    typed = given(
        fleet="chargers=300, failures=8%, outages=30,sessions=2.5",
        models="Acme/AC22:70%,Borealis/One:30%",
        harm="one-model",
    )
    trial = trial_of(typed, 3, 7)
    shape = trial.shape
    assert (shape.chargers, shape.sites, shape.session_failures, shape.sessions) == (300, 30, 0.08, 2.5)
    assert shape.backend_outages == pytest.approx(1 / 30)
    assert [model.name for model in shape.models] == ["Acme/AC22", "Borealis/One"]
    assert trial.harm.model == "Borealis/One"
    assert list(trial.policies) == list(POLICIES)


def test_a_plan_brings_its_waves_and_its_policy(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text(PLAN)
    trial = trial_of(given(path), 3, 7)
    assert trial.plan.shares == (0.2, 0.8)
    assert list(trial.policies) == ["mine", *POLICIES]
    path.write_text(PLAN.replace("share: 80%}", "share: 80%, max_failure_share: 2%, early_stop_failures: 9}"))
    outcomes = trial_of(given(path), 3, 7).outcomes
    canary, rest = outcomes.of(0), outcomes.of(1)
    assert (canary.max_failure_share, canary.early_stop_failures) == (0.07, None)
    assert (rest.max_failure_share, rest.early_stop_failures) == (0.02, 9)
    path.write_text(PLAN.replace("name: mine\n    min", "name: balanced\n    min"))
    assert list(trial_of(given(path), 3, 7).policies) == ["balanced (the plan's)", *POLICIES]


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (given(fleet="chargers=1"), "from 20 to"),
        (given(fleet="chargers=many"), "chargers=many"),
        (given(fleet="failures=nan"), "failures=nan"),
        (given(fleet="chargrs=100"), "chargers"),
        (given(models="Acme:1"), "VENDOR/MODEL"),
        (given(models="Acme/A:40%"), "100 %"),
        (given(models="Acme/A:x"), "SHARE"),
        (given(harm="sesions"), "sessions"),
    ],
)
def test_what_is_wrong_is_told(typed: Given, told: str) -> None:
    with pytest.raises(WrongUse) as caught:
        trial_of(typed, 3, 7)
    assert told in " ".join([caught.value.diagnostics(), *caught.value.problems])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("threshold: 5%", "threshold: 0"), "threshold"),
        (("  - {name: rest, share: 80%}\n", ""), "100 %"),
        (("share: 20%}\n  - {name: rest, share: 80%}", "share: 100%}"), "later waves"),
        (("gate:", "pace: {}\nunused:"), "unused"),
        (("canary, share: 20%}", "bench, count: 5}\n  - {name: half, share: 20%}"), "bench are not shares"),
    ],
)
def test_a_plan_that_cannot_be_tried_is_refused(tmp_path: Path, change: tuple[str, str], told: str) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text(PLAN.replace(*change))
    with pytest.raises(WrongUse) as caught:
        trial_of(given(path), 3, 7)
    assert told in " ".join([caught.value.diagnostics(), *caught.value.problems])


@pytest.mark.requirement("R56")
def test_a_trial_tells_policies_apart() -> None:
    trial = trial_of(given(fleet="chargers=60", harm="installs"), 1, 7)
    found = scores(trial, [(task, simulate(task)) for task in worlds(trial)])
    assert list(found) == list(POLICIES)
    assert all(each.good.campaigns == each.bad.campaigns == 1 for each in found.values())
    assert all(each.good.harmed == 0 for each in found.values())


def test_harms_are_listed_with_what_they_do() -> None:
    assert {each["name"] for each in kinds()} == set(HARMS)
    assert all(each["does"] for each in kinds())
    shown = CliRunner().invoke(app, ["gate", "simulate", "--harm", "list"])
    assert shown.exit_code == 0
    assert "after-hours" in shown.stdout


def test_the_command_prints_every_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    trial = trial_of(given(fleet="chargers=60", harm="installs"), 1, 7)
    done = [(task, simulate(task)) for task in worlds(trial)]
    assert done == [(task, simulate(task)) for task in worlds(trial)]
    monkeypatch.setattr(gate_trial, "carry_out", lambda trial, _tell: scores(trial, done))
    arguments = ["gate", "simulate", "--campaigns", "1", "--fleet", "chargers=60", "--harm", "installs"]
    told = CliRunner().invoke(app, arguments)
    assert told.exit_code == 0, told.stderr
    assert "FALSE STOPS" in told.stdout
    assert "1 good and 1 bad campaigns (installs" in told.stderr
    document = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)
    assert set(document["policies"]) == set(POLICIES)
    assert document["policies"]["fast"]["false_stops"].keys() == {"share", "low", "high"}


def test_all_processors_together_come_to_what_one_comes_to() -> None:
    trial = trial_of(given(fleet="chargers=40", harm="installs"), 1, 7)
    trial = replace(trial, policies={"fast": trial.policies["fast"]})
    told: list[tuple[int, int]] = []
    found = gate_trial.carry_out(trial, lambda done, of: told.append((done, of)))
    assert found == scores(trial, [(task, simulate(task)) for task in worlds(trial)])
    assert told[-1] == (2, 2)
