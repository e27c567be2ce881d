"""The signer's own look at the audit log: it vouches for a row only if that follows from what it vouched for.

Whoever can write to the database can compute a chain anew; they cannot have it signed, because the rows
after the last checkpoint must follow from that one's hash, and the last row it covers must still be there.
"""

import asyncio
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import structlog
from securesystemslib.signer import Key

from signing.checkpoint import (
    MAX_DOCUMENT,
    checkpoint_key,
    open_checkpoint,
    public_key_key,
    sign_checkpoint,
)
from signing.errors import KeyUnavailable, VerificationFailed
from signing.keys import file_address, open_signer, public_bytes, read_public
from signing.ports import ReadRows
from signing.timestamping import Post, fetch_stamp, stamp_key
from storage.audit import GENESIS, AuditCheckpoint, AuditRow, first_break
from storage.canonical import sha256_hex
from storage.clock import Clock
from storage.errors import AmpwaveError, NotFound
from storage.ports import BlobStore

log = structlog.get_logger(__name__)

RECORD = "record"
_PAGE = 1000


@dataclass(frozen=True, slots=True)
class RecordKeys:
    """The key that signs what Ampwave testifies, by its address, and the public keys that may have.

    ``public`` begins with the key in use; an older one stays in it so that its checkpoints are believed.
    """

    address: str
    public: tuple[Key, ...]

    @classmethod
    def in_folder(cls, folder: Path, address: str | None = None) -> "RecordKeys":
        """``record.pub.json``, and ``record-*.pub.json`` of older keys. Raises KeyUnavailable."""
        current = folder / f"{RECORD}.pub.json"
        if not current.is_file():
            raise KeyUnavailable(
                f"There is no {current}, so nobody can vouch for the audit log.",
                hint=f"Make the key: ampwave key create {folder / RECORD}.pem",
            )
        older = sorted(folder.glob(f"{RECORD}-*.pub.json"))
        public = tuple(read_public(path) for path in (current, *older))
        return cls(address or file_address(folder / f"{RECORD}.pem"), public)

    def by_id(self) -> dict[str, Key]:
        """All public keys."""
        return {key.keyid: key for key in self.public}


@dataclass(frozen=True, slots=True)
class _Known:
    """The newest checkpoint, and the hash of its document."""

    checkpoint: AuditCheckpoint
    digest: str


class AuditNotary:
    """Signs the next checkpoint when it is due. One at a time; ``memory_file`` outlives the process."""

    def __init__(
        self,
        blobs: BlobStore,
        keys: Callable[[], RecordKeys],
        clock: Clock,
        *,
        memory_file: Path | None = None,
        every: timedelta = timedelta(minutes=10),
        authority: Post | None = None,
    ) -> None:
        self._blobs = blobs
        self._keys = keys
        self._clock = clock
        self._memory_file = memory_file
        self._every = every
        self._authority = authority
        self._stamped = 0
        self._known: _Known | None = None
        self._lock = asyncio.Lock()

    async def checkpoint(self, rows: ReadRows) -> AuditCheckpoint | None:
        """The new checkpoint, or None: it is not due yet, or nothing was added.

        Raises:
            VerificationFailed: the log, or the checkpoints in the bucket, are not what was signed before.
            KeyUnavailable: there is no key to sign with.
        """
        async with self._lock:
            keys = self._keys()
            known = await self._newest(keys)
            await self._stamp(known)
            if known and self._clock() - known.checkpoint.at < self._every:
                return None
            head = await _read_on(rows, known.checkpoint if known else None)
            if head is None:
                return None
            checkpoint = await self._sign(keys, known, head)
            await self._stamp(self._known)
            return checkpoint

    async def _stamp(self, known: _Known | None) -> None:
        """Have an outside authority date the newest checkpoint; one that is away is asked again next time."""
        if self._authority is None or known is None or known.checkpoint.sequence == self._stamped:
            return
        sequence = known.checkpoint.sequence
        try:
            document, _ = await self._blobs.get(checkpoint_key(sequence), limit=MAX_DOCUMENT)
            stamp = await fetch_stamp(document, self._authority)
            await self._blobs.put_bytes(stamp_key(sequence), stamp)
        except AmpwaveError as error:
            log.warning("checkpoint without a time stamp", sequence=sequence, error=error.message)
            return
        self._stamped = sequence

    async def _newest(self, keys: RecordKeys) -> _Known | None:
        """Read on in the bucket from the checkpoint that we remember."""
        known = self._known or await self._recalled(keys)
        while (found := await self._read(keys, known.checkpoint.sequence + 1 if known else 1)) is not None:
            if found.checkpoint.previous != (known.digest if known else ""):
                raise VerificationFailed(f"Checkpoint {found.checkpoint.sequence} does not follow.")
            known = found
        self._known = known
        return known

    async def _recalled(self, keys: RecordKeys) -> _Known | None:
        remembered = await asyncio.to_thread(_recall, self._memory_file)
        if remembered is None:
            return None
        sequence, digest = remembered
        found = await self._read(keys, sequence)
        if found is None or found.digest != digest:
            raise VerificationFailed(
                f"Checkpoint {sequence} of the audit log is gone from the bucket, or is another one.",
                hint="Restore the bucket; if that cannot be, treat the audit log as tampered with.",
            )
        return found

    async def _read(self, keys: RecordKeys, sequence: int) -> _Known | None:
        try:
            document, _ = await self._blobs.get(checkpoint_key(sequence), limit=MAX_DOCUMENT)
        except NotFound:
            return None
        checkpoint = open_checkpoint(document, keys.by_id())
        if checkpoint.sequence != sequence:
            raise VerificationFailed(f"Checkpoint {sequence} calls itself {checkpoint.sequence}.")
        return _Known(checkpoint, sha256_hex(document))

    async def _sign(self, keys: RecordKeys, known: _Known | None, head: AuditRow) -> AuditCheckpoint:
        sequence = known.checkpoint.sequence + 1 if known else 1
        previous = known.digest if known else ""
        checkpoint = AuditCheckpoint(sequence, head.number, head.row_hash, self._clock(), previous)
        key = keys.public[0]
        signer = open_signer(keys.address, [key])
        document = await asyncio.to_thread(sign_checkpoint, checkpoint, signer)
        await self._blobs.put_bytes(public_key_key(key.keyid), public_bytes(key))
        if not await self._blobs.put_bytes(checkpoint_key(sequence), document):
            # Another signer was faster; its checkpoint is read, and believed if it follows, next time.
            return checkpoint
        self._known = _Known(checkpoint, sha256_hex(document))
        await asyncio.to_thread(_keep, self._memory_file, sequence, self._known.digest)
        # Where logs are shipped elsewhere, this line is one more witness.
        log.info("audit checkpoint", sequence=sequence, rows=head.number, head=head.row_hash)
        return checkpoint


async def _read_on(rows: ReadRows, known: AuditCheckpoint | None) -> AuditRow | None:
    """The last row, if every row up to it follows from the last checkpoint; None: nothing was added."""
    after, previous = 0, GENESIS
    if known is not None:
        covered = await rows(known.size - 1, 1)
        if not covered or (covered[0].number, covered[0].row_hash) != (known.size, known.head_hash):
            raise _tampered(known.size, "it is not the row that was signed")
        after, previous = known.size, known.head_hash
    last: AuditRow | None = None
    while page := await rows(after, _PAGE):
        broken = first_break(list(page), previous)
        gap = _gap(page, after)
        if broken is not None or gap is not None:
            raise _tampered(broken or gap or 0, "it does not follow from the one before")
        last = page[-1]
        after, previous = last.number, last.row_hash
    return last


def _gap(rows: Iterable[AuditRow], after: int) -> int | None:
    for expected, row in enumerate(rows, start=after + 1):
        if row.number != expected:
            return expected
    return None


def _tampered(number: int, why: str) -> VerificationFailed:
    return VerificationFailed(
        f"Row {number} of the audit log was changed: {why}.",
        hint="Nothing more is signed over it. Export it now and compare with an earlier export.",
    )


def _recall(path: Path | None) -> tuple[int, str] | None:
    if path is None or not path.exists():
        return None
    try:
        kept = json.loads(path.read_bytes())
        return int(kept["sequence"]), str(kept["digest"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _keep(path: Path | None, sequence: int, digest: str) -> None:
    if path is None:
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(json.dumps({"sequence": sequence, "digest": digest}))
    draft.replace(path)
