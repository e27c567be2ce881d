"""``ampwave tuf policy``: what the people of the targets role sign beside the delegations."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli.errors import Record, WrongUse
from api.cli.output import Screen
from api.cli.session import Session, command

if TYPE_CHECKING:
    from signing.policy import ModelTrust, TrustPolicy


def register(app: typer.Typer) -> None:
    """Put the command into ``ampwave tuf``."""
    command(app, "policy", online=False)(policy)


def policy(
    session: Session,
    approver: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME:FILE", help="May approve campaigns, with this public key; repeat."),
    ] = None,
    remove_approver: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="May not any more; repeat.")
    ] = None,
    threshold: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="So many approvers must sign, whatever a plan says."),
    ] = None,
    minimum: Annotated[
        list[str] | None,
        typer.Option(metavar="VENDOR/MODEL:N", help="No release counter below N is ever sent; repeat."),
    ] = None,
    unsafe_waive: Annotated[
        list[str] | None,
        typer.Option(metavar="VENDOR/MODEL:WHY", help="ALLOW unsigned updates; an empty WHY takes it back."),
    ] = None,
) -> None:
    """Show, or change, who may approve campaigns and what is trusted of which model.

    Changing signs targets with keys FOR DEVELOPMENT that lie on this machine. In production the people of
    the targets role sign the same change with their own keys: `approvers` and `policy` in the layout,
    then `ampwave tuf rotate`.
    """
    change = _change(approver or [], remove_approver or [], threshold, (minimum or [], unsafe_waive or []))
    from api.cli.ceremony import change_policy

    written = change_policy(change)
    session.show(written, lambda screen: _draw(screen, written))


def _change(
    approvers: list[str], removed: list[str], threshold: int | None, models: tuple[list[str], list[str]]
) -> "Callable[[TrustPolicy], TrustPolicy] | None":
    from dataclasses import replace

    from signing.keys import read_public
    from signing.policy import Approver

    added = [(name, read_public(Path(file))) for name, file in map(_pair, approvers)]
    minimums = [(_model(name), _number(text)) for name, text in map(_pair, models[0])]
    waivers = [(_model(name), text or None) for name, text in map(_pair, models[1])]
    if not (added or removed or threshold or minimums or waivers):
        return None

    def change(old: "TrustPolicy") -> "TrustPolicy":
        people = {keyid: one for keyid, one in old.approvers.items() if one.name not in removed}
        people |= {key.keyid: Approver(name, key) for name, key in added}
        trust: dict[tuple[str, str], ModelTrust] = dict(old.models)
        for model, counter in minimums:
            trust[model] = replace(old.of_model(*model), minimum_counter=counter)
        for model, waiver in waivers:
            current = trust.get(model, old.of_model(*model))
            trust[model] = replace(current, unsafe_unsigned_waiver=waiver)
        return replace(
            old, approvers=people, approval_threshold=threshold or old.approval_threshold, models=trust
        )

    return change


def _pair(text: str) -> tuple[str, str]:
    name, colon, rest = text.partition(":")
    if not (name and colon):
        raise WrongUse(
            f"{text!r} lacks its colon.", hint="Write it as the help says: ampwave tuf policy --help"
        )
    return name, rest


def _model(text: str) -> tuple[str, str]:
    vendor, slash, model = text.partition("/")
    if not (vendor and slash and model):
        raise WrongUse(f"{text!r} is not VENDOR/MODEL.")
    return vendor, model


def _number(text: str) -> int:
    if not text.isdecimal() or len(text) > 9:
        raise WrongUse(f"{text!r} is not a release counter.")
    return int(text)


def _draw(screen: Screen, written: Record) -> None:
    people = ", ".join(sorted(one["name"] for one in written.get("approvers", {}).values()))
    screen.fields(
        [
            (
                "Approvers",
                people or "none: approvals are the api's word, a database administrator can write them",
            ),
            ("At least", f"{written.get('approval_threshold', 1)} of them sign a campaign"),
            ("Directive keys", ", ".join(key[:12] for key in written["directive_keys"])),
        ]
    )
    for model in written.get("models", []):
        waiver = model["unsafe_unsigned_waiver"]
        said = f"counter {model['minimum_counter']} or more" + (
            f"; UNSIGNED ALLOWED: {waiver}" if waiver else ""
        )
        screen.fields([(f"{model['vendor']} {model['model']}", said)])
