"""Signed checkpoints of the audit log: how long it was, and the hash of its last row, at an instant (S65).

The chain's hashes show that a row was changed; only a signature by a key that the database does not hold
shows that the whole chain was not computed anew. A checkpoint is a DSSE envelope, written once to
``audit/checkpoint/<sequence>.json`` in the bucket; the public key lies in ``audit/key/<key id>.json``.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from securesystemslib.signer import Key, Signer

from signing.dsse import open_payload, parse_envelope, sign_payload
from signing.errors import VerificationFailed
from signing.keys import keyid_of
from signing.strict_json import read_object
from storage.audit import AuditCheckpoint
from storage.canonical import canonical_json
from storage.errors import InvalidInput

PAYLOAD_TYPE = "application/vnd.ampwave.audit-checkpoint+json"
MAX_DOCUMENT = 16_384


def checkpoint_key(sequence: int) -> str:
    """Where a checkpoint lies in the bucket."""
    return f"audit/checkpoint/{sequence:08d}.json"


def public_key_key(keyid: str) -> str:
    """Where the public key that signed checkpoints lies in the bucket."""
    return f"audit/key/{keyid}.json"


def sign_checkpoint(checkpoint: AuditCheckpoint, signer: Signer) -> bytes:
    """The document. Raises KeyUnavailable."""
    return sign_payload(canonical_json(checkpoint), PAYLOAD_TYPE, signer)


def open_checkpoint(document: bytes, keys: Mapping[str, Key]) -> AuditCheckpoint:
    """A checkpoint that one of ``keys`` signed. Raises VerificationFailed."""
    opened = open_payload(document, "the checkpoint", {PAYLOAD_TYPE}, keys, limit=MAX_DOCUMENT)
    return _parse(opened.payload)


def signed_by(document: bytes) -> tuple[str, ...]:
    """The ids of the keys that are said to have signed it. Nothing is verified."""
    return tuple(parse_envelope(document, "the checkpoint", limit=MAX_DOCUMENT).signatures)


def read_key(fields: Mapping[str, Any]) -> Key:
    """A public key as we write it. Raises VerificationFailed, also when the id is not the key's own."""
    try:
        rest = dict(fields)
        key = Key.from_dict(rest.pop("keyid"), rest)
    except Exception as error:  # the parser raises many kinds on malformed input
        raise VerificationFailed("This is not a public key.") from error
    if key.keyid != keyid_of(key):
        raise VerificationFailed(f"The key id {key.keyid[:12]} does not belong to its key.")
    return key


def _parse(payload: bytes) -> AuditCheckpoint:
    try:
        raw = read_object(payload, "the checkpoint", limit=MAX_DOCUMENT)
        made = AuditCheckpoint(**raw | {"at": datetime.fromisoformat(raw["at"])})
        whole = type(made.sequence) is type(made.size) is int and type(made.head_hash) is str
        if whole and made.at.tzinfo and canonical_json(made) == payload:
            return made
    except (InvalidInput, KeyError, TypeError, ValueError) as error:
        raise VerificationFailed("The envelope holds no checkpoint of an audit log.") from error
    raise VerificationFailed("The checkpoint is not in canonical form.")
