"""Results of drills, kept for those who ask whether we ever tried (S67).

Each record names the hash of the one before, and each is created once under the next number, so that none
can be changed, left out or slipped in without breaking the chain.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from signing.drills import Step
from signing.errors import RepositoryUnreachable, VerificationFailed
from storage.canonical import canonical_json, sha256_hex
from storage.errors import NotFound
from storage.ids import drill_key
from storage.ports import BlobStore

_LIMIT = 262_144
_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class DrillRecord:
    """One drill as it was played."""

    number: int
    drill: str
    held: bool
    started_at: datetime
    seconds: float
    steps: tuple[Step, ...]
    tools: str
    played_by: str
    previous: str
    """SHA-256 of the record before, as stored; nothing before the first."""


@dataclass(frozen=True, slots=True)
class DrillResult:
    """What is known of a drill before it has a number."""

    drill: str
    held: bool
    started_at: datetime
    seconds: float
    steps: Sequence[Step]
    tools: str
    played_by: str


async def record_drill(blobs: BlobStore, result: DrillResult) -> DrillRecord:
    """Append to the chain. Raises VerificationFailed if the chain is broken."""
    for _ in range(_ATTEMPTS):
        records = await drill_records(blobs)
        previous = sha256_hex(canonical_json(records[-1])) if records else ""
        record = DrillRecord(
            number=len(records) + 1,
            drill=result.drill,
            held=result.held,
            started_at=result.started_at,
            seconds=result.seconds,
            steps=tuple(result.steps),
            tools=result.tools,
            played_by=result.played_by,
            previous=previous,
        )
        if await blobs.put_bytes(drill_key(record.number), canonical_json(record)):
            return record
    raise RepositoryUnreachable("Others keep recording drills at the same moment.", hint="Try again.")


async def drill_records(blobs: BlobStore) -> list[DrillRecord]:
    """All of them, first to last. Raises VerificationFailed where the chain is broken."""
    records: list[DrillRecord] = []
    previous = ""
    while True:
        number = len(records) + 1
        try:
            data, _ = await blobs.get(drill_key(number), limit=_LIMIT)
        except NotFound:
            return records
        record = parse_record(data)
        if (record.number, record.previous) != (number, previous):
            raise VerificationFailed(
                f"Drill record {number} does not follow the one before: a record was changed.",
                hint="The versions of the bucket show who changed it and when.",
            )
        records.append(record)
        previous = sha256_hex(data)


def parse_record(data: bytes) -> DrillRecord:
    """A record from exactly its bytes. Raises VerificationFailed."""
    try:
        raw: dict[str, Any] = json.loads(data)
        steps = tuple(Step(**step) for step in raw["steps"])
        started = datetime.fromisoformat(raw["started_at"])
        record = DrillRecord(**{**raw, "steps": steps, "started_at": started})
        same = canonical_json(record) == data
    except (ValueError, KeyError, TypeError) as error:
        raise VerificationFailed("A drill record cannot be read.") from error
    if not same:
        raise VerificationFailed("A drill record is not in canonical form.")
    return record
