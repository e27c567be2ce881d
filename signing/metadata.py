"""TUF files as bytes and back: the few helpers that reader, publisher and ceremony share. No I/O."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from securesystemslib.signer import Signer
from tuf.api.exceptions import ExpiredMetadataError, RepositoryError
from tuf.api.metadata import Metadata, MetaFile, Root, Signed, Snapshot, Targets, Timestamp
from tuf.api.serialization import DeserializationError, SerializationError
from tuf.api.serialization.json import CanonicalJSONSerializer, JSONSerializer

from signing.errors import KeyUnavailable, MetadataExpired, SigningError, VerificationFailed
from signing.roles import ROOT

T = TypeVar("T", Root, Timestamp, Snapshot, Targets)
People = Metadata[Root] | Metadata[Targets]
"""What people sign; the rest is the signer's."""


@contextmanager
def refusing(what: str) -> Iterator[None]:
    """Turn python-tuf's errors into ours, naming the file."""
    try:
        yield
    except ExpiredMetadataError as error:
        raise MetadataExpired(
            f"{what}: {error}.", hint="Nothing is sent until it has been signed anew."
        ) from error
    except (RepositoryError, DeserializationError, SerializationError, ValueError) as error:
        raise VerificationFailed(f"{what}: {error}.") from error


def encode(metadata: Metadata[T]) -> bytes:
    """The file: compact JSON."""
    return metadata.to_bytes(JSONSerializer(compact=True))


def encode_people(metadata: People) -> bytes:
    """The file of a root, of targets or of a vendor role."""
    return metadata.to_bytes(JSONSerializer(compact=True))


def decode_people(data: bytes, role: str) -> People:
    """A root, targets or a vendor role. Signatures are not looked at."""
    return decode(Root, data, role) if role == ROOT else decode(Targets, data, role)


def canonical(signed: Signed) -> bytes:
    """Exactly the bytes that are signed."""
    return CanonicalJSONSerializer().serialize(signed)


def decode(kind: type[T], data: bytes, what: str) -> Metadata[T]:
    """Parse, and refuse another kind of metadata. Signatures are not looked at."""
    with refusing(what):
        metadata = Metadata[T].from_bytes(data)
    if metadata.signed.type != kind.type:
        raise VerificationFailed(f"{what} is {metadata.signed.type} metadata, not {kind.type}.")
    return metadata


def decode_verified(kind: type[T], data: bytes, delegator: Root | Targets, role: str) -> Metadata[T]:
    """Parse, and refuse anything not signed by the role's threshold. Expiry is not looked at."""
    metadata = decode(kind, data, role)
    with refusing(role):
        delegator.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
    return metadata


def decode_payload(payload: bytes) -> Targets:
    """The ``signed`` part of a vendor role from exactly the bytes that people sign.

    Refuses anything that does not encode back to the same bytes, so what is shown is what is signed.
    """
    try:
        # Canonical JSON writes line breaks (in certificates) as they are, hence not strict.
        signed = Targets.from_dict(json.loads(payload, strict=False))
        again = canonical(signed)
    except (ValueError, KeyError, TypeError, AttributeError, SerializationError, RecursionError) as error:
        raise VerificationFailed("The staged bytes are not TUF targets metadata.") from error
    if again != payload:
        raise VerificationFailed("The staged bytes are not in canonical form: they may hide something.")
    return signed


def listing(version: int, data: bytes) -> MetaFile:
    """How snapshot and timestamp list a file: version, length and SHA-256 (S10)."""
    return MetaFile.from_data(version, data, ["sha256"])


def sign(signed: T, *signers: Signer) -> bytes:
    """Sign with every signer and return the file. Raises KeyUnavailable, or what a guarded key refuses."""
    metadata = Metadata(signed)
    for signer in signers:
        try:
            metadata.sign(signer, append=True)
        except RepositoryError as error:
            if isinstance(error.__cause__, SigningError):
                raise error.__cause__ from None
            raise KeyUnavailable(f"A key of {signed.type} could not sign.") from error
    return encode(metadata)
