"""The console entry: fast help, every command reachable, thin doors to the processes."""

import ast
import inspect
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from api.cli import processes
from api.cli.lazy import TABLE
from api.cli.main import app
from storage.errors import EngineUnavailable

CLI = Path(processes.__file__).parent
HEAVY = (
    "sqlalchemy",
    "temporalio",
    "fastapi",
    "tuf",
    "securesystemslib",
    "boto3",
    "pydantic",
    "httpx2",
    "rich",
    "yaml",
    "cryptography",
    "orjson",
)


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom typer.testing import CliRunner\nfrom api.cli.main import app\n"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_groups_help_imports_nothing_heavy_either() -> None:
    code = (
        "import sys\nfrom typer.testing import CliRunner\nfrom api.cli.main import app\n"
        f"groups = {list(TABLE)!r}\n"
        "for name in groups: assert CliRunner().invoke(app, [name, '--help']).exit_code == 0, name\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(ast.literal_eval(done.stdout))
    assert loaded <= {"pydantic"}  # typer checks parameters with it


def test_help_lists_every_command_with_what_it_is_for() -> None:
    text = CliRunner().invoke(app, ["--help"]).stdout
    for name, entry in TABLE.items():
        assert f"  {name}" in text
        assert entry.summary.split(",")[0] in text


@pytest.mark.parametrize("name", TABLE)
def test_every_entry_leads_somewhere(name: str) -> None:
    entry = TABLE[name]
    loaded = getattr(import_module(f"api.cli.{entry.module}"), entry.app)
    assert isinstance(loaded, typer.Typer)


def _commands(group: typer.Typer) -> list[Any]:
    return [info.callback for info in group.registered_commands]


@pytest.mark.parametrize("name", [name for name, entry in TABLE.items() if entry.module != "processes"])
def test_every_client_command_offers_json(name: str) -> None:
    entry = TABLE[name]
    for callback in _commands(getattr(import_module(f"api.cli.{entry.module}"), entry.app)):
        assert "as_json" in inspect.signature(callback).parameters, callback.__name__
        assert callback.__doc__


def test_an_unknown_command_is_wrong_use() -> None:
    result = CliRunner().invoke(app, ["chargr", "list"])
    assert result.exit_code == 2
    assert "charger" in result.stderr


def test_version() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert result.exit_code == 0
    assert result.stdout.startswith("ampwave 0.")


@pytest.mark.parametrize(
    ("arguments", "target", "given"),
    [
        (["up"], "up:run_up", {"data_dir": None}),
        (
            ["demo", "--chargers", "60", "--keep", "--seed", "3"],
            "demo:run_demo",
            {"chargers": 60, "keep": True, "report": None, "seed": 3},
        ),
        (["api"], "roles:run_api", {}),
        (["csms"], "roles:run_csms", {}),
        (["worker"], "roles:run_worker", {}),
        (["signer"], "roles:run_signer", {}),
        (["relay"], "roles:run_relay", {}),
        (["db", "upgrade"], "roles:run_db_upgrade", {}),
        (["db", "stats", "--json"], "roles:run_db_stats", {"as_json": True}),
        (["config", "check", "--json"], "roles:run_config_check", {"as_json": True}),
        (["config", "show"], "roles:run_config_show", {"as_json": False}),
    ],
)
def test_doors_hand_over_what_was_said(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], target: str, given: dict[str, Any]
) -> None:
    calls: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(processes, "call", lambda door, **said: calls.append((door, said)))
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert calls == [(target, given)]


def test_a_demo_too_small_for_its_story_is_refused_with_the_least_number() -> None:
    result = CliRunner().invoke(app, ["demo", "--chargers", "59"])
    assert result.exit_code == 2
    said = " ".join(result.output.replace("│", " ").split())
    assert "59 chargers are too few" in said
    assert "Take 60 or more." in said


def test_a_door_that_refuses_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    class Module:
        @staticmethod
        def run_up(**said: Any) -> int:
            raise EngineUnavailable("Port 8080 is taken.", hint="Set AMPWAVE_API_PORT.")

    monkeypatch.setattr(processes, "import_module", lambda name: Module)
    result = CliRunner().invoke(app, ["up"])
    assert result.exit_code == 1
    assert result.stderr.splitlines() == ["Error: Port 8080 is taken.", "Set AMPWAVE_API_PORT."]


def test_a_doors_exit_code_is_the_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    class Module:
        @staticmethod
        def run_demo(**said: Any) -> int:
            return 1

    monkeypatch.setattr(processes, "import_module", lambda name: Module)
    assert CliRunner().invoke(app, ["demo"]).exit_code == 1


@pytest.mark.parametrize(
    ("door", "names"),
    [
        ("up:run_up", {"data_dir"}),
        ("demo:run_demo", {"chargers", "keep", "report", "seed"}),
        *(
            (f"roles:run_{role}", set())
            for role in ("api", "csms", "worker", "signer", "relay", "db_upgrade")
        ),
        ("roles:run_simulate", {"fleet", "csms", "script", "report", "chargers", "roots"}),
        ("roles:run_config_check", {"as_json"}),
        ("roles:run_config_show", {"as_json"}),
    ],
)
def test_behind_every_door_is_what_it_calls(door: str, names: set[str]) -> None:
    module, _, name = door.partition(":")
    # Read, not imported: what is behind these doors takes seconds to import.
    source = ast.parse((CLI / f"{module}.py").read_text())
    [function] = [node for node in source.body if isinstance(node, ast.FunctionDef) and node.name == name]
    assert {argument.arg for argument in function.args.args} == names
