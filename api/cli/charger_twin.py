"""``ampwave charger set|desired``: what a charger should be, and what it said to that."""

import json
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from api.cli.errors import Record, WrongUse
from api.cli.output import Column, Screen, ago, words
from api.cli.rebuild import rebuild
from api.cli.references import segment
from api.cli.session import Session, command

Identity = Annotated[str, typer.Argument(metavar="CHARGER", help="Its OCPP identity.")]
Assignments = Annotated[
    list[str] | None,
    typer.Argument(metavar="PATH=VALUE", help="For example configuration.HeartbeatInterval=300."),
]
Unset = Annotated[
    list[str] | None, typer.Option("--unset", metavar="PATH", help="Desire nothing of this value any more.")
]
IfVersion = Annotated[
    int | None,
    typer.Option(
        min=0, metavar="N", help="Only if the section still has this version. [default: what it has now]"
    ),
]


def attach(app: typer.Typer) -> None:
    """Put these commands beside the other ones of chargers."""
    command(app, "set")(set_)
    command(app, "desired")(desired)
    command(app, "drift")(drift)
    command(app, "anomalies")(anomalies)
    command(app, "why")(why)
    command(app, "rebuild")(rebuild)


def set_(
    session: Session,
    charger: Identity,
    assignments: Assignments = None,
    unset: Unset = None,
    if_version: IfVersion = None,
) -> None:
    """Say what values of a charger should be. Nothing is sent by this alone.

    Sections are configuration (NAME or Component.Variable), firmware, security, and power (load group).
    """
    section, patch = merge_patch(assignments or [], unset or [])
    path = f"/chargers/{segment(charger)}/desired/{segment(section)}"
    version = session.api.get(path)["version"] if if_version is None else if_version
    after = session.api.patch(path, patch, if_match=f'"{version}"')

    def draw(screen: Screen) -> None:
        changed = after["version"] != version
        verb = "is now at" if changed else "stays at"
        screen.line(f"Desired {section} of {charger} {verb} version {after['version']}.")

    session.show(after, draw)


def desired(session: Session, charger: Identity) -> None:
    """Show what is desired of a charger, and what it said to it."""
    found = session.api.get(f"/chargers/{segment(charger)}/desired")
    rows = [row for section in found["sections"] for row in _rows(section, session)]
    columns = (
        Column("VALUE", fold=True),
        Column("DESIRED", fold=True),
        Column("VERSION", right=True),
        Column("ANSWER"),
        Column("DETAIL", fold=True, optional=True),
    )
    empty = f"Nothing is desired of it. `ampwave charger set {charger} PATH=VALUE` changes that."
    session.show(found, lambda screen: screen.table(columns, rows, empty=empty))


def drift(
    session: Session,
    charger: Annotated[str | None, typer.Argument(metavar="CHARGER", help="Only this one.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Also what is pending or over.")] = False,
    severity: Annotated[
        str | None, typer.Option(metavar="WORD", help="critical, warning or info; over the whole fleet.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="At most so many.")] = 200,
) -> None:
    """Show where chargers are not what they said they would be."""
    path = f"/chargers/{segment(charger)}/drift" if charger else "/drift"
    if charger and severity:
        raise WrongUse("--severity is for the whole fleet; leave the charger out.")
    found = list(session.api.pages(path, limit, all=str(every).lower(), severity=severity))
    columns = (
        Column("CHARGER"),
        Column("VALUE", fold=True),
        Column("SEVERITY"),
        Column("STATE"),
        Column("DESIRED", fold=True),
        Column("REPORTED", fold=True),
        Column("SINCE"),
        Column("WHY", fold=True, optional=True),
    )
    rows = [
        (
            str(one["charger_id"]),
            _short(one["path"]),
            words(one["severity"]),
            words(one["state"]),
            str(one["desired"]),
            str(one["reported"]),
            ago(one["first_seen"], session.clock()),
            one["suspicion"] or one["reason"] or "-",
        )
        for one in found
    ]
    session.show(found, lambda screen: screen.table(columns, rows, empty="No drift."))


def anomalies(session: Session, charger: Identity) -> None:
    """Show what a charger reported that was kept out of its twin."""
    found = session.api.get(f"/chargers/{segment(charger)}/anomalies")["items"]
    columns = (
        Column("VALUE", fold=True),
        Column("KIND"),
        Column("REASON", fold=True),
        Column("TIMES", right=True),
        Column("LATEST"),
        Column("CAUSE", optional=True),
    )
    rows = [
        (
            _short(one["path"]),
            words(one["kind"]),
            str(one["reason"]),
            str(one["times"]),
            ago(one["last_seen"], session.clock()),
            str(one["cause"]),
        )
        for one in found
    ]
    session.show(found, lambda screen: screen.table(columns, rows, empty="No anomalies."))


def show_past(session: Session, charger: str, **question: str | int | None) -> None:
    """The twin as it was, value by value."""
    found = session.api.get(f"/chargers/{segment(charger)}/twin", **question)
    sides = [("", found["twin"]), ("desired ", found["desired"])]
    rows = [
        (f"{side}{_short(path)}", _shown(value))
        for side, sections in sides
        for name in sorted(set(sections) - {"charger_id", "revision"})
        if sections[name] is not None
        for path, value in _leaves(name, sections[name])
        if value is not None
    ]

    def draw(screen: Screen) -> None:
        since = found["received_at"] or "before its first report"
        screen.line(f"{charger} at revision {found['revision']}, {since}.")
        if found["late"]:
            screen.line(f"{len(found['late'])} events that came in later are in their place.")
        screen.line()
        screen.table((Column("VALUE", fold=True), Column("WAS", fold=True)), rows, empty="Nothing was known.")

    session.show(found, draw)


def why(
    session: Session,
    charger: Identity,
    path: Annotated[str, typer.Argument(metavar="PATH", help="For example firmware.version.")],
    desired_side: Annotated[bool, typer.Option("--desired", help="Who desired it, instead.")] = False,
) -> None:
    """Show where a value comes from: the revision, the event and the raw frame."""
    found = session.api.get(
        f"/chargers/{segment(charger)}/why", field=path, desired=str(desired_side).lower()
    )
    event = found["event"] or {}

    def draw(screen: Screen) -> None:
        screen.fields(
            [
                ("Value", _shown(found["value"])),
                ("Set by", f"{found['actor']}, {found['cause']}"),
                ("Revision", str(found["revision"])),
                ("Observed", str(found["observed_at"])),
                ("Received", str(found["received_at"])),
                ("Event", words(event["kind"]) if event else None),
                *[("Frame", frame) for frame in found["frames"]],
            ]
        )
        if event and not found["frames"]:
            screen.line("Its frame is no longer in the journal, or the event had none.")

    session.show(found, draw)


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _short(path: str) -> str:
    return path.replace("configuration.values.", "configuration.", 1)


def merge_patch(assignments: Sequence[str], unset: Sequence[str]) -> tuple[str, Record]:
    """The one section that these name, and its merge patch. Raises WrongUse."""
    pairs: list[tuple[str, Any]] = []
    for text in assignments:
        path, equals, value = text.partition("=")
        if not equals:
            raise WrongUse(f"{text!r} is not PATH=VALUE.")
        pairs.append((path, value))
    pairs += [(path, None) for path in unset]
    if not pairs:
        raise WrongUse("Nothing is given to set.", hint="Give PATH=VALUE, or --unset PATH.")
    sections = {path.partition(".")[0] for path, _ in pairs}
    if len(sections) > 1:
        raise WrongUse(
            f"These are values of {' and '.join(sorted(sections))}.",
            hint="Each section has a version of its own: set one section at a time.",
        )
    (section,) = sections
    patch: Record = {}
    for path, value in pairs:
        _place(patch, section, path, value)
    return section, patch


def _place(patch: Record, section: str, path: str, value: Any) -> None:
    _, _, rest = path.partition(".")
    if not rest:
        raise WrongUse(f"{path!r} names a section, not a value.")
    if section == "configuration":
        # Names of variables hold dots themselves.
        patch.setdefault("values", {})[rest.removeprefix("values.")] = value
    elif rest == "profile" and value is not None:
        if not value.isdigit():
            raise WrongUse(f"{path} is a number from 0 to 3, not {value!r}.")
        patch[rest] = int(value)
    elif rest == "roots" and value is not None:
        patch[rest] = [each.strip() for each in value.split(",") if each.strip()]
    elif section == "power" and rest != "load_group" and value is not None:
        patch[rest] = _number(path, value)
    else:
        patch[rest] = value


def _number(path: str, value: str) -> float:
    try:
        return float(value) if "." in value else int(value)
    except ValueError:
        raise WrongUse(f"{path} is a number, not {value!r}.") from None


def _rows(section: Record, session: Session) -> list[tuple[str, ...]]:
    return [
        _row(path, value, section, session)
        for path, value in sorted(_leaves(section["section"], section["desired"]))
    ]


def _row(path: str, value: Any, section: Record, session: Session) -> tuple[str, ...]:
    ack = section["acks"].get(path)
    nobody = "kept by us" if section["section"] in ("power", "terms") else "none yet"
    said = f"{words(ack['status'])} ({ago(ack['at'], session.clock())})" if ack else nobody
    return _short(path), str(value), str(section["version"]), said, ack["detail"] if ack else ""


def _leaves(path: str, value: Any) -> list[tuple[str, Any]]:
    if not isinstance(value, dict):
        return [(path, value)]
    return [leaf for key, each in value.items() for leaf in _leaves(f"{path}.{key}", each)]
