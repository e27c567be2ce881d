"""``ampwave cert ca``: the authority's keys and certificates; the root on a machine that is offline.

Needs no server and no settings: key addresses and files. Only a request and a certificate travel.
"""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli.errors import CliError, WrongUse
from api.cli.output import Screen
from api.cli.session import Session, command, group

app = group("Make the authority: root offline, issuing key at the signer.")
ADDRESS = "Where the key is: file2:PATH, hsm:ID?label=TOKEN, awskms:, gcpkms:, azurekms: or hv:."
Key = Annotated[str, typer.Option("--key", metavar="ADDRESS", help=ADDRESS)]
_SPOKEN = 16
"""Digits of a fingerprint that are compared at least."""
Out = Annotated[Path, typer.Option("--out", metavar="FILE", help="Where it goes; never overwritten.")]


@command(app, "key", online=False)
def key(
    session: Session,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A new file, as in charger-ca.key.")],
) -> None:
    """Make a P-256 key in a file. On a token: ampwave key create hsm:ID?label=TOKEN."""
    from signing.ca.ceremony import make_key

    address = make_key(file)

    def draw(screen: Screen) -> None:
        screen.fields([("Address", address)])
        screen.line("The key in it is not encrypted: keep it on a disk that is, and never send it.")

    session.show({"address": address}, draw)


@command(app, "root", online=False)
def root(
    session: Session,
    key: Key,
    out: Out,
    name: Annotated[str, typer.Option(metavar="TEXT", help="What it is called.")] = "Ampwave charger root",
) -> None:
    """OFFLINE: make the root's certificate. Its key signs issuing authorities, and nothing else."""
    from signing.ca.ceremony import fingerprint, make_root

    pem = _by_key(lambda: make_root(key, name, _now(session)))
    _write(out, pem)
    _shown(session, out, fingerprint(pem), "Bring this file to whoever has to trust chargers' certificates.")


@command(app, "request", online=False)
def request(
    session: Session,
    key: Key,
    out: Out,
    name: Annotated[
        str, typer.Option(metavar="TEXT", help="What the authority is called.")
    ] = "Ampwave charger authority",
) -> None:
    """AT THE SIGNER: ask for an issuing authority, by the key that will issue chargers' certificates."""
    from signing.ca.ceremony import fingerprint, request_issuing

    pem = _by_key(lambda: request_issuing(key, name))
    _write(out, pem)
    _shown(session, out, fingerprint(pem), "Bring it to the root's machine, and read the fingerprint aloud.")


@command(app, "sign", online=False)
def sign(  # noqa: PLR0913 - the options of a command
    session: Session,
    request: Annotated[Path, typer.Argument(metavar="REQUEST", help="What the signer's machine asked.")],
    root: Annotated[Path, typer.Option(metavar="FILE", help="The root's certificate.")],
    key: Key,
    out: Out,
    expect: Annotated[
        str | None, typer.Option(metavar="HEX", help="The fingerprint that was read aloud to you.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """OFFLINE: say yes to an issuing authority. Compare the fingerprint with whoever asks, first."""
    from signing.ca.ceremony import fingerprint, sign_issuing

    asked = _read(request)
    seen = fingerprint(asked)
    if expect is not None and not _agrees(seen, expect):
        raise CliError(
            f"The request's fingerprint is {seen}, not what was read aloud.",
            hint="Nothing was signed. Find out who made this request.",
        )
    session.confirm(f"Let the key {_spaced(seen)} issue chargers' certificates?", yes=yes)
    pem = _by_key(lambda: sign_issuing(_read(root), key, asked, _now(session)))
    _write(out, pem)
    _shown(
        session,
        out,
        seen,
        "At the signer: AMPWAVE_SIGNER_CA is the key's address, AMPWAVE_SIGNER_CA_CERTIFICATE_FILE this file."
        "\nAt the csms nodes: add this file to AMPWAVE_CSMS_CHARGER_CA_FILES."
        "\nIn place of another key? Keep that one: AMPWAVE_SIGNER_CA_FORMER (signing/CERTIFICATES.md).",
    )


@command(app, "show", online=False)
def show(
    session: Session,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An authority's certificates.")],
) -> None:
    """Show who an authority is."""
    from signing.ca.builtin import authority_names

    found = authority_names(_read(file))
    session.show(
        found,
        lambda screen: screen.fields(
            [
                ("Authority", found["name"]),
                ("Root", found["root"]),
                ("Fingerprint of its key", _spaced(found["key_sha256"])),
                ("Holds until", found["valid_until"]),
            ]
        ),
    )


def _by_key(work: Any) -> str:
    """Tokens ask for their PIN once."""
    from api.key_access import use_tokens
    from api.settings import Settings

    use_tokens(Settings(), ask=True)
    text: str = work()
    return text


def _now(session: Session) -> datetime:
    return session.clock()


def _read(path: Path) -> str:
    try:
        return path.read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise WrongUse(f"{path} cannot be read as PEM.") from error


def _write(path: Path, pem: str) -> None:
    from signing.keys import write_new

    if not write_new(path, pem.encode(), 0o644):
        raise WrongUse(f"{path} is there already; nothing was overwritten.", hint="Give another name.")


def _shown(session: Session, out: Path, digest: str, next_step: str) -> None:
    def draw(screen: Screen) -> None:
        screen.fields([("Written to", str(out)), ("Fingerprint of its key", _spaced(digest))])
        screen.line()
        for line in next_step.splitlines():
            screen.line(line)

    session.show({"file": str(out), "fingerprint": digest}, draw)


def _agrees(seen: str, heard: str) -> bool:
    """A part of a fingerprint may be enough for people, but not too small a one."""
    text = "".join(heard.lower().split())
    if len(text) < _SPOKEN:
        raise WrongUse(f"A fingerprint of {len(text)} digits says little; give {_SPOKEN} at least.")
    return seen.startswith(text)


def _spaced(digest: str) -> str:
    return " ".join(digest[start : start + 4] for start in range(0, len(digest), 4))
