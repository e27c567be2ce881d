"""How answers look: tables and key-value views that read well at 80 and at 160 columns.

Everything from the server passes ``clean``: a charger chooses its own vendor name, and a terminal
obeys escape sequences.
"""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table
    from rich.text import Text

PIPE_WIDTH = 160
"""Columns where the output is no terminal and COLUMNS is not set."""

_STYLES = {
    "green": {"released", "completed", "updated", "proceed", "online", "active", "intact", "holds", "yes"},
    "red": {
        "rejected",
        "revoked",
        "failed",
        "aborted",
        "abort",
        "silent",
        "faulted",
        "quarantined",
        "broken",
    },
    "yellow": {"paused", "hold", "deferred", "aborting", "rolling back", "rolled back", "offline", "expired"},
    "cyan": {"running", "awaiting approval", "awaiting signatures", "publishing", "inspecting", "charging"},
}
_STYLE_OF = {word: style for style, words in _STYLES.items() for word in words}


@dataclass(frozen=True, slots=True)
class Column:
    """One column; ``optional`` ones go first when the screen is narrow, ``fold`` ones wrap."""

    title: str
    optional: bool = False
    fold: bool = False
    right: bool = False


class Screen:
    """Writes for people. No colour when the stream is no terminal or NO_COLOR is set."""

    def __init__(self, stream: TextIO | None = None, *, width: int | None = None) -> None:
        self.stream = stream or sys.stdout
        self._width = width

    @property
    def width(self) -> int:
        """Columns to fill: those of the terminal, of COLUMNS, or enough not to fold a pipe's lines."""
        if self._width is not None:
            return self._width
        if self.stream.isatty():
            return self.console().width
        columns = os.environ.get("COLUMNS", "")
        return int(columns) if columns.isdigit() and int(columns) > 0 else PIPE_WIDTH

    def console(self) -> "Console":
        """A rich console on this stream, imported when first needed."""
        from rich.console import Console

        terminal = self.stream.isatty()
        width = self._width if terminal else self.width
        return Console(file=self.stream, width=width, highlight=False, markup=False, emoji=False)

    def line(self, text: str = "") -> None:
        """One paragraph as it is."""
        self.stream.write(clean(text, keep_newlines=True) + "\n")

    def table(self, columns: Sequence[Column], rows: Sequence[Sequence[str]], *, empty: str) -> None:
        """A table without rules; ``empty`` says what to do when there is nothing to show."""
        if not rows:
            self.line(empty)
            return
        self.draw(build_table(columns, rows, self.width))

    def draw(self, picture: "RenderableType") -> None:
        """Anything rich can draw; off a terminal without the blanks that pad its lines."""
        console = self.console()
        if self.stream.isatty():
            console.print(picture)
            return
        with console.capture() as captured:
            console.print(picture)
        self.stream.write("".join(line.rstrip() + "\n" for line in captured.get().splitlines()))

    def fields(self, pairs: Sequence[tuple[str, str | None]]) -> None:
        """Names and values under each other; pairs whose value is None are left out."""
        from rich.table import Table

        grid = Table.grid(padding=(0, 2))
        grid.add_column(style="bold", no_wrap=True)
        grid.add_column(overflow="fold")
        for name, value in pairs:
            if value is not None:
                grid.add_row(clean(name), styled(value))
        self.draw(grid)


def build_table(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> "Table":
    """The table that fits: optional columns that would break the line are left out, last ones first."""
    from rich.table import Table

    shown = _fitting(columns, rows, width)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for index in shown:
        column = columns[index]
        table.add_column(
            column.title,
            no_wrap=not column.fold,
            overflow="fold",
            justify="right" if column.right else "left",
        )
    for row in rows:
        table.add_row(*(styled(row[index]) for index in shown))
    return table


def _fitting(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> list[int]:
    def natural(index: int) -> int:
        cells = [len(clean(row[index])) for row in rows]
        longest = max([len(columns[index].title), *cells])
        return (min(longest, 24) if columns[index].fold else longest) + 2

    widths = {index: natural(index) for index in range(len(columns))}
    for index in reversed(range(len(columns))):
        if sum(widths.values()) - 2 <= width:
            break
        if columns[index].optional:
            del widths[index]
    return list(widths)


def styled(text: str) -> "Text":
    """Text in the colour of its word, if it is one of the words that have one."""
    from rich.text import Text

    text = clean(text, keep_newlines=True)
    return Text(text, style=_STYLE_OF.get(text.partition(" (")[0].lower(), ""))


def clean(text: str, *, keep_newlines: bool = False) -> str:
    """Without control characters, so that no stored word can drive the terminal."""
    return "".join(c if c.isprintable() or (keep_newlines and c == "\n") else "\ufffd" for c in str(text))


def words(phase: object) -> str:
    """``awaiting_approval`` as people write it."""
    return str(phase or "-").replace("_", " ")


def short(digest: object) -> str:
    """The first twelve characters of a hash, enough for people and for commands."""
    return str(digest or "-")[:12]


def counted(number: int, what: str) -> str:
    """``1 charger``, ``2 chargers``."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def size(count: object) -> str:
    """Bytes in the unit that keeps the number short."""
    amount = float(str(count or 0))
    for unit in ("B", "kB", "MB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 10 else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"


def share(part: float, whole: float) -> str:
    """A share in per cent, or a dash where there is no whole."""
    return f"{100 * part / whole:.0f} %" if whole else "-"


def parse_time(text: object) -> datetime | None:
    """An RFC 3339 time as the api writes it, or None."""
    return datetime.fromisoformat(str(text)).astimezone(UTC) if text else None


def ago(text: object, now: datetime) -> str:
    """A time relative to now: ``3 min ago``, ``in 2 h``, or a dash."""
    then = parse_time(text)
    if then is None:
        return "-"
    delta = now - then
    amount = _rough(abs(delta))
    if not amount:
        return "just now"
    return f"{amount} ago" if delta >= timedelta() else f"in {amount}"


def moment(text: object, now: datetime) -> str | None:
    """A time in UTC and relative to now, or None where there is none."""
    then = parse_time(text)
    return f"{then:%Y-%m-%d %H:%M:%S} UTC ({ago(text, now)})" if then else None


def duration(seconds: float) -> str:
    """A length of time in its largest units: ``45 s``, ``2 min``, ``6 h``, ``7 d``."""
    return _rough(timedelta(seconds=seconds)) or "0 s"


def _rough(delta: timedelta) -> str:
    """The largest unit that says it without losing more than half, or nothing for less than a second."""
    seconds = int(delta.total_seconds())
    for length, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        if seconds >= 2 * length or (seconds >= length and seconds % length == 0):
            return f"{seconds // length} {unit}"
    return ""
