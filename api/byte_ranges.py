"""Which bytes of an object a request asks for (RFC 9110 sections 13 and 14)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from api.errors import RangeRefused
from storage.errors import StaleVersion

_RANGE = re.compile(r"bytes=(?:(\d{1,18})-(\d{0,18})|-(\d{1,18}))", re.IGNORECASE | re.ASCII)
_TAG = re.compile(r'(W/)?("[\x21\x23-\x7e]*")')


@dataclass(frozen=True, slots=True)
class ByteRange:
    """First and last byte, both included."""

    first: int
    last: int

    @property
    def length(self) -> int:
        """Bytes in it."""
        return self.last - self.first + 1


def parse_range(header: str | None, length: int) -> ByteRange | None:
    """The one range asked for, or None to send the whole object.

    A header that is not one well-formed byte range is ignored (RFC 9110 section 14.2), several ranges at
    once are, too; a range that the object does not have raises RangeRefused.
    """
    match = _RANGE.fullmatch(header.strip()) if header else None
    if match is None:
        return None
    first, last, suffix = match.groups()
    if suffix is not None:
        wanted = int(suffix)
        if wanted == 0 or length == 0:
            raise RangeRefused(length)
        return ByteRange(max(0, length - wanted), length - 1)
    start = int(first)
    end = min(int(last), length - 1) if last else length - 1
    if last and int(last) < start:
        return None
    if start >= length:
        raise RangeRefused(length)
    return ByteRange(start, end)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to answer: nothing new (304), a part (206) or the whole object (200)."""

    unchanged: bool = False
    part: ByteRange | None = None


def wanted(method: str, headers: Mapping[str, str], etag: str, length: int) -> Wanted:
    """In the order of RFC 9110 section 13.2.2. Raises StaleVersion (412) and RangeRefused (416).

    Dates are ignored: an object never changes, and its entity tag says all.
    """
    if_match = headers.get("if-match")
    if if_match is not None and not _matches(if_match, etag, weakly=False):
        raise StaleVersion("The image behind this ticket is another one.", hint="Fetch it from the start.")
    if_none_match = headers.get("if-none-match")
    if if_none_match is not None and _matches(if_none_match, etag, weakly=True):
        return Wanted(unchanged=True)
    # Range is defined for GET alone (14.2); If-Range compares strongly (13.1.5), so a date never matches.
    fresh = headers.get("if-range", etag).strip() == etag
    return Wanted(part=parse_range(headers.get("range"), length) if fresh and method == "GET" else None)


def _matches(header: str, etag: str, *, weakly: bool) -> bool:
    if header.strip() == "*":
        return True
    return any(tag == etag and (weakly or not weak) for weak, tag in _TAG.findall(header))
