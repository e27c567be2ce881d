"""An export of the audit log on disk: JSON lines, read twice and in constant memory.

Rows are as the api gives them. Lines with a ``kind`` say what was exported, and bring the signed
checkpoints and the public keys, so that one file is enough to check the log anywhere.
"""

import base64
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from api.cli.errors import CliError, Record, WrongUse

if TYPE_CHECKING:
    from cryptography.x509 import Certificate
    from securesystemslib.signer import Key

    from storage.audit import AuditRow
    from storage.audit_check import Problem, Report

FORMAT = 1
_LARGEST = 2**63


@dataclass
class Proof:
    """What came with the rows: the range, checkpoints as envelopes, and public keys."""

    first: int = 1
    whole: bool = True
    envelopes: list[Record] = field(default_factory=list)
    keys: list[Record] = field(default_factory=list)
    stamps: list[str] = field(default_factory=list)
    """RFC 3161 responses over the envelopes, base64, in their order; "" where there is none."""


@dataclass(frozen=True, slots=True)
class Dated:
    """What outside authorities say: how many checkpoints carry a time stamp, and the newest that holds."""

    stamps: int = 0
    row: int = 0
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a check."""

    report: "Report"
    checkpoints: int
    signers: tuple[str, ...]
    """Ids of the keys whose checkpoints were believed."""
    pinned: bool
    """Whether those keys were known here, or only came along."""
    dated: "Dated"
    newest_at: datetime | None = None
    """When the newest of them was signed."""


def header(first: int, last: int | None, at: datetime) -> Record:
    """The line that says what was exported."""
    return {"kind": "export", "format": FORMAT, "from": first, "to": last, "at": at.isoformat()}


def read_proof(file: Path) -> Proof:
    """The lines that are no rows."""
    proof = Proof()
    for line in lines_of(file):
        kind = line.get("kind")
        if kind == "export":
            if line.get("format") != FORMAT:
                raise WrongUse(f"{file} has a format that this version does not know.")
            proof.first, proof.whole = _number(line, "from", file) or 1, _number(line, "to", file) is None
        elif kind == "checkpoint":
            proof.envelopes.append(line.get("envelope") or {})
            proof.stamps.append(str(line.get("timestamp") or ""))
        elif kind == "key":
            proof.keys.append({name: value for name, value in line.items() if name != "kind"})
    return proof


def _number(header: Record, name: str, file: Path) -> int | None:
    value = header.get(name)
    if value is not None and (type(value) is not int or not 0 < value < _LARGEST):
        raise WrongUse(f"{file} is not an export of the audit log: {name!r} is no number of a row.")
    return value


def rows_of(file: Path) -> Iterator[Record]:
    """The rows, in the order in which they lie there."""
    return (line for line in lines_of(file) if "kind" not in line)


def lines_of(file: Path) -> Iterator[Record]:
    """Each line as an object. Raises WrongUse for a file that is none of ours."""
    from storage.canonical import canonical_json

    try:
        with file.open(encoding="utf-8") as lines:
            for number, text in enumerate(lines, start=1):
                try:
                    line = json.loads(text, object_pairs_hook=_once)
                    if not isinstance(line, dict):
                        raise ValueError("not an object")  # noqa: TRY004 - reported with its line
                    canonical_json(line)  # what has no canonical form was never hashed or signed
                except (ValueError, TypeError, RecursionError) as error:
                    raise WrongUse(
                        f"{file} is not an export of the audit log.", [f"line {number}: {error}"]
                    ) from error
                yield line
    except UnicodeDecodeError as error:
        raise WrongUse(f"{file} is not an export of the audit log: it is not text.") from error
    except OSError as error:
        raise WrongUse(f"{file} cannot be read: {error.strerror}.") from error


def _once(pairs: list[tuple[str, Any]]) -> Record:
    """No key twice: two readers would read two different logs."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is there twice")
    return found


def check(
    rows: Iterable[Record],
    proof: Proof,
    pinned: tuple["Key", ...],
    authorities: tuple["Certificate", ...] = (),
) -> Verdict:
    """Recompute the chain, and hold it against every checkpoint that a known key signed."""
    from signing.checkpoint import open_checkpoint, read_key
    from signing.errors import VerificationFailed
    from storage.audit_check import ChainCheck, Problem, Tamper, checkpoint_problems
    from storage.canonical import canonical_json, sha256_hex

    problems: list[Problem] = []
    given = pinned or _keys(proof, read_key, problems)
    keys = {key.keyid: key for key in given}
    points, digests, signers = [], {}, set()
    for envelope in proof.envelopes:
        document = canonical_json(envelope)
        try:
            point = open_checkpoint(document, keys)
        except VerificationFailed as error:
            problems.append(Problem(0, Tamper.CHECKPOINT, f"a checkpoint does not hold: {error.message}"))
            continue
        points.append(point)
        digests[point.sequence] = sha256_hex(document)
        signers |= {str(one.get("keyid")) for one in envelope["signatures"]} & set(keys)
    points.sort(key=lambda point: point.sequence)
    problems += checkpoint_problems(points, digests, from_start=proof.first == 1)
    chain = ChainCheck(points, first=proof.first)
    for record in rows:
        chain.feed(row_of(record))
    report = chain.finish(whole=proof.whole)
    from dataclasses import replace

    dated, undated = _dated(proof, keys, authorities)
    whole = replace(report, problems=(*report.problems, *problems, *undated))
    newest = points[-1].at if points else None
    return Verdict(whole, len(points), tuple(sorted(signers)), bool(pinned), dated, newest)


def _dated(
    proof: Proof, keys: "dict[str, Key]", authorities: tuple["Certificate", ...]
) -> "tuple[Dated, list[Problem]]":
    """The time stamps, checked if there is anybody to check them by."""
    from signing.checkpoint import open_checkpoint
    from signing.errors import VerificationFailed
    from signing.timestamping import check_stamp
    from storage.audit_check import Problem, Tamper
    from storage.canonical import canonical_json

    newest = Dated(sum(1 for stamp in proof.stamps if stamp))
    problems: list[Problem] = []
    if not authorities:
        return newest, problems
    for envelope, stamp in zip(proof.envelopes, proof.stamps, strict=False):
        if not stamp:
            continue
        document = canonical_json(envelope)
        try:
            at = check_stamp(base64.b64decode(stamp), document, authorities)
            row = open_checkpoint(document, keys).size
        except (VerificationFailed, ValueError) as error:
            why = error.message if isinstance(error, VerificationFailed) else "it is not base64"
            problems.append(Problem(0, Tamper.CHECKPOINT, f"a time stamp of a checkpoint: {why}".rstrip(".")))
            continue
        if row >= newest.row:
            newest = Dated(newest.stamps, row, at)
    return newest, problems


def authorities_of(files: list[Path] | None) -> tuple["Certificate", ...]:
    """The roots of time stamp authorities in these PEM files. Raises WrongUse."""
    from cryptography.x509 import load_pem_x509_certificates

    try:
        return tuple(one for file in files or [] for one in load_pem_x509_certificates(file.read_bytes()))
    except (OSError, ValueError) as error:
        raise WrongUse(f"This is no PEM file of certificates: {error}.") from error


def row_of(record: Record) -> "AuditRow":
    """A row as the api gives it. Raises CliError."""
    from storage.audit import AuditEntry, AuditRow

    try:
        entry = AuditEntry(
            at=datetime.fromisoformat(record["at"]),
            actor=record["actor"],
            action=record["action"],
            subject=record["subject"],
            detail=record["detail"],
        )
        row = AuditRow(record["number"], entry, record["previous_hash"], record["row_hash"])
        if type(row.number) is not int or not 0 < row.number < _LARGEST:
            raise TypeError("a row has a whole number")
        if not all(isinstance(each, str) for each in (row.previous_hash, row.row_hash)):
            raise TypeError("a row has two hashes")
    except (KeyError, TypeError, ValueError) as error:
        raise CliError("This is not a row of an audit log.", [str(error)]) from error
    return row


def pinned_keys(files: list[Path] | None, folder: Path) -> tuple["Key", ...]:
    """The public keys given, or else those that this machine has for the log."""
    from signing.keys import read_public
    from signing.notary import RECORD

    known = files or [*folder.glob(f"{RECORD}.pub.json"), *sorted(folder.glob(f"{RECORD}-*.pub.json"))]
    return tuple(read_public(file) for file in known)


def _keys(proof: Proof, read_key: Any, problems: list[Any]) -> tuple["Key", ...]:
    from signing.errors import VerificationFailed
    from storage.audit_check import Problem, Tamper

    found = []
    for fields in proof.keys:
        try:
            found.append(read_key(fields))
        except VerificationFailed as error:
            problems.append(Problem(0, Tamper.CHECKPOINT, error.message))
    return tuple(found)
