"""A CycloneDX SBOM (JSON): well-formed by the official schema, and of this image, not of another (S49)."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs

from signing.strict_json import read_object
from storage.errors import InvalidInput

MAX_SBOM = 8 * 1024 * 1024
_FOLDER = Path(__file__).parent / "cyclonedx"
_BASE = "http://cyclonedx.org/schema/"
_MOST_PROBLEMS = 10
_LARGE = 256 * 1024


@dataclass(frozen=True, slots=True)
class Sbom:
    """What is read of an SBOM."""

    components: int
    purls: frozenset[str]
    vulnerabilities: frozenset[str]
    """Ids that the SBOM itself lists, in upper case. What it says of them is unsigned and decides nothing."""


def known_versions() -> list[str]:
    """The versions of the specification that can be checked."""
    return sorted(
        path.name.split("-")[1].removesuffix(".SNAPSHOT.schema.json") for path in _FOLDER.glob("bom-*")
    )


def read_sbom(data: bytes, image_sha256: str) -> Sbom:
    """The SBOM of this image. Raises InvalidInput with everything that is wrong."""
    raw = read_object(data, "the SBOM", limit=MAX_SBOM)
    if problems := _schema_problems(raw, len(data)) or _binding_problems(raw, image_sha256):
        raise InvalidInput("This SBOM is not taken.", problems)
    parts = list(_components(raw))
    return Sbom(
        components=len(parts),
        purls=frozenset(part["purl"] for part in parts if part.get("purl")),
        vulnerabilities=frozenset(_vulnerability_ids(raw)),
    )


def image_digests(component: Any) -> set[str]:
    """The SHA-256 hashes that a CycloneDX component says it has, in lower case."""
    hashes = component.get("hashes") or [] if isinstance(component, dict) else []
    return {str(one.get("content", "")).lower() for one in hashes if one.get("alg") == "SHA-256"}


def cyclonedx_problems(raw: dict[str, Any], size: int) -> list[str]:
    """What the schema of its version says against a document of so many bytes; empty when it fits."""
    return _schema_problems(raw, size)


def _schema_problems(raw: dict[str, Any], size: int) -> list[str]:
    version = raw.get("specVersion")
    if raw.get("bomFormat") != "CycloneDX" or version not in known_versions():
        return [f"it is not a CycloneDX document of version {', '.join(known_versions())} in JSON"]
    problems = []
    for error in _errors(_validator(str(version)), raw, large=size > _LARGE):
        place = "/".join(str(step) for step in error.instance_path) or "the document"
        problems.append(f"{place[:120]}: {error.message[:200]}")
        if len(problems) == _MOST_PROBLEMS:
            break
    return problems


def _errors(validator: Any, raw: dict[str, Any], *, large: bool) -> Iterable[jsonschema_rs.ValidationError]:
    """All of them where that is quick: to find each in a large document may take minutes."""
    try:
        validator.validate(raw)
    except jsonschema_rs.ValidationError as first:
        return [first] if large else validator.iter_errors(raw)
    return ()


@cache
def _validator(version: str) -> Any:
    shared = [path for path in _FOLDER.glob("*.json") if not path.name.startswith("bom-")]
    registry = jsonschema_rs.Registry([(_BASE + path.name, _schema(path)) for path in shared])
    schema = _schema(_FOLDER / f"bom-{version}.SNAPSHOT.schema.json")
    return jsonschema_rs.Draft7Validator(schema, registry=registry, validate_formats=False, mask="a value")


def _schema(path: Path) -> Any:
    return json.loads(path.read_bytes())


def _binding_problems(raw: dict[str, Any], image_sha256: str) -> list[str]:
    component = (raw.get("metadata") or {}).get("component")
    digests = image_digests(component)
    if not digests:
        return ["metadata.component.hashes does not say of which image it is: it needs the image's SHA-256"]
    if image_sha256 not in digests:
        return [f"it is of another image, with SHA-256 {', '.join(sorted(digests))}, not {image_sha256}"]
    return []


def _components(raw: dict[str, Any]) -> Any:
    """All of them, nested ones too. Depth is bounded by the parser."""
    waiting = [(raw.get("metadata") or {}).get("component") or {}, *(raw.get("components") or [])]
    while waiting:
        part = waiting.pop()
        yield part
        waiting += part.get("components") or []


def _vulnerability_ids(raw: dict[str, Any]) -> Any:
    for one in raw.get("vulnerabilities") or []:
        names = [one.get("id"), *(other.get("id") for other in one.get("references") or [])]
        yield from (name.upper() for name in names if name)
