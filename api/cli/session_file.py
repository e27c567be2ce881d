"""One session as a file: its record, every frame as journaled and every event, for a dispute (F90).

One JSON document a line. The last line says how many came before it and their SHA-256, so that a file which
was cut short or changed shows.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from api.cli.errors import Record, WrongUse


@dataclass(frozen=True, slots=True)
class Written:
    """What a file holds."""

    frames: int
    events: int
    sha256: str
    """Of all lines but the last."""


def write(file: Path, session: Record, entries: Iterable[Record]) -> Written:
    """Write a new file, whole or not at all. Raises WrongUse."""
    try:
        with file.open("xb") as out:
            try:
                digest, counts = hashlib.sha256(), {"session": 0, "frame": 0, "event": 0}
                for line in _lines(session, entries):
                    counts[line["record"]] += 1
                    data = _encoded(line)
                    digest.update(data)
                    out.write(data)
                end = {"record": "end", "lines": sum(counts.values()), "sha256": digest.hexdigest()}
                out.write(_encoded(end))
            except BaseException:
                file.unlink(missing_ok=True)
                raise
    except FileExistsError as error:
        raise WrongUse(f"{file} is there already.", hint="Name a new file.") from error
    except OSError as error:
        raise WrongUse(f"{file} cannot be written: {error.strerror}.") from error
    return Written(counts["frame"], counts["event"], digest.hexdigest())


def _lines(session: Record, entries: Iterable[Record]) -> Iterator[Record]:
    yield {"record": "session", **session}
    for entry in entries:
        shared = {"at": entry["at"], "concerns": entry["concerns"]}
        if entry["event"] is not None:
            yield {"record": "event", **shared, "event": entry["event"]}
        else:
            raw = {name: entry[name] for name in ("direction", "frame", "answer")}
            yield {"record": "frame", **shared, **raw}


def _encoded(line: Record) -> bytes:
    return json.dumps(line, sort_keys=True, separators=(",", ":")).encode() + b"\n"
