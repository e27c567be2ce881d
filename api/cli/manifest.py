"""The manifest of an upload: read from a file, or put together from flags."""

import base64
import binascii
import hashlib
from dataclasses import dataclass
from pathlib import Path

from api.cli import documents
from api.cli.documents import Problems
from api.cli.errors import Record, WrongUse
from api.cli.planfile import parse_model
from storage.charger import SignatureScheme

_SCHEMES = {
    **{scheme.value: scheme for scheme in SignatureScheme},
    **{scheme.value.removesuffix("-sha256"): scheme for scheme in SignatureScheme},
}
_FIELDS = {
    "vendor_role": str,
    "version": str,
    "release_counter": int,
    "filename": str,
    "sha256": str,
    "compatible": list,
    "vendor_signatures": list,
}
_REQUIRED = ("vendor_role", "version", "release_counter", "compatible")


@dataclass(frozen=True, slots=True)
class UploadFlags:
    """What the command line said instead of a manifest file."""

    role: str | None
    version: str | None
    counter: int | None
    models: tuple[str, ...]
    signatures: tuple[str, ...]

    def any(self) -> bool:
        """Whether anything was said."""
        return bool(self.role or self.version or self.counter is not None or self.models or self.signatures)


def make_manifest(file: Path, manifest: Path | None, flags: UploadFlags) -> Record:
    """The manifest to send, with the file's own name and SHA-256."""
    if manifest is not None and flags.any():
        raise WrongUse("Give --manifest or the single flags, not both.")
    body = _from_flags(flags) if manifest is None else _from_file(manifest)
    sha256 = file_sha256(file)
    if body.setdefault("sha256", sha256) != sha256:
        raise WrongUse(
            f"{file} is not the file of this manifest.",
            [f"the manifest says {body['sha256']}", f"the file has  {sha256}"],
        )
    body.setdefault("filename", file.name)
    return body


def remote_manifest(manifest: Path | None, flags: UploadFlags, sha256: str | None) -> Record:
    """The manifest of a file that is not here."""
    if manifest is not None and flags.any():
        raise WrongUse("Give --manifest or the single flags, not both.")
    body = _from_flags(flags) if manifest is None else _from_file(manifest)
    if sha256 is not None and body.setdefault("sha256", sha256.lower()) != sha256.lower():
        raise WrongUse("--sha256 and the manifest name different images.")
    return body


def file_sha256(file: Path) -> str:
    """SHA-256 of a file, read in pieces. Raises WrongUse when it cannot be read or is empty."""
    try:
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
            length = stream.tell()
    except OSError as error:
        raise WrongUse(f"{file} cannot be read: {error.strerror}.") from error
    if length == 0:
        raise WrongUse(f"{file} is empty.", hint="Upload the firmware image itself.")
    return digest


def _from_flags(flags: UploadFlags) -> Record:
    given = {
        "--role": flags.role,
        "--version": flags.version,
        "--counter": flags.counter,
        "--model": flags.models or None,
    }
    missing = [f"{name} is missing." for name, value in given.items() if value is None]
    if missing:
        raise WrongUse("This is not enough to upload.", missing, hint="Or give a --manifest file.")
    models = [parse_model(text) for text in flags.models]
    return {
        "vendor_role": flags.role,
        "version": flags.version,
        "release_counter": flags.counter,
        "compatible": [{"vendor": vendor, "model": model} for vendor, model in models],
        "vendor_signatures": [parse_signature(text) for text in flags.signatures],
    }


def parse_signature(text: str) -> Record:
    """``SCHEME:SIGFILE:CERTFILE`` as a vendor signature; the signature file may be raw or base64."""
    scheme, _, files = text.partition(":")
    signature, _, certificate = files.rpartition(":")
    if not (signature and certificate):
        raise WrongUse(
            f"--signature: {text!r} is not SCHEME:SIGFILE:CERTFILE.",
            hint="Write it as in ecdsa-p256-sha256:image.sig:vendor.pem.",
        )
    pem = _read(Path(certificate))
    if b"-----BEGIN CERTIFICATE-----" not in pem:
        raise WrongUse(f"{certificate} is not a PEM certificate.")
    return {
        "scheme": signature_scheme(scheme).value,
        "signature": _base64(_read(Path(signature))),
        "certificate": pem.decode("ascii", "replace"),
    }


def signature_scheme(text: str) -> SignatureScheme:
    """A scheme by its name, with or without its hash. Raises WrongUse."""
    if text not in _SCHEMES:
        raise WrongUse(
            f"{text!r} is not a signature scheme.",
            hint=f"Use {', '.join(item.value for item in SignatureScheme)}.",
        )
    return _SCHEMES[text]


def _base64(content: bytes) -> str:
    text = b"".join(content.split())
    try:
        base64.b64decode(text, validate=True)
    except binascii.Error:
        return base64.b64encode(content).decode()
    return text.decode()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise WrongUse(f"{path} cannot be read: {error.strerror}.") from error


def _from_file(path: Path) -> Record:
    problems = Problems(str(path))
    root = documents.load(path)
    body: Record = {}
    for name, entry in documents.mapping(root, problems).items():
        if name not in _FIELDS:
            problems.add(entry, f"is not a field here. {documents.nearest(name, _FIELDS)}")
            continue
        body[name] = entry.text if _FIELDS[name] is str else documents.plain(entry)
        if not isinstance(body[name], _FIELDS[name]):
            problems.add(entry, f"should be {_WORDS[_FIELDS[name]]}.")
    for name in _REQUIRED:
        if name not in body:
            problems.add(root, f"{name} is missing.")
    problems.check(hint="deploy/examples/manifest.json shows every field.")
    return body


_WORDS = {str: "text", int: "a whole number", list: "a list"}
