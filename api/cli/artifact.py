"""``ampwave artifact``: firmware on its way in."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from api.cli.errors import CliError, Record, WrongUse
from api.cli.evidence import app as evidence_app
from api.cli.output import Column, Screen, ago, duration, moment, short, size, words
from api.cli.references import ARTIFACT_HELP, artifact_id
from api.cli.session import Session, command, group

app = group("Upload, sign and release firmware.")
app.add_typer(evidence_app, name="evidence")

Reference = Annotated[str, typer.Argument(metavar="ARTIFACT", help=ARTIFACT_HELP)]
Limit = Annotated[int, typer.Option(min=1, metavar="N", help="At most so many.")]
IN_ONE = 8 * 1024 * 1024
"""A longer file goes in pieces, so that it can go on where it broke off."""
IMPORT_PATIENCE_S = 1000.0
SAY_AGAIN = timedelta(minutes=5)
FINAL = ("released", "rejected", "revoked")

# What a manifest says, as flags: the same however the image comes in.
ManifestFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Who made it and for which models, as JSON or YAML.")
]
RoleName = Annotated[str | None, typer.Option(metavar="ROLE", help="The role whose people sign it.")]
VersionText = Annotated[
    str | None, typer.Option(metavar="TEXT", help="What a charger reports once it runs it.")
]
Counter = Annotated[
    int | None, typer.Option(min=0, metavar="N", help="Release counter; rises with every release.")
]
Models = Annotated[
    list[str] | None, typer.Option(metavar="VENDOR/MODEL", help="A model it is for; repeat for more.")
]
Signatures = Annotated[
    list[str] | None,
    typer.Option(metavar="SCHEME:SIGFILE:CERTFILE", help="The vendor's signature; repeat for more."),
]


@command(app, "upload", posts=True)
def upload(  # noqa: PLR0913 - typer's options are its signature
    session: Session,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The firmware image.")],
    manifest: ManifestFile = None,
    role: RoleName = None,
    version: VersionText = None,
    counter: Counter = None,
    model: Models = None,
    signature: Signatures = None,
) -> None:
    """Upload a firmware image. Its manifest comes from a file, or from flags that say the same."""
    from api.cli.manifest import UploadFlags, make_manifest

    flags = UploadFlags(role, version, counter, tuple(model or ()), tuple(signature or ()))
    said = make_manifest(file, manifest, flags)
    if file.stat().st_size <= IN_ONE:
        artifact = session.api.upload("/artifacts", file, said)
    else:
        from api.cli.resumable import upload_in_pieces

        artifact = upload_in_pieces(session, file, said)
    session.show(artifact, lambda screen: _draw_taken(screen, artifact, "Uploaded"))


@command(app, "import", posts=True)
def import_(  # noqa: PLR0913 - typer's options are its signature
    session: Session,
    address: Annotated[str, typer.Argument(metavar="URL", help="Where its vendor offers it: public, https.")],
    manifest: ManifestFile = None,
    role: RoleName = None,
    version: VersionText = None,
    counter: Counter = None,
    model: Models = None,
    signature: Signatures = None,
    sha256: Annotated[
        str | None, typer.Option(metavar="HEX", help="What the vendor says its SHA-256 is; it is checked.")
    ] = None,
) -> None:
    """Have the server fetch a firmware image from its vendor's public https address."""
    from api.cli.manifest import UploadFlags, remote_manifest

    flags = UploadFlags(role, version, counter, tuple(model or ()), tuple(signature or ()))
    body = {"url": address, "manifest": remote_manifest(manifest, flags, sha256)}
    if not session.json:
        session.note(f"The server fetches {address} now. This may take minutes.")
    artifact = session.api.post("/imports", body, patience_s=IMPORT_PATIENCE_S)
    session.show(artifact, lambda screen: _draw_taken(screen, artifact, "Imported"))


def _draw_taken(screen: Screen, artifact: Record, verb: str) -> None:
    screen.line(f"{verb} {_name(artifact)}, {size(artifact['length'])}, as {artifact['artifact_id']}.")
    screen.line(f"It is checked now; follow it with: ampwave artifact release {_name(artifact)} --wait")


@command(app, "list")
def list_(session: Session, limit: Limit = 100) -> None:
    """List artifacts, newest first."""
    artifacts = list(session.api.pages("/artifacts", limit))
    columns = (
        Column("ARTIFACT"),
        Column("STATE"),
        Column("MODELS", fold=True),
        Column("COUNTER", optional=True, right=True),
        Column("SIZE", right=True, optional=True),
        Column("UPLOADED"),
        Column("BY", optional=True),
        Column("ID", optional=True),
    )
    now = session.clock()
    rows = [
        (
            _name(item),
            words(item["phase"]),
            _models(item),
            str(item["release_counter"]),
            size(item["length"]),
            ago(item["uploaded_at"], now),
            str(item["uploaded_by"]),
            short(item["artifact_id"]),
        )
        for item in artifacts
    ]
    session.show(
        artifacts,
        lambda screen: screen.table(
            columns, rows, empty="No artifacts yet. Upload one: ampwave artifact upload FILE --manifest FILE"
        ),
    )


@command(app, "show")
def show(session: Session, artifact: Reference) -> None:
    """Show one artifact and who has signed it."""
    found = _look(session, f"/artifacts/{artifact_id(session.api, artifact)}")
    session.show(found, lambda screen: _draw(screen, found, session))


@command(app, "sign", posts=True)
def sign(
    session: Session,
    artifact: Reference,
    key: Annotated[str, typer.Option(metavar="ADDRESS", help="Your own key, as in file2:ada.pem.")],
    keyid: Annotated[
        str | None, typer.Option(metavar="ID", help="Which key, where the address cannot tell.")
    ] = None,
    root: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Your own root.json. [default: from the settings]")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Review a staged release and sign it. What changes is computed here, from the bytes themselves."""
    from api.cli.credentials import load_settings
    from api.cli.repository import read_root
    from api.cli.review import review_staged, sign_staged

    found_id = artifact_id(session.api, artifact)
    trusted_root = read_root(root or load_settings().trusted_root_path)
    reviewed = review_staged(session.api, found_id, trusted_root, session.clock())
    for line in reviewed.lines():
        session.note(line)
    if [one.sha256 for one in reviewed.step.added] != [found_id] and not reviewed.flags:
        raise CliError(
            "Not signed: the staged bytes release another image than the one you named.",
            hint="Tell your security people.",
        )
    if not reviewed.flags:
        session.confirm("Sign this?", yes=yes)
    reply = sign_staged(session.api, found_id, reviewed, key, keyid)
    count, names = len(reply["signed_by"]), ", ".join(one["signer"] for one in reply["signed_by"])
    session.show(
        reply,
        lambda screen: screen.line(
            f"Signed. {count} of {reply['threshold']} signatures: {names or 'on its way'}."
        ),
    )


@command(app, "revoke", posts=True)
def revoke(
    session: Session,
    artifact: Reference,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, for everybody who asks.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Stop sending a released image, at once and everywhere; the same as `ampwave withdrawal artifact`."""
    from api.cli.withdrawal import withdraw_artifact

    withdraw_artifact(session, artifact, reason, yes=yes)


@command(app, "metering")
def metering(
    session: Session,
    artifact: Reference,
    country: Annotated[
        list[str] | None, typer.Option(metavar="CC", help="Where it is permitted; repeat for more.")
    ] = None,
    reason: Annotated[
        str | None, typer.Option("--reason", metavar="TEXT", help="By which approval; marks the firmware.")
    ] = None,
) -> None:
    """Mark firmware as affecting legal metering, and say where it is permitted; without options: show it."""
    path = f"/artifacts/{artifact_id(session.api, artifact)}/metering"
    if reason is None:
        if country:
            raise WrongUse("--reason is missing.", hint="Say by which approval it is permitted there.")
        found = session.api.get(path)
    else:
        body = {"countries": [each.upper() for each in country or []], "reason": reason}
        found = session.api.put(path, body)
    where = ", ".join(found["countries"]) or "nowhere"
    session.show(
        found, lambda screen: screen.line(f"It affects metering; permitted in: {where} ({found['reason']}).")
    )


@command(app, "release")
def release(
    session: Session,
    artifact: Reference,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until it is released or rejected.")] = False,
    timeout: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="With --wait: give up waiting after this.")
    ] = 3600.0,
) -> None:
    """Say how far an artifact is. People release it by signing; this waits for them with --wait.

    Exit code 0 means released.
    """
    path = f"/artifacts/{artifact_id(session.api, artifact)}"
    found = _look(session, path)
    found, late = _awaited(session, path, found, timeout) if wait else (found, False)
    session.show(found, lambda screen: _draw(screen, found, session))
    if found["phase"] != "released":
        hint = f"Nobody waits for it any more, after {duration(timeout)} (--timeout)." if late else ""
        raise CliError(f"{_name(found)} is not released: {_state(found)}", hint=hint)


def _awaited(session: Session, path: str, found: Record, timeout: float) -> tuple[Record, bool]:
    """Look until it is through; whether that took too long. What it waits for is said again now and then."""
    said, said_at = "", session.clock()
    deadline = said_at + timedelta(seconds=timeout)
    if found["phase"] not in FINAL:
        session.note(f"Waiting for up to {duration(timeout)} (--timeout). To stop waiting, press Ctrl-C.")
    while found["phase"] not in FINAL:
        now = session.clock()
        if now >= deadline:
            return found, True
        if (state := _state(found)) != said or now - said_at >= SAY_AGAIN:
            said, said_at, step = state, now, _waits_for(found)
            session.note(f"{_name(found)}: {state}" + (f". {step}" if step else ""))
        session.pause(1.0)
        found = _look(session, path)
    return found, False


def _waits_for(item: Record) -> str:
    """Who has to do something before it goes on; nothing: it goes on by itself."""
    return _next(item) if str(item["phase"]).startswith("awaiting") else ""


def _look(session: Session, path: str) -> Record:
    """An artifact, and while it is staged also who has signed and how many have to."""
    found: Record = session.api.get(path)
    if found["phase"] == "awaiting_signatures":
        staged = session.api.get(f"{path}/staged")
        found["threshold"], found["signed_by"] = staged["threshold"], staged["signed_by"]
    return found


def _draw(screen: Screen, item: Record, session: Session) -> None:
    now = session.clock()
    screen.fields(
        [
            ("Artifact", _name(item)),
            ("State", words(item["phase"])),
            ("Because", item.get("reason") or None),
            ("Signed by", _signers(item)),
            ("Models", _models(item)),
            ("Evidence", ", ".join(one["kind"] for one in item.get("evidence") or ()) or "none"),
            ("Vendor signed", ", ".join(one["scheme"] for one in item["vendor_signatures"]) or "none"),
            ("Counter", str(item["release_counter"])),
            ("Size", size(item["length"])),
            ("Uploaded", f"{moment(item['uploaded_at'], now)} by {item['uploaded_by']}"),
            ("SHA-256", str(item["artifact_id"])),
        ]
    )
    if step := _next(item):
        screen.line()
        screen.line(step)


def _name(item: Record) -> str:
    return f"{item['vendor_role']}/{item['version']}"


def _models(item: Record) -> str:
    names = []
    for one in item["compatible"]:
        revisions = one.get("hardware_revisions") or ()
        names.append(
            f"{one['vendor']}/{one['model']}" + (f" (rev. {', '.join(revisions)})" if revisions else "")
        )
    return ", ".join(names) or "none"


def _signers(item: Record) -> str | None:
    if "signed_by" not in item:
        return None
    names = ", ".join(str(one["signer"]) for one in item["signed_by"])
    return f"{len(item['signed_by'])} of {item['threshold']}: {names or 'nobody yet'}"


def _state(item: Record) -> str:
    signers = _signers(item)
    facts = [text for text in (item["reason"], f"signed by {signers}" if signers else "") if text]
    return ". ".join([words(item["phase"]), *facts])


def _next(item: Record) -> str:
    name = _name(item)
    if item["phase"] == "awaiting_evidence":
        return f"Bring what is missing: ampwave artifact evidence add {name} --sbom FILE"
    if item["phase"] == "awaiting_signatures":
        return f"Sign it with your own key: ampwave artifact sign {name} --key file2:PATH"
    if item["phase"] == "released":
        return f"Roll it out: ampwave campaign plan --artifact {name} --waves canary:5%,half:45%,rest:50%"
    if item["phase"] == "rejected":
        return "Mend what the reason says, and upload it again: the same version is free for it."
    return ""
