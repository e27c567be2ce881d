"""Everything that enters Temporal's histories is compressed and encrypted; the UI decodes it through the api.

What stays readable there: workflow, activity and update ids, search attributes and error types. Never put
a secret in one of those.
"""

import base64
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from temporalio.api.common.v1 import Payload
from temporalio.converter import DataConverter, DefaultFailureConverterWithEncodedAttributes, PayloadCodec

from api.codec_words import expand, squeeze
from storage.canonical import sha256_hex
from storage.errors import InvalidInput
from workflows.payloads import DATA_CONVERTER

ENCODING = b"encrypted"
FORMER_ENCODING = b"binary/encrypted"
_NOTHING = b"binary/null"
_JSON = {"encoding": b"json/plain"}
_BARE, _WHOLE = b"j", b"p"
"""In front of what is compressed: JSON, as nearly all of it is, or a payload with its metadata."""
_NONCE_BYTES = 12


class AesGcmCodec(PayloadCodec):
    """Encrypts each payload under one 32-byte key.

    Which key it was, is not written: only the right one opens it, and a history has ten payloads a charger.
    """

    def __init__(self, key: bytes, random: Callable[[int], bytes] = os.urandom) -> None:
        if len(key) != 32:
            raise InvalidInput("The payload key must be 32 bytes.", hint="Make one: openssl rand -base64 32")
        self._aead = AESGCM(key)
        self._former_id = sha256_hex(key)[:16].encode()
        self._random = random

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Encrypted payloads, one each."""
        return [self._encrypt(payload) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Plain payloads; what is not encrypted passes through. Raises InvalidInput for another key."""
        return [self._decrypt(payload) for payload in payloads]

    def _encrypt(self, payload: Payload) -> Payload:
        if payload.metadata.get("encoding") == _NOTHING:
            return payload  # None: its length would tell that, too.
        nonce = self._random(_NONCE_BYTES)
        # Lengths still tell something; no payload mixes a secret with what an attacker chose (CRIME).
        sealed = self._aead.encrypt(nonce, squeeze(_packed(payload)), None)
        return Payload(metadata={"encoding": ENCODING}, data=nonce + sealed)

    def _decrypt(self, payload: Payload) -> Payload:
        encoding = payload.metadata.get("encoding")
        if encoding not in (ENCODING, FORMER_ENCODING):
            return payload
        former = encoding == FORMER_ENCODING
        nonce, sealed = payload.data[:_NONCE_BYTES], payload.data[_NONCE_BYTES:]
        try:
            plain = expand(self._aead.decrypt(nonce, sealed, self._former_id if former else None))
            return Payload.FromString(plain) if former else _unpacked(plain)
        except InvalidTag:
            raise InvalidInput(
                "A payload was encrypted with another key, or changed since.",
                hint="Set AMPWAVE_PAYLOAD_KEY_FILE to the key that this deployment's histories use.",
            ) from None
        except ValueError as error:
            raise InvalidInput(
                f"A payload cannot be read: {error}.", hint="Run the same version in every process."
            ) from error


def _packed(payload: Payload) -> bytes:
    return _BARE + payload.data if payload.metadata == _JSON else _WHOLE + payload.SerializeToString()


def _unpacked(data: bytes) -> Payload:
    if data[:1] == _BARE:
        return Payload(metadata=_JSON, data=data[1:])
    if data[:1] != _WHOLE:
        raise ValueError("it was written by a later version")
    return Payload.FromString(data[1:])


def data_converter(key: bytes | None) -> DataConverter:
    """Our converter: pydantic-aware, failures encoded too, everything encrypted when a key is given."""
    return replace(
        DATA_CONVERTER,
        payload_codec=AesGcmCodec(key) if key else None,
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
    )


def read_key(path: Path) -> bytes:
    """A 32-byte key from a file of base64. Raises InvalidInput that names the file."""
    hint = "Make one: openssl rand -base64 32"
    try:
        key = base64.b64decode(path.read_text().strip(), validate=True)
    except FileNotFoundError:
        raise InvalidInput(f"The key file {path} does not exist.", hint=hint) from None
    except ValueError:
        raise InvalidInput(f"The key file {path} is not base64.", hint=hint) from None
    if len(key) != 32:
        raise InvalidInput(f"The key in {path} has {len(key)} bytes, not 32.", hint=hint)
    return key
