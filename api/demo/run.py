"""``ampwave demo``: everything on free ports in a folder of its own, the story, the report."""

import asyncio
import json
import os
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

from rich.console import Console

from api import bootstrap
from api.cli.errors import CliError
from api.cli.up import temporal_help
from api.demo.accounts import Books, close_books
from api.demo.approvers import enlist_approvers
from api.demo.closing import print_report, write_report
from api.demo.people import gather
from api.demo.report import Report
from api.demo.screen import Screen
from api.demo.story import HOUR_S, Ended, Story
from api.demo.workshop import Workshop
from api.embedded.engine import free_ports
from api.readiness import role_processes
from api.settings import Settings
from api.stack import prepared_engines, role_environment
from api.supervisor import RoleProcess, Supervisor
from api.until_signalled import until_signalled
from csms.simulator.spec import FleetSpec, default_fleet, save_fleet
from signing.development import ensure_manufacturer
from storage.clock import system_clock
from storage.errors import AmpwaveError


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What the command line asked for."""

    chargers: int = 60
    keep: bool = False
    report: Path | None = None
    seed: int = 7


def run_demo(options: DemoOptions) -> int:
    """Tell the whole story; 0 only if every promise held."""
    home = Path(tempfile.mkdtemp(prefix="ampwave-demo-"))
    console = Console()
    try:
        report = asyncio.run(_Demo(options, home, console).run())
    except (AmpwaveError, CliError) as error:
        console.print(f"[bold red]The demo did not end as it should.[/] {error}", highlight=False)
        console.print(f"Logs are in {home / 'logs'}.", highlight=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        console.print("Stopped.")
        return 130
    failures = report.failures()
    if failures:
        console.print(f"Logs are in {home / 'logs'}.", highlight=False, soft_wrap=True)
        return 1
    shutil.rmtree(home, ignore_errors=True)
    return 0


class _Demo:
    """One run."""

    def __init__(self, options: DemoOptions, home: Path, console: Console) -> None:
        self._options = options
        self._home = home
        self._console = console
        self._began = time.monotonic()
        self._ledger = home / "chargers.json"

    async def run(self) -> Report:
        """From nothing to the report; with ``keep`` until Ctrl-C."""
        settings = _settings(self._home)
        with Screen(self._console) as screen:
            began = time.monotonic()
            screen.begin("start PostgreSQL, S3, Temporal and five processes")
            async with (
                prepared_engines(settings, durable=False) as engines,
                Supervisor(self._home) as supervisor,
            ):
                ready = engines.settings
                await supervisor.start_all(role_processes(ready, os.environ))
                screen.end(time.monotonic() - began)
                self._link(screen, ready)
                ended = await self._tell(ready, supervisor, screen)
                await self._until_written_after(system_clock())
                report = await self._close(ready, ended)
                screen.__exit__()
                print_report(self._console, report, ended)
                if self._options.report:
                    write_report(self._options.report, report)
                if self._options.keep:
                    await self._keep(ready)
        return report

    async def _tell(self, settings: Settings, supervisor: Supervisor, screen: Screen) -> Ended:
        """The story runs in a thread of its own: it is a person at a command line."""
        loop = asyncio.get_running_loop()
        fleet = self._fleet(settings)
        await enlist_approvers(settings)
        token = settings.token_path.read_text().strip()
        people = await asyncio.to_thread(gather, settings.base_url, token, settings.keys)
        simulator = self._simulator(settings, fleet)
        story = Story(
            people=people,
            screen=screen,
            fleet=fleet,
            workshop=self._workshop(settings),
            start_fleet=lambda: asyncio.run_coroutine_threadsafe(supervisor.start(simulator), loop).result(),
            seed=self._options.seed,
        )
        try:
            return await asyncio.to_thread(story.tell)
        finally:
            people.close()

    async def _close(self, settings: Settings, ended: Ended) -> Report:
        async with bootstrap.open_stores(settings) as stores:
            client = await bootstrap.connect_temporal(settings)
            books = Books(self._options.chargers, ended, self._ledger, stores.frames, client)
            return await close_books(books, time.monotonic() - self._began)

    def _workshop(self, settings: Settings) -> Workshop:
        role = _role(settings)
        maker = ensure_manufacturer(settings.keys, role, system_clock())
        return Workshop(maker, role, settings.keys, self._home, system_clock)

    def _fleet(self, settings: Settings) -> FleetSpec:
        now = system_clock()
        manufacturer = ensure_manufacturer(settings.keys, _role(settings), now)
        fleet = default_fleet(
            self._options.chargers, sites=max(2, self._options.chargers // 5), seed=self._options.seed
        )
        # Short sessions and many of them: most chargers are met with a car at least once, and the gates have
        # sessions to compare.
        pace = replace(fleet.pace, session_s=(4.0, 12.0))
        return replace(fleet, manufacturer_roots=(manufacturer.root,), pace=pace)

    def _simulator(self, settings: Settings, fleet: FleetSpec) -> RoleProcess:
        path = self._home / "fleet.json"
        save_fleet(fleet, path)
        url = f"ws://{settings.bind_host}:{settings.csms_port}/ocpp"
        words = ("simulate", "--fleet", str(path), "--csms", url, "--report", str(self._ledger))
        return RoleProcess(
            "simulate",
            role_environment(settings, os.environ),
            argv=(sys.executable, "-m", "api.cli.main", *words),
        )

    def _link(self, screen: Screen, settings: Settings) -> None:
        screen.link("dashboard", f"{settings.base_url}/")
        screen.link("token", str(settings.token_path))
        if settings.temporal_ui_url:
            screen.link("Temporal", settings.temporal_ui_url)

    async def _until_written_after(self, instant: datetime) -> None:
        """Wait for the chargers' own account of everything up to now; they rewrite it every second."""
        while datetime.fromisoformat(self._written_at()) <= instant:  # noqa: ASYNC110 - another process writes
            await asyncio.sleep(0.1)

    def _written_at(self) -> str:
        return str(json.loads(self._ledger.read_text())["written_at"])

    async def _keep(self, settings: Settings) -> None:
        self._console.print(
            f"\nEverything keeps running until Ctrl-C. Log in at {settings.base_url}/ with the token in "
            f"{settings.token_path}; on the command line:\n"
            f"  export AMPWAVE_PUBLIC_URL={settings.base_url} AMPWAVE_DATA_DIR={settings.data_dir} "
            f"AMPWAVE_S3_PORT={urlsplit(settings.s3_endpoint or '').port}\n"
            f"The signing keys are in {settings.keys}: those of the vendor (voltworks-…), and\n"
            "of those who sign their yes to campaigns, release-approver and release-approver-2:\n"
            "  ampwave token create release-approver --role release-manager --out approver.token\n"
            "  AMPWAVE_API_TOKEN_FILE=approver.token ampwave campaign approve CAMPAIGN "
            f"--key file2:{settings.keys}/approver-release-approver.pem\n"
            f"Temporal is at {settings.temporal_ui_url}: {temporal_help(settings)}",
            highlight=False,
            soft_wrap=True,
        )
        await until_signalled()


def _settings(home: Path) -> Settings:
    """Free ports, a folder of its own, and nothing from the shell's AMPWAVE_ variables but the engines."""
    api_port, csms_port = free_ports(2)
    return Settings(
        data_dir=home,
        api_port=api_port,
        csms_port=csms_port,
        csms_tls_port=0,
        csms_internal_port=0,
        postgres_port=0,
        s3_port=0,
        temporal_port=0,
        temporal_ui_port=0,
        csms_heartbeat_interval_s=2,
        health_hour_s=HOUR_S,
    )


def _role(settings: Settings) -> str:
    return bootstrap.development_roles(settings)[0]
