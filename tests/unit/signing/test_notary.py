"""The signer vouches for what follows from what it vouched for, and for nothing else (S65)."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from signing.checkpoint import checkpoint_key, open_checkpoint
from signing.errors import KeyUnavailable, VerificationFailed
from signing.keys import ensure_key_file
from signing.notary import AuditNotary, RecordKeys
from storage.audit import GENESIS, AuditEntry, AuditRow, chain_hash
from storage.errors import InvalidInput
from tests.support.memory import MemoryBlobs

pytestmark = pytest.mark.requirement("S65")
START = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


class Log:
    """Rows that anybody with the database could rewrite."""

    def __init__(self) -> None:
        self.rows: list[AuditRow] = []

    def grow(self, count: int, actor: str = "ann") -> None:
        for _ in range(count):
            number = len(self.rows) + 1
            previous = self.rows[-1].row_hash if self.rows else GENESIS
            entry = AuditEntry(START, actor, "artifact.signed", "artifact/x", {"n": number})
            self.rows.append(AuditRow(number, entry, previous, chain_hash(number, previous, entry)))

    async def read(self, after: int, limit: int) -> Sequence[AuditRow]:
        return [row for row in self.rows if row.number > after][:limit]


class Desk:
    """A notary that may be restarted, with its bucket, its key folder and its memory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.blobs = MemoryBlobs()
        self.now = START
        self.key = ensure_key_file(folder / "record.pem")
        self.log = Log()
        self.restart()

    def restart(self) -> None:
        self.notary = AuditNotary(
            self.blobs,  # type: ignore[arg-type]
            lambda: RecordKeys.in_folder(self.folder),
            lambda: self.now,
            memory_file=self.folder / "memory.json",
        )

    async def round(self, minutes: int = 11) -> int:
        self.now += timedelta(minutes=minutes)
        made = await self.notary.checkpoint(self.log.read)
        return made.size if made else 0


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    made = Desk(tmp_path)
    made.log.grow(3)
    return made


async def test_it_signs_what_was_added_when_it_is_due(desk: Desk) -> None:
    assert await desk.round() == 3
    desk.log.grow(2)
    assert await desk.round(minutes=1) == 0, "not due"
    desk.restart()
    assert await desk.round() == 5
    assert await desk.round() == 0, "nothing was added"
    document, _ = await desk.blobs.get(checkpoint_key(2), limit=10**5)
    point = open_checkpoint(document, {desk.key.keyid: desk.key})
    assert (point.sequence, point.size, point.head_hash) == (2, 5, desk.log.rows[-1].row_hash)


async def test_an_empty_log_needs_no_checkpoint(tmp_path: Path) -> None:
    assert await Desk(tmp_path).round() == 0


@pytest.mark.parametrize("attack", ["edit", "delete", "cut", "anew", "gap", "tail"])
async def test_a_log_that_was_changed_is_not_signed(desk: Desk, attack: str) -> None:
    await desk.round()
    desk.log.grow(3)
    rows = desk.log.rows
    match attack:
        case "edit":
            rows[4] = replace(rows[4], entry=replace(rows[4].entry, actor="mallory"))
        case "delete":
            del rows[4]
        case "cut":
            del rows[2:]
        case "anew":
            rows.clear()
            desk.log.grow(8, actor="mallory")
        case "gap":
            rows[5] = replace(rows[5], number=9)
        case "tail":
            del rows[2:]
            desk.log.grow(3, actor="mallory")
    with pytest.raises(VerificationFailed, match="was changed"):
        await desk.round()
    assert checkpoint_key(2) not in desk.blobs.objects


async def test_what_was_cut_before_its_checkpoint_can_be_written_anew(desk: Desk) -> None:
    """The window that ``audit_checkpoint_s`` bounds; an export taken meanwhile still shows it."""
    await desk.round()
    desk.log.grow(2)
    del desk.log.rows[3:]
    desk.log.grow(2, actor="mallory")
    assert await desk.round() == 5


async def test_checkpoints_taken_from_the_bucket_are_missed_after_a_restart(desk: Desk) -> None:
    await desk.round()
    desk.log.grow(2)
    await desk.round()
    kept = desk.blobs.objects.pop(checkpoint_key(2))
    desk.restart()
    with pytest.raises(VerificationFailed, match="gone from the bucket"):
        await desk.round()
    desk.blobs.objects[checkpoint_key(2)] = kept.replace(b"payload", b"qayload")
    with pytest.raises(VerificationFailed):
        await desk.round()


async def test_a_checkpoint_of_another_key_is_not_built_on(desk: Desk, tmp_path: Path) -> None:
    other = Desk(tmp_path / "mallory")
    other.log.grow(9, actor="mallory")
    await other.round()
    desk.blobs.objects[checkpoint_key(1)] = other.blobs.objects[checkpoint_key(1)]
    with pytest.raises(VerificationFailed, match="none of these is trusted"):
        await desk.round()


async def test_a_rotated_key_goes_on_where_the_old_one_stopped(desk: Desk) -> None:
    await desk.round()
    (desk.folder / "record.pem").unlink()
    (desk.folder / "record.pub.json").rename(desk.folder / "record-2025.pub.json")
    new = ensure_key_file(desk.folder / "record.pem")
    desk.log.grow(1)
    desk.restart()
    assert await desk.round() == 4
    assert f"audit/key/{new.keyid}.json" in desk.blobs.objects


async def test_two_signers_make_one_chain_of_checkpoints(desk: Desk) -> None:
    desk.now += timedelta(minutes=11)
    other = AuditNotary(desk.blobs, lambda: RecordKeys.in_folder(desk.folder), lambda: desk.now)  # type: ignore[arg-type]
    await desk.notary.checkpoint(desk.log.read)
    assert await other.checkpoint(desk.log.read) is None, "it reads the other's, which is fresh"
    desk.log.grow(1)
    assert await desk.round() == 4


async def test_without_a_key_it_says_how_to_make_one(tmp_path: Path) -> None:
    blobs = MemoryBlobs()
    notary = AuditNotary(blobs, lambda: RecordKeys.in_folder(tmp_path), lambda: START)  # type: ignore[arg-type]
    with pytest.raises(KeyUnavailable) as refused:
        await notary.checkpoint(Log().read)
    assert "ampwave key create" in refused.value.hint


@pytest.mark.parametrize(
    "document",
    [b"", b"{}", b"[]", b"\xff", b'{"payload":"e30=","payloadType":"x","signatures":[]}', b"[" * 9999],
)
def test_no_document_but_ours_is_a_checkpoint(desk: Desk, document: bytes) -> None:
    with pytest.raises((VerificationFailed, InvalidInput)):
        open_checkpoint(document, {desk.key.keyid: desk.key})
