"""One byte string per value, so that hashes and signatures mean the same everywhere.

Canonical JSON here: UTF-8, keys sorted, no white space, datetimes as RFC 3339 with ``Z``,
enums by value, dataclasses as objects. Floats are written as Python's shortest repr.
"""

import hashlib
from dataclasses import fields, is_dataclass
from typing import Any

import orjson

ADDED = {"added": True}
"""Metadata of a field that a noun got after its hashes were stored: while it is None it is not written, so
that what was hashed before keeps its hash."""

# orjson sorts the keys of mappings only; a dataclass becomes one first, so that its bytes are those of
# the same value read back from JSON, by anybody.
_OPTIONS = (
    orjson.OPT_SORT_KEYS | orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS | orjson.OPT_PASSTHROUGH_DATACLASS
)


def canonical_json(value: Any) -> bytes:
    """The bytes of a value of dataclasses, mappings, sequences, enums, datetimes and scalars."""
    return orjson.dumps(value, option=_OPTIONS, default=_as_mapping)


def plain_json(value: Any) -> bytes:
    """The same value where nobody hashes the bytes, as in ``jsonb``: a fourth of the time."""
    return orjson.dumps(value, option=orjson.OPT_UTC_Z)


def _as_mapping(value: Any) -> dict[str, Any]:
    if not is_dataclass(value) or isinstance(value, type):
        raise TypeError(f"{type(value).__name__} has no canonical JSON")
    pairs = ((field, getattr(value, field.name)) for field in fields(value))
    return {field.name: each for field, each in pairs if not (each is None and field.metadata.get("added"))}


def sha256_hex(data: bytes) -> str:
    """Lower-case hex SHA-256."""
    return hashlib.sha256(data).hexdigest()


def digest(value: Any) -> str:
    """SHA-256 (hex) of the canonical JSON of a value."""
    return sha256_hex(canonical_json(value))
