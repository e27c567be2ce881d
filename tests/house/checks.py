"""House rules that no off-the-shelf linter knows."""

import ast
import re
from collections.abc import Iterator

from tests.house.tree import Problem, Tree

LINES = 400
README_LINES = 80
_GENERATED = re.compile(r"^```mermaid\n.*?^```\n|^<!-- (\w+): .*?^<!-- /\1 -->\n", re.DOTALL | re.MULTILINE)
FOLDERS = ("workflows", "activities", "csms", "signing", "storage", "api", "tests", "deploy")

# Written in pieces, or this file would break its own rule.
HOSTS = ("pypi" + ".org", "python" + "hosted", "registry" + ".npmjs", "deb" + ".debian")
PLACES = ("/ro" + "ot/", "/wo" + "rk/", "/ho" + r"me/[A-Za-z]", "/Us" + r"ers/[A-Za-z]")
FORBIDDEN = re.compile(
    "|".join([*(re.escape(host) for host in HOSTS), *(rf"(?<![\w.\-]){p}" for p in PLACES)])
)

ASSERTING = re.compile(
    r"(^|\.)_*(assert\w*|fail|raises|warns|validate|validate_response|call_and_validate)$|^asyncio\.timeout$"
)
"""Calls that fail a test: ``asyncio.timeout`` does when what is waited for does not happen."""


def long_files(tree: Tree) -> Iterator[Problem]:
    """Python files stay small enough to see; an exception says why in its first lines."""
    for path in tree.python():
        lines = (tree.text(path) or "").splitlines()
        excused = any(line.startswith("# long-file: ") for line in lines[:15])
        if len(lines) > LINES and not excused and "/migrations/" not in path:
            yield Problem(
                path, len(lines), f"{len(lines)} lines; split it, or say '# long-file: why' at its top"
            )


def machine_traces(tree: Tree) -> Iterator[Problem]:
    """No committed file names a package index or a place on somebody's machine."""
    for path in tree.paths:
        for number, line in enumerate((tree.text(path) or "").splitlines(), 1):
            if found := FORBIDDEN.search(line):
                yield Problem(path, number, f"names {found.group()!r}")


def tests_without_assertion(tree: Tree) -> Iterator[Problem]:
    """A test that asserts nothing cannot fail."""
    for path in tree.python("tests/"):
        module = ast.parse(tree.text(path) or "", path)
        functions = [
            node for node in ast.walk(module) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        ]
        helpers = {function.name for function in functions if _asserts(function, frozenset())}
        for function in functions:
            if function.name.startswith("test_") and not _asserts(function, frozenset(helpers)):
                yield Problem(path, function.lineno, f"{function.name} asserts nothing")


def _asserts(function: ast.AST, helpers: frozenset[str]) -> bool:
    """By itself, by ``pytest.raises`` and its kin, or through a function of its file that asserts."""
    return any(
        isinstance(node, ast.Assert)
        or (
            isinstance(node, ast.Call)
            and bool(ASSERTING.search(name := ast.unparse(node.func)) or name in helpers)
        )
        for node in ast.walk(function)
    )


def missing_readmes(tree: Tree) -> Iterator[Problem]:
    """Every folder says on one screen what it is for; generated diagrams and sections do not count."""
    for folder in FOLDERS:
        path = f"{folder}/README.md"
        if path not in tree.paths:
            yield Problem(
                path, 1, "is missing: what the folder is for, what it imports, how to add the usual thing"
            )
        elif (length := len(_GENERATED.sub("", tree.text(path) or "").splitlines())) > README_LINES:
            yield Problem(path, length, f"{length} lines are more than one screen ({README_LINES})")
