"""``ampwave artifact evidence``: what proves a release, brought, shown and judged again on this machine."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.errors import CliError, Record, WrongUse
from api.cli.evidence_target import FOLDER, save_metadata, target_problems
from api.cli.output import Column, Screen, moment, short, size
from api.cli.references import ARTIFACT_HELP, artifact_id, file_name
from api.cli.session import Session, command, group

if TYPE_CHECKING:
    from storage.artifact import Compatible
    from storage.evidence import EvidenceKind

app = group("Bring, show and verify what proves a release.")
Reference = Annotated[str, typer.Argument(metavar="ARTIFACT", help=ARTIFACT_HELP)]
ABOUT = "artifact.json"
_MOST_BYTES = 8 * 1024 * 1024


@command(app, "add")
def add(
    session: Session,
    artifact: Reference,
    sbom: Annotated[Path | None, typer.Option(metavar="FILE", help="CycloneDX, JSON.")] = None,
    provenance: Annotated[Path | None, typer.Option(metavar="FILE", help="SLSA provenance, DSSE.")] = None,
    vex: Annotated[Path | None, typer.Option(metavar="FILE", help="OpenVEX or CycloneDX VEX, DSSE.")] = None,
) -> None:
    """Bring evidence while the release is not signed. A piece replaces the one before of its kind."""
    given = {"sbom": sbom, "provenance": provenance, "vex": vex}
    files = {kind: _read(file) for kind, file in given.items() if file is not None}
    if not files:
        raise WrongUse("Name at least one file.", hint="Use --sbom, --provenance or --vex.")
    path = f"/artifacts/{artifact_id(session.api, artifact)}/evidence"
    pieces: list[Record] = []
    for kind, data in files.items():
        pieces = session.api.put_bytes(f"{path}/{kind}", data, "application/json")
    session.show(pieces, lambda screen: _draw(screen, pieces, session))
    session.note("It is judged now; see: ampwave artifact show " + artifact)


@command(app, "remove")
def remove(
    session: Session,
    artifact: Reference,
    kind: Annotated[str, typer.Argument(metavar="KIND", help="sbom, provenance or vex.")],
) -> None:
    """Take a piece away while the release is not signed."""
    if kind not in ("sbom", "provenance", "vex"):
        raise WrongUse(f"{kind!r} is no kind of evidence.", hint="Use sbom, provenance or vex.")
    pieces = session.api.delete(f"/artifacts/{artifact_id(session.api, artifact)}/evidence/{kind}")
    session.show(pieces, lambda screen: _draw(screen, pieces, session))


@command(app, "show")
def show(
    session: Session,
    artifact: Reference,
    save: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Save all of it in a new folder, for `verify`.")
    ] = None,
) -> None:
    """Show what proves a release, and the signed verdict on it."""
    found = session.api.get(f"/artifacts/{artifact_id(session.api, artifact)}")
    pieces = session.api.get(f"/artifacts/{found['artifact_id']}/evidence")
    if save is not None:
        _save(session, save, found, pieces)
    session.show(pieces, lambda screen: _draw(screen, pieces, session))
    if save is not None:
        session.note(f"Saved in {save}. Judge it again, anywhere: ampwave artifact evidence verify {save}")


@command(app, "verify", online=False)
def verify(
    session: Session,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="What `evidence show --save` wrote.")],
    policy: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The evidence policy. [default: from the settings]")
    ] = None,
    key: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Public key of verdicts. [default: record.pub.json, if here]"),
    ] = None,
    root: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Your own root.json. [default: from the settings]")
    ] = None,
    image: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The image itself, to be hashed here too.")
    ] = None,
) -> None:
    """Judge the evidence again, offline, and hold the signed verdict against it. Exit code 0: both hold."""
    from api.cli.credentials import load_settings
    from api.cli.repository import read_root
    from signing.evidence import judge
    from signing.evidence_policy import read_policy
    from signing.notary import RECORD

    settings = load_settings()
    about, models = _about(folder)
    pieces = _pieces(folder)
    judged = judge(about, models, pieces, read_policy(policy or settings.evidence_policy_file))
    keys = key or sorted(settings.keys.glob(f"{RECORD}*.pub.json"))
    problems = [*judged.problems, *_image_problems(image, about)]
    said, differs = _verdict(folder, about, judged, keys)
    problems += differs
    released = (folder / FOLDER).is_dir()
    if released:
        trusted = read_root(root or settings.trusted_root_path)
        problems += target_problems(folder, trusted, about, _digests(folder))
    shown = {
        "artifact_id": about,
        "holds": not problems,
        "policy_sha256": judged.policy_sha256,
        "inputs": dict(judged.inputs),
        "signed_verdict": said,
        "held_against_signed_target": released,
        "problems": problems,
    }

    def draw(screen: Screen) -> None:
        screen.fields(
            [
                ("Image", about),
                ("Policy", judged.policy_sha256),
                (
                    "Looked at",
                    ", ".join(f"{name} {short(digest)}" for name, digest in judged.inputs) or "nothing",
                ),
                ("Signed verdict", said),
                (
                    "Signed target",
                    "names exactly this" if released and not problems else _target_word(released),
                ),
                ("Here", "holds" if not problems else "does not hold"),
            ]
        )

    session.show(shown, draw)
    if problems:
        raise CliError("The evidence does not hold.", problems)


def _verdict(folder: Path, image_sha256: str, judged: Any, keys: list[Path]) -> tuple[str, list[str]]:
    """What the signed verdict says, and where that is not what we found."""
    from signing.errors import SigningError
    from signing.keys import read_public
    from signing.vsa import open_summary, summary_of

    file = folder / "vsa.json"
    if not file.exists():
        return "none", ["there is no signed verdict"] if judged.inputs else []
    if not keys:
        return "unknown", ["no public key of verdicts is here: name it with --key"]
    try:
        public = {one.keyid: one for one in map(read_public, keys)}
        said = open_summary(_read(file), image_sha256, public)
    except SigningError as error:
        return "does not hold", [error.message]
    ours, word = summary_of(judged), "passed" if said.passed else "failed"
    if said.policy_sha256 != ours.policy_sha256:
        return word, ["the signed verdict was given under another policy"]
    if said.inputs != ours.inputs:
        return word, ["the signed verdict was given on other files"]
    return word, [] if said == ours else ["the signed verdict is another one than is found here"]


def _image_problems(image: Path | None, image_sha256: str) -> list[str]:
    import hashlib

    if image is None:
        return []
    try:
        with image.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise WrongUse(f"{image} cannot be read: {error.strerror}.") from error
    return [] if found == image_sha256 else [f"{image} is another image: its SHA-256 is {found}"]


def _save(session: Session, folder: Path, found: Record, pieces: list[Record]) -> None:
    try:
        folder.mkdir(parents=True)
    except FileExistsError as error:
        raise WrongUse(f"{folder} is there already.", hint="Name a new folder.") from error
    about = {name: found[name] for name in ("artifact_id", "vendor_role", "version", "compatible")}
    (folder / ABOUT).write_text(json.dumps(about, indent=1) + "\n")
    if found["phase"] in ("released", "revoked"):
        save_metadata(session.api, found["vendor_role"], folder)
    for piece in pieces:
        kind = file_name(piece["kind"])
        url = f"/artifacts/{found['artifact_id']}/evidence/{kind}"
        session.api.download(url, folder / f"{kind}.json", sha256=piece["sha256"])


def _about(folder: Path) -> tuple[str, "list[Compatible]"]:
    from signing.strict_json import read_object
    from storage.artifact import Compatible

    raw = read_object(_read(folder / ABOUT), f"{folder / ABOUT}", limit=_MOST_BYTES)
    try:
        models = [Compatible(str(one["vendor"]), str(one["model"])) for one in raw["compatible"]]
        return str(raw["artifact_id"]), models
    except (KeyError, TypeError) as error:
        raise WrongUse(f"{folder / ABOUT} does not say of which image and models it is.") from error


def _pieces(folder: Path) -> "dict[EvidenceKind, bytes]":
    from storage.evidence import SUPPLIED

    there = ((kind, folder / f"{kind.value}.json") for kind in SUPPLIED)
    return {kind: _read(file) for kind, file in there if file.exists()}


def _digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every piece, the verdict too."""
    from storage.canonical import sha256_hex
    from storage.evidence import EvidenceKind

    files = {kind.value: folder / f"{kind.value}.json" for kind in EvidenceKind}
    return {kind: sha256_hex(_read(file)) for kind, file in files.items() if file.exists()}


def _target_word(released: bool) -> str:
    return "see below" if released else "there is none yet: the release is not signed"


def _read(file: Path) -> bytes:
    try:
        if file.stat().st_size > _MOST_BYTES:
            raise WrongUse(f"{file} is longer than {size(_MOST_BYTES)}.")
        return file.read_bytes()
    except OSError as error:
        raise WrongUse(f"{file} cannot be read: {error.strerror}.") from error


def _draw(screen: Screen, pieces: list[Record], session: Session) -> None:
    now = session.clock()
    columns = (Column("KIND"), Column("SHA-256"), Column("SIZE", right=True), Column("BY"), Column("WHEN"))
    rows = [
        (
            str(one["kind"]),
            short(one["sha256"]),
            size(one["length"]),
            str(one["added_by"]),
            moment(one["added_at"], now) or "-",
        )
        for one in pieces
    ]
    empty = "No evidence. Bring some: ampwave artifact evidence add ARTIFACT --sbom FILE"
    screen.table(columns, rows, empty=empty)
