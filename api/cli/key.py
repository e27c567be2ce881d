"""``ampwave key``: keys by their addresses. They stay where they are made."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli.errors import CliError, WrongUse
from api.cli.output import Column, Screen, short
from api.cli.session import Session, command, group

if TYPE_CHECKING:
    from api.cli.keys_at_work import KeyState, KnownKeys
    from api.settings import Settings

app = group("Make, list and check keys; sign images.")

ADDRESS_HELP = "Where the key is: file2:PATH, hsm:ID?label=TOKEN, awskms:, gcpkms:, azurekms: or hv:."
Public = Annotated[
    Path | None,
    typer.Option("--public", metavar="FILE", help="Its public half. [default: asked of its holder]"),
]


@command(app, "create", online=False)
def create(
    session: Session,
    where: Annotated[
        str, typer.Argument(metavar="FILE|hsm:ID?label=TOKEN", help="A new file ending in .pem, or a token.")
    ],
    public: Annotated[
        Path | None,
        typer.Option("--public", metavar="FILE", help="Where its public half goes. [default: beside it]"),
    ] = None,
) -> None:
    """Make a key: in a file that only you can read (ed25519), or on a PKCS#11 token (P-256)."""
    made = (
        _on_token(where, public)
        if where.startswith("hsm:")
        else _in_file(Path(where.removeprefix("file2:")), public)
    )

    def draw(screen: Screen) -> None:
        screen.fields(
            [("Key id", made["keyid"]), ("Address", made["address"]), ("Public half", made["public_file"])]
        )
        screen.line()
        screen.line(
            f"Hand {made['public_file']} to whoever keeps the targets role; it counts once they sign it in."
        )
        if made["address"].startswith("file2:"):
            path = made["address"].removeprefix("file2:")
            screen.line(
                f"The private half in {path} is not encrypted: keep it on a disk that is, and never send it."
            )

    session.show(made, draw)


@command(app, "list", online=False)
def list_(
    session: Session,
    folder: Annotated[
        Path | None, typer.Option("--dir", metavar="DIR", help="[default: this machine's key folder]")
    ] = None,
) -> None:
    """List the signer's keys and those of a folder: what each is, who opens it, what it counts for."""
    from api.cli.keys_at_work import key_files, signer_keys

    settings = _settings(ask=False)
    known = _known(session, settings)
    online = signer_keys(settings, known) if folder is None else []
    found = online + key_files(folder or settings.keys, known, {state.address for state in online})
    if not known.complete and found:
        session.note("Vendor roles and the directive's are not shown: the signed metadata could not be read.")
    columns = (
        Column("NAME"),
        Column("KEY ID"),
        Column("KIND", optional=True),
        Column("COUNTS FOR"),
        Column("OPENED BY", optional=True),
        Column("ADDRESS", fold=True),
    )
    rows = [
        (
            state.name,
            short(state.keyid) if state.keyid else "unknown",
            state.kind or "-",
            ", ".join(state.roles) or "-",
            state.process,
            state.address,
        )
        for state in found
    ]
    empty = f"No keys in {folder or settings.keys}. Make one: ampwave key create FILE.pem"

    def draw(screen: Screen) -> None:
        screen.table(columns, rows, empty=empty)
        for state in found:
            if state.problem:
                screen.line(f"{state.name}: {state.problem}")

    session.show([state.document() for state in found], draw)


@command(app, "check", online=False)
def check(
    session: Session,
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help=ADDRESS_HELP)],
    public: Public = None,
) -> None:
    """Say what the key at an address is, and let it sign a few random bytes. Exit code 0: it can."""
    from api.cli.keys_at_work import PERSON, SIGNER, KeyState, prove
    from api.key_access import online_keys
    from signing.addresses import holder_of
    from signing.keys import public_of, read_public

    settings = _settings(ask=True)
    holder = holder_of(address)
    key = read_public(public) if public else public_of(address)
    took = prove(address, key)
    known, online = _known(session, settings), online_keys(settings)
    process = SIGNER if address in (online.snapshot, online.timestamp, online.directive) else PERSON
    state = KeyState("", address, holder.words, process, key.keyid, key.scheme, known.roles_of(key))
    facts = {**state.document(), "signs": True, "milliseconds": round(took * 1000, 1)}
    del facts["name"], facts["problem"]
    session.show(facts, lambda screen: _draw_check(screen, state, known, took))


@command(app, "sign-image", online=False)
def sign_image(
    session: Session,
    image: Annotated[Path, typer.Argument(metavar="IMAGE", help="The firmware image.")],
    key: Annotated[str, typer.Option(metavar="ADDRESS", help="The firmware signing key: file2: or hsm:.")],
    certificate: Annotated[Path, typer.Option(metavar="FILE", help="Its certificate (PEM), one, no chain.")],
    scheme: Annotated[
        str, typer.Option(metavar="SCHEME", help="How chargers of the model verify it; never guessed.")
    ],
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where the signature goes, base64.")],
) -> None:
    """Make the firmware signature that chargers verify (OCPP L01), and check it as a charger would.

    For makers whose signing key is at hand. Only the image's digest reaches the key.
    """
    from api.cli.images import make_signature

    _settings(ask=True)
    made = make_signature(image, key, certificate, scheme, session.clock())
    if out.exists():
        raise WrongUse(f"{out} is there already; a signature is never overwritten.", hint="Name a new file.")
    out.write_text(made.signature + "\n")
    facts = {"scheme": made.scheme.value, "signature_file": str(out), "characters": len(made.signature)}

    def draw(screen: Screen) -> None:
        screen.line(f"{image} is signed under {made.scheme.value}; the signature is in {out}.")
        given = f"{made.scheme.value}:{out}:{certificate}"
        screen.line(f"Upload both: ampwave artifact upload {image} --signature {given}")

    session.show(facts, draw)


def _settings(*, ask: bool) -> "Settings":
    from api.cli.credentials import load_settings
    from api.key_access import use_tokens

    settings = load_settings()
    use_tokens(settings, ask=ask)
    return settings


def _known(session: Session, settings: "Settings") -> "KnownKeys":
    import asyncio

    from api.cli.keys_at_work import known_keys

    async def fetch(name: str, limit: int) -> bytes:
        return await asyncio.to_thread(session.public_api.metadata, name, limit)

    return known_keys(fetch, settings.trusted_root_path, session.clock())


def _in_file(file: Path, public: Path | None) -> dict[str, str]:
    from signing.keys import ensure_key_file, file_address

    if file.suffix != ".pem":
        raise WrongUse(f"{file} should end in .pem.", hint="Keys of cloud services are made there.")
    beside = file.with_suffix(".pub.json")
    if public not in (None, beside):
        raise WrongUse(f"The public half of {file} goes to {beside}.")
    for path in (file, beside):
        _new(path)
    key = ensure_key_file(file)
    return {"keyid": key.keyid, "address": file_address(file), "public_file": str(beside)}


def _on_token(address: str, public: Path | None) -> dict[str, str]:
    from signing.keys import public_bytes, public_of, write_new
    from signing.tokens import TokenAddress, create_on_token

    where = TokenAddress.parse(address)
    file = public or Path(f"{where.label or 'token'}-{where.key_id}.pub.json")
    _new(file)
    _settings(ask=True)
    create_on_token(address, f"ampwave {where.key_id}")
    key = public_of(address)
    if not write_new(file, public_bytes(key), 0o644):
        raise CliError(f"The key was made, but {file} appeared meanwhile.", hint="Write it elsewhere.")
    return {"keyid": key.keyid, "address": str(where), "public_file": str(file)}


def _new(path: Path) -> None:
    if path.exists():
        raise WrongUse(f"{path} is there already; a key is never overwritten.", hint="Name a new file.")


def _draw_check(screen: Screen, state: "KeyState", known: "KnownKeys", took: float) -> None:
    nothing = "nothing" if known.complete else "nothing that your root.json lists (signed metadata unread)"
    screen.fields(
        [
            ("Key id", state.keyid),
            ("Kind", state.kind),
            ("Held by", state.holder),
            ("Opened by", state.process),
            ("Counts for", ", ".join(state.roles) or nothing),
            ("It signs", f"yes, in {took * 1000:.1f} ms"),
        ]
    )
