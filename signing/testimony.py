"""What Ampwave testifies of one charger, signed: the receipt of its end, the passport of its firmware.

A DSSE envelope by the record key, which the database does not hold, so that anybody checks it offline with
the public key alone. It says what our records said when it was signed, not that they are true.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from securesystemslib.signer import Key

from signing.dsse import open_payload, sign_payload
from signing.errors import VerificationFailed
from signing.keys import open_signer
from signing.notary import RecordKeys
from signing.strict_json import read_object
from storage.canonical import canonical_json, sha256_hex
from storage.errors import InvalidInput
from storage.ports import BlobStore
from storage.retirement import PASSPORT, RECEIPT, receipt_key

KINDS = {RECEIPT: "receipt", PASSPORT: "passport"}
MAX_TESTIMONY = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Testimony:
    """A document whose signature holds."""

    kind: str
    """``receipt`` or ``passport``."""
    keyid: str
    sha256: str
    """Of the envelope, as stored."""
    said: dict[str, Any]


def open_testimony(document: bytes, keys: Mapping[str, Key]) -> Testimony:
    """A testimony that one of ``keys`` signed. Raises VerificationFailed."""
    opened = open_payload(document, "the document", KINDS, keys, limit=MAX_TESTIMONY)
    try:
        said = read_object(opened.payload, "the document", limit=MAX_TESTIMONY)
    except InvalidInput as error:
        raise VerificationFailed(error.message) from error
    if canonical_json(said) != opened.payload or said.get("version") != 1 or "charger" not in said:
        raise VerificationFailed("The document is not in the form that we sign.")
    return Testimony(KINDS[opened.payload_type], opened.keyid, sha256_hex(document), said)


class TestimonyDesk:
    """Signs and stores; in the signer's process only."""

    __test__ = False
    """No test of pytest's, in spite of its name."""

    def __init__(self, blobs: BlobStore, keys: Callable[[], RecordKeys]) -> None:
        self._blobs = blobs
        self._keys = keys

    async def testify(self, kind: str, said: Mapping[str, Any]) -> str:
        """Sign it and store it for ever; the SHA-256 of the envelope. Raises KeyUnavailable."""
        keys = self._keys()
        signer = open_signer(keys.address, [keys.public[0]])
        payload = canonical_json({"version": 1, **said})
        if len(payload) > MAX_TESTIMONY // 2:
            raise InvalidInput(
                "There is more to testify than one document holds.", hint="Ask for a shorter span."
            )
        document = await asyncio.to_thread(sign_payload, payload, kind, signer)
        sha256 = sha256_hex(document)
        await self._blobs.put_bytes(receipt_key(sha256), document)
        return sha256
