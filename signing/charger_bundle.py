"""Sealing and checking the evidence bundle of a charger: signed by the key that vouches for the records."""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from securesystemslib.signer import Key

from signing.checkpoint import public_key_key, read_key
from signing.dsse import open_payload, sign_payload
from signing.errors import VerificationFailed
from signing.keys import open_signer, public_bytes
from signing.notary import RecordKeys
from signing.strict_json import read_object
from storage.bundle import BundleManifest
from storage.canonical import canonical_json
from storage.errors import InvalidInput
from storage.ports import BlobStore

PAYLOAD_TYPE = "application/vnd.ampwave.charger-evidence+json"
MAX_MANIFEST = 65_536


class BundleSeal:
    """``signing.ports.BundleSealer``, with the record key."""

    def __init__(self, blobs: BlobStore, keys: Callable[[], RecordKeys]) -> None:
        self._blobs = blobs
        self._keys = keys

    async def seal(self, manifest: BundleManifest) -> bytes:
        """The two lines that a bundle begins with. Raises KeyUnavailable."""
        keys = self._keys()
        key = keys.public[0]
        signer = open_signer(keys.address, [key])
        envelope = await asyncio.to_thread(sign_payload, canonical_json(manifest), PAYLOAD_TYPE, signer)
        public = public_bytes(key)
        await self._blobs.put_bytes(public_key_key(key.keyid), public)
        head = {"kind": "manifest", "envelope": orjson.loads(envelope)}
        return canonical_json(head) + b"\n" + canonical_json({"kind": "key", **orjson.loads(public)}) + b"\n"


@dataclass(frozen=True, slots=True)
class Checked:
    """A bundle that holds."""

    manifest: BundleManifest
    keyid: str
    pinned: bool
    """Whether that key was known here, or only came along."""


def check_bundle(lines: Iterable[bytes], pinned: Mapping[str, Key]) -> Checked:
    """Read a file from its first line to its last, in constant memory. Raises VerificationFailed."""
    rest = iter(lines)
    head, key = (_object(next(rest, b""), number) for number in (1, 2))
    if head.get("kind") != "manifest" or key.pop("kind", None) != "key":
        raise VerificationFailed("This is no evidence bundle of a charger.")
    keys = dict(pinned)
    if not keys:
        own = read_key(key)
        keys = {own.keyid: own}
    document = canonical_json(head.get("envelope"))
    opened = open_payload(document, "the manifest", {PAYLOAD_TYPE}, keys, limit=MAX_MANIFEST)
    manifest = _manifest(opened.payload)
    digest, counts = hashlib.sha256(), Counter[str]()
    for number, line in enumerate(rest, start=3):
        digest.update(line)
        counts[str(_object(line, number).get("section"))] += 1
    if digest.hexdigest() != manifest.sha256:
        raise VerificationFailed(
            f"The evidence is not what was signed: {counts.total()} lines here, {manifest.lines} signed.",
            hint="The file was changed or cut short after it was made. Fetch it again.",
        )
    if counts.total() != manifest.lines or dict(counts) != manifest.sections:
        raise VerificationFailed("The manifest does not count the lines that it signs.")
    return Checked(manifest, opened.keyid, bool(pinned))


def _object(line: bytes, number: int) -> dict[str, Any]:
    try:
        found = orjson.loads(line)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise VerificationFailed(f"This is no evidence bundle: line {number} is no JSON object.")
    return found


def _manifest(payload: bytes) -> BundleManifest:
    try:
        raw = read_object(payload, "the manifest", limit=MAX_MANIFEST)
        times = {name: datetime.fromisoformat(raw[name]) for name in ("since", "until", "made_at")}
        made = BundleManifest(**raw | times)
        if type(made.lines) is int and canonical_json(made) == payload:
            return made
    except (InvalidInput, KeyError, TypeError, ValueError) as error:
        raise VerificationFailed("The envelope holds no manifest of a bundle.") from error
    raise VerificationFailed("The manifest is not in canonical form.")
