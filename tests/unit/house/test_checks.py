"""Each house rule catches what it forbids, and lets pass what it allows."""

import subprocess
from pathlib import Path

import pytest

from tests.house.checks import (
    LINES,
    README_LINES,
    long_files,
    machine_traces,
    missing_readmes,
    tests_without_assertion,
)
from tests.house.deploy import deploy_problems
from tests.house.tree import Problem, Tree

tests_without_assertion.__test__ = False  # type: ignore[attr-defined]  # a rule, not a test


def tree(root: Path, **files: str) -> Tree:
    """A project; ``__`` in a name is ``/`` and ``_py``, ``_md``... at its end is the suffix."""
    paths = []
    for name, text in files.items():
        stem, _, suffix = name.replace("__", "/").rpartition("_")
        path = f"{stem}.{suffix}"
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
        paths.append(path)
    return Tree(root, tuple(paths))


def test_a_long_file_is_found_unless_it_says_why(tmp_path: Path) -> None:
    long = "x = 1\n" * (LINES + 1)
    found = tree(
        tmp_path,
        csms__long_py=long,
        csms__short_py="x = 1\n" * LINES,
        csms__excused_py=f'"""A table."""\n# long-file: one table, read as a whole\n{long}',
        storage__migrations__first_py=long,
        tests__list_txt=long,
    )
    assert [problem.path for problem in long_files(found)] == ["csms/long.py"]


@pytest.mark.parametrize(
    "line",
    [
        "index = https://" + "pypi" + ".org/simple",
        "https://files." + "python" + "hosted.org/x",
        "deb http://" + "deb" + ".debian.org stable",
        "registry=https://" + "registry" + ".npmjs.org",
        "see /ro" + "ot/.config",
        "cd /wo" + "rk/main",
        "open('/ho" + "me/sam/x')",
        "/Us" + "ers/sam/x",
    ],
)
def test_a_trace_of_a_machine_is_found_with_its_line(tmp_path: Path, line: str) -> None:
    problems = list(machine_traces(tree(tmp_path, docs__page_md=f"fine\n{line}\n")))
    assert [(problem.path, problem.line) for problem in problems] == [("docs/page.md", 2)]


@pytest.mark.parametrize(
    "line", ["$(HOME)/.cache", "/firmware/wo" + "rk/1.2", "rooted/", "go home/ now", "/tmp/x"]
)
def test_a_harmless_line_is_none(tmp_path: Path, line: str) -> None:
    assert list(machine_traces(tree(tmp_path, docs__page_md=line))) == []


def test_binary_files_are_not_read_as_text(tmp_path: Path) -> None:
    found = tree(tmp_path, docs__picture_png="/ro" + "ot/\0")
    assert list(machine_traces(found)) == []


@pytest.mark.parametrize(
    "body",
    [
        "    work()",
        "    work().check()",
        "    with suppress(Exception):\n        work()",
        "    asserted = work()",
        "    with work(timeout=5):\n        pass",
    ],
)
def test_a_test_that_cannot_fail_is_found(tmp_path: Path, body: str) -> None:
    found = tree(tmp_path, tests__test_x_py=f"class TestX:\n  async def test_nothing(self):\n  {body}\n")
    assert [problem.what for problem in tests_without_assertion(found)] == ["test_nothing asserts nothing"]


@pytest.mark.parametrize(
    "body",
    [
        "    assert work()",
        "    with pytest.raises(ValueError):\n        work()",
        "    pytest.fail('no')",
        "    mock.assert_called_once()",
        "    _assert_sorted(work())",
        "    case.call_and_validate()",
        "    same(work(), 1)",
        "    validator.validate(work())",
        "    with asyncio.timeout(5):\n        work()",
        "    for n in range(3):\n        assert n == n",
    ],
)
def test_a_test_that_can_fail_is_none(tmp_path: Path, body: str) -> None:
    found = tree(tmp_path, tests__test_x_py=f"def same(a, b):\n    assert a == b\n\ndef test_it():\n{body}\n")
    assert list(tests_without_assertion(found)) == []


def test_a_folder_without_a_readme_and_a_readme_without_measure_are_found(tmp_path: Path) -> None:
    readmes = {f"{folder}__README_md": "short\n" for folder in ("workflows", "activities", "csms", "signing")}
    readmes |= {f"{folder}__README_md": "short\n" for folder in ("storage", "api", "tests")}
    readmes["csms__README_md"] = "long\n" * (README_LINES + 1)
    problems = {problem.path: problem.what for problem in missing_readmes(tree(tmp_path, **readmes))}
    assert set(problems) == {"csms/README.md", "deploy/README.md"}
    assert "is missing" in problems["deploy/README.md"]
    assert "more than one screen" in problems["csms/README.md"]


def test_a_bad_image_and_bad_services_are_found(tmp_path: Path) -> None:
    found = tree(tmp_path, deploy__Dockerfile_x="", deploy__compose_yaml="services:\n  api:\n    imagee: x\n")
    (tmp_path / "deploy" / "Dockerfile").write_text("FROM python:latest\n")
    found = Tree(tmp_path, ("deploy/Dockerfile", *found.paths))
    said = "\n".join(map(str, deploy_problems(found)))
    assert "DL3007" in said
    assert "imagee" in said


def test_missing_deploy_files_are_found(tmp_path: Path) -> None:
    assert {problem.path for problem in deploy_problems(Tree(tmp_path, ()))} == {
        "deploy/Dockerfile",
        "deploy/compose.yaml",
    }


def test_the_tree_holds_new_files_and_no_ignored_ones(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / ".gitignore").write_text("ignored.py\n")
    (tmp_path / "ignored.py").touch()
    (tmp_path / "new.py").touch()
    assert Tree.of(tmp_path).paths == (".gitignore", "new.py")


def test_a_problem_reads_like_a_compilers() -> None:
    assert str(Problem("csms/x.py", 3, "names 'x'")) == "csms/x.py:3: names 'x'"
