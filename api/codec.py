"""Everything that enters Temporal's histories is compressed and encrypted; the UI decodes it through the api.

What stays readable there: workflow, activity and update ids, search attributes and error types. Never put
a secret in one of those.
"""

import base64
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from temporalio.api.common.v1 import Payload
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DataConverter, DefaultFailureConverterWithEncodedAttributes, PayloadCodec

from api.codec_words import expand, squeeze
from storage.canonical import sha256_hex
from storage.errors import InvalidInput

ENCODING = b"binary/encrypted"
_NONCE_BYTES = 12


class AesGcmCodec(PayloadCodec):
    """Encrypts each payload under one 32-byte key; the key's id travels along so that keys can be rotated."""

    def __init__(self, key: bytes, random: Callable[[int], bytes] = os.urandom) -> None:
        if len(key) != 32:
            raise InvalidInput("The payload key must be 32 bytes.", hint="Make one: openssl rand -base64 32")
        self._aead = AESGCM(key)
        self._key_id = sha256_hex(key)[:16].encode()
        self._random = random

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Encrypted payloads, one each."""
        return [self._encrypt(payload) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Plain payloads; what is not encrypted passes through. Raises InvalidInput for another key."""
        return [self._decrypt(payload) for payload in payloads]

    def _encrypt(self, payload: Payload) -> Payload:
        nonce = self._random(_NONCE_BYTES)
        # Lengths still tell something; no payload mixes a secret with what an attacker chose (CRIME).
        sealed = self._aead.encrypt(nonce, squeeze(payload.SerializeToString()), self._key_id)
        return Payload(metadata={"encoding": ENCODING, "key-id": self._key_id}, data=nonce + sealed)

    def _decrypt(self, payload: Payload) -> Payload:
        if payload.metadata.get("encoding") != ENCODING:
            return payload
        if payload.metadata.get("key-id") != self._key_id:
            raise InvalidInput(
                "A payload was encrypted with another key.",
                hint="Set AMPWAVE_PAYLOAD_KEY_FILE to the key that this deployment's histories use.",
            )
        nonce, sealed = payload.data[:_NONCE_BYTES], payload.data[_NONCE_BYTES:]
        try:
            return Payload.FromString(expand(self._aead.decrypt(nonce, sealed, self._key_id)))
        except ValueError as error:
            raise InvalidInput(
                f"A payload cannot be read: {error}.", hint="Run the same version in every process."
            ) from error


def data_converter(key: bytes | None) -> DataConverter:
    """Our converter: pydantic-aware, failures encoded too, everything encrypted when a key is given."""
    return replace(
        pydantic_data_converter,
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
