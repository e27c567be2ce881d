"""The evidence bundle of one charger: what is kept of it over a span, in one signed file (F29).

JSON lines. The first is the manifest in a signed envelope, the second the public key; the lines after them
are the evidence, and the manifest has their SHA-256, so that one file is enough to check it anywhere.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

LONGEST = timedelta(days=400)
MOST_BYTES = 64 * 1024 * 1024
"""Of one file. A longer one is asked for in parts."""
SECTIONS = ("charger", "errors", "timeline", "firmware", "certificates", "usage")


def bundle_key(bundle_id: str) -> str:
    """Where its file lies in the bucket."""
    return f"bundle/{bundle_id}.jsonl"


@dataclass(frozen=True, slots=True)
class BundleOrder:
    """What is asked for."""

    bundle_id: str
    charger_id: str
    since: datetime
    until: datetime
    actor: str
    reason: str


@dataclass(frozen=True, slots=True)
class BundleManifest:
    """What is signed: of whom, over which span, and exactly which lines."""

    bundle_id: str
    charger_id: str
    since: datetime
    until: datetime
    requested_by: str
    reason: str
    made_at: datetime
    lines: int
    sha256: str
    """Of all lines of evidence, their line ends included."""
    sections: dict[str, int]
    """Lines of each."""
