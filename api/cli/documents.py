"""YAML and JSON files that people write, kept with their line numbers so that errors can name them."""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from api.cli.errors import WrongUse

if TYPE_CHECKING:
    from yaml.nodes import Node

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(s|min|m|h|d|w)?")
_UNITS = {None: 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}


@dataclass(frozen=True, slots=True)
class Entry:
    """One node of a document: its path in words, its line, and the node itself."""

    path: str
    line: int
    node: "Node"
    sent: str = ""
    """Its path in the document that is sent, where that is another: ``waves.0.soak_seconds``."""

    @property
    def kind(self) -> str:
        """``mapping``, ``sequence`` or ``scalar``."""
        return type(self.node).__name__.removesuffix("Node").lower()

    @property
    def text(self) -> str:
        """A scalar exactly as written, so that version ``1.10`` stays 1.10."""
        return str(self.node.value)


@dataclass
class Problems:
    """All that is wrong with a file, found in one go."""

    file: str
    found: list[str] = field(default_factory=list)
    about: set[str] = field(default_factory=set)
    """The fields that problems are about, by their path in the document that is sent."""
    places: dict[str, Entry] = field(default_factory=dict)
    """Where in the file each field of that document was written."""

    def add(self, entry: Entry, message: str, *, missing: str = "") -> None:
        """Note one problem with its line and field."""
        where = f"line {entry.line}, {entry.path}" if entry.path else f"line {entry.line}"
        self.found.append(f"{where}: {message}")
        self.about.add(below(entry, missing) if missing else entry.sent)

    def place(self, entry: Entry) -> None:
        """Remember where a field was written."""
        self.places.setdefault(entry.sent, entry)

    def check(self, *, hint: str = "") -> None:
        """Raise WrongUse if anything was found."""
        if self.found:
            raise WrongUse(f"{self.file} does not hold.", self.found, hint=hint)


def below(entry: Entry, name: str) -> str:
    """The path of a field of this entry in the document that is sent."""
    return f"{entry.sent}.{name}".lstrip(".")


def load(path: Path) -> Entry:
    """The root of a YAML or JSON file.

    Raises:
        WrongUse: it cannot be read, or is not well formed; names the line.
    """
    import yaml

    text = _read(path)
    try:
        # YAML forbids tabs for indentation; JSON files use them, and never inside a string.
        loader = yaml.SafeLoader(text.replace("\t", "  ") if path.suffix == ".json" else text)
        node = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "somewhere"
        raise WrongUse(f"{path} is not well formed.", [f"{where}: {error.problem}"]) from error
    except yaml.YAMLError as error:
        raise WrongUse(f"{path} is not well formed.", [str(error)]) from error
    if node is None:
        raise WrongUse(f"{path} is empty.")
    return Entry("", node.start_mark.line + 1, node)


def mapping(entry: Entry, problems: Problems) -> dict[str, Entry]:
    """The entries of a mapping by name, the last of a name; one that comes twice is a problem."""
    if entry.kind != "mapping":
        problems.add(entry, "should be a mapping of names to values.")
        return {}
    result: dict[str, Entry] = {}
    for key, value in entry.node.value:
        name = str(key.value)
        path = f"{entry.path}.{name}".lstrip(".")
        child = Entry(path, key.start_mark.line + 1, value, below(entry, name))
        if name in result:
            problems.add(child, "comes twice.")
        result[name] = child
    return result


def sequence(entry: Entry, problems: Problems) -> Iterator[Entry]:
    """The entries of a list."""
    if entry.kind != "sequence":
        problems.add(entry, "should be a list.")
        return
    for index, node in enumerate(entry.node.value):
        path = f"{entry.path}[{index + 1}]"
        yield Entry(path, node.start_mark.line + 1, node, below(entry, str(index)))


def plain(entry: Entry) -> Any:
    """The value as YAML's own rules read it."""
    import yaml

    value = yaml.SafeLoader("").construct_object(entry.node, deep=True)
    return value.isoformat() if isinstance(value, date) else value


def is_null(entry: Entry) -> bool:
    """Whether nothing was written there."""
    return str(entry.node.tag).endswith(":null")


def number(text: str) -> float:
    """A number, or a percentage as a share: ``5%`` is 0.05. Raises ValueError."""
    text = text.strip()
    value = float(text[:-1]) / 100 if text.endswith("%") else float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def seconds(text: str) -> float:
    """A length of time: ``90``, ``90s``, ``15m``, ``6h``, ``7d``. Raises ValueError."""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError(text)
    return float(match[1]) * _UNITS[match[2]]


def clock(text: str) -> str:
    """A time of day as ``HH:MM``; ``2:05`` is ``02:05``. Raises ValueError."""
    hours, minutes = text.strip().split(":")
    return f"{time(int(hours), int(minutes)):%H:%M}"


def instant(text: str) -> str:
    """A time with its zone, as RFC 3339. Raises ValueError without a zone."""
    value = datetime.fromisoformat(text.strip())
    if value.tzinfo is None:
        raise ValueError(text)
    return value.isoformat()


def nearest(name: str, known: Mapping[str, object]) -> str:
    """``Did you mean ...?`` for a name that is not known, or which names are."""
    from difflib import get_close_matches

    close = get_close_matches(name, list(known), n=1)
    return f"Did you mean {close[0]}?" if close else f"Known: {', '.join(known)}."


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise WrongUse(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise WrongUse(f"{path} is not text in UTF-8.") from error
