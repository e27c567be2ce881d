"""A worker that is killed is noticed soon, whatever it was at."""

import ast
import importlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio import workflow

from activities.errors import mapped
from activities.fleet import WaveQuery
from activities.health import HealthActivities
from workflows import options

_ROOT = Path(options.__file__).parent


def shared() -> Iterator[tuple[str, Any]]:
    """Every activity that a workflow calls by ``remotely``."""
    for path in sorted(_ROOT.glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "remotely":
                name = ast.unparse(node.args[0])
                holder, method = name.split(".")
                yield (
                    name,
                    getattr(getattr(importlib.import_module(f"workflows.{path.stem}"), holder), method),
                )


@mapped
async def _any() -> None: ...


def test_every_shared_activity_beats() -> None:
    found = dict(shared())
    assert "HealthActivities.measure_health" in found
    beats = _any.__code__  # type: ignore[attr-defined]
    assert not [name for name, method in found.items() if method.__code__ is not beats]


async def test_its_caller_notices_that_it_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    told: dict[str, Any] = {}

    async def execute(*_args: Any, **asked: Any) -> None:
        told.update(asked)

    monkeypatch.setattr(workflow, "execute_activity_method", execute)
    await options.remotely(HealthActivities.measure_health, WaveQuery("c1", 0), "health")
    assert timedelta(seconds=5) <= told["heartbeat_timeout"] <= timedelta(seconds=20)
