"""Commands that are imported only when they run, so that ``--help`` stays fast."""

from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup


@dataclass(frozen=True, slots=True)
class Entry:
    """One top-level command: where it lives and what ``--help`` says of it."""

    section: str
    summary: str
    module: str
    app: str = "app"
    """The ``typer.Typer`` in that module; with a single command it becomes that command."""


TABLE: dict[str, Entry] = {
    "up": Entry("On this machine", "Start the engines and all processes, until Ctrl-C.", "processes", "up"),
    "demo": Entry(
        "On this machine", "Run the main job end to end on a simulated fleet.", "processes", "demo"
    ),
    "simulate": Entry("On this machine", "Run simulated chargers against a CSMS.", "processes", "simulate"),
    "artifact": Entry("Releases", "Upload, sign and release firmware.", "artifact"),
    "withdrawal": Entry("Releases", "Take an image or certificate away, and give it back.", "withdrawal"),
    "campaign": Entry("Releases", "Plan, approve, watch and stop rollouts.", "campaign"),
    "gate": Entry("Releases", "Try how a gate judges, on simulated fleets.", "gate"),
    "halt": Entry("Releases", "Stop everything; two people restore it.", "halt"),
    "charger": Entry("Fleet", "Import, register, look at and command chargers.", "charger"),
    "provisioning": Entry("Fleet", "Bring chargers into service; what each waits for.", "provisioning"),
    "site": Entry("Fleet", "Sites and how many chargers each may miss at once.", "site"),
    "calendar": Entry("Fleet", "Times in which nothing is installed: grid, tariff, freeze.", "calendar"),
    "model": Entry("Fleet", "What holds for every charger of one model.", "model"),
    "export": Entry("Fleet", "Daily files for finance, with a manifest of digests.", "export"),
    "incident": Entry("Fleet", "What a person should know of, and closing it by hand.", "incident"),
    "webhook": Entry("Fleet", "Who outside is told, by signed notices.", "webhook"),
    "audit": Entry("Trust", "Export the audit log and check its chain.", "audit"),
    "cert": Entry("Trust", "Issue, renew and revoke chargers' certificates.", "cert"),
    "receipt": Entry("Trust", "Check what was signed about a charger, offline.", "receipt"),
    "key": Entry("Trust", "Make and list keys to sign releases with.", "key"),
    "tuf": Entry("Trust", "Set up and check the signed repository.", "tuf"),
    "privacy": Entry("Trust", "Take a person out of what is kept.", "privacy"),
    "token": Entry("Trust", "Who may use the api.", "token"),
    "api": Entry("Processes", "HTTP, dashboard and downloads.", "processes", "api"),
    "csms": Entry("Processes", "A node that holds chargers' sockets.", "processes", "csms"),
    "worker": Entry("Processes", "Workflows and shared activities.", "processes", "worker"),
    "signer": Entry("Processes", "The only process that reaches the online keys.", "processes", "signer"),
    "relay": Entry("Processes", "Events to the workflows that wait for them.", "processes", "relay"),
    "db": Entry("Processes", "Bring the database up to date; what is kept how long.", "processes", "db"),
    "config": Entry("Processes", "Check and show the settings.", "processes", "config"),
}


class LazyGroup(TyperGroup):
    """The top level: lists TABLE without importing anything, loads one entry when it is called."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - the group's signature
        """Every name, in the order of the table."""
        return list(TABLE)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - the group's signature
        """Import the module behind a name and build its commands."""
        entry = TABLE.get(cmd_name)
        if entry is None:
            return None
        if cmd_name not in self.commands:
            app = getattr(import_module(f"api.cli.{entry.module}"), entry.app)
            command = typer.main.get_command(app)
            command.name = cmd_name
            self.commands[cmd_name] = command
        return self.commands[cmd_name]

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """As usual, with a suggestion from the table for a name that is not in it."""
        if args and args[0] not in TABLE and not args[0].startswith("-"):
            close = get_close_matches(args[0], TABLE)
            ctx.fail(f"No such command {args[0]!r}." + (f" Did you mean {close[0]!r}?" if close else ""))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 - the group's signature
        """The table, section by section."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for name, entry in TABLE.items():
            sections.setdefault(entry.section, []).append((name.ljust(9), entry.summary))
        for title, rows in sections.items():
            with formatter.section(title):
                formatter.write_dl(rows)
