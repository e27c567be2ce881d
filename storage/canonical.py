"""One byte string per value, so that hashes and signatures mean the same everywhere.

Canonical JSON here: UTF-8, keys sorted, no white space, datetimes as RFC 3339 with ``Z``,
enums by value, dataclasses as objects. Floats are written as Python's shortest repr.
"""

import hashlib
from typing import Any

import orjson

_OPTIONS = orjson.OPT_SORT_KEYS | orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS


def canonical_json(value: Any) -> bytes:
    """The bytes of a value of dataclasses, mappings, sequences, enums, datetimes and scalars."""
    return orjson.dumps(value, option=_OPTIONS)


def sha256_hex(data: bytes) -> str:
    """Lower-case hex SHA-256."""
    return hashlib.sha256(data).hexdigest()


def digest(value: Any) -> str:
    """SHA-256 (hex) of the canonical JSON of a value."""
    return sha256_hex(canonical_json(value))
