"""tests/REQUIREMENTS.md: every numbered requirement beside the tests that prove it."""

import ast
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby

from tests.house.tree import Problem, Tree

SOURCE = "tests/requirements.toml"
PAGE = "tests/REQUIREMENTS.md"
HEAD = """# Requirements and their proofs

Written by `make requirements` from `tests/requirements.toml` and the marks
`@pytest.mark.requirement("R22")` on the tests; do not edit.
"""


@dataclass(frozen=True)
class Mark:
    """A test that says it proves a requirement."""

    requirement: str
    path: str
    test: str
    line: int


@dataclass(frozen=True)
class Group:
    """Requirements that share a letter."""

    letter: str
    title: str
    lines: Mapping[str, str]


def groups_of(text: str) -> list[Group]:
    """The requirements, in the order of their file."""
    tables = tomllib.loads(text)
    return [
        Group(letter, table["title"], {name: line for name, line in table.items() if name != "title"})
        for letter, table in tables.items()
    ]


def marks_of(path: str, text: str) -> list[Mark]:
    """All marks of one test file: on functions, on classes, on single parameters, and on the whole file."""
    module = ast.parse(text, path)
    found = []
    for statement in module.body:
        if isinstance(statement, ast.Assign) and _assigns(statement, "pytestmark"):
            found += _marks(statement, path, "")
        else:
            found += _marks_of_definition(statement, path, "")
    return found


def _assigns(statement: ast.Assign, name: str) -> bool:
    return any(isinstance(target, ast.Name) and target.id == name for target in statement.targets)


def _marks_of_definition(node: ast.stmt, path: str, outer: str) -> list[Mark]:
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return []
    name = f"{outer}{node.name}"
    found = [mark for decorator in node.decorator_list for mark in _marks(decorator, path, name)]
    if isinstance(node, ast.ClassDef):
        found += [mark for inner in node.body for mark in _marks_of_definition(inner, path, f"{name}::")]
    return found


def _marks(node: ast.AST, path: str, test: str) -> list[Mark]:
    return [
        Mark(_literal(argument), path, test, call.lineno)
        for call in ast.walk(node)
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "pytest.mark.requirement"
        for argument in call.args
    ]


def _literal(argument: ast.expr) -> str:
    return str(argument.value) if isinstance(argument, ast.Constant) else ast.unparse(argument)


def all_marks(tree: Tree) -> list[Mark]:
    """The marks of all test files, in order."""
    return [
        mark
        for path in tree.python("tests/")
        if path.rpartition("/")[2].startswith("test_")
        for mark in marks_of(path, tree.text(path) or "")
    ]


def page(groups: list[Group], marks: list[Mark]) -> str:
    """The whole page."""
    proofs: dict[str, list[str]] = {}
    for mark in marks:
        test = f"{mark.path.removeprefix('tests/')}" + (f"::{mark.test}" if mark.test else "")
        if test not in proofs.setdefault(mark.requirement, []):
            proofs[mark.requirement].append(test)
    known = [name for group in groups for name in group.lines]
    proven = [name for name in known if name in proofs]
    counted = f"{HEAD}\n{len(proven)} of {len(known)} have a test.\n"
    return "\n".join([counted, *(_table(group, proofs) for group in groups)])


def _table(group: Group, proofs: Mapping[str, list[str]]) -> str:
    rows = [
        f"| {name} | {line} | {'<br>'.join(f'`{test}`' for test in proofs.get(name, []))} |"
        for name, line in group.lines.items()
    ]
    heading = f"## {group.title} ({group.letter})\n\n| id | what | proven by |\n|---|---|---|\n"
    return heading + "\n".join(rows) + "\n"


def written_page(tree: Tree) -> str:
    """The page as it has to be now."""
    return page(groups_of(tree.text(SOURCE) or ""), all_marks(tree))


def unkept_requirements(tree: Tree) -> Iterator[Problem]:
    """Tests name requirements that exist, and the page tells the truth."""
    known = {name for group in groups_of(tree.text(SOURCE) or "") for name in group.lines}
    for mark in all_marks(tree):
        if mark.requirement not in known:
            yield Problem(mark.path, mark.line, f"{mark.requirement} is not in {SOURCE}")
    current = tree.text(PAGE) if PAGE in tree.paths else None
    if current != written_page(tree):
        yield Problem(PAGE, 1, "is stale; run 'make requirements'")


def unproven(tree: Tree) -> list[str]:
    """The requirements that no test names yet."""
    proven = {mark.requirement for mark in all_marks(tree)}
    groups = groups_of(tree.text(SOURCE) or "")
    return [name for group in groups for name in group.lines if name not in proven]


def compact(names: list[str]) -> str:
    """``F1 F2 F3 F7 R1`` as ``F1-F3 F7 R1``; names are a letter and a number, in order."""
    numbered = [(name[0], int(re.sub(r"\D", "", name))) for name in names]
    runs = []
    for _, run in groupby(enumerate(numbered), key=lambda item: (item[1][0], item[1][1] - item[0])):
        letters = [f"{letter}{number}" for _, (letter, number) in run]
        runs.append(letters[0] if len(letters) == 1 else f"{letters[0]}-{letters[-1]}")
    return " ".join(runs)
