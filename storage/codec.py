"""From stored JSON back to nouns, and the difference between two sections.

Encoding is ``storage.canonical``; this is its inverse, for every dataclass of ``storage``. Kept
apart because it needs pydantic, which rules have no use for.
"""

from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

import orjson
from pydantic import TypeAdapter, ValidationError

from storage.canonical import canonical_json
from storage.errors import InvalidInput
from storage.events import EVENT_TYPES, Event, EventKind
from storage.twin import SECTION_TYPES, TwinState

T = TypeVar("T")
Json = dict[str, Any]


_adapters: dict[Any, TypeAdapter[Any]] = {}


def _adapter(kind: Any) -> TypeAdapter[Any]:
    """Built once per noun: building takes longer than a thousand uses."""
    if kind not in _adapters:
        _adapters[kind] = TypeAdapter(kind)
    return _adapters[kind]


def decode(kind: type[T], value: Any) -> T:
    """A noun from JSON-ready Python values; unknown fields are ignored, missing ones take their default.

    Raises InvalidInput, naming every field that does not fit.
    """
    try:
        decoded: T = _adapter(kind).validate_python(value)
    except ValidationError as error:
        raise _misfit(kind, error) from error
    return decoded


def decode_json(kind: type[T], text: str | bytes) -> T:
    """A noun from JSON text. Raises InvalidInput like ``decode``."""
    try:
        decoded: T = _adapter(kind).validate_json(text)
    except ValidationError as error:
        raise _misfit(kind, error) from error
    return decoded


def _misfit(kind: object, error: ValidationError) -> InvalidInput:
    name = getattr(kind, "__name__", str(kind))
    problems = [
        f"{'.'.join(map(str, each['loc'])) or name}: {each['msg']}"
        for each in error.errors(include_url=False, include_context=False, include_input=False)
    ]
    return InvalidInput(f"This is no {name}.", problems)


def decode_event(kind: EventKind, body: Json) -> Event:
    """The canonical event behind a stored body."""
    event: Event = decode(EVENT_TYPES[kind], body)
    return event


def decode_twin(charger_id: str, revision: int, sections: Json) -> TwinState:
    """The twin from its reported sections by name."""
    known: dict[str, Any] = {
        name: decode(kind, sections[name])
        for name, kind in SECTION_TYPES.items()
        if sections.get(name) is not None
    }
    return TwinState(charger_id=charger_id, revision=revision, **known)


def to_json(value: Any) -> Any:
    """A noun as JSON-ready Python values, exactly as they come back from the store."""
    return orjson.loads(canonical_json(value))


def section_patch(before: Any, after: Any) -> Any:
    """The RFC 7396 patch that turns one section into another; None removes a key.

    Our sections mean the same by a key that is None and a key that is not there. Leaves may be
    nouns and datetimes; ``storage.canonical`` makes JSON of them.
    """
    if is_dataclass(after) and type(before) is type(after):
        pairs = ((each.name, getattr(before, each.name), getattr(after, each.name)) for each in fields(after))
        return {name: section_patch(old, new) for name, old, new in pairs if old is not new and old != new}
    if isinstance(before, dict) and isinstance(after, dict):
        patch: Json = {key: None for key in before if key not in after}
        for key, new in after.items():
            old = before.get(key)
            if old is not new and old != new:
                patch[key] = section_patch(old, new)
        return patch
    return after


def apply_patch(before: Json, patch: Json) -> Json:
    """RFC 7396: ``before`` with ``patch`` applied; neither is changed."""
    after = dict(before)
    for key, new in patch.items():
        if new is None:
            after.pop(key, None)
        elif isinstance(new, dict):
            old = after.get(key)
            after[key] = apply_patch(old if isinstance(old, dict) else {}, new)
        else:
            after[key] = new
    return after
