"""The long-running roles, one process each, and the commands that concern this machine's settings."""

import asyncio
import json
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import uvloop
from pydantic import SecretStr
from rich.console import Console

from api import logs
from api.cli.credentials import load_settings
from api.cli.errors import CliError
from api.cli.output import Screen
from api.settings import Settings
from storage.errors import AmpwaveError

_HIDDEN = "(hidden)"


def run_api() -> int:
    """Serve HTTP until SIGTERM."""
    from api import serving

    return _run("api", serving.serve_api)


def run_csms() -> int:
    """Hold chargers' sockets until SIGTERM."""
    from api import serving

    return _run("csms", serving.serve_csms)


def run_worker() -> int:
    """Run workflows and shared activities until SIGTERM."""
    from api import serving

    return _run("worker", serving.serve_worker)


def run_signer() -> int:
    """Sign until SIGTERM."""
    from api import serving

    return _run("signer", serving.serve_signer)


def run_relay() -> int:
    """Carry the outbox until SIGTERM."""
    from api import serving

    return _run("relay", serving.serve_relay)


def run_db_upgrade() -> int:
    """Apply the migrations that are missing."""
    from api import bootstrap

    async def upgrade(settings: Settings) -> None:
        Console().print(f"The database is at revision {await bootstrap.upgrade_database(settings)}.")

    return _run("db", upgrade)


def run_db_stats(as_json: bool) -> int:
    """Say how large the tables are and how far they reach back."""
    from api import bootstrap
    from api.cli.database import draw_statistics, statistics_json
    from storage.clock import system_clock

    async def show(settings: Settings) -> None:
        tables, kept = await bootstrap.database_statistics(_of_up(settings)), kept_days(settings)
        if as_json:
            print(json.dumps(statistics_json(tables, kept), indent=2))
        else:
            draw_statistics(Screen(), tables, kept, system_clock())

    return _run("db", show)


def _of_up(settings: Settings) -> Settings:
    """Where no database is set, the one that ``ampwave up`` keeps."""
    from api.embedded.postgres import url_of_up

    url = url_of_up(settings.data_dir, settings.postgres_port)
    if settings.database_url is not None or url is None:
        return settings
    return settings.model_copy(update={"database_url": SecretStr(url)})


def kept_days(settings: Settings) -> dict[str, int]:
    """Which tables are kept short, and how short; of a log the bytes go, not the row."""
    from workflows.observer import ObserverPace

    logs_and_frames = {"frame": settings.journal_kept_days, "log_upload": settings.log_kept_days}
    return {**logs_and_frames, "health_hour": ObserverPace().keep_hours_days}


def run_simulate(
    csms: str,
    fleet: Path | None,
    script: Path | None,
    report: Path | None,
    chargers: Path | None,
    roots: list[Path] | None,
) -> int:
    """Run simulated chargers until Ctrl-C, or write down who they are."""
    from csms.simulator.main import read_fleet, run_simulator, trusting, write_chargers
    from storage.clock import system_clock

    logs.configure(load_settings(), "simulate")
    try:
        known = trusting(read_fleet(fleet, script), roots or ())
        if chargers:
            write_chargers(known, chargers)
            return 0
        run_simulator(known, csms, report, system_clock)
    except AmpwaveError as error:
        raise CliError(error.diagnostics()) from error
    return 0


def run_config_check(as_json: bool) -> int:
    """Say what is wrong with the settings, if anything."""
    from api.settings_check import problems

    found = problems(load_settings())
    if as_json:
        print(json.dumps({"problems": found}))
    else:
        print("\n".join(found) or "The settings hold.")
    return 1 if found else 0


def run_config_show(as_json: bool) -> int:
    """Show the settings in force, secrets hidden."""
    shown = {
        f"AMPWAVE_{name.upper()}": _HIDDEN
        if "key" in name and "file" not in name and "dir" not in name
        else value
        for name, value in load_settings().model_dump(mode="json").items()
    }
    if as_json:
        print(json.dumps(shown, indent=2))
    else:
        width = max(map(len, shown))
        print(
            "\n".join(f"{name:<{width}}  {'' if value is None else value}" for name, value in shown.items())
        )
    return 0


def _run(role: str, serve: Any) -> int:
    settings = load_settings()
    logs.configure(settings, role)
    work: Coroutine[Any, Any, None] = serve(settings)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(work)
    except AmpwaveError as error:
        raise CliError(error.message, hint=error.hint) from error
    return 0
