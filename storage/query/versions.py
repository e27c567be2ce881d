"""Which of two firmware versions is the newer one; without certainty there is no order.

Ordered are ``1.2``, ``v1.2.10``, ``2.0.0-rc1``, ``1.2.3+build``: numbers between dots, compared one by one.
A pre-release comes before its release (SemVer 2.0.0 clause 11.3); two different ones of the same release
have no order here, nor has anything that is written otherwise: vendors count as they like.
"""

import re
from dataclasses import dataclass

CORE = "[0-9]{1,18}(?:[.][0-9]{1,18}){0,9}"
WHOLE = f"[vV]?({CORE})(-[0-9A-Za-z.-]+)?(?:[+][0-9A-Za-z.-]+)?"
TRAILING_ZEROS = "(?:[.]0+)+$"
_WHOLE = re.compile(WHOLE)


@dataclass(frozen=True, slots=True)
class Version:
    """A version that can be ordered."""

    text: str
    core: tuple[int, ...]
    """Without zeros at its end: 1.2 is 1.2.0."""
    early: bool
    """A pre-release."""


def version_of(text: str) -> Version | None:
    """A version's parts, or None where it has no order."""
    found = _WHOLE.fullmatch(text)
    if found is None:
        return None
    core = re.sub(TRAILING_ZEROS, "", found[1])
    return Version(text, tuple(map(int, core.split("."))), found[2] is not None)


def order(left: Version, right: Version) -> int | None:
    """-1, 0 or 1; None where nobody can tell."""
    if left.core != right.core:
        return -1 if left.core < right.core else 1
    if left.early != right.early:
        return -1 if left.early else 1
    return 0 if not left.early or left.text == right.text else None
