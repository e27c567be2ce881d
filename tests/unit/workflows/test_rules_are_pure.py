"""Rules pass the workflow sandbox by, so nothing but this test keeps clocks and chance out of them."""

import ast
from pathlib import Path

import pytest

import workflows
from workflows.registry import WORKFLOWS

FOLDER = Path(workflows.__path__[0])
SKINS = {"client.py", "registry.py", "relay.py"}
"""Not run inside workflows."""
FORBIDDEN_CALLS = {
    "now",
    "utcnow",
    "today",
    "time",
    "monotonic",
    "perf_counter",
    "uuid4",
    "urandom",
    "getenv",
    "open",
}
FORBIDDEN_IMPORTS = {"time", "uuid", "secrets", "os", "socket", "subprocess", "threading"}
MODULES = sorted(path for path in FOLDER.glob("*.py") if path.name not in SKINS)


def calls(tree: ast.AST) -> list[str]:
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            function = node.func
            if isinstance(function, ast.Attribute):
                owner = function.value.id if isinstance(function.value, ast.Name) else ""
                found.append(f"{owner}.{function.attr}")
            elif isinstance(function, ast.Name):
                found.append(f".{function.id}")
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_no_clock_no_chance_no_io(path: Path) -> None:
    tree = ast.parse(path.read_text())
    for call in calls(tree):
        owner, name = call.split(".")
        assert owner == "workflow" or name not in FORBIDDEN_CALLS, call
        assert call != ".Random" or path.name == "draw.py", "only the draw uses chance, from the plan's seed"
    imported = {
        name.name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (node.names if isinstance(node, ast.Import) else [ast.alias(node.module or "")])
    }
    assert not imported & FORBIDDEN_IMPORTS


def test_activities_and_queues_are_named_once() -> None:
    names = [kind.__name__ for kind in WORKFLOWS]
    assert len(set(names)) == len(names)
    assert all(name.endswith("Workflow") for name in names)
