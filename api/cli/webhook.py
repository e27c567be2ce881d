"""``ampwave webhook``: who outside is told of campaigns, maintenance, incidents and halts."""

from typing import Annotated

import typer

from api.cli.errors import Record
from api.cli.output import Column, Screen, ago, moment
from api.cli.references import segment
from api.cli.session import Session, command, group
from storage.notice import CHOOSABLE

app = group("Who outside is told of campaigns, maintenance, incidents and halts.")
_KINDS = ", ".join(kind.value for kind in CHOOSABLE)
Name = Annotated[str, typer.Argument(metavar="NAME", help="The webhook.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@command(app, "add")
def add(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is called here.")],
    address: Annotated[str, typer.Argument(metavar="URL", help="The https:// address of the receiver.")],
    kind: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND", help=f"Told of this; repeat it for more. One of {_KINDS}. [default: all]"
        ),
    ] = None,
) -> None:
    """Have notices sent to an address. The secret that signs them is shown this once."""
    body = {"webhook_id": name, "url": address, "kinds": kind or []}
    made = session.api.post("/webhooks", body)
    session.show(made, lambda screen: _draw_secret(screen, made, session))


@command(app, "list")
def list_(session: Session) -> None:
    """List webhooks and how they fare."""
    found = list(session.api.pages("/webhooks", 500))
    columns = (
        Column("NAME"),
        Column("TOLD OF", fold=True, optional=True),
        Column("STATE"),
        Column("WAITING", right=True),
        Column("ADDRESS", fold=True),
    )
    rows = [
        (str(one["webhook_id"]), _kinds(one), _state(one), str(one["waiting"]), str(one["url"]))
        for one in found
    ]
    empty = "Nobody outside is told. Add somebody: ampwave webhook add NAME https://..."
    session.show(found, lambda screen: screen.table(columns, rows, empty=empty))


@command(app, "show")
def show(
    session: Session,
    name: Name,
    limit: Annotated[int, typer.Option(min=1, max=500, help="So many of its newest notices.")] = 20,
) -> None:
    """Show one, and what was and is to be delivered to it."""
    path = f"/webhooks/{segment(name)}"
    webhook = session.api.get(path)
    newest = session.api.get(f"{path}/deliveries", limit=limit)["items"]
    answer = {**webhook, "deliveries": newest}
    session.show(answer, lambda screen: _draw(screen, answer, session))


@command(app, "test")
def test(session: Session, name: Name) -> None:
    """Send it a notice of its own, to see whether it arrives and whether its signature is checked."""
    number = session.api.post(f"/webhooks/{segment(name)}/test", {})
    session.show(
        number,
        lambda screen: screen.line(
            f"Notice {number['count']} is on its way. Whether it arrived: ampwave webhook show {name}"
        ),
    )


@command(app, "pause")
def pause(session: Session, name: Name) -> None:
    """Send it nothing until it is resumed; its notices wait."""
    _act(session, name, "pause")


@command(app, "resume")
def resume(session: Session, name: Name) -> None:
    """Go on, with what waited."""
    _act(session, name, "resume")


@command(app, "retry")
def retry(session: Session, name: Name) -> None:
    """Try it again now, also with notices that were given up."""
    count = session.api.post(f"/webhooks/{segment(name)}/retry", {})
    said = f"{count['count']} that were given up wait again; it is tried now."
    session.show(count, lambda screen: screen.line(said))


@command(app, "rotate")
def rotate(session: Session, name: Name) -> None:
    """Make a new secret. For a day notices are signed with both."""
    made = session.api.post(f"/webhooks/{segment(name)}/rotate", {})
    session.show(made, lambda screen: _draw_secret(screen, made, session))


@command(app, "remove")
def remove(session: Session, name: Name, yes: Yes = False) -> None:
    """Remove it, with the notices that wait for it."""
    session.confirm(f"Remove webhook {name} and what waits for it?", yes=yes)
    count = session.api.delete(f"/webhooks/{segment(name)}")
    said = f"It is removed. {count['count']} notices were still waiting for it."
    session.show(count, lambda screen: screen.line(said))


def _act(session: Session, name: str, verb: str) -> None:
    changed = session.api.post(f"/webhooks/{segment(name)}/{verb}", {})
    session.show(changed, lambda screen: _draw(screen, changed, session))


def _draw_secret(screen: Screen, made: Record, session: Session) -> None:
    _draw(screen, made, session)
    screen.line()
    screen.line(f"Secret: {made['secret']}")
    screen.line("It is shown this once. Receivers check it as standardwebhooks.com says (v1, HMAC-SHA256).")
    if made["old_secret_until"]:
        until = moment(made["old_secret_until"], session.clock())
        screen.line(f"The secret before it counts until {until}.")


def _draw(screen: Screen, webhook: Record, session: Session) -> None:
    now = session.clock()
    screen.fields(
        [
            ("Webhook", str(webhook["webhook_id"])),
            ("Address", str(webhook["url"])),
            ("Told of", _kinds(webhook)),
            ("State", _state(webhook)),
            ("Last error", str(webhook["last_error"]) or None),
            ("Next attempt", moment(webhook["retry_at"], now) if webhook["retry_at"] else None),
            ("Waiting", str(webhook["waiting"])),
            ("Held up", _held_up(webhook)),
            ("Added", f"{moment(webhook['created_at'], now)} by {webhook['created_by']}"),
        ]
    )
    if "deliveries" not in webhook:
        return
    columns = (
        Column("NOTICE", right=True),
        Column("AGE"),
        Column("KIND"),
        Column("OF", fold=True),
        Column("STATE"),
        Column("TRIES", right=True),
        Column("LAST ERROR", fold=True, optional=True),
    )
    rows = [
        (
            str(one["notice_id"]),
            ago(one["at"], now),
            str(one["kind"]),
            str(one["subject"]),
            str(one["state"]).replace("_", " "),
            str(one["attempts"]),
            str(one["last_error"]),
        )
        for one in webhook["deliveries"]
    ]
    screen.line()
    screen.table(columns, rows, empty="There was nothing to tell yet.")


def _held_up(webhook: Record) -> str | None:
    """What waits behind a notice that is not taken."""
    count = webhook["held_up"]
    return (
        f"{count} {'subject' if count == 1 else 'subjects'}; what is about others is sent" if count else None
    )


def _kinds(webhook: Record) -> str:
    return ", ".join(webhook["kinds"]) or "everything"


def _state(webhook: Record) -> str:
    if webhook["paused_by"] == "receiver":
        return "paused: the receiver wants no more (410)"
    if webhook["paused_by"]:
        return f"paused by {webhook['paused_by']}"
    if webhook["failures"]:
        return f"failing, {webhook['failures']} times in a row"
    return f"active, {webhook['held_up']} held up" if webhook["held_up"] else "active"
