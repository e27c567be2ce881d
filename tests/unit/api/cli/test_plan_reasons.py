"""All that is wrong with a plan in one list: what its file says wrong, what the real api says of the rest."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from api.cli.plan_reasons import placed
from api.cli.planfile import look_at_plan
from storage.access import Role
from storage.artifact import Artifact
from tests.support.house import House

BAD = """\
name: spring
artifact: volta/9.9
rollback_to: [1]
after: nothing
end_at: 2020-01-01T00:00:00
targets: {site_id: moon, modl: x}
waves:
  - {name: canary, share: 30%, soak: soon}
  - {name: rest, share: 30%, query: 'modl = x'}
  - {name: late, share: 700%}
gate: {max_failure_share: 100%}
pace:
  tick: 0.5s
  wave_deadline: 10m
  wave_deadline: 20m
windows: [{opens: '22:00', closes: 5 o'clock}]
prio: 3
"""

Said = Callable[..., tuple[int, list[str]]]


@pytest.fixture
def artifact(fake: Any) -> Artifact:
    """The fake api answers plans as the real one does, over eight chargers and one image."""
    house = House()
    house.add_site()
    for number in range(8):
        house.add_charger(f"CP-{number:02}")
    image = house.add_artifact("1.1.0", counter=2)

    def asked(method: str, path: str) -> Callable[[Any], tuple[int, Any]]:
        async def ask(body: bytes) -> tuple[int, Any]:
            async with house.client(Role.RELEASE_MANAGER) as client:
                headers = {"Content-Type": "application/json"}
                answer = await client.request(method, f"/api/v1{path}", content=body, headers=headers)
            return answer.status_code, answer.json()

        return lambda request: asyncio.run(ask(request.body))

    for path in ("/artifacts", "/campaigns"):
        fake.on("GET", path, asked("GET", path))
    for path in ("/campaigns", "/campaigns/plan", "/campaigns/plan/chargers"):
        fake.on("POST", path, asked("POST", path))
    return image


@pytest.fixture
def said(run: Any, artifact: Artifact, home: Path) -> Said:
    """The exit code and what is said of a plan file."""

    def say(text: str, *options: str, command: str = "plan") -> tuple[int, list[str]]:
        (home / "plan.yaml").write_text(text)
        result = run("campaign", command, "plan.yaml", *options)
        return result.exit_code, result.stderr.splitlines()

    return say


@pytest.mark.parametrize("command", ["plan", "create"])
def test_every_reason_comes_at_once_with_its_line(said: Said, fake: Any, command: str) -> None:
    code, lines = said(BAD, command=command)
    assert (code, lines[0]) == (2, "Error: plan.yaml does not hold.")
    nothing = "There is no artifact 'volta/9.9'. `ampwave artifact list` shows what there is."
    zone = "a time with its zone such as 2026-12-20T18:00:00+01:00"
    assert lines[1:] == [
        f"  - line 2, artifact: {nothing}",
        "  - line 3, rollback_to: should be text, not a sequence.",
        "  - line 4, after: There is no campaign 'nothing'. `ampwave campaign list` shows what there is.",
        f"  - line 5, end_at: should be {zone}, not '2020-01-01T00:00:00'.",
        "  - line 6, targets.modl: is not a field here. Did you mean model?",
        "  - line 8, waves[1].soak: should be a length of time such as 90s, 15m, 6h or 7d, not 'soon'.",
        "  - line 9: wave 'rest': Line 1, column 1: a charger has no field 'modl'. Did you mean model?",
        "  - line 10, waves[3].share: should be less than or equal to 1",
        "  - line 11: gate.max_failure_share must be from 0 to below 1",
        "  - line 13: pace.tick_seconds must be at least 1: every tick reads all who wait; the usual is 30",
        "  - line 15, pace.wave_deadline: comes twice.",
        '  - line 16, windows[1].closes: should be a time of day such as 22:00, not "5 o\'clock".',
        "  - line 17, prio: is not a field here. Did you mean priority?",
        "deploy/examples/campaign.yaml shows every field.",
    ]
    assert ("POST", "/campaigns") not in [(one.method, one.path) for one in fake.seen]


GOOD = """\
name: spring
artifact: volta/1.1.0
waves:
  - {name: canary, share: 25%}
  - {name: rest, share: 75%}
"""


@pytest.mark.parametrize("options", [[], ["--chargers"]])
def test_what_the_api_alone_refuses_names_lines_too(said: Said, options: list[str]) -> None:
    text = GOOD + "priority: 7\npace: {tick: 0.5s, shard_size: 501}\nend_at: 2020-01-01T00:00:00Z\n"
    code, lines = said(text, *options)
    assert code == 1
    assert [line for line in lines if line.startswith("  - ")] == [
        "  - line 7, pace.shard_size: should be less than or equal to 500",
        "  - line 7: pace.tick_seconds must be at least 1: every tick reads all who wait; the usual is 30",
        "  - line 8: end_at is in the past",
    ]


def test_a_fault_of_the_file_alone_is_told_alone(said: Said, fake: Any) -> None:
    assert said(GOOD.replace("75%", "65%"))[1][1:-1] == [
        "  - line 3, waves: the shares add up to 90 %; together they have to be 100 %.",
    ]
    assert said(GOOD.replace("1.1.0", "7"), command="create") == (
        1,
        ["Error: There is no artifact 'volta/7'.", "`ampwave artifact list` shows what there is."],
    )
    assert said(GOOD)[0] == 0


def test_without_the_api_the_file_is_judged_all_the_same(said: Said, fake: Any) -> None:
    fake.refuse("GET", "/artifacts", 503, title="An engine does not answer", detail="No.")
    code, lines = said(GOOD + "prio: 3\n")
    assert (code, lines[1]) == (2, "  - line 6, prio: is not a field here. Did you mean priority?")
    assert lines[2].startswith("The rest was not judged: No.")
    fake.refuse("GET", "/artifacts", 401, title="A valid token is needed", detail="d")
    assert said(GOOD + "prio: 3\n")[1][2].startswith("The rest was not judged: A valid token")


def test_a_plan_comes_after_a_campaign_by_its_name(said: Said, fake: Any) -> None:
    assert said(GOOD, command="create")[0] == 0
    named = fake.last("POST", "/campaigns").json
    assert "no part in campaign spring-" in " ".join(said(GOOD + "after: spring\n", command="create")[1])
    sent = fake.last("POST", "/campaigns").json
    assert sent == {**named, "after": sent["after"]}
    assert sent["after"].startswith("spring-")


def test_flags_are_told_together(run: Any, artifact: Artifact) -> None:
    flags = ("--artifact", "volta/7", "--waves", "all:90%", "--model", "V22", "--rollback-to", "volta/6")
    result = run("campaign", "plan", *flags)
    assert result.exit_code == 2
    assert result.stderr.splitlines() == [
        "Error: This plan does not hold.",
        "  - --waves: the shares add up to 90 %; together they have to be 100 %.",
        "  - --model: 'V22' is not VENDOR/MODEL. Write it as in Acme/AC22.",
        "  - --artifact: There is no artifact 'volta/7'. `ampwave artifact list` shows what there is.",
        "  - --rollback-to: There is no artifact 'volta/6'. `ampwave artifact list` shows what there is.",
    ]


@pytest.mark.parametrize(
    ("problem", "line"),
    [
        ("waves.1.share: x", "line 5, waves[2].share: x"),
        ("wave 'rest' would be empty: 1 chargers are too few", "line 5: wave 'rest' would"),
        ("wave 'no such' would be empty", "line 3: wave"),
        ("there is no rollback artifact ff", "there is no"),
        ("artifact 1.1.0 is not released", "line 2: artifact"),
        ("targets matches no charger", "targets matches"),
        ("3 chargers: it runs 1.1.0 already", "3 chargers"),
        ("", ""),
    ],
)
def test_a_reason_is_put_at_its_line_where_there_is_one(home: Path, problem: str, line: str) -> None:
    (home / "plan.yaml").write_text(GOOD)
    assert placed(problem, look_at_plan(home / "plan.yaml").places).startswith(line)
