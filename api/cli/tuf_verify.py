"""``ampwave tuf verify``: the proof of a repository, an image and a directive, from a pinned root alone."""

import asyncio
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli.errors import Record, WrongUse
from api.cli.output import Screen, ago
from api.cli.session import Session, command

if TYPE_CHECKING:
    from signing.proof import DirectiveProof, Image, Proof, ReleaseProof
    from signing.trust_source import Fetch

_PIECE = 1024 * 1024


def register(app: typer.Typer) -> None:
    """Put the command into ``ampwave tuf``."""
    command(app, "verify")(verify)


def verify(
    session: Session,
    root: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Your own root.json. [default: the one in the settings]"),
    ] = None,
    repository: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="Where timestamp.json lies: https://..., file://... [default: the api]"
        ),
    ] = None,
    folder: Annotated[
        Path | None, typer.Option("--dir", metavar="DIR", help="The same as a folder; no network.")
    ] = None,
    image: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Prove that this very file is a release.")
    ] = None,
    directive: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Prove that this directive holds, for such a release.")
    ] = None,
) -> None:
    """Verify the whole repository from your own root; with it a firmware file, and a directive.

    It asks no database and needs no token: what it proves, anybody with your root.json can prove.
    Exit code 0: all of it holds, and nothing has expired. 1: something does not. 2: the command is wrong.
    3: a file could not be had, which proves nothing.
    """
    from api.cli.credentials import load_settings
    from api.cli.errors import Unreachable
    from api.cli.repository import read_root
    from signing.errors import RepositoryUnreachable
    from signing.proof import prove, stored_envelope

    pinned = read_root(root or load_settings().trusted_root_path)
    envelope = stored_envelope(_read(directive)) if directive is not None else b""
    measured = _measured(image) if image is not None else None
    fetch, now = _fetch(session, repository, folder), session.clock()
    try:
        proof = asyncio.run(prove(fetch, pinned, now, image=measured, envelope=envelope))
    except RepositoryUnreachable as error:
        raise Unreachable(
            error.message,
            hint="That proves nothing either way. Try again, or name a copy with --repository or --dir.",
        ) from error
    written = _document(proof, hashlib.sha256(pinned).hexdigest())
    session.show(written, lambda screen: _draw(screen, proof, written, session))


def _fetch(session: Session, repository: str | None, folder: Path | None) -> "Fetch":
    from api.cli.fetching import fetch_from_url
    from api.cli.repository import fetch_from_folder
    from signing.trust_source import FETCH_SECONDS, within

    if folder is not None and repository is not None:
        raise WrongUse("--repository and --dir say two places.", hint="Name one.")
    if folder is not None:
        return fetch_from_folder(folder)
    if repository is not None:
        return within(fetch_from_url(repository), FETCH_SECONDS)
    api = session.public_api

    async def fetch(name: str, limit: int) -> bytes:
        return await asyncio.to_thread(api.metadata, name, limit)

    return fetch


def _read(path: Path) -> bytes:
    from signing.directive import MAX_ENVELOPE

    try:
        with path.open("rb") as file:
            return file.read(2 * MAX_ENVELOPE)
    except OSError as error:
        raise WrongUse(f"{path} cannot be read: {error.strerror}.") from error


def _measured(path: Path) -> "Image":
    from signing.proof import Image

    seen, length = hashlib.sha256(), 0
    try:
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                seen.update(piece)
                length += len(piece)
    except OSError as error:
        raise WrongUse(f"{path} cannot be read: {error.strerror}.") from error
    return Image(seen.hexdigest(), length)


def _document(proof: "Proof", pinned: str) -> Record:
    release, directive = proof.release, proof.directive
    return {
        "holds": True,
        "pinned_root_sha256": pinned,
        "roles": len(proof.roles),
        "releases": len(proof.releases),
        "signed": [
            {
                "role": one.role,
                "version": one.version,
                "expires": one.expires.isoformat(),
                "threshold": one.threshold,
                "signed_by": list(one.signed_by),
            }
            for one in proof.roles
        ],
        "release": None if release is None else _release_document(release),
        "directive": None if directive is None else _directive_document(directive),
    }


def _release_document(proof: "ReleaseProof") -> Record:
    release = proof.release
    return {
        "path": release.path,
        "version": release.version,
        "release_counter": release.release_counter,
        "sha256": release.sha256,
        "length": release.length,
        "compatible": [
            {"vendor": one.vendor, "model": one.model, "hardware_revisions": list(one.hardware_revisions)}
            for one in release.compatible
        ],
        "signed_by": list(proof.signed_by),
        "vendor_signatures": [
            {"scheme": scheme, "certificate_sha256": certificate} for scheme, certificate in proof.vendor
        ],
    }


def _directive_document(proof: "DirectiveProof") -> Record:
    directive = proof.directive
    return {
        "directive_id": directive.directive_id,
        "campaign_id": directive.campaign_id,
        "wave": directive.wave,
        "chargers": list(directive.charger_ids),
        "not_before": directive.not_before.isoformat(),
        "not_after": directive.not_after.isoformat(),
        "downgrade": directive.downgrade,
        "keyid": proof.keyid,
        "approvals": [approval.actor for approval in directive.approvals],
        "approvals_signed_by": list(proof.people),
    }


def _draw(screen: Screen, proof: "Proof", written: Record, session: Session) -> None:
    now = session.clock()
    screen.line(f"From your root with SHA-256 {written['pinned_root_sha256']}:")
    for one in proof.roles:
        keys = ", ".join(key[:8] for key in one.signed_by)
        expires = ago(one.expires.isoformat(), now)
        screen.line(f"{one.role} {one.version}: signed by {keys} ({one.threshold} needed), expires {expires}")
    if (found := proof.release) is not None:
        release = found.release
        screen.line(f"Released: {release.path}, counter {release.release_counter}, {release.length} bytes")
        screen.line(f"  for    {', '.join(f'{one.vendor} {one.model}' for one in release.compatible)}")
        screen.line(f"  people {', '.join(key[:8] for key in found.signed_by)}")
        for scheme, certificate in found.vendor:
            screen.line(f"  vendor {scheme}, certificate {certificate[:16]}")
        if not found.vendor:
            screen.line("  vendor NO SIGNATURE of the manufacturer")
    if (said := proof.directive) is not None:
        _draw_directive(screen, said, session)
    count = len(proof.releases)
    screen.line(f"It holds: {len(proof.roles)} roles, {count} releases, nothing expired.")


def _draw_directive(screen: Screen, said: "DirectiveProof", session: Session) -> None:
    directive = said.directive
    until = ago(directive.not_after.isoformat(), session.clock())
    way = "BACK to" if directive.downgrade else "to"
    number = len(directive.charger_ids)
    count = f"{number} charger" if number == 1 else f"{number} chargers"
    screen.line(f"Directed: {directive.directive_id}, {count} {way} {directive.version}, ends {until}")
    screen.line(f"  key      {said.keyid[:16]}")
    if said.people:
        screen.line(f"  approved by their own keys: {', '.join(said.people)}")
    else:
        names = ", ".join(approval.actor for approval in directive.approvals)
        screen.line(f"  approved by {names}, says the signer: the signed policy lists no approvers")
