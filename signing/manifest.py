"""A manufacturer's signed list of the chargers it made, believed by a key that we pinned (F42)."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from securesystemslib.signer import Key, Signer

from signing.dsse import open_payload, sign_payload
from signing.errors import VerificationFailed
from signing.keys import read_public
from signing.strict_json import read_object
from storage.canonical import canonical_json, sha256_hex
from storage.errors import InvalidInput

MANIFEST = "application/vnd.ampwave.factory-manifest+json"
MAX_MANIFEST = 16 * 1024 * 1024
MOST_UNITS = 50_000
_TEXT = 100
_FIELDS = frozenset({"serial_number", "model", "hardware_revision", "key_sha256"})


@dataclass(frozen=True, slots=True)
class Maker:
    """Whose lists are believed: of this vendor, by this key."""

    vendor: str
    key: Key


@dataclass(frozen=True, slots=True)
class Unit:
    """One charger of a list."""

    serial_number: str
    model: str
    hardware_revision: str | None = None
    key_sha256: str | None = None
    """Of its public key as DER (SubjectPublicKeyInfo), hexadecimal."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """A list whose signature holds."""

    vendor: str
    batch: str
    environment: str
    units: tuple[Unit, ...]
    sha256: str


def read_makers(folder: Path | None) -> tuple[Maker, ...]:
    """``NAME.pub.json`` with ``NAME.vendor`` beside it. Raises KeyUnavailable, InvalidInput."""
    if folder is None:
        return ()
    makers = []
    for path in sorted(folder.glob("*.pub.json")):
        named = path.with_name(f"{path.name.removesuffix('.pub.json')}.vendor")
        if not named.is_file():
            raise InvalidInput(f"{named} is missing: it says whose key {path.name} is.")
        makers.append(Maker(named.read_text(encoding="utf-8").strip(), read_public(path)))
    return tuple(makers)


def sign_manifest(
    vendor: str, batch: str, environment: str, units: Sequence[Mapping[str, Any]], signer: Signer
) -> bytes:
    """The envelope, for whoever makes chargers. Raises KeyUnavailable."""
    said = {"version": 1, "vendor": vendor, "batch": batch, "environment": environment, "units": list(units)}
    return sign_payload(canonical_json(said), MANIFEST, signer)


def open_manifest(document: bytes, makers: Sequence[Maker]) -> Manifest:
    """A list that its own vendor's pinned key signed.

    Raises VerificationFailed; InvalidInput, which names every unit that cannot be used.
    """
    keys = {maker.key.keyid: maker.key for maker in makers}
    opened = open_payload(document, "the list", {MANIFEST}, keys, limit=MAX_MANIFEST)
    said = read_object(opened.payload, "the list", limit=MAX_MANIFEST)
    vendor = said.get("vendor")
    if not any(maker.vendor == vendor and maker.key.keyid == opened.keyid for maker in makers):
        raise VerificationFailed("The list is of one vendor and signed by the key of another.")
    if said.get("version") != 1 or not isinstance(said.get("units"), list) or len(said["units"]) > MOST_UNITS:
        raise InvalidInput(f"This is no list that we can read: version 1, at most {MOST_UNITS} units.")
    problems = [problem for number, raw in enumerate(said["units"]) for problem in _problems(number, raw)]
    serials = [raw["serial_number"] for raw in said["units"]] if not problems else []
    problems += [f"{serial}: it is listed twice" for serial, times in Counter(serials).items() if times > 1]
    if problems:
        raise InvalidInput(f"{len(problems)} units cannot be used; nothing was taken in.", problems[:1000])
    return Manifest(
        str(vendor),
        str(said.get("batch", "")),
        str(said.get("environment", "")),
        tuple(Unit(**raw) for raw in said["units"]),
        sha256_hex(document),
    )


def _problems(number: int, raw: object) -> list[str]:
    name = f"units[{number}]"
    if not isinstance(raw, dict):
        return [f"{name}: it is no object"]
    problems = [f"{name}: {field} is unknown" for field in sorted(set(raw) - _FIELDS)]
    problems += [
        f"{name}: {field} is missing, or is no text of 1 to {_TEXT} characters"
        for field in ("serial_number", "model")
        if not _is_label(raw.get(field))
    ]
    revision, key = raw.get("hardware_revision"), raw.get("key_sha256")
    if revision is not None and not _is_label(revision):
        problems.append(f"{name}: hardware_revision is no text of 1 to {_TEXT} characters")
    if key is not None and not (
        isinstance(key, str) and len(key) == 64 and set(key) <= set("0123456789abcdef")
    ):
        problems.append(f"{name}: key_sha256 is no SHA-256 in lower-case hexadecimal")
    return problems


def _is_label(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _TEXT and value.isprintable()
