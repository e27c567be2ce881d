"""What in a bucket is left over: pure, and deny by default, for a wrong yes would lose an image."""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
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
    return [one for mine in _orphans(versions, referred, now, grace) if not _is_fixed(mine) for one in mine]


def for_people(
    versions: Iterable[StoredVersion], referred: Collection[str], now: datetime, grace: timedelta
) -> Sequence[str]:
    """Keys that are left over as well, but that only people may remove: while nobody uploads."""
    return [mine[0].key for mine in _orphans(versions, referred, now, grace) if _is_fixed(mine)]


def _orphans(
    versions: Iterable[StoredVersion], referred: Collection[str], now: datetime, grace: timedelta
) -> Iterator[list[StoredVersion]]:
    for key, group in groupby(versions, key=lambda one: one.key):
        mine = list(group)
        young = any(now - one.modified_at < grace for one in mine)
        if is_ours(key) and key not in referred and not young:
            yield mine


def _is_fixed(mine: Sequence[StoredVersion]) -> bool:
    """An image's key is written anew when it is uploaded anew; a piece's key is written once and no more."""
    return not mine[0].key.startswith(INCOMING) and any(one.version_id == UNVERSIONED for one in mine)


def abandoned(multiparts: Iterable[OpenMultipart], now: datetime, grace: timedelta) -> list[OpenMultipart]:
    """Multipart uploads that nobody can be at any more."""
    return [one for one in multiparts if now - one.begun_at >= grace]
