"""``ampwave up``: the engines and every role on this machine, until Ctrl-C."""

import asyncio
import os
from pathlib import Path

from rich.console import Console

from api import bootstrap
from api.cli.errors import CliError
from api.development_tls import development_root
from api.readiness import role_processes
from api.settings import Settings
from api.stack import prepared_engines
from api.supervisor import Supervisor
from api.until_signalled import until_signalled
from storage.errors import AmpwaveError


def run_up(data_dir: Path | None = None) -> int:
    """Start everything and wait for Ctrl-C or SIGTERM; the exit code."""
    try:
        settings = Settings() if data_dir is None else Settings(data_dir=data_dir)
        asyncio.run(_up(settings, Console(stderr=False)))
    except AmpwaveError as error:
        raise CliError(error.message, hint=error.hint) from error
    return 0


async def _up(settings: Settings, console: Console) -> None:
    def died(role: str, code: int, delay_s: float) -> None:
        console.print(f"{role} ended with code {code}; it starts again in {delay_s:.1f} s", highlight=False)

    console.print(f"Starting engines and processes under {settings.data_dir} …", highlight=False)
    async with (
        prepared_engines(settings) as engines,
        Supervisor(settings.data_dir, on_restart=died) as supervisor,
    ):
        await supervisor.start_all(role_processes(engines.settings, os.environ))
        console.print(welcome(engines.settings), highlight=False, soft_wrap=True)
        await until_signalled()
        console.print("\nStopping …", highlight=False)


def welcome(settings: Settings) -> str:
    """What to do with what runs now."""
    role = bootstrap.development_roles(settings)[0]
    return f"""
  dashboard    {settings.base_url}/     (log in with the token in {settings.token_path})
  api          {settings.base_url}/api/v1    docs at {settings.base_url}/docs
  chargers     ws://{settings.bind_host}:{settings.csms_port}/ocpp/CHARGER_ID
               wss://{settings.bind_host}:{settings.csms_tls_port}/ocpp/CHARGER_ID{_trusting(settings)}
  temporal     {settings.temporal_ui_url or settings.temporal_address}{_readable(settings)}
  logs         {settings.data_dir / "logs"}

The signing keys in {settings.keys} are for DEVELOPMENT: all on one machine, in files.
People of the vendor role {role!r} sign with --key file2:{settings.keys.resolve()}/{role}-release.pem
and the like. Ctrl-C stops everything; the data stay.
"""


def temporal_help(settings: Settings) -> str:
    """What a person does once, so that Temporal's page shows what is encrypted there.

    It cannot be set for them: the page asks without the login, and nobody reads a history without one.
    """
    return (
        "encrypted; to read it: log in to the dashboard, then once in Temporal's page, behind the glasses\n"
        f"at the top: Use my browser setting, {settings.base_url}/codec, Include cross-origin credentials"
    )


def _readable(settings: Settings) -> str:
    if settings.temporal_ui_url is None:
        return ""
    return "".join(f"\n               {line}" for line in temporal_help(settings).splitlines())


def _trusting(settings: Settings) -> str:
    root = development_root(settings)
    return f"    trusting {root}, for DEVELOPMENT" if root.exists() else ""
