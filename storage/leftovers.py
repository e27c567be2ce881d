"""What in a bucket is left over: pure, and deny by default, for a wrong yes would lose an image."""

import re
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from itertools import groupby

from storage.transfer import INCOMING, OpenMultipart, StoredVersion

UNVERSIONED = "null"
"""The version of a bucket without versions: removing it could remove what was written a moment ago."""
_IMAGE = re.compile(r"[0-9a-f]{64}")


def is_ours(key: str) -> bool:
    """Whether it is of a kind that is swept here; metadata, evidence, logs and what is unknown is not."""
    return bool(_IMAGE.fullmatch(key)) or key.startswith(INCOMING)


def leftovers(
    versions: Iterable[StoredVersion], referred: Collection[str], now: datetime, grace: timedelta
) -> Sequence[StoredVersion]:
    """All versions of keys that nobody refers to and whose newest version is older than ``grace``.

    Versions of one key come one after the other. Of a key that somebody needs, no version is ever left over:
    an older one may be the good one.
    """
    found: list[StoredVersion] = []
    for key, group in groupby(versions, key=lambda one: one.key):
        mine = list(group)
        young = any(now - one.modified_at < grace for one in mine)
        fixed = any(one.version_id == UNVERSIONED for one in mine)
        if is_ours(key) and key not in referred and not young and not fixed:
            found += mine
    return found


def abandoned(multiparts: Iterable[OpenMultipart], now: datetime, grace: timedelta) -> list[OpenMultipart]:
    """Multipart uploads that nobody can be at any more."""
    return [one for one in multiparts if now - one.begun_at >= grace]
