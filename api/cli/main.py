"""The console entry ``ampwave``. Nothing heavy is imported here: see ``lazy.TABLE`` for the commands."""

import sys
from typing import Annotated

import typer

from api.cli.lazy import LazyGroup

app = typer.Typer(
    cls=LazyGroup,
    name="ampwave",
    rich_markup_mode=None,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Every command takes --help; client commands take --json and --url.",
)


def _version(value: bool) -> None:
    if value:
        from importlib.metadata import version

        typer.echo(f"ampwave {version('ampwave')}")
        raise typer.Exit


@app.callback()
def ampwave(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Safe firmware campaigns for EV chargers: signed, gated, attested, durable."""


def main() -> None:
    """Run the command line."""
    try:
        app(prog_name="ampwave")
    except BrokenPipeError:  # the reader of our output went away, as in `| head`
        sys.stderr.close()
        sys.exit(1)


if __name__ == "__main__":
    main()
