"""Whether rows of the audit log are what was written, and if not, which row and why. Pure (S65).

Rows prove each other by their hashes; signed checkpoints prove that nobody wrote the whole chain anew.
The caller verifies the checkpoints' signatures first (``signing.checkpoint``).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from storage.audit import GENESIS, AuditCheckpoint, AuditRow, chain_hash

MOST_PROBLEMS = 20
"""More would not help anybody to find the first."""


class Tamper(StrEnum):
    """What was done to the log."""

    EDITED = "edited"
    REPLACED = "replaced"
    DELETED = "deleted"
    INSERTED = "inserted"
    REORDERED = "reordered"
    CUT = "cut"
    REBUILT = "rebuilt"
    CHECKPOINT = "checkpoint"


@dataclass(frozen=True, slots=True)
class Problem:
    """One place that does not hold, and why."""

    number: int
    """Of the row; of a checkpoint that does not hold, the size that it speaks of."""
    kind: Tamper
    why: str


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a check. ``proven`` is the last row that a signed checkpoint vouches for."""

    rows: int
    first: int
    last: int
    last_hash: str
    proven: int
    known: int
    """How long the log was by its newest checkpoint."""
    problems: tuple[Problem, ...]

    @property
    def intact(self) -> bool:
        """Whether everything holds."""
        return not self.problems


class ChainCheck:
    """Takes the rows of a log one by one, in the order in which they lie there; constant memory."""

    def __init__(self, checkpoints: Iterable[AuditCheckpoint] = (), *, first: int = 1) -> None:
        self._heads: dict[int, AuditCheckpoint] = {point.size: point for point in checkpoints}
        self._first = first
        self._rows = 0
        self._last = first - 1
        self._last_hash = GENESIS if first == 1 else ""
        self._gaps: list[tuple[int, int]] = []
        self._problems: list[Problem] = []
        self._proven = 0

    def feed(self, row: AuditRow) -> None:
        """The next row."""
        self._rows += 1
        if row.number <= self._last:
            self._late(row)
            return
        if row.number > self._last + 1:
            self._gaps.append((self._last + 1, row.number - 1))
        elif self._last_hash and row.previous_hash != self._last_hash and self._rows > 1:
            self._say(
                row.number - 1,
                Tamper.REPLACED,
                f"row {row.number} was written after a row with the hash {row.previous_hash[:16]}, but row "
                f"{row.number - 1} has {self._last_hash[:16]}: it was replaced",
            )
        elif self._rows == 1:
            self._check_start(row)
        self._check_content(row)
        self._check_head(row)
        self._last, self._last_hash = row.number, row.row_hash

    def finish(self, *, whole: bool = True) -> Report:
        """The report. ``whole``: rows after the last one here, that a checkpoint knows of, are missing."""
        for start, end in self._gaps:
            self._say(start, Tamper.DELETED, f"{_rows(start, end)} missing: deleted after being written")
        newest = max(self._heads, default=0)
        if whole and newest > self._last:
            point = self._heads[newest]
            self._say(
                self._last + 1,
                Tamper.CUT,
                f"{_rows(self._last + 1, newest)} missing: checkpoint {point.sequence} of "
                f"{point.at:%Y-%m-%d %H:%M}Z says that there were {newest}",
            )
        problems = tuple(sorted(self._problems, key=lambda one: one.number)[:MOST_PROBLEMS])
        first = self._first if self._rows else 0
        return Report(self._rows, first, self._last, self._last_hash, self._proven, newest, problems)

    def _check_start(self, row: AuditRow) -> None:
        before = self._heads.get(row.number - 1)
        expected = GENESIS if row.number == 1 else before.head_hash if before else row.previous_hash
        if row.previous_hash != expected:
            self._say(row.number, Tamper.REBUILT, f"row {row.number} does not begin where the log does")

    def _check_content(self, row: AuditRow) -> None:
        if row.row_hash == chain_hash(row.number, row.previous_hash, row.entry):
            return
        if row.row_hash == chain_hash(row.number - 1, row.previous_hash, row.entry):
            why = f"row {row.number} was number {row.number - 1} once: one before it was inserted"
            self._say(row.number, Tamper.INSERTED, why)
        elif row.row_hash == chain_hash(row.number + 1, row.previous_hash, row.entry):
            why = f"row {row.number} was number {row.number + 1} once: one before it was deleted"
            self._say(row.number, Tamper.DELETED, why)
        else:
            why = f"row {row.number} was edited: its content does not hash to what is noted in it"
            self._say(row.number, Tamper.EDITED, why)

    def _check_head(self, row: AuditRow) -> None:
        point = self._heads.get(row.number)
        if point is None:
            return
        if point.head_hash == row.row_hash:
            self._proven = row.number
            return
        self._say(
            row.number,
            Tamper.REBUILT,
            f"row {row.number} is not the one that checkpoint {point.sequence} of {point.at:%Y-%m-%d %H:%M}Z "
            f"was signed over: the log was written anew from row {self._proven + 1} on or later",
        )

    def _late(self, row: AuditRow) -> None:
        """A number that is behind us: out of order, or there twice."""
        for place, (start, end) in enumerate(self._gaps):
            if start <= row.number <= end:
                pieces = [(start, row.number - 1), (row.number + 1, end)]
                self._gaps[place : place + 1] = [piece for piece in pieces if piece[0] <= piece[1]]
                self._say(row.number, Tamper.REORDERED, f"row {row.number} comes after row {self._last}")
                self._check_content(row)
                self._check_head(row)
                return
        why = f"row {row.number} is there more than once, or does not belong here: it was inserted"
        self._say(row.number, Tamper.INSERTED, why)

    def _say(self, number: int, kind: Tamper, why: str) -> None:
        if len(self._problems) < 10 * MOST_PROBLEMS:
            self._problems.append(Problem(number, kind, why))


def checkpoint_problems(
    points: Sequence[AuditCheckpoint], digests: Mapping[int, str], *, from_start: bool = True
) -> list[Problem]:
    """Whether verified checkpoints follow from each other; ``digests`` are those of their documents."""
    problems = []
    for before, point in zip([None, *points], points, strict=False):
        if before is None:
            if from_start and point.sequence != 1:
                problems.append(_missing(point, 1))
            continue
        if point.sequence != before.sequence + 1:
            problems.append(_missing(point, before.sequence + 1))
        elif point.previous != digests[before.sequence] or point.size < before.size:
            why = f"checkpoint {point.sequence} does not follow from checkpoint {before.sequence}"
            problems.append(Problem(point.size, Tamper.CHECKPOINT, why))
    return problems


def _missing(point: AuditCheckpoint, expected: int) -> Problem:
    why = f"checkpoint {expected} is missing: the next one here is {point.sequence}"
    return Problem(point.size, Tamper.CHECKPOINT, why)


def _rows(start: int, end: int) -> str:
    return f"row {start} is" if start == end else f"rows {start} to {end} are"
