"""``ampwave charger evidence|verify-evidence``: what is kept of a charger, signed, and checked offline."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from api.cli.errors import CliError, WrongUse
from api.cli.output import Screen
from api.cli.references import segment
from api.cli.session import Session, command

Identity = Annotated[str, typer.Argument(metavar="CHARGER", help="Its OCPP identity.")]
Keys = Annotated[
    list[Path] | None,
    typer.Option("--key", metavar="FILE", help="Public key of the signer. [default: record.pub.json]"),
]


def attach(app: typer.Typer) -> None:
    """Put these commands beside the other ones of chargers."""
    command(app, "evidence", posts=True)(evidence)
    command(app, "verify-evidence", online=False)(verify_evidence)


def evidence(
    session: Session,
    charger: Identity,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A new file.")],
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; it is on record.")],
    since: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="RFC 3339, or an age like 90d. [default: 30d]"),
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="The end. [default: now]")] = None,
) -> None:
    """Write errors, timeline, firmware and certificate history and usage of a charger to a signed file."""
    from api.cli.charger_acts import moment_of
    from storage.bundle import MOST_BYTES

    if file.exists():
        raise WrongUse(f"{file} is there already.", hint="Name a new file.")
    now, path = session.clock(), f"/chargers/{segment(charger)}/evidence"
    body = {"since": moment_of(since, now), "until": moment_of(until, now), "reason": reason}
    made = session.api.post(path, body, patience_s=60.0)
    data = session.api.get_bytes(f"{path}/{made['bundle_id']}", limit=MOST_BYTES + 2**20)
    try:
        with file.open("xb") as out:
            out.write(data)
    except OSError as error:
        raise WrongUse(f"{file} cannot be written: {error.strerror}.") from error

    def draw(screen: Screen) -> None:
        screen.line(f"{made['lines']} lines of evidence of {charger} in {file}.")
        screen.line(f"Check it anywhere, without this server: ampwave charger verify-evidence {file}")

    session.show({**made, "file": str(file)}, draw)


def verify_evidence(
    session: Session, file: Annotated[Path, typer.Argument(metavar="FILE")], key: Keys = None
) -> None:
    """Check a charger's evidence file on this machine: who signed it, and that not a byte was changed."""
    from api.cli.audit_file import pinned_keys
    from api.cli.credentials import load_settings
    from signing.charger_bundle import check_bundle
    from signing.errors import VerificationFailed

    pinned = {each.keyid: each for each in pinned_keys(key, load_settings().keys)}
    try:
        found = check_bundle(_lines(file), pinned)
    except VerificationFailed as error:
        raise CliError(f"{file} does not hold: {error.message}", hint=error.hint) from error
    manifest = found.manifest
    counts = ", ".join(f"{count} {name}" for name, count in sorted(manifest.sections.items()))

    def draw(screen: Screen) -> None:
        screen.line(f"{file} holds.")
        screen.fields(
            [
                ("Charger", manifest.charger_id),
                ("Span", f"{manifest.since.isoformat()} to {manifest.until.isoformat()}"),
                ("Evidence", counts),
                ("Made", f"{manifest.made_at.isoformat()} for {manifest.requested_by}: {manifest.reason}"),
                ("Signed by", found.keyid),
            ]
        )

    shown = {
        "charger_id": manifest.charger_id,
        "since": manifest.since.isoformat(),
        "until": manifest.until.isoformat(),
        "sections": manifest.sections,
        "sha256": manifest.sha256,
        "keyid": found.keyid,
        "pinned": found.pinned,
    }
    session.show(shown, draw)
    if not found.pinned:
        session.note(
            "The key came with the file, so whoever forged one could forge both. Compare the key id with the"
            " one you were given, or name yours with --key."
        )


def _lines(file: Path) -> Iterator[bytes]:
    from signing.errors import VerificationFailed
    from storage.bundle import MOST_BYTES

    left = MOST_BYTES + 2**20  # and the two lines that it begins with
    try:
        with file.open("rb") as lines:
            while line := lines.readline(left + 1):
                left -= len(line)
                if left < 0:
                    raise VerificationFailed("It is longer than any evidence file is.")
                yield line
    except OSError as error:
        raise WrongUse(f"{file} cannot be read: {error.strerror}.") from error
