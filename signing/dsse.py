"""DSSE envelopes of any payload type: signing one, and opening one against named keys."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import Key, Signer

from signing.errors import KeyUnavailable, SigningError, VerificationFailed
from signing.strict_json import capital, read_object
from storage.canonical import canonical_json
from storage.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Opened:
    """A payload whose signature holds, and by whose key."""

    payload: bytes
    payload_type: str
    keyid: str


def sign_payload(payload: bytes, payload_type: str, signer: Signer) -> bytes:
    """The envelope as JSON bytes. Raises KeyUnavailable."""
    envelope = Envelope(payload, payload_type, {})
    try:
        envelope.sign(signer)
    except SigningError:
        raise  # what a guarded key refuses
    except Exception as error:  # adapters raise what their libraries raise
        raise KeyUnavailable(f"The key {signer.public_key.keyid[:12]} could not sign.") from error
    return canonical_json(envelope.to_dict())


def parse_envelope(data: bytes, what: str, *, limit: int) -> Envelope:
    """The envelope, unverified. Raises VerificationFailed."""
    try:
        envelope = Envelope.from_dict(read_object(data, what, limit=limit))
        # The parser takes any value for text.
        if all(isinstance(text, str) for text in (envelope.payload_type, *envelope.signatures)):
            return envelope
    except InvalidInput as error:
        raise VerificationFailed(error.message) from error
    except Exception as error:  # the parser raises many kinds on malformed input
        raise VerificationFailed(f"{capital(what)} is not a DSSE envelope.") from error
    raise VerificationFailed(f"{capital(what)} is not a DSSE envelope.")


def parse_own(
    data: bytes | str, what: str, payload_type: str, refuse: type[SigningError], *, limit: int
) -> Envelope:
    """The envelope, unverified, of a kind that Ampwave itself writes. Raises ``refuse``.

    Read before every dispatch: the parser's own bounds have to do, and ``limit`` keeps them small.
    """
    if len(data) > limit:
        raise refuse(f"{capital(what)} is longer than {limit:,} characters.")
    try:
        envelope = Envelope.from_dict(json.loads(data))
    except Exception as error:  # the parser raises many kinds on malformed input
        raise refuse(f"{capital(what)} is not a DSSE envelope.") from error
    if envelope.payload_type != payload_type:
        raise refuse(f"The envelope holds {envelope.payload_type[:80]!r}, not {what}.")
    return envelope


def open_payload(
    data: bytes, what: str, payload_types: Collection[str], keys: Mapping[str, Key], *, limit: int
) -> Opened:
    """The payload of an envelope that one of ``keys`` signed.

    Raises VerificationFailed: no envelope, another kind of payload, no known key, or a bad signature.
    """
    envelope = parse_envelope(data, what, limit=limit)
    if envelope.payload_type not in payload_types:
        raise VerificationFailed(
            f"{capital(what)} holds {envelope.payload_type[:80]!r}, not {' or '.join(sorted(payload_types))}."
        )
    allowed = [key for keyid, key in keys.items() if keyid in envelope.signatures]
    if not allowed:
        signed = ", ".join(keyid[:12] for keyid in envelope.signatures) or "no key at all"
        raise VerificationFailed(
            f"{capital(what)} is signed by {signed}, and none of these is trusted here.",
            hint="Name the public key of its signer if you trust it.",
        )
    try:
        accepted = envelope.verify(allowed, 1)
    except (VerificationError, ValueError) as error:
        raise VerificationFailed(f"The signature of {what} does not hold.") from error
    return Opened(envelope.payload, envelope.payload_type, next(iter(accepted)))
