"""Files that people write: every problem named with its line and field, values in human units."""

import math
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.cli import documents
from api.cli.errors import WrongUse
from api.cli.planfile import parse_waves, plan_from_flags, read_plan

EXAMPLE = Path(__file__).parents[4] / "deploy/examples/campaign.yaml"

GOOD = """\
name: spring
artifact: acme/1.10
waves:
  - {name: canary, share: 5%, soak: 15m}
  - {name: rest, share: 0.95, needs_approval: yes}
"""


def _write(folder: Path, text: str, name: str = "plan.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def _problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(WrongUse) as raised:
        read_plan(_write(folder, text))
    return list(raised.value.problems)


def test_a_plan_becomes_the_apis_words(tmp_path: Path) -> None:
    plan = read_plan(_write(tmp_path, GOOD))
    assert (plan.artifact, plan.rollback_to) == ("acme/1.10", None)
    assert plan.body == {
        "name": "spring",
        "waves": [
            {"name": "canary", "share": 0.05, "soak_seconds": 900.0},
            {"name": "rest", "share": 0.95, "needs_approval": True},
        ],
    }


def test_the_example_holds_and_shows_every_field() -> None:
    from dataclasses import fields

    from storage.campaign import CampaignPlan, GatePolicy, Pace, WavePlan

    plan = read_plan(EXAMPLE)
    assert plan.rollback_to == "acme/1.0.0"
    asked = {item.name for item in fields(CampaignPlan)} - {"artifact_id", "rollback_artifact_id"}
    assert set(plan.body) == asked
    assert set(plan.body["gate"]) == {item.name for item in fields(GatePolicy)}
    assert set(plan.body["pace"]) == {item.name for item in fields(Pace)}
    assert {name for wave in plan.body["waves"] for name in wave} == {item.name for item in fields(WavePlan)}


def test_the_examples_numbers_are_the_real_defaults() -> None:
    from dataclasses import asdict

    from storage.campaign import GatePolicy, Pace, Ramp

    body = read_plan(EXAMPLE).body
    assert body["gate"] == {**asdict(GatePolicy()), "health": "balanced", "early_stop_failures": 20}
    own = {"ramp": asdict(Ramp()), "download_ahead_seconds": 7200.0, "steady_seconds": 60.0}
    assert body["pace"] == {**asdict(Pace()), **own}


def test_the_example_is_accepted_by_the_api() -> None:
    from api.schemas.campaigns import PlanBody
    from workflows.plan_options import option_problems
    from workflows.wave_split import share_problems

    body = read_plan(EXAMPLE).body
    plan = PlanBody.model_validate({**body, "artifact_id": "a" * 64, "rollback_artifact_id": "b" * 64})
    noun = plan.to_noun()
    assert [wave.share for wave in noun.waves] == [0, 0.05, 0, 0.45, 0.5]
    assert noun.windows is not None
    assert option_problems(noun) + share_problems(noun) == []


@pytest.mark.parametrize(
    "gate", [{}, {"health": "fast"}, {"health": {"signals": [{"signal": "boots", "threshold": 0.1}]}}]
)
def test_what_the_api_shows_can_be_written_back(tmp_path: Path, gate: dict[str, Any]) -> None:
    import json

    from api.schemas.campaigns import PlanBody

    given = PlanBody.model_validate(
        {"name": "x", "artifact_id": "a" * 64, "waves": [{"name": "all", "share": 1}], "gate": gate}
    )
    shown = PlanBody.model_validate(given.to_noun()).model_dump(mode="json")
    plan = read_plan(_write(tmp_path, json.dumps(shown, indent="\t"), "plan.json"))
    assert plan.artifact == "a" * 64
    assert (
        PlanBody.model_validate({**plan.body, "artifact_id": plan.artifact}).model_dump(mode="json") == shown
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (GOOD.replace("5%", "5 percent"), "line 4, waves[1].share: should be a share such as 0.05 or 5%"),
        (GOOD.replace("soak: 15m", "soak: soon"), "line 4, waves[1].soak: should be a length of time"),
        (
            GOOD.replace("share: 0.95", "shares: 0.95"),
            "waves[2].shares: is not a field here. Did you mean share?",
        ),
        (GOOD + "gate: {min_attempts: many}\n", "line 6, gate.min_attempts: should be a whole number"),
        (GOOD + "gate: {health: brisk}\n", "line 6, gate.health: should be one of cautious, balanced, fast"),
        (
            GOOD + "gate: {health: {signals: [{signal: boots, threshold: 1%, role: prime}]}}\n",
            "line 6, gate.health.signals[1].role: should be one of primary, guard, shadow",
        ),
        (GOOD + "gate: {health: {name: mine}}\n", "line 6, gate.health: signals is missing."),
        (GOOD + "gate: 5\n", "line 6, gate: should be a mapping"),
        (GOOD + "start_at: 2026-12-01T02:00:00\n", "line 6, start_at: should be a time with its zone"),
        (GOOD + "name: twice\n", "line 6, name: comes twice."),
        (
            GOOD.replace("0.95", "0.5"),
            "line 3, waves: the shares add up to 55 %; together they have to be 100 %.",
        ),
        (GOOD.replace("artifact: acme/1.10\n", ""), "line 1: artifact is missing."),
        ("name: x\nartifact: y\n", "line 1: waves is missing."),
        ("- 1\n", "line 1: should be a mapping of names to values."),
        (
            GOOD.replace("needs_approval: yes", "needs_approval: maybe"),
            "should be true or false, not 'maybe'",
        ),
    ],
)
def test_a_problem_names_line_and_field(tmp_path: Path, text: str, problem: str) -> None:
    assert any(problem in found for found in _problems(tmp_path, text))


def test_all_problems_come_at_once(tmp_path: Path) -> None:
    text = GOOD.replace("5%", "few").replace("yes", "perhaps") + "colour: red\n"
    assert len(_problems(tmp_path, text)) == 3


def test_waves_that_do_not_add_up_are_told_with_everything_else(tmp_path: Path) -> None:
    text = GOOD.replace("0.95", "0.5").replace("artifact: acme/1.10\n", "") + "colour: red\n"
    found = " ".join(_problems(tmp_path, text))
    assert "colour: is not a field here" in found
    assert "add up to 55 %" in found
    assert "artifact is missing" in found


def test_what_cannot_be_read_is_not_said_to_be_missing_or_not_to_add_up(tmp_path: Path) -> None:
    text = GOOD.replace("artifact: acme/1.10", "artifact: [1]").replace("0.95", "most")
    assert len(_problems(tmp_path, text)) == 2


@pytest.mark.parametrize("text", ["name: [", "a: b: c", '{"name": "x",,}', "", "\t- x"])
def test_what_is_not_well_formed_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(WrongUse):
        read_plan(_write(tmp_path, text))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match="No such file"):
        read_plan(tmp_path / "none.yaml")


@settings(deadline=None)
@given(st.one_of(st.text(), st.sampled_from(["nan", "inf%", "-inf", "1_0%", " 5 %"])))
def test_any_text_is_a_finite_number_or_refused(text: str) -> None:
    for parse in (documents.number, documents.seconds):
        try:
            value = parse(text)
        except ValueError:
            continue
        assert math.isfinite(value)


@settings(deadline=None)
@given(st.one_of(st.text(), st.datetimes(timezones=st.none() | st.timezones()).map(str)))
def test_any_text_is_a_time_with_a_zone_or_refused(text: str) -> None:
    try:
        value = documents.instant(text)
    except ValueError:
        return
    assert datetime.fromisoformat(value).tzinfo is not None


@settings(deadline=None)
@given(st.floats(min_value=0, max_value=1e6), st.sampled_from(["s", "m", "min", "h", "d", "w"]))
def test_a_length_of_time_keeps_its_unit(amount: float, unit: str) -> None:
    factor = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604800}[unit]
    assert documents.seconds(f"{amount:.3f}{unit}") == pytest.approx(round(amount, 3) * factor)


def test_waves_from_a_flag() -> None:
    assert parse_waves("canary:5%, half:45%,rest:50%") == [
        {"name": "canary", "share": 0.05},
        {"name": "half", "share": 0.45},
        {"name": "rest", "share": 0.5},
    ]


@pytest.mark.parametrize("text", ["canary", "a:50%,b:40%", "a:x", ":100%", "a:150%,b:-50%", ""])
def test_waves_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(WrongUse, match="--waves"):
        parse_waves(text)


def test_a_plan_from_flags_is_named_after_its_artifact() -> None:
    plan: Any = plan_from_flags("acme/1.1", "all:100%", model="Acme/AC 22", rollback_to=None, name=None)
    assert plan.body["name"] == "acme-1.1"
    assert plan.body["targets"] == {"vendor": "Acme", "model": "AC 22"}
