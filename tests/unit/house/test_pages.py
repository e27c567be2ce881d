"""The generated pages say what the code and the marks say."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.house import __main__ as house
from tests.house.messages_page import BEGIN, DIALECTS, END, heard, said, section, stale_messages, written_page
from tests.house.quarantine_page import BEGIN as QUARANTINE_BEGIN
from tests.house.quarantine_page import END as QUARANTINE_END
from tests.house.quarantine_page import stale_quarantine
from tests.house.query_page import stale_query_page
from tests.house.requirements_page import (
    Group,
    compact,
    groups_of,
    marks_of,
    page,
    unkept_requirements,
    unproven,
)
from tests.house.settings_page import page as settings_page
from tests.house.settings_page import settings_of, undocumented_settings
from tests.house.tree import Tree
from tests.house.twin_page import stale_twin_page

MARKED = """
import pytest

pytestmark = [pytest.mark.integration, pytest.mark.requirement("F3")]


@pytest.mark.requirement("R22", "X1")
async def test_waits():
    assert True


@pytest.mark.requirement("S1")
class TestKeys:
    @pytest.mark.parametrize("n", [pytest.param(1, marks=pytest.mark.requirement("S2"))])
    def test_counts(self, n):
        assert n


def test_other():
    assert True
"""
TOML = (
    '[F]\ntitle = "Platform"\nF1 = "One twin."\nF3 = "One site."\n[R]\ntitle = "Rollout"\nR22 = "We wait."\n'
)
SETTINGS = '''
class Settings(Base):
    model_config = X()
    port: int = 80
    """Where it
    listens."""
    name: str | None = None
    """Of this node | site."""
    path: Path = Path(".data")
    """Data."""
    loud: bool = False
    """Say more."""

    def method(self): ...
'''


def project(root: Path, **files: str) -> Tree:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return Tree(root, tuple(files))


def test_marks_are_found_wherever_pytest_takes_them() -> None:
    found = {(mark.requirement, mark.test) for mark in marks_of("tests/test_x.py", MARKED)}
    assert found == {
        ("F3", ""),
        ("R22", "test_waits"),
        ("X1", "test_waits"),
        ("S1", "TestKeys"),
        ("S2", "TestKeys::test_counts"),
    }


def test_the_page_shows_each_requirement_beside_its_tests() -> None:
    text = page(groups_of(TOML), marks_of("tests/unit/test_x.py", MARKED))
    assert "2 of 3 have a test." in text
    assert "| F1 | One twin. |  |" in text
    assert "| F3 | One site. | `unit/test_x.py` |" in text
    assert "## Rollout (R)\n\n| id | what | proven by |\n|---|---|---|\n| R22 | We wait. |" in text


def test_a_stale_page_and_an_unknown_requirement_are_found(tmp_path: Path) -> None:
    files = {"tests/requirements.toml": TOML, "tests/unit/test_x.py": MARKED, "tests/REQUIREMENTS.md": "old"}
    problems = [str(problem) for problem in unkept_requirements(project(tmp_path, **files))]
    assert [problem.split(": ")[1] for problem in problems] == [
        "X1 is not in tests/requirements.toml",
        "S1 is not in tests/requirements.toml",
        "S2 is not in tests/requirements.toml",
        "is stale; run 'make requirements'",
    ]


def test_writing_makes_all_pages_true(tmp_path: Path) -> None:
    marked = '@pytest.mark.requirement("R22")\ndef test_x():\n    assert True\n'
    files = {
        "tests/requirements.toml": TOML,
        "tests/test_x.py": marked,
        "api/settings.py": SETTINGS,
        "csms/README.md": f"# csms\n{BEGIN}old\n{END}after\n",
        "docs/LIFE.md": f"# Life\n{QUARANTINE_BEGIN}old{QUARANTINE_END}\n",
    }
    (tmp_path / "deploy").mkdir()
    house.write(project(tmp_path, **files))
    written = Tree(
        tmp_path, (*files, "tests/REQUIREMENTS.md", "deploy/SETTINGS.md", "docs/TWIN.md", "docs/QUERY.md")
    )
    assert list(unkept_requirements(written)) == []
    assert list(undocumented_settings(written)) == []
    assert list(stale_messages(written)) == []
    assert list(stale_quarantine(written)) == []
    assert list(stale_twin_page(written)) == []
    (tmp_path / "docs/TWIN.md").write_text("old")
    assert len(list(stale_twin_page(written))) == 1
    assert list(stale_query_page(written)) == []
    (tmp_path / "docs/QUERY.md").write_text("old")
    assert len(list(stale_query_page(written))) == 1
    assert unproven(written) == ["F1", "F3"]


def test_settings_are_read_with_defaults_and_meanings() -> None:
    rows = [(s.variable, s.default, s.meaning) for s in settings_of(SETTINGS)]
    assert rows == [
        ("AMPWAVE_PORT", "`80`", "Where it listens."),
        ("AMPWAVE_NAME", "unset", "Of this node | site."),
        ("AMPWAVE_PATH", "`.data`", "Data."),
        ("AMPWAVE_LOUD", "false", "Say more."),
    ]
    assert "| `AMPWAVE_NAME` | unset | Of this node / site. |" in settings_page(SETTINGS)


def test_a_setting_without_a_sentence_is_found(tmp_path: Path) -> None:
    source = SETTINGS.replace('    """Data."""\n', "")
    files = {"api/settings.py": source, "deploy/SETTINGS.md": settings_page(source)}
    problems = list(undocumented_settings(project(tmp_path, **files)))
    assert [problem.what for problem in problems] == ["AMPWAVE_PATH has no docstring below it"]


@pytest.mark.parametrize(
    ("names", "short"),
    [
        ([], ""),
        (["F1"], "F1"),
        (["F1", "F2", "F3", "F7", "R1", "R2"], "F1-F3 F7 R1-R2"),
        (["F9", "F10"], "F9-F10"),
    ],
)
def test_runs_of_names_are_folded(names: list[str], short: str) -> None:
    assert compact(names) == short


@given(st.sets(st.integers(1, 40)), st.sets(st.integers(1, 40)))
def test_folded_names_can_be_unfolded(first: set[int], second: set[int]) -> None:
    names = [f"F{n}" for n in sorted(first)] + [f"S{n}" for n in sorted(second)]
    unfolded = []
    for run in compact(names).split():
        start, _, end = run.partition("-")
        unfolded += [f"{run[0]}{n}" for n in range(int(start[1:]), int((end or start)[1:]) + 1)]
    assert unfolded == names


def test_all_numbered_requirements_have_a_line() -> None:
    groups: list[Group] = groups_of((Path(__file__).parents[2] / "requirements.toml").read_text())
    assert {group.letter: len(group.lines) for group in groups} == {"F": 122, "R": 57, "X": 17, "S": 67}
    assert all(
        list(group.lines) == [f"{group.letter}{n}" for n in range(1, len(group.lines) + 1)]
        for group in groups
    )


def test_the_message_tables_show_what_is_handled_per_version() -> None:
    assert "| StartTransaction | event |  |  |" in heard(DIALECTS)
    assert "| NotifyEVChargingNeeds |  | answered | answered |" in heard(DIALECTS)
    assert "| GetLog | GetDiagnostics, GetLog | GetLog | GetLog |" in said(DIALECTS)
    unspoken = section(DIALECTS).splitlines()
    assert any(line.startswith("- ocpp1.6: ") and "UnlockConnector" in line for line in unspoken)


def test_a_message_table_that_is_stale_or_gone_is_found(tmp_path: Path) -> None:
    fresh = written_page(f"# csms\n{BEGIN}{END}after\n")
    assert fresh.startswith("# csms\n")
    assert fresh.endswith(f"{END}after\n")
    for text in (fresh.replace("| Heartbeat | event", "| Heartbeat | answered"), "# csms\n"):
        problems = list(stale_messages(project(tmp_path, **{"csms/README.md": text})))
        assert [problem.what[:13] for problem in problems] == ["does not say "]
