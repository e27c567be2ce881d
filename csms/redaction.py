"""Secrets leave a frame before it is journaled: id tokens, passwords, download locations (F23, S43).

Works on the raw text, so that a frame that is not JSON is covered too, and the rest of it stays
as it passed the socket, byte for byte.
"""

import re

HIDDEN = "***"

SECRET_VARIABLES = frozenset({"AuthorizationKey", "SecurityCtrlr.BasicAuthPassword"})
"""Names that never enter a twin, should a charger report them against the specification."""

_STRING = r'"(?:[^"\\]|\\.)*"'

_TOKENS = re.compile(
    rf'("(?:idTag|parentIdTag|idToken|basicAuthPassword|password|apnPassword)"\s*:\s*){_STRING}'
)
# A meter's "location" ("Outlet") is no secret; an address with a ticket in it is.
_ADDRESSES = re.compile(r'("(?:location|remoteLocation)"\s*:\s*)"[^"]*:[^"]*"')
_SECRET_NAMES = re.compile(r'"(?:AuthorizationKey|BasicAuthPassword)"')
_VALUES = re.compile(rf'("(?:value|attributeValue)"\s*:\s*){_STRING}')

# A download ticket is blotted out wherever it stands: some chargers echo a call in their CALLERROR.
_TICKETS = re.compile(r"(/d/)[A-Za-z0-9_\-.~%]+")

_MARKS = ("/d/", "dTag", "idToken", "ocation", "assword", "AuthorizationKey")
"""Nearly every frame has none of these; looking for plain text is ten times faster than a pattern."""


def redact(text: str) -> str:
    """The frame's text without its secrets. A frame that names a secret variable loses all values."""
    if not any(mark in text for mark in _MARKS):
        return text
    hidden = rf'\1"{HIDDEN}"'
    text = _ADDRESSES.sub(hidden, _TOKENS.sub(hidden, text))
    text = _TICKETS.sub(rf"\1{HIDDEN}", text)
    return _VALUES.sub(hidden, text) if _SECRET_NAMES.search(text) else text


def printable(frame: str | bytes, limit: int = 4096) -> str:
    """A frame that could not be read, made fit for the journal: redacted and cut."""
    text = redact(frame.decode("utf-8", "replace") if isinstance(frame, bytes) else frame)
    return text if len(text) <= limit else f"{text[:limit]}... ({len(text)} characters)"
