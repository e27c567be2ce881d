"""Times on the wire: read tolerantly, written strictly. OCPP asks for RFC 3339; chargers send more.

How the tolerated forms look, and who sends them, is in ``csms.quirks``.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from re import Pattern

# RFC 3339 section 5.6; fromisoformat alone takes week dates, dates without a time and no offset.
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)")

TimeFix = tuple[Pattern[str], str]
"""A form that RFC 3339 does not have, and its replacement (``re.sub``)."""


def parse_instant(text: str, fixes: Sequence[TimeFix] = ()) -> datetime | None:
    """The instant in UTC, or None if it cannot be read even after the fixes."""
    instant = _strict(text)
    if instant is not None:
        return instant
    for pattern, replacement in fixes:
        fixed, count = pattern.subn(replacement, text.strip())
        if count and (instant := _strict(fixed)) is not None:
            return instant
    return None


def _strict(text: str) -> datetime | None:
    if not _RFC3339.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def format_instant(instant: datetime) -> str:
    """UTC with milliseconds and ``Z``: the one form that every charger reads."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{instant.microsecond // 1000:03d}Z"
