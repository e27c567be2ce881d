"""Secrets leave a frame before it is journaled: id tokens, passwords, download locations (F23, S43).

Works on the raw text, so that a frame that is not JSON is covered too, and the rest of it stays
as it passed the socket, byte for byte. A peer chooses that text: no pattern may take longer than in
proportion to its length, or one charger holds up the whole node.
"""

import re

HIDDEN = "***"

_NAMES = r"AuthorizationKey|Password|Passphrase|VpnKey|SimPin|Psk|Secret|PrivateKey|PreSharedKey"
"""Parts of names: of variables (2.x), of configuration keys (1.6), and of what vendors call theirs."""
_IS_SECRET = re.compile(_NAMES, re.IGNORECASE)

_STRING = r'"(?:[^"\\]|\\.)*"'

_KEYS = "(?:parent)?idTag|(?:additional)?idToken|customerIdentifier|(?:basicAuth|apn)?password"
# A card's number may come as one, which breaks the schema, and is refused and journaled all the same.
_TOKENS = re.compile(rf'("(?:{_KEYS})"\s*:\s*)(?:{_STRING}|-?\d[\d.eE+-]*)', re.IGNORECASE)
# The same in JSON that is a string of JSON, as vendors' DataTransfer carries it; a run of backslashes is
# looked at once, from its beginning.
_NESTED = re.compile(rf'((?<!\\)(\\+)"(?:{_KEYS})\2"\s*:\s*\2")[^"\\]*', re.IGNORECASE)
_SIM_PIN = re.compile(r'("simPin"\s*:\s*)\d+')
# In a network profile, where it is a secret; elsewhere a "key" is a name.
_VPN = re.compile(rf'("vpn"\s*:\s*\{{[^{{}}]*?"key"\s*:\s*){_STRING}')
# What a charger keeps of a customer, in a NotifyCustomerInformation (F23).
_CUSTOMER = re.compile(rf'("data"\s*:\s*){_STRING}')
# Some libraries write a slash as "\/" (json-c, PHP), which means the same.
_USERINFO = re.compile(r'(:\\*/\\*/)[^/@\s"\\]+@')
# A meter's "location" ("Outlet") is no secret; an address with a ticket in it is.
_ADDRESSES = re.compile(r'("(?:location|remoteLocation)"\s*:\s*)"[^":]*:[^"]*"')
# Keys of 1.6 are case-insensitive (CiString).
_SECRET_NAMES = re.compile(rf'"(?:key|name)"\s*:\s*"[^"]*(?:{_NAMES})', re.IGNORECASE)
_VALUES = re.compile(rf'("(?:value|attributeValue|actualValue|valuesList)"\s*:\s*){_STRING}')

# A ticket is blotted out wherever it stands: some chargers echo a call in their CALLERROR.
_TICKETS = re.compile(r"(/[du]\\*/)[A-Za-z0-9_\-.~%]+")

_ESCAPED = "\\u00"
# A run of backslashes is looked at once, from its beginning.
_ESCAPES = re.compile(r"(?<!\\)(\\++)u00([2-7][0-9A-Fa-f])")
_DEPTH = 4
"""An escaped backslash may begin an escape of the string within."""

_MARKS = (
    _ESCAPED,
    *("/d/", "/d\\", "/u/", "/u\\", "idt", "ocation", "customeri", "notifycustomeri", "@"),
    *("passw", "passphrase", "authorizationkey", "vpn", "simpin", "psk", "secret", "privatekey", "haredkey"),
)
"""In lower case. Nearly every frame has none; plain text is found ten times faster than a pattern."""


def is_secret(name: str) -> bool:
    """Whether a variable or key of this name never enters a twin, should a charger report it."""
    return _IS_SECRET.search(name) is not None


def redact(text: str) -> str:
    """The frame's text without its secrets. A frame that names a secret variable loses all values."""
    return _without_secrets(text) if _may_hold_secrets(text) else text


def redact_both(text: str, answer: str) -> tuple[str, str]:
    """``redact`` for a frame and its answer, which are looked through in one go."""
    if _may_hold_secrets(f"{text}\n{answer}"):
        return redact(text), redact(answer)
    return text, answer


def _may_hold_secrets(text: str) -> bool:
    lowered = text.lower()
    for mark in _MARKS:  # noqa: SIM110 - a generator would cost more than the search
        if mark in lowered:
            return True
    return False


def _without_secrets(text: str) -> str:
    """The text as it came but for its secrets, those included whose names are in escapes (RFC 8259, 7)."""
    kept = _blotted(text)
    if _ESCAPED not in kept:
        return kept
    plain = _plain(kept)
    blotted = _blotted(plain)
    return kept if blotted == plain else blotted


def _plain(text: str) -> str:
    """ASCII that JSON escapes, at whatever depth of strings in strings, as the characters themselves."""
    for _ in range(_DEPTH):
        text, found = _ESCAPES.subn(_character, text)
        if not found:
            break
    return text


def _character(escape: re.Match[str]) -> str:
    letter = chr(int(escape[2], 16))
    return escape[1] + letter if letter in '"\\' else letter


def _blotted(text: str) -> str:
    hidden = rf'\1"{HIDDEN}"'
    for pattern in (_TOKENS, _ADDRESSES, _SIM_PIN, _VPN):
        text = pattern.sub(hidden, text)
    text = _NESTED.sub(rf"\1{HIDDEN}", text)
    text = _USERINFO.sub(rf"\1{HIDDEN}@", _TICKETS.sub(rf"\1{HIDDEN}", text))
    if '"NotifyCustomerInformation"' in text:
        text = _CUSTOMER.sub(hidden, text)
    return _VALUES.sub(hidden, text) if _SECRET_NAMES.search(text) else text


def redacted(text: str | None) -> str | None:
    """The same for words that may be missing."""
    return None if text is None else redact(text)


def printable(frame: str | bytes, limit: int = 4096) -> str:
    """A frame that could not be read, made fit for the journal: redacted and cut."""
    text = redact(frame.decode("utf-8", "replace") if isinstance(frame, bytes) else frame)
    return text if len(text) <= limit else f"{text[:limit]}... ({len(text)} characters)"
