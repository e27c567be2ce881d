"""Fresh trust for a process: fetches metadata over a BlobStore, at most every five minutes (S22).

One ``TrustSource`` per process. It holds no keys and writes nothing but its own memory file, which
keeps a restarted node from being taken back to older metadata (S28).
"""

import asyncio
import base64
import json
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from signing.errors import ClockRefused, RepositoryUnreachable, SigningError, VerificationFailed
from signing.release import Release
from signing.roles import ROOT, TARGETS, TIMESTAMP, metadata_file, rule_for
from signing.trust import Remembered, Trust
from storage.errors import AmpwaveError, EngineUnavailable, InvalidInput, NotFound
from storage.ports import BlobStore

METADATA_PREFIX = "tuf/metadata/"
MAX_AGE = timedelta(minutes=5)
MISS_AGE = timedelta(milliseconds=200)
"""A release or key that is not found is looked for again once, unless the state is this young.

Publication comes before campaign and directive, so a state so young has seen it already.
"""
FAILURE_PAUSE = timedelta(seconds=2)
"""After a failure, callers that queue up get the same answer for so long."""
FETCH_SECONDS = 20.0
"""For one file of metadata: a server that sends a byte a second must not hold a dispatch (S30)."""
CLOCK_TOLERANCE = timedelta(minutes=1)
MAX_ROOT_ROTATIONS = 256

Fetch = Callable[[str, int], Awaitable[bytes]]
"""(file name, longest length) -> bytes. Raises storage.errors.NotFound if and only if there is none."""


def fetch_from(blobs: BlobStore) -> Fetch:
    """Metadata files in the bucket."""

    async def fetch(name: str, limit: int) -> bytes:
        data, _ = await blobs.get(METADATA_PREFIX + name, limit=limit)
        return data

    return fetch


async def load_trust(
    fetch: Fetch, trusted_root: bytes, at: datetime, remembered: Remembered | None = None
) -> Trust:
    """The TUF client workflow up to targets. Raises VerificationFailed or RepositoryUnreachable."""
    before = remembered or Remembered()
    trust = Trust(trusted_root, at)
    await _follow_roots(fetch, trust, before.roots)
    timestamp = await _needed(fetch, "timestamp.json", rule_for(TIMESTAMP).max_bytes)
    trust.set_timestamp(timestamp, before.timestamp)
    trust.set_snapshot(await _needed(fetch, *trust.snapshot_file()), before.snapshot)
    trust.set_targets(await _needed(fetch, *trust.role_file(TARGETS)))
    return trust


async def load_role(fetch: Fetch, trust: Trust, role: str) -> None:
    """Add a vendor role's metadata unless it is there."""
    if not trust.has_role(role):
        trust.add_role(role, await _needed(fetch, *trust.role_file(role)))


def within(fetch: Fetch, seconds: float) -> Fetch:
    """The same fetch with a limit to how long one file may take, however slowly it trickles (S30)."""

    async def timed(name: str, limit: int) -> bytes:
        try:
            async with asyncio.timeout(seconds):
                return await fetch(name, limit)
        except TimeoutError:
            raise EngineUnavailable(f"it did not come within {seconds:g} s") from None

    return timed


async def _follow_roots(fetch: Fetch, trust: Trust, remembered: tuple[bytes, ...]) -> None:
    """TUF 5.3: every root after the embedded one; what we remember cannot be withheld from us."""
    for data in remembered:
        try:
            trust.add_root(data)
        except VerificationFailed:
            break
    for _ in range(MAX_ROOT_ROTATIONS):
        name = metadata_file(ROOT, trust.root.version + 1)
        try:
            data = await fetch(name, rule_for(ROOT).max_bytes)
        except NotFound:
            return
        except AmpwaveError as error:
            # S20: only "there is none" means none. Anything else may hide a rotated key.
            raise _unreachable(name, error) from error
        trust.add_root(data)
    raise VerificationFailed(f"There are more than {MAX_ROOT_ROTATIONS} roots after the embedded one.")


async def _needed(fetch: Fetch, name: str, limit: int) -> bytes:
    try:
        return await fetch(name, limit)
    except InvalidInput as error:
        raise VerificationFailed(f"{name} is longer than the {limit} bytes it may have.") from error
    except AmpwaveError as error:
        raise _unreachable(name, error) from error


def _unreachable(name: str, error: AmpwaveError) -> RepositoryUnreachable:
    return RepositoryUnreachable(
        f"Signed metadata cannot be read ({name}): {error.message}",
        hint="Nothing is sent until it can; check the S3 address, its policy and that the signer ran.",
    )


@dataclass(frozen=True, slots=True)
class _Failure:
    at: datetime
    kind: type[SigningError]
    message: str
    hint: str


class TrustSource:
    """Hands out trust that is at most five minutes old, with one refresh at a time."""

    def __init__(
        self,
        fetch: Fetch,
        trusted_root: bytes,
        *,
        max_age: timedelta = MAX_AGE,
        memory_file: Path | None = None,
        fetch_seconds: float = FETCH_SECONDS,
    ) -> None:
        self._fetch = within(fetch, fetch_seconds)
        self._root = trusted_root
        self._max_age = max_age
        self._memory_file = memory_file
        self._memory: Remembered | None = None
        self._trust: Trust | None = None
        self._failure: _Failure | None = None
        self._lock = asyncio.Lock()

    async def current(self, now: datetime) -> Trust:
        """Trust no older than the limit. Raises VerificationFailed or RepositoryUnreachable."""
        async with self._lock:
            return await self._younger_than(self._max_age, now)

    async def newer(self, than: Trust, now: datetime) -> Trust | None:
        """Look again after a miss; None if ``than`` is too young for that to make a difference."""
        async with self._lock:
            if self._trust is not None and self._trust is not than:
                return await self._younger_than(self._max_age, now)
            trust = await self._younger_than(MISS_AGE, now)
            return None if trust is than else trust

    async def release(self, trust: Trust, path: str) -> Release:
        """The release at a path of this state. Raises NotInRelease."""
        await self.role(trust, trust.role_of(path))
        return trust.release(path)

    async def role(self, trust: Trust, role: str) -> None:
        """Make sure that a vendor role of this state is loaded. Raises NotInRelease."""
        if not trust.has_role(role):
            async with self._lock:
                await load_role(self._fetch, trust, role)

    async def _younger_than(self, limit: timedelta, now: datetime) -> Trust:
        if self._trust is not None:
            age = now - self._trust.at
            if age < -CLOCK_TOLERANCE:
                # S31. Retryable: it holds again once the clock is right, or after a restart.
                raise ClockRefused(
                    f"The clock went back by {-age.total_seconds():.0f} s since metadata was checked.",
                    hint="Nothing is sent meanwhile. Set the clock right and restart this process.",
                )
            if age < limit and not _expired(self._trust, now):
                return self._trust
        return await self._refreshed(now)

    async def _refreshed(self, now: datetime) -> Trust:
        failure = self._failure
        if failure is not None and abs(now - failure.at) < FAILURE_PAUSE:
            raise failure.kind(failure.message, hint=failure.hint)
        if self._memory is None:
            self._memory = await asyncio.to_thread(_recall, self._memory_file)
        try:
            trust = await load_trust(self._fetch, self._root, now, self._memory)
        except SigningError as error:
            self._failure = _Failure(now, type(error), error.message, error.hint)
            raise
        self._failure = None
        self._trust = trust
        if trust.remembered() != self._memory:
            self._memory = trust.remembered()
            await asyncio.to_thread(_keep, self._memory_file, self._memory)
        return trust


def _expired(trust: Trust, now: datetime) -> bool:
    try:
        trust.check_unexpired(now)
    except VerificationFailed:
        return True
    return False


def _recall(path: Path | None) -> Remembered:
    """What was kept; anything unreadable is as if nothing had been (it is only ever a lower bound)."""
    if path is None or not path.exists():
        return Remembered()
    try:
        kept = json.loads(path.read_bytes())
        return Remembered(
            tuple(base64.b64decode(root) for root in kept["roots"]),
            base64.b64decode(kept["timestamp"]),
            base64.b64decode(kept["snapshot"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return Remembered()


def _keep(path: Path | None, memory: Remembered) -> None:
    if path is None:
        return
    encoded = {
        "roots": [base64.b64encode(root).decode() for root in memory.roots],
        "timestamp": base64.b64encode(memory.timestamp or b"").decode(),
        "snapshot": base64.b64encode(memory.snapshot or b"").decode(),
    }
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    draft.write_text(json.dumps(encoded))
    draft.replace(path)
