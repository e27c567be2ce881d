"""The options of ``ampwave charger send CHARGER COMMAND``, read against the shapes that the api documents.

Kept apart from the command line proper, for it imports what the shapes need, and ``--help`` does not.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from api.cli.errors import Record, WrongUse
from api.commands import BY_NAME, FIRMWARE, NO_FIRMWARE, Door

_NOT_OPTIONS = frozenset({"command", "deadline_seconds"})


def parse(name: str, words: Sequence[str]) -> Record:
    """The body for a command and its options. Raises WrongUse, saying what there is."""
    if name in FIRMWARE:
        raise WrongUse(f"{name}: {NO_FIRMWARE}.")
    door = BY_NAME.get(name)
    if door is None:
        raise WrongUse(f"There is no command {name!r}.", hint="`ampwave charger send --help` lists them.")
    fields = _fields(door)
    body: Record = {"command": name}
    left = list(words)
    while left:
        option = left.pop(0)
        field = option.removeprefix("--").replace("-", "_")
        if not option.startswith("--") or field not in fields:
            raise WrongUse(f"{name} has no option {option!r}.", hint=usage(door))
        _take(body, field, fields[field], left, option)
    return body


def usage(door: Door) -> str:
    """One line: the command with its options, the optional ones in brackets."""
    required = set(door.shape.model_json_schema().get("required", ()))
    parts = [door.name]
    for field, kind in _fields(door).items():
        text = f"--{field.replace('_', '-')}" + ("" if kind == "boolean" else f" {_PLACES[kind]}")
        parts.append(text if field in required else f"[{text}]")
    return " ".join(parts)


_PLACES = {"string": "TEXT", "integer": "N", "number": "X", "array": "TEXT...", "object": "NAME=VALUE..."}


def _fields(door: Door) -> dict[str, str]:
    """The kind of each option, in the words of JSON schema."""
    schema = door.shape.model_json_schema()
    return {
        name: _kind(field, schema.get("$defs", {}))
        for name, field in schema["properties"].items()
        if name not in _NOT_OPTIONS
    }


def _kind(field: Record, definitions: Record) -> str:
    if "anyOf" in field:
        field = next(each for each in field["anyOf"] if each.get("type") != "null")
    reference = field.get("$ref", "").rpartition("/")[2]
    return str(definitions.get(reference, field).get("type", "string"))


def _take(body: Record, field: str, kind: str, left: list[str], option: str) -> None:
    if kind == "boolean":
        # As people write it: --operative, --operative true, --operative no.
        word = left.pop(0).lower() if left and left[0].lower() in _YES | _NO else "yes"
        body[field] = word in _YES
        return
    if not left:
        raise WrongUse(f"{option} needs a value.")
    value = left.pop(0)
    if kind == "object":
        name, sign, rest = value.partition("=")
        if not sign:
            raise WrongUse(f"{option} {value}: write NAME=VALUE.")
        body.setdefault(field, {})[name] = rest
    elif kind == "array":
        body.setdefault(field, []).append(value if not value.isdigit() else int(value))
    else:
        body[field] = _plain(kind, value, option)


_YES = frozenset({"yes", "true", "on"})
_NO = frozenset({"no", "false", "off"})


def _plain(kind: str, value: str, option: str) -> Any:
    try:
        if kind == "integer":
            return int(value)
        if kind == "number":
            return float(value)
    except ValueError:
        raise WrongUse(f"{option} {value}: not a number.") from None
    return _file(value[1:]) if value.startswith("@") else value


def _file(name: str) -> str:
    try:
        return Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise WrongUse(f"{name} cannot be read as text.") from error
