"""Scripts of simulations: what they make, the same each time, and what is wrong, line by line."""

import random
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csms.simulator.faults import MOMENTS, PUBLISHING, FaultKind, afflictions
from csms.simulator.pace import SessionPattern, SimPace
from csms.simulator.script import DAYS, PACES, load_script
from csms.simulator.spec import FleetSpec
from csms.simulator.stages import Stage
from storage.errors import InvalidInput

EXAMPLE = Path(__file__).parents[4] / "deploy/examples/simulation.yaml"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def load(tmp_path: Path, text: str) -> FleetSpec:
    path = tmp_path / "script.yaml"
    path.write_text(text)
    return load_script(path)


def problems(tmp_path: Path, text: str) -> tuple[str, ...]:
    with pytest.raises(InvalidInput) as refused:
        load(tmp_path, text)
    assert refused.value.hint
    return tuple(refused.value.problems)


def test_the_example_runs_and_shows_every_fault_but_the_drop() -> None:
    fleet = load_script(EXAMPLE)
    assert len(fleet.chargers) == 200
    kinds = {fault.kind for fault in fleet.faults}
    assert kinds == set(FaultKind) - {FaultKind.DROP_SOCKET} - PUBLISHING
    counts = Counter(charger.personality for charger in fleet.chargers)
    assert counts == {"larkspur": 100, "jetty": 67, "dunlin": 33}
    assert len(fleet.sites()) == 20
    assert fleet.sessions.daily == DAYS["office"]
    cut = fleet.faults[0]
    assert (cut.stage, cut.for_s, cut.share) == (Stage.FETCHING, 20.0, 0.05)
    assert load_script(EXAMPLE) == fleet


def test_each_site_has_a_local_controller_where_it_is_asked_for(tmp_path: Path) -> None:
    fleet = load_script(EXAMPLE.with_name("local-controllers.yaml"))
    controllers = {one.charger_id: one.site_id for one in fleet.chargers if one.character.local_controller}
    assert controllers == {"LOC-LC01": "site-01", "LOC-LC02": "site-02"}
    assert [one.charger_id for one in fleet.sites()["site-02"]] == [
        *(f"LOC-{number:04d}" for number in (2, 4, 6, 8)),
        "LOC-LC02",
    ]
    assert len({one.serial for one in fleet.chargers}) == len({one.password for one in fleet.chargers}) == 10
    without = load(tmp_path, "fleet: {chargers: 40, sites: 2}\n")
    assert not any(one.character.local_controller for one in without.chargers)
    assert (
        "befalls local controllers only"
        in problems(tmp_path, "fleet: {chargers: 1}\nfaults: [{fault: full_disk}]\n")[0]
    )


def test_words_for_durations_and_paces(tmp_path: Path) -> None:
    fleet = load(
        tmp_path,
        "fleet: {chargers: 2}\npace: {session_s: [20m, 2h], install_s: 1.5m, meter_s: 250ms}\n"
        "faults: [{fault: silence, after: 90, for: 2m}]\n",
    )
    assert fleet.pace.session_s == (1200.0, 7200.0)
    assert fleet.pace.install_s == (90.0, 90.0)
    assert fleet.pace.meter_s == 0.25
    assert (fleet.faults[0].after_s, fleet.faults[0].for_s) == (90.0, 120.0)
    assert load(tmp_path, "fleet: {chargers: 1}\npace: field\n").pace == PACES["field"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("fleet:\n  chargers: none\n", "line 2: fleet.chargers: Input should be a valid integer"),
        ("name: x\n", "line 1: fleet: Field required"),
        ("fleet:\n  chargers: 2\n  colour: red\n", "line 3: fleet.colour: Extra inputs are not permitted"),
        (
            "fleet: {chargers: 1}\nfaults:\n  - fault: silence\n  - fault: gremlins\n",
            "line 4: faults.1.fault: Input should be 'drop_socket'",
        ),
        (
            "fleet: {chargers: 1}\nfaults:\n  - fault: silence\n    after: soon\n",
            "line 4: faults.0.after: is no duration; write it as in 30s, 5m, 1.5h or 250ms",
        ),
        (
            "fleet: {chargers: 1}\nfaults:\n  - {fault: clock_skew, when: installing}\n",
            "line 3: faults.0: stage: clock_skew has no moment",
        ),
        (
            "fleet: {chargers: 1}\nfaults:\n  - {fault: lose_frame, amount: 5}\n",
            "line 3: faults.0: amount: 5 is no chance, 0 to 1",
        ),
        ("fleet: {chargers: 1}\nfaults:\n  - {fault: slow_link}\n", "line 3: faults.0: amount: a slow link"),
        (
            "fleet:\n  chargers: 3\n  personalities:\n    larkspur: 1\n    nobody: 2\n",
            "line 5: fleet.personalities.nobody: there is no such personality; there are",
        ),
        ("fleet:\n  chargers: 3\n  sites: 4\n", "line 3: fleet.sites: more sites than the 3 chargers"),
        ("fleet: {chargers: 1}\nsessions:\n  day: [1, 2]\n", "line 3: sessions.day: 2 weights"),
        ("fleet: {chargers: 1}\npace:\n  hurry_s: 1\n", "line 3: pace.hurry_s: there is no such pace"),
        (
            "fleet: {chargers: 1}\npace:\n  install_s: [2m, 1m]\n",
            "line 3: pace.install_s: from 120 s to 60 s",
        ),
        (
            "fleet: {chargers: 1}\npace:\n  session_s: [-5, 2]\n",
            "line 3: pace.session_s: is no duration; it cannot be negative or endless",
        ),
        ("fleet: {chargers: 1}\npace:\n  meter_s: .nan\n", "line 3: pace.meter_s: is no duration"),
        (
            f"fleet: {{chargers: 1}}\nsessions:\n  day: {[1] * 23 + [-1]}\n",
            "line 3: sessions.day: a weight is a number from 0 on",
        ),
        (
            "fleet: {chargers: 1}\nfaults:\n  - {fault: break_download, amount: .inf}\n",
            "line 3: faults.0: after_s, for_s, amount: each is a number",
        ),
        ("fleet: [\n", "line 2: "),
        ("- 1\n", "line 1: the file: "),
    ],
)
def test_every_problem_names_its_line(text: str, expected: str, tmp_path: Path) -> None:
    found = problems(tmp_path, text)
    assert any(problem.startswith(expected) for problem in found), found


def test_a_script_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"none\.yaml"):
        load_script(tmp_path / "none.yaml")


def test_a_script_without_a_bottom_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "deep.yaml"
    path.write_text("[" * 20_000)
    with pytest.raises(InvalidInput, match="nested too deeply"):
        load_script(path)


@given(st.text(max_size=200))
def test_any_text_is_a_fleet_or_a_refusal(text: str) -> None:
    path = Path(__file__).with_name("never-written.yaml")

    class Readable(type(path)):  # type: ignore[misc]
        def read_text(self, *_: object, **__: object) -> str:
            return text

    try:
        fleet = load_script(Readable(path))
    except InvalidInput:
        return
    assert fleet.chargers


def test_chargers_differ_in_how_busy_they_are_and_when() -> None:
    pattern = SessionPattern(0.2, DAYS["office"], spread=0.5)
    many = [pattern.of_one(random.Random(number)) for number in range(2000)]
    assert sum(one.busy_share for one in many) / len(many) == pytest.approx(0.2, rel=0.1)
    assert max(one.busy_share for one in many) > 2 * min(one.busy_share for one in many)
    assert len({one.daily for one in many}) > 3
    assert pattern.of_one(random.Random(1)) == pattern.of_one(random.Random(1))
    assert SessionPattern(0.2).of_one(random.Random(1)) == SessionPattern(0.2)


@pytest.mark.parametrize("day", [name for name, weights in DAYS.items() if weights])
def test_a_named_day_has_24_hours_and_is_average(day: str) -> None:
    assert len(DAYS[day]) == 24
    assert sum(DAYS[day]) / 24 == pytest.approx(1, abs=0.1)
    assert SessionPattern(0.2, DAYS[day]).mean_gap_s(SimPace(), NOON)


def test_the_seed_decides_who_is_struck_and_by_what() -> None:
    fleet = load_script(EXAMPLE)
    struck = [afflictions(fleet.faults, 7, charger.charger_id) for charger in fleet.chargers]
    assert struck == [afflictions(fleet.faults, 7, charger.charger_id) for charger in fleet.chargers]
    assert struck != [afflictions(fleet.faults, 8, charger.charger_id) for charger in fleet.chargers]
    assert {incident.kind for one in struck for incident in one.incidents} == MOMENTS - {
        FaultKind.DROP_SOCKET
    }
    assert any(one.clock_unset for one in struck)
    assert any(one.downgrades == 3 for one in struck)
