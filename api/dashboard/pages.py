"""Templates to text. Autoescaped; an undefined name is an error, never an empty place on a page."""

from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined

_FOLDER = Path(__file__).parent
_UNITS = ((86400, "d"), (3600, "h"), (60, "min"))


def ago(instant: datetime | None, now: datetime) -> str:
    """How long ago, in the largest whole unit."""
    if instant is None:
        return "never"
    seconds = int((now - instant).total_seconds())
    if seconds < 5:
        return "just now"
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago"


def stamp(instant: datetime | None) -> str:
    """An instant for people, in UTC."""
    return "-" if instant is None else instant.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def size(length: int) -> str:
    """A byte count for people."""
    if length < 1024:
        return f"{length} B"
    return f"{length / 1024:.0f} KiB" if length < 1024**2 else f"{length / 1024**2:.1f} MiB"


def words(text: str) -> str:
    """A name of ours as words."""
    return text.replace("_", " ")


def segment(text: str) -> str:
    """One path segment of a URL."""
    return quote(text, safe="")


def _environment() -> Environment:
    env = Environment(
        loader=FileSystemLoader(_FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters.update(ago=ago, stamp=stamp, size=size, words=words, segment=segment)
    return env


_ENVIRONMENT = _environment()


def render(template: str, **context: object) -> str:
    """One page as text."""
    return _ENVIRONMENT.get_template(template).render({"principal": None, "path": "", **context})
