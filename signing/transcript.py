"""The transcript of a ceremony: who put a key to what, when and how; each entry under that very key.

An entry is a DSSE envelope. Its pre-authentication bytes begin with ``DSSEv1``, those of TUF metadata with
a brace, so that neither can ever pass for the other.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import Key, Signer

from signing.errors import KeyUnavailable, VerificationFailed
from signing.holders import holder_of
from storage.canonical import canonical_json

PAYLOAD_TYPE = "application/vnd.ampwave.ceremony-entry+json"


@dataclass(frozen=True, slots=True)
class Entry:
    """One act of one holder, by the clock of their own machine."""

    fingerprint: str
    """Of the ceremony: see ``Bundle.fingerprint``."""
    keyid: str
    holder: str
    roles: tuple[str, ...]
    """Which parts were signed."""
    shown: str
    """SHA-256 of the lines that the holder was shown."""
    signed_at: str
    tools: str


def sign_entry(entry: Entry, signer: Signer) -> dict[str, Any]:
    """The envelope. Raises KeyUnavailable."""
    envelope = Envelope(canonical_json(entry), PAYLOAD_TYPE, {})
    try:
        envelope.sign(signer)
    except Exception as error:  # adapters raise what their libraries raise
        raise KeyUnavailable("The key could not sign the transcript.") from error
    document: dict[str, Any] = envelope.to_dict()
    return document


def entry_of(fingerprint: str, key: Key, roles: Iterable[str], shown: str, at: datetime, tools: str) -> Entry:
    """What is to be recorded of one act."""
    words = f"{at:%Y-%m-%dT%H:%M:%SZ}"
    return Entry(fingerprint, key.keyid, holder_of(key), tuple(roles), shown, words, tools)


def read_entry(document: dict[str, Any], fingerprint: str, keys: dict[str, Key]) -> Entry:
    """An entry that holds. Raises VerificationFailed: it is of another ceremony, or not under its own key."""
    try:
        envelope = Envelope.from_dict(json.loads(json.dumps(document)))
        raw = json.loads(envelope.payload)
        entry = Entry(**{**raw, "roles": tuple(raw["roles"])})
        accepted = envelope.verify([keys[entry.keyid]], 1)
    except (VerificationError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise VerificationFailed("An entry of the transcript does not hold.") from error
    said = (entry.keyid, entry.holder, *entry.roles, entry.shown, entry.signed_at, entry.tools)
    if not all(type(word) is str and word.isprintable() for word in said):
        raise VerificationFailed("An entry of the transcript holds what no screen shows.")
    if envelope.payload_type != PAYLOAD_TYPE or entry.keyid not in accepted:
        raise VerificationFailed("An entry of the transcript is not one of a ceremony.")
    if entry.fingerprint != fingerprint:
        raise VerificationFailed("An entry of the transcript is of another ceremony.")
    return entry


def spoken(entry: Entry) -> dict[str, Any]:
    """As JSON, for a report."""
    return asdict(entry)
