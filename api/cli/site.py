"""``ampwave site``: places with chargers."""

import typer

app = typer.Typer()
