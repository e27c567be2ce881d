"""``ampwave provisioning``: chargers on their way into service."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli.errors import CliError, Record, WrongUse
from api.cli.output import Column, Screen, ago, counted, words
from api.cli.references import segment
from api.cli.session import Session, command, group

app = group("Bring chargers into service, and see what each waits for.")
_URL = "/provisioning"
_MEDIA = {".csv": "text/csv", ".json": "application/json"}
_SHOWN = 20
Identity = Annotated[str, typer.Argument(metavar="CHARGER", help="Its OCPP identity.")]
Site = Annotated[str, typer.Option("--site", metavar="SITE", help="Where it is.")]
Serial = Annotated[str, typer.Option("--serial", metavar="TEXT", help="Its serial number, as on its plate.")]


@command(app, "import", posts=True)
def import_(
    session: Session,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV with a header line, or JSON.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Judge every row, change nothing.")] = False,
    errors: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write every refused row there, one a line.")
    ] = None,
) -> None:
    """Enrol chargers from a file. Good rows are taken in, others named by line; repeat it freely."""
    media = _MEDIA.get(file.suffix.lower())
    if media is None:
        raise WrongUse(f"{file} is neither .csv nor .json.")
    given = {"dry_run": "true"} if dry_run else {}
    reply = session.api.post_bytes(f"{_URL}/enrolments", _read(file), media, **given)
    refused = [row for row in reply["rows"] if row["result"] == "refused"]
    if errors is not None:
        _write_errors(errors, refused)
    session.show(reply, lambda screen: _draw_import(screen, reply, refused, errors))
    if refused:
        raise CliError(f"{len(refused)} of {len(reply['rows'])} rows were refused.")


def _draw_import(screen: Screen, reply: Record, refused: list[Record], errors: Path | None) -> None:
    would = "would be " if reply["dry_run"] else ""
    counts = (
        f"{reply['enrolled']} {would}enrolled, {reply['unchanged']} unchanged, {reply['refused']} refused"
    )
    screen.line(f"{counts}.")
    if not refused:
        return
    problems = list(reply["by_problem"].items())
    rows = [[str(count), problem] for problem, count in problems[:_SHOWN]]
    screen.table([Column("Rows", right=True), Column("Problem", fold=True)], rows, empty="")
    if len(problems) > _SHOWN:
        screen.line(f"... and {len(problems) - _SHOWN} other problems.")
    screen.line("")
    lines = [
        [str(row["line"]), row["charger_id"] or "-", "; ".join(row["problems"])] for row in refused[:_SHOWN]
    ]
    columns = [Column("Line", right=True), Column("Charger"), Column("What is wrong", fold=True)]
    screen.table(columns, lines, empty="")
    if len(refused) > _SHOWN and errors is None:
        screen.line(f"... and {len(refused) - _SHOWN} more rows; --errors FILE writes all of them.")


def _write_errors(file: Path, refused: list[Record]) -> None:
    try:
        with file.open("x", encoding="utf-8") as out:
            out.writelines(
                f"{row['line']}\t{row['charger_id'] or '-'}\t{'; '.join(row['problems'])}\n"
                for row in refused
            )
    except OSError as error:
        raise WrongUse(f"{file} cannot be written: {error.strerror}.") from error


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise WrongUse(f"{file} cannot be read: {error.strerror}.") from error


@command(app, "list")
def list_(
    session: Session,
    everything: Annotated[bool, typer.Option("--all", help="Also those that are over.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=500, metavar="N", help="At most so many.")] = 100,
) -> None:
    """The queue: who is on the way in, and what each waits for."""
    found = session.api.get(f"{_URL}/enrolments", limit=limit, open=None if everything else True)
    now = session.clock()

    def draw(screen: Screen) -> None:
        columns = [
            Column("Charger"),
            Column("State"),
            Column("Since", optional=True),
            Column("Waits for", fold=True),
        ]
        rows = [
            [
                each["charger_id"],
                words(each["state"]),
                ago(each["requested_at"], now),
                each["waits_for"] or "-",
            ]
            for each in found["items"]
        ]
        screen.table(columns, rows, empty="Nobody waits. Enrol chargers: ampwave provisioning import FILE")
        if len(rows) == limit:
            screen.line(f"Only the first {limit} are shown; --limit N shows more.")
        if rows:
            screen.line("One with its checklist: ampwave provisioning show CHARGER")

    session.show(found, draw)


@command(app, "show")
def show(session: Session, charger: Identity) -> None:
    """One charger: where it is, its checklist, and what is missing of its record."""
    found = session.api.get(f"{_URL}/enrolments/{segment(charger)}")
    session.show(found, lambda screen: _draw_one(session, screen, found))


def _draw_one(session: Session, screen: Screen, found: Record) -> None:
    screen.fields(
        [
            ("Charger", found["charger_id"]),
            ("State", words(found["state"])),
            ("Waits for", found["waits_for"] or None),
            ("Came by", words(found["origin"])),
            ("Enrolled", f"{ago(found['requested_at'], session.clock())} by {found['actor']}"),
            ("Template", found["template"]),
            ("Not said", ", ".join(words(name) for name in found["missing"]) or None),
        ]
    )
    if found["checks"]:
        screen.line("")
        rows = [
            [each["name"], "passed" if each["passed"] else "failed", each["detail"]]
            for each in found["checks"]
        ]
        screen.table([Column("Check"), Column("Result"), Column("In words", fold=True)], rows, empty="")


@command(app, "visit", posts=True)
def visit(session: Session, charger: Identity) -> None:
    """See now how far a charger can go."""
    found = session.api.post(f"{_URL}/enrolments/{segment(charger)}/visit", {})
    session.show(
        found, lambda screen: screen.line(f"{charger} is looked at; see: ampwave provisioning show {charger}")
    )


@command(app, "attest", posts=True)
def attest(
    session: Session,
    charger: Identity,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What was measured, as in rcd-test.")],
    passed: Annotated[bool, typer.Option("--passed/--failed", help="How it ended.")],
    value: Annotated[str, typer.Option(metavar="TEXT", help="The measured value, as in '21 ms'.")] = "",
) -> None:
    """Say in your name what you measured at a charger."""
    body = {"name": name, "passed": passed, "value": value}
    found = session.api.post(f"{_URL}/enrolments/{segment(charger)}/attestations", body)
    session.show(found, lambda screen: _draw_one(session, screen, found))


@command(app, "claim", posts=True)
def claim(
    session: Session,
    charger: Identity,
    serial: Serial,
    site: Site,
    installer: Annotated[str, typer.Option("--for", metavar="NAME", help="Who is to have it.")],
    minutes: Annotated[int, typer.Option(min=1, max=1440, metavar="N", help="How long it is good.")] = 60,
) -> None:
    """Make a claim for an installer: for this charger at this site, once, and not for long."""
    body = {"charger_id": charger, "serial_number": serial, "site_id": site, "issued_to": installer}
    made = session.api.post(f"{_URL}/claims", {**body, "minutes": minutes})

    def draw(screen: Screen) -> None:
        screen.line(f"Claim: {made['claim']}")
        screen.line(f"Good until {made['expires_at']}, once. It is not shown again.")

    session.show(made, draw)


@command(app, "redeem", posts=True)
def redeem(session: Session, serial: Serial, site: Site) -> None:
    """Redeem a claim at the charger; it is read from standard input, so that no shell remembers it."""
    text = typer.prompt("Claim", hide_input=True, err=True).strip()
    made = session.api.post(
        f"{_URL}/claims/redeem", {"claim": text, "serial_number": serial, "site_id": site}
    )

    def draw(screen: Screen) -> None:
        screen.fields([("Identity", made["charger_id"]), ("Password", made["password"])])
        screen.line(
            "Enter both at the charger. The password is not shown again, and is changed once it connects."
        )

    session.show(made, draw)


@command(app, "manifest", posts=True)
def manifest(
    session: Session,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The manufacturer's signed list.")],
    site: Site,
    template: Annotated[str | None, typer.Option(metavar="NAME", help="What they are to be set to.")] = None,
    profile: Annotated[
        int, typer.Option(min=1, max=3, help="Lowest security profile to be active with.")
    ] = 2,
) -> None:
    """Take in a manufacturer's signed list: its chargers may come by the keys their factory gave them."""
    given = {"site_id": site, "profile": str(profile), **({"template": template} if template else {})}
    made = session.api.post_bytes(f"{_URL}/manifests", _read(file), "application/json", **given)
    units = counted(made["units"], "charger")
    text = f"{units} of {made['vendor']}, batch {made['batch']}: {made['new']} are new."
    session.show(made, lambda screen: screen.line(text))


@command(app, "sign-manifest", online=False)
def sign_manifest_(
    session: Session,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="JSON: vendor, batch, environment, units.")],
    key: Annotated[Path, typer.Option(metavar="FILE", help="The manufacturer's private key (PEM).")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="A new file for the signed list.")],
) -> None:
    """For manufacturers: sign a list of chargers. Their operators pin the public key."""
    from signing.keys import file_address, open_signer, public_of_file
    from signing.manifest import sign_manifest

    try:
        given: dict[str, Any] = json.loads(_read(file))
        fields = (str(given["vendor"]), str(given["batch"]), str(given["environment"]), list(given["units"]))
    except (ValueError, KeyError, TypeError) as error:
        raise WrongUse(
            f"{file} is no list: it needs vendor, batch, environment and units ({error})."
        ) from error
    document = sign_manifest(*fields, open_signer(file_address(key), [public_of_file(key)]))
    try:
        with out.open("xb") as stream:
            stream.write(document)
    except OSError as error:
        raise WrongUse(f"{out} cannot be written: {error.strerror}.") from error
    session.show({"file": str(out), "units": len(fields[3])}, lambda screen: screen.line(f"Signed: {out}"))


@command(app, "strangers")
def strangers(session: Session) -> None:
    """Who came with a manufacturer's certificate and is on no list; each was turned away."""
    found = session.api.get(f"{_URL}/strangers")
    now = session.clock()

    def draw(screen: Screen) -> None:
        columns = [
            Column("Serial"),
            Column("Calls itself"),
            Column("From"),
            Column("Last", optional=True),
            Column("Times", right=True),
        ]
        rows = [
            [
                each["serial_number"],
                each["charger_id"],
                each["address"],
                ago(each["last_seen"], now),
                str(each["times"]),
            ]
            for each in found["items"]
        ]
        screen.table(columns, rows, empty="Nobody came who is on no list.")

    session.show(found, draw)


@command(app, "template")
def template(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="NAME", help="As enrolments name it.")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="JSON; /docs shows its shape.")],
) -> None:
    """Write a configuration template."""
    written = session.api.put(f"{_URL}/templates/{segment(name)}", _json(file))
    session.show(written, lambda screen: screen.line(f"The template {name} is written."))


@command(app, "site")
def site_(
    session: Session,
    site: Annotated[str, typer.Argument(metavar="SITE", help="Its id.")],
    values: Annotated[
        list[str], typer.Argument(metavar="NAME=VALUE...", help="As in supply_limit_a=63 phases=3.")
    ],
) -> None:
    """Say what a site's supply allows; templates that need it refuse chargers of sites without."""
    pairs = [each.partition("=") for each in values]
    if any(not name or not sign for name, sign, _ in pairs):
        raise WrongUse("Give NAME=VALUE, as in supply_limit_a=63.")
    body = {"values": {name: value for name, _, value in pairs}}
    written = session.api.put(f"{_URL}/sites/{segment(site)}/constraints", body)
    session.show(written, lambda screen: screen.line(f"What {site} allows is written."))


def _json(file: Path) -> Any:
    try:
        return json.loads(_read(file))
    except ValueError as error:
        raise WrongUse(f"{file} is not JSON: {error}.") from error
