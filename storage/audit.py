"""The audit log: who did what, when, on what evidence, each row chained to the one before (S65)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from storage.canonical import digest

GENESIS = "0" * 64


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One act, before it has its place in the chain."""

    at: datetime
    actor: str
    action: str
    """``noun.verb`` in the past tense, for example ``campaign.approved``."""
    subject: str
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True)
class AuditRow:
    """An entry in its place: ``row_hash`` covers the entry, its number and the previous hash."""

    number: int
    entry: AuditEntry
    previous_hash: str
    row_hash: str


@dataclass(frozen=True, slots=True)
class AuditCheckpoint:
    """What the log was at an instant, signed by a key that the database does not hold."""

    sequence: int
    """From 1, without a gap."""
    size: int
    """The number of the last row."""
    head_hash: str
    """That row's hash."""
    at: datetime
    previous: str
    """SHA-256 of the checkpoint before, as stored; "" for the first."""


def chain_hash(number: int, previous_hash: str, entry: AuditEntry) -> str:
    """The hash of a row; anybody can recompute it from an export."""
    return digest({"number": number, "previous": previous_hash, "entry": entry})


def first_break(rows: list[AuditRow], previous_hash: str = GENESIS) -> int | None:
    """The number of the first row that does not follow from the one before it, or None."""
    for row in rows:
        if row.previous_hash != previous_hash or row.row_hash != chain_hash(
            row.number, previous_hash, row.entry
        ):
            return row.number
        previous_hash = row.row_hash
    return None
