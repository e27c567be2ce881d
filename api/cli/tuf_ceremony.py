"""``ampwave tuf``: ceremonies as files. Preparing, signing and judging need no server and no settings."""

import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli.errors import CliError, Record, WrongUse
from api.cli.output import Screen, short
from api.cli.session import Session, command

if TYPE_CHECKING:
    from signing.bundle import Bundle
    from signing.holding import Review

CeremonyFile = Annotated[Path, typer.Argument(metavar="FILE", help="The ceremony file.")]
OwnRoot = Annotated[
    Path | None,
    typer.Option("--root", metavar="FILE", help="Your own root.json; none only in the first ceremony."),
]
Output = Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="Where to write the result.")]
LayoutFile = Annotated[Path, typer.Argument(metavar="LAYOUT", help="Who holds which key: a YAML file.")]


def register(app: typer.Typer) -> None:
    """Put the commands into ``ampwave tuf``."""
    command(app, "init", online=False)(init)
    command(app, "rotate")(rotate)
    command(app, "sign", online=False)(sign)
    command(app, "combine", online=False)(combine)
    command(app, "review", online=False)(review)
    command(app, "bootstrap", posts=True)(bootstrap)
    command(app, "publish", posts=True)(publish)
    command(app, "backup")(backup)
    command(app, "restore", posts=True)(restore)


def init(session: Session, layout: LayoutFile, output: Output) -> None:
    """Prepare the first ceremony: root, targets and vendor roles of a layout, for people to sign."""
    from api.cli.layoutfile import read_layout
    from signing.bundle import unsigned
    from signing.layout import first_metadata

    bundle = unsigned(first_metadata(read_layout(layout), _now(session)))
    _write_bundle(output, bundle)
    _tell(session, bundle, None, output)


def rotate(  # noqa: PLR0913 - a command's options are its signature
    session: Session,
    layout: LayoutFile,
    output: Output,
    root: Annotated[Path, typer.Option(metavar="FILE", help="Your own root.json.")],
    folder: Annotated[
        Path | None, typer.Option("--dir", metavar="DIR", help="Metadata files in a folder; needs no api.")
    ] = None,
    renew: Annotated[
        list[str] | None, typer.Option(metavar="ROLE", help="Sign this role anew in any case; repeat.")
    ] = None,
    withdraw: Annotated[
        list[str] | None, typer.Option(metavar="PATH", help="Leave this release out from now on; repeat.")
    ] = None,
    without_timestamp: Annotated[
        bool, typer.Option(help="Ignore what the online keys say, because they are lost or stolen.")
    ] = False,
) -> None:
    """Prepare the next ceremony: whatever must be signed to get from what is published to the layout.

    Change the layout to add or remove a vendor, a holder, a key, a threshold or a manufacturer's root.
    Roles that near their expiry are signed anew in passing.
    """
    import asyncio

    from api.cli.fetch import fetch_for
    from api.cli.layoutfile import read_layout
    from api.cli.repository import read_root
    from signing.bundle import unsigned
    from signing.layout import Wishes, next_metadata
    from signing.present import present_in
    from signing.published import collect_published, collect_signed

    wanted, own = read_layout(layout), read_root(root)
    fetch = fetch_for(session, folder)
    evidence = asyncio.run(collect_signed(fetch, own) if without_timestamp else collect_published(fetch))
    present = present_in(evidence, own)
    wishes = Wishes(renew or (), withdraw or ())
    bundle = unsigned(next_metadata(wanted, present, wishes, _now(session)), evidence)
    _write_bundle(output, bundle)
    _tell(session, bundle, own, output)


def sign(  # noqa: PLR0913 - a command's options are its signature
    session: Session,
    file: CeremonyFile,
    key: Annotated[str, typer.Option(metavar="ADDRESS", help="Your key, as in file2:/media/ada/key.pem.")],
    root: OwnRoot = None,
    keyid: Annotated[
        str | None, typer.Option(metavar="ID", help="Which key it is, if the address does not tell.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="[default: the file itself]")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Show what a ceremony changes, then sign it with your key, on your own machine.

    What you see is computed here, from your root and from the bytes that you sign.
    """
    from api.cli.credentials import load_settings
    from api.cli.repository import read_root
    from api.key_access import use_tokens
    from signing.holding import review as judge
    from signing.holding import sign as sign_parts
    from signing.holding import spaced

    own = read_root(root) if root else None
    now = _now(session)
    reviewed = judge(_read(file), own, now)
    for line in reviewed.screen():
        session.note(line)
    if not reviewed.flags:
        session.confirm("Do all holders read the same fingerprint, and do you want all of this?", yes=yes)
    use_tokens(load_settings(), ask=True)
    bundle, holder, roles = sign_parts(reviewed, key, now=now, tools=tools(), keyid=keyid)
    target = output or file
    _write_bundle(target, bundle)
    after = judge(bundle, own, now)
    done = {**_document(after), "signed": list(roles), "keyid": holder.keyid, "file": str(target)}

    def draw(screen: Screen) -> None:
        screen.line(f"Signed {', '.join(roles)} with key {short(holder.keyid)}.")
        screen.line(f"fingerprint {spaced(bundle.fingerprint)}")
        screen.line()
        _draw_demands(screen, after, target)

    session.show(done, draw)


def combine(
    session: Session,
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Copies that people signed.")],
    output: Output,
    root: OwnRoot = None,
    root_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the new root, for every verifier to embed."),
    ] = None,
    partial: Annotated[bool, typer.Option(help="Also while signatures are missing.")] = False,
) -> None:
    """Gather the signatures of copies, in any order. Refuses while some are missing, or one does not hold."""
    from signing.bundle import merge
    from signing.metadata import encode_people

    bundle = merge([_read(file) for file in files])
    reviewed = _judge(session, bundle, root)
    if reviewed.flags:
        raise CliError("Not combined: this must not be published.", reviewed.flags)
    if not reviewed.complete and not partial:
        raise CliError(
            "Not combined: signatures are missing.",
            [demand.line() for demand in reviewed.demands if demand.missing],
            hint="Gather what there is with --partial, and have the others sign.",
        )
    _write_bundle(output, bundle)
    if root_file is not None and (part := bundle.parts.get("root")) is not None:
        if not reviewed.complete:
            raise CliError("The root is not written before everybody has signed.")
        _write(root_file, encode_people(part))
    session.show(_document(reviewed), lambda screen: _draw_demands(screen, reviewed, output))


def review(session: Session, file: CeremonyFile, root: OwnRoot = None) -> None:
    """Show what a ceremony changes and who has signed. Exit code 0 only if it may be published."""
    bundle = _read(file)
    reviewed = _judge(session, bundle, root)

    def draw(screen: Screen) -> None:
        for line in reviewed.screen():
            screen.line(line)
        screen.line()
        _draw_demands(screen, reviewed, file)
        for entry in reviewed.entries:
            parts = ", ".join(entry.roles)
            screen.line(f"  {entry.signed_at} {entry.holder or short(entry.keyid)}: {parts} ({entry.tools})")

    session.show(_document(reviewed), draw)
    if not reviewed.complete:
        raise CliError(
            "This must not be published.",
            reviewed.flags or [one.line() for one in reviewed.demands if one.missing and one.needed],
        )


def bootstrap(session: Session, file: CeremonyFile) -> None:
    """Publish the first ceremony. Every process must embed its root already (AMPWAVE_TRUSTED_ROOT_FILE)."""
    root = _read(file).root()
    if root is None or root.version != 1:
        raise WrongUse(
            f"{file} is not a first ceremony.", hint="Publish later ones with: ampwave tuf publish"
        )
    _post(session, file)


def publish(session: Session, file: CeremonyFile) -> None:
    """Publish a ceremony that everybody has signed, through the api. The same file again changes nothing."""
    if not _read(file).parts:
        raise WrongUse(f"{file} holds nothing to publish.", hint="A backup is restored: ampwave tuf restore")
    _post(session, file)


def backup(
    session: Session,
    output: Output,
    root: Annotated[Path, typer.Option(metavar="FILE", help="Your own root.json.")],
    folder: Annotated[
        Path | None, typer.Option("--dir", metavar="DIR", help="Metadata files in a folder; needs no api.")
    ] = None,
) -> None:
    """Keep all of the published metadata in one file, verified from your own root. Images are not in it."""
    import asyncio

    from api.cli.fetch import fetch_for
    from api.cli.repository import read_root
    from signing.present import present_in
    from signing.published import collect_published, write_backup

    files = asyncio.run(collect_published(fetch_for(session, folder)))
    present = present_in(files, read_root(root))
    _write(output, write_backup(files))
    kept = {"file": str(output), "files": sorted(files), "root_version": present.root.version}
    session.show(kept, lambda screen: screen.line(f"{len(files)} files are kept in {output}."))


def restore(session: Session, file: CeremonyFile) -> None:
    """Bring a backup back into a bucket that lost its repository, through the api.

    Readers who saw a newer state refuse it until the online keys are replaced: ampwave tuf rotate.
    """
    if _read(file).parts:
        raise WrongUse(f"{file} is no backup.", hint="A ceremony is published: ampwave tuf publish")
    _post(session, file)


def _post(session: Session, file: Path) -> None:
    reply: Record = session.api.post_bytes("/tuf/ceremonies", file.read_bytes(), "application/json")
    versions = ", ".join(f"{role} {version}" for role, version in reply["versions"].items())

    def draw(screen: Screen) -> None:
        screen.fields(
            [
                ("Published", versions),
                ("Signed by", ", ".join(reply["signers"]) or "as before"),
                ("Kept as", f"ceremony {short(reply['sha256'])}"),
            ]
        )

    session.show(reply, draw)


def _judge(session: Session, bundle: "Bundle", root: Path | None) -> "Review":
    from api.cli.repository import read_root
    from signing.holding import review as judge

    return judge(bundle, read_root(root) if root else None, _now(session))


def _tell(session: Session, bundle: "Bundle", own: bytes | None, file: Path) -> None:
    from signing.holding import review as judge

    reviewed = judge(bundle, own, _now(session))
    for line in reviewed.screen():
        session.note(line)
    session.show(_document(reviewed), lambda screen: _draw_demands(screen, reviewed, file))


def _draw_demands(screen: Screen, reviewed: "Review", file: Path) -> None:
    for demand in reviewed.demands:
        screen.line(demand.line())
    screen.line()
    if reviewed.complete:
        screen.line(f"Everybody has signed: {file} can be published.")
    else:
        screen.line(f"Next: each holder copies {file} and runs ampwave tuf sign; then ampwave tuf combine.")


def _document(reviewed: "Review") -> Record:
    return {
        "fingerprint": reviewed.bundle.fingerprint,
        "changes": list(reviewed.lines),
        "flags": list(reviewed.flags),
        "complete": reviewed.complete,
        "signatures": [
            {
                "role": one.role,
                "by": one.by,
                "threshold": one.threshold,
                "signed": [key.keyid for key in one.signed],
                "missing": one.missing,
                "needed": one.needed,
            }
            for one in reviewed.demands
        ],
        "transcript": [
            {
                "keyid": one.keyid,
                "holder": one.holder,
                "roles": list(one.roles),
                "signed_at": one.signed_at,
                "tools": one.tools,
            }
            for one in reviewed.entries
        ],
    }


def _read(file: Path) -> "Bundle":
    from api.cli.repository import read_some
    from signing.bundle import read_bundle
    from signing.ports import MAX_CEREMONY

    try:
        data = read_some(file, MAX_CEREMONY + 1)
    except OSError as error:
        raise WrongUse(f"{file} cannot be read: {error.strerror}.") from error
    return read_bundle(data)


def _write_bundle(file: Path, bundle: "Bundle") -> None:
    from signing.bundle import write_bundle

    _write(file, write_bundle(bundle))


def _write(file: Path, data: bytes) -> None:
    """Whole or not at all: a stick that is pulled out leaves the old file."""
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with draft.open("wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        draft.replace(file)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise WrongUse(f"{file} cannot be written: {error.strerror}.") from error


def tools() -> str:
    """Which tools, in which versions, for the record."""
    from importlib.metadata import version

    return f"ampwave {version('ampwave')} tuf {version('tuf')} securesystemslib {version('securesystemslib')}"


def _now(session: Session) -> datetime:
    return session.clock().replace(microsecond=0)
