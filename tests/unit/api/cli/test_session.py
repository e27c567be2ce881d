"""Address, token, errors and exit codes: what every client command has in common."""

import json
import socket
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from api.cli.main import app
from api.cli.session import command, group

SITE = {"site_id": "harbour", "name": "Harbour", "time_zone": "Europe/Berlin", "max_down": 2}


def _closed_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def test_the_token_travels_as_bearer(run: Any, fake: Any) -> None:
    fake.page("/sites", [SITE])
    assert run("site", "list").exit_code == 0
    assert fake.seen[-1].headers["Authorization"].startswith("Bearer amp_test")


def test_json_is_all_there_is_on_standard_output(run: Any, fake: Any) -> None:
    fake.page("/sites", [SITE])
    result = run("site", "list", "--json")
    assert json.loads(result.stdout) == [SITE]
    assert result.stderr == ""


def test_without_a_token_it_says_what_to_do(home: Path, fake: Any) -> None:
    result = CliRunner().invoke(app, ["site", "list", "--url", fake.url])
    assert result.exit_code == 2
    assert "There is no token" in result.stderr
    assert "AMPWAVE_TOKEN" in result.stderr
    assert "ampwave token create" in result.stderr
    assert fake.seen == []


def test_the_token_of_up_serves_this_machine(home: Path, fake: Any) -> None:
    (home / ".ampwave").mkdir()
    (home / ".ampwave/token").write_text("amp_up_secret\n")
    fake.page("/sites", [])
    assert CliRunner().invoke(app, ["site", "list", "--url", fake.url]).exit_code == 0
    assert fake.seen[-1].headers["Authorization"] == "Bearer amp_up_secret"


def test_the_token_of_up_never_leaves_this_machine(home: Path) -> None:
    (home / ".ampwave").mkdir()
    (home / ".ampwave/token").write_text("amp_up_secret\n")
    result = CliRunner().invoke(app, ["site", "list", "--url", "https://elsewhere.example"])
    assert result.exit_code == 2
    assert "There is no token for https://elsewhere.example" in result.stderr


def test_a_named_token_file_comes_first(home: Path, fake: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "mine").write_text("amp_mine_secret")
    monkeypatch.setenv("AMPWAVE_API_TOKEN_FILE", "mine")
    monkeypatch.setenv("AMPWAVE_TOKEN", "amp_other_secret")
    fake.page("/sites", [])
    CliRunner().invoke(app, ["site", "list", "--url", fake.url])
    assert fake.seen[-1].headers["Authorization"] == "Bearer amp_mine_secret"


def test_a_token_file_that_is_missing_is_named(
    home: Path, fake: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AMPWAVE_API_TOKEN_FILE", "nowhere")
    result = CliRunner().invoke(app, ["site", "list", "--url", fake.url])
    assert result.exit_code == 2
    assert "nowhere cannot be read" in result.stderr


def test_a_refused_token_says_whence_it_came(run: Any, fake: Any) -> None:
    fake.refuse("GET", "/sites", 401, title="A valid token is needed", detail="Token x of ada expired.")
    result = run("site", "list")
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        "Error: A valid token is needed",
        "Token x of ada expired.",
        "The token came from the variable AMPWAVE_TOKEN.",
    ]
    assert "amp_test" not in result.output


def test_a_problem_is_told_with_every_item(run: Any, fake: Any) -> None:
    fake.refuse(
        "POST", "/sites", 422, title="The input breaks rules", detail="2 values.", problems=["a: no", "b: no"]
    )
    result = run("site", "add", "x", "--time-zone", "UTC")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        "Error: The input breaks rules",
        "2 values.",
        "  - a: no",
        "  - b: no",
    ]


def test_with_json_the_problem_stays_machine_readable(run: Any, fake: Any) -> None:
    fake.refuse("POST", "/sites", 409, title="The present state forbids this", detail="d", problems=[])
    result = run("site", "add", "x", "--time-zone", "UTC", "--json")
    assert result.stdout == ""
    problem = json.loads(result.stderr)
    assert (problem["type"], problem["status"], problem["exit_code"]) == ("/problems/x", 409, 1)


def test_nobody_there_is_exit_code_3(run: Any) -> None:
    result = run("site", "list", "--url", _closed_port())
    assert result.exit_code == 3
    assert "does not answer" in result.stderr
    assert "ampwave up" in result.stderr


def test_a_post_into_silence_says_how_to_repeat_it(run: Any) -> None:
    result = run(
        "site", "add", "x", "--time-zone", "UTC", "--url", _closed_port(), "--idempotency-key", "k-1"
    )
    assert result.exit_code == 3
    assert "--idempotency-key k-1" in result.stderr


def test_an_engine_that_is_down_is_exit_code_3(run: Any, fake: Any) -> None:
    fake.refuse("GET", "/sites", 503, title="An engine does not answer", detail="PostgreSQL is away.")
    result = run("site", "list")
    assert result.exit_code == 3
    assert "PostgreSQL is away." in result.stderr


def test_another_server_is_recognised(run: Any, fake: Any) -> None:
    fake.on("GET", "/sites", (200, b"<html>hello</html>"))
    result = run("site", "list")
    assert result.exit_code == 1
    assert "not the Ampwave api" in result.stderr


@pytest.mark.parametrize("url", ["localhost:8080", "ftp://x", "http://"])
def test_an_address_that_is_none_is_wrong_use(run: Any, url: str) -> None:
    result = run("site", "list", "--url", url)
    assert result.exit_code == 2
    assert "not the address of an api" in result.stderr


def test_settings_that_do_not_hold_are_named(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMPWAVE_API_PORT", "many")
    result = run("site", "list")
    assert result.exit_code == 2
    assert "AMPWAVE_API_PORT" in result.stderr


def test_posts_carry_an_idempotency_key_and_json_shows_it(run: Any, fake: Any) -> None:
    fake.on("POST", "/sites", (201, SITE))
    result = run("site", "add", "harbour", "--time-zone", "UTC", "--json")
    key = fake.last("POST", "/sites").headers["Idempotency-Key"]
    assert json.loads(result.stdout)["idempotency_key"] == key
    run("site", "add", "harbour", "--time-zone", "UTC", "--idempotency-key", "again-1")
    assert fake.last("POST", "/sites").headers["Idempotency-Key"] == "again-1"


def test_two_commands_of_one_name_do_not_start() -> None:
    """The first of them could never be reached."""
    tried = group("Tried.")

    def once(_session: Any) -> None: ...

    command(tried, "once")(once)
    with pytest.raises(RuntimeError, match="two commands 'once'"):
        command(tried, "once")(once)
