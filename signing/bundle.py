"""The file of a ceremony: what is to be signed, the signatures so far, and evidence of what is signed now.

One JSON file that travels by USB stick or mail, in copies, in any order. Nothing in it is believed: the
evidence is verified from the holder's own root, and a signature counts only over the very content it
came with, so whoever edits the file voids what was collected (S16).
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tuf.api.metadata import Metadata, Root, Targets

from signing.errors import VerificationFailed
from signing.metadata import People, canonical, decode_people, encode_people, refusing
from signing.ports import MAX_CEREMONY
from signing.roles import ROOT, SNAPSHOT, TIMESTAMP, metadata_file
from storage.canonical import canonical_json, sha256_hex

FORMAT = "ampwave ceremony 1"


@dataclass(frozen=True, slots=True)
class Bundle:
    """``parts`` by role, each with the signatures so far."""

    parts: Mapping[str, People]
    evidence: Mapping[str, bytes] = field(default_factory=dict)
    """Published files by name, exactly as they are."""
    transcript: tuple[dict[str, Any], ...] = ()
    """DSSE envelopes, each signed by the holder who acted; see ``signing.transcript``."""

    @property
    def fingerprint(self) -> str:
        """Of what is signed, whoever has signed: to be read aloud before signing."""
        return sha256_hex(
            b"".join(name.encode() + canonical(self.parts[name].signed) for name in sorted(self.parts))
        )

    def file_name(self, role: str) -> str:
        """What the part of a role will be called when it is published."""
        return metadata_file(role, self.parts[role].signed.version)

    def root(self) -> Root | None:
        """The root in it, if one is to be signed."""
        part = self.parts.get(ROOT)
        return part.signed if part is not None and isinstance(part.signed, Root) else None

    def targets(self, role: str) -> Targets | None:
        """Targets or a vendor role in it, if it is to be signed."""
        part = self.parts.get(role)
        return part.signed if part is not None and isinstance(part.signed, Targets) else None


def unsigned(parts: Mapping[str, Root | Targets], evidence: Mapping[str, bytes] | None = None) -> Bundle:
    """A bundle that nobody has signed."""
    roots: dict[str, People] = {
        role: Metadata(part) for role, part in parts.items() if isinstance(part, Root)
    }
    return Bundle(
        roots | {role: Metadata(part) for role, part in parts.items() if isinstance(part, Targets)},
        evidence or {},
    )


def write_bundle(bundle: Bundle) -> bytes:
    """The file."""
    document = {
        "format": FORMAT,
        "parts": {role: json.loads(encode_people(part)) for role, part in bundle.parts.items()},
        "evidence": {name: data.decode() for name, data in sorted(bundle.evidence.items())},
        "transcript": list(bundle.transcript),
    }
    return json.dumps(document, indent=1, ensure_ascii=False, sort_keys=True).encode() + b"\n"


def read_bundle(data: bytes) -> Bundle:
    """Parse the file. Raises VerificationFailed for anything but its exact form."""
    if len(data) > MAX_CEREMONY:
        raise VerificationFailed(f"The ceremony file is longer than {MAX_CEREMONY} bytes.")
    try:
        document = json.loads(data, object_pairs_hook=_once)
        if document["format"] != FORMAT:
            raise VerificationFailed(f"The ceremony file is of another format than {FORMAT!r}.")
        if set(document) != {"format", "parts", "evidence", "transcript"}:
            raise ValueError("it has other fields")
        parts = {str(role): _part(role, content) for role, content in document["parts"].items()}
        evidence = {str(name): str(text).encode() for name, text in document["evidence"].items()}
        transcript = tuple(dict(entry) for entry in document["transcript"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise VerificationFailed(
            f"This is no ceremony file: {type(error).__name__}.", hint="Get it again from who prepared it."
        ) from error
    return Bundle(parts, evidence, transcript)


def merge(bundles: Iterable[Bundle]) -> Bundle:
    """One bundle with everybody's signatures; the copies may come in any order, signed or not.

    Raises:
        VerificationFailed: the copies are not of one ceremony: some content differs.
    """
    first, *others = bundles
    for other in others:
        if set(other.parts) != set(first.parts) or other.fingerprint != first.fingerprint:
            raise VerificationFailed(
                "These files are not copies of one ceremony: what they ask to sign differs.",
                hint=f"One has the fingerprint {first.fingerprint[:16]}, another {other.fingerprint[:16]}: "
                "find out who changed it, and start again from one file.",
            )
    merged = replace(
        first, parts={role: decode_people(encode_people(part), role) for role, part in first.parts.items()}
    )
    for other in others:
        for role, part in other.parts.items():
            for keyid, signature in part.signatures.items():
                # A bad copy of a signature must not hide a good one; whether it holds is judged elsewhere.
                merged.parts[role].signatures.setdefault(keyid, signature)
    for part in merged.parts.values():
        part.signatures = dict(sorted(part.signatures.items()))
    entries = {canonical_json(entry): entry for bundle in (first, *others) for entry in bundle.transcript}
    evidence = {name: data for bundle in (*others, first) for name, data in bundle.evidence.items()}
    return replace(merged, evidence=evidence, transcript=tuple(entries[key] for key in sorted(entries)))


def _part(role: str, content: Any) -> People:
    if role in {SNAPSHOT, TIMESTAMP}:
        raise VerificationFailed(f"A ceremony cannot hold {role}: it is signed by the signer process.")
    data = json.dumps(content).encode()
    with refusing(f"{role} in the ceremony file"):
        part = decode_people(data, role)
        if json.loads(encode_people(part)) != content:
            raise VerificationFailed(f"{role} in the ceremony file could be read in two ways.")
    return part


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; a name that comes twice could be read in two ways."""
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a name comes twice")
    return result
