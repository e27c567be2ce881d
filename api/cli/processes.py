"""Doors to the long-running processes and to this machine; the work is imported when one is called."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli.session import fail, group
from storage.errors import AmpwaveError

JsonFlag = Annotated[bool, typer.Option("--json", help="Write JSON to standard output, nothing else.")]


def call(target: str, **arguments: Any) -> None:
    """Import ``module:function`` below ``api.cli``, call it, and end with the exit code it returns."""
    module, _, name = target.partition(":")
    try:
        code = getattr(import_module(f"api.cli.{module}"), name)(**arguments)
    except AmpwaveError as error:
        fail(error, as_json=bool(arguments.get("as_json")))
    raise typer.Exit(code or 0)


def single(function: Callable[..., None]) -> typer.Typer:
    """A typer with one command, which thereby is that command itself."""
    app = typer.Typer(rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False)
    app.command()(function)
    return app


def _up(
    data_dir: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where engines keep their data. [default: .ampwave]")
    ] = None,
) -> None:
    """Start PostgreSQL, S3, Temporal and every process on this machine, until Ctrl-C."""
    call("up:run_up", data_dir=data_dir)


FEWEST = 60
"""With 40 a gate can still tell, but too few share what a campaign costs as a whole for its budget."""


def _enough(chargers: int) -> int:
    if chargers < FEWEST:
        raise typer.BadParameter(
            f"{chargers} chargers are too few for its story: gates that can tell a bad release from chance, "
            f"and costs that many share. Take {FEWEST} or more."
        )
    return chargers


def _demo(
    chargers: Annotated[
        int, typer.Option(metavar="N", callback=_enough, help=f"Simulated chargers, {FEWEST} or more.")
    ] = 60,
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything running to look around.")] = False,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the closing report as JSON.")
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Same seed, same fleet.")] = 7,
) -> None:
    """Boot everything, roll a good release out, catch a bad one and roll it back; 0 only if all held."""
    call("demo:run_demo", chargers=chargers, keep=keep, report=report, seed=seed)


def _simulate(
    csms: Annotated[str, typer.Option(metavar="URL", help="Where chargers connect, ws://HOST:PORT/ocpp.")],
    fleet: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The fleet, charger by charger.", exists=True)
    ] = None,
    script: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A script: how many, how busy, what befalls them.")
    ] = None,
    chargers: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Only write them for `ampwave charger import`.")
    ] = None,
    manufacturer_root: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="PEM; firmware has to be signed under it. Repeat for more."),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write what every charger did as JSON.")
    ] = None,
) -> None:
    """Run simulated chargers on real sockets until Ctrl-C, from a fleet file or a script."""
    call(
        "roles:run_simulate",
        fleet=fleet,
        script=script,
        csms=csms,
        report=report,
        chargers=chargers,
        roots=manufacturer_root,
    )


def _api() -> None:
    """Serve HTTP, the dashboard and firmware downloads."""
    call("roles:run_api")


def _csms() -> None:
    """Hold chargers' sockets; start as many as you like behind a TCP balancer."""
    call("roles:run_csms")


def _worker() -> None:
    """Run workflows and shared activities; start as many as you like."""
    call("roles:run_worker")


def _signer() -> None:
    """Sign metadata and directives: the only process that reaches the online keys."""
    call("roles:run_signer")


def _relay() -> None:
    """Carry events from PostgreSQL to the workflows that wait for them."""
    call("roles:run_relay")


up = single(_up)
demo = single(_demo)
simulate = single(_simulate)
api = single(_api)
csms = single(_csms)
worker = single(_worker)
signer = single(_signer)
relay = single(_relay)

db = group("Bring the database to this version; how large it is, and what is kept how long.")
config = group("Check and show the settings.")


@db.command("upgrade")
def _db_upgrade() -> None:
    """Apply the migrations that are missing; does nothing on a current database."""
    call("roles:run_db_upgrade")


@db.command("stats")
def _db_stats(as_json: JsonFlag = False) -> None:
    """Say how large the tables are, how far they reach back, and what is removed when."""
    call("roles:run_db_stats", as_json=as_json)


@db.command("retention")
def _db_retention(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Show what each class of stored things costs, and remove what had its time."""
    call("retention:run_retention", dry_run=dry_run, as_json=as_json)


@config.command("check")
def _config_check(as_json: JsonFlag = False) -> None:
    """Say what is wrong with the settings, if anything."""
    call("roles:run_config_check", as_json=as_json)


@config.command("show")
def _config_show(as_json: JsonFlag = False) -> None:
    """Show the settings in force, secrets hidden."""
    call("roles:run_config_show", as_json=as_json)
