"""Templates to text. Autoescaped; an undefined name is an error, never an empty place on a page."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from api.downtime_words import in_days, span
from api.timeline_words import readings
from storage.chronicle import Entry
from storage.events import EventKind, StoredEvent


class Named(Protocol):
    """Anything with a vendor and a model."""

    @property
    def vendor(self) -> str:
        """Who makes it."""

    @property
    def model(self) -> str:
        """What they call it."""


_FOLDER = Path(__file__).parent
_IDENTIFIER = re.compile(r"[0-9a-f\-]{24,}")
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


def model_name(named: Named) -> str:
    """Vendor and model, the vendor once where the model's name begins with it."""
    vendor, model = named.vendor, named.model
    return model if model.lower().startswith(vendor.lower()) else f"{vendor} {model}"


def event_words(event: StoredEvent | Entry) -> str:
    """What an event carries, in a line: no empty values or lists, long identifiers cut, readings in words."""
    if event.body.get("samples") and event.kind == EventKind.METER_VALUES_SAMPLED:
        return readings({**event.body, "transaction_id": _cut(event.body.get("transaction_id") or "")})
    body = {name: value for name, value in event.body.items() if isinstance(value, str | int | float)}
    if body.get("vendor_status") == body.get("status"):
        body.pop("vendor_status", None)
    shown = [f"{words(name)} {_cut(value)}" for name, value in body.items() if value not in ("", False)]
    return " · ".join(shown)


def _cut(value: str | float) -> str:
    if isinstance(value, float):
        return f"{value:g}" if abs(value) < 1000 else f"{value:.0f}"
    text = str(value)
    return f"{text[:8]}…" if _IDENTIFIER.fullmatch(text) else text


def segment(text: str) -> str:
    """One path segment of a URL."""
    return quote(text, safe="")


def _environment() -> Environment:
    env = Environment(
        loader=FileSystemLoader(_FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters.update(
        ago=ago,
        stamp=stamp,
        size=size,
        words=words,
        segment=segment,
        model_name=model_name,
        event_words=event_words,
        span=span,
        in_days=in_days,
    )
    return env


_ENVIRONMENT = _environment()


def render(template: str, **context: object) -> str:
    """One page as text."""
    return _ENVIRONMENT.get_template(template).render({"principal": None, "path": "", **context})


def page(template: str, context: Mapping[str, object], **more: object) -> HTMLResponse:
    """One page as a reply; what is on it changes, so nobody keeps it."""
    return HTMLResponse(render(template, **context, **more), headers={"Cache-Control": "no-store"})
