"""docs/TWIN.md: every field of the twin, taken from storage/twin_schema.py."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import groupby

from storage import twin_schema as schema
from tests.house.tree import Problem, Tree

PAGE = "docs/TWIN.md"
HEAD = f"""# The twin, field by field

Written by `make requirements` from `storage/twin_schema.py`; do not edit.

A twin has sections; each has what was *reported*, and some have what is *desired*, each side with its
own version. A reported value outside this schema stays out of the twin and is recorded as an anomaly of
the charger; its event and its raw frame are kept. A desired value outside it is refused. A section's JSON
has at most {schema.MAX_SECTION_BYTES // 1024} KiB and is at most {schema.MAX_DEPTH} deep;
a variable's name has at most {schema.MAX_NAME_CHARS} characters, its value {schema.MAX_VALUE_CHARS}.

- **owner**: who says what it is: the device, the system (we observe it), operators, provisioning.
- **changes**: *fixed* never; *controlled* by a privileged, audited act with the version that was read;
  *reported* with what is observed; *desired* by people, and the charger follows.
- **every**: how often it is expected anew. **stale**: without news for so long it is last known, not current;
  15 min are one and a half heartbeats where those are longer (`AMPWAVE_CSMS_HEARTBEAT_INTERVAL_S` over 600).
- **privacy**: what it can tell about a person. **drift**: how grave it is when it leaves what is desired.
"""
COLUMNS = """| field | type | owner | changes | every | stale | privacy | drift | |
|---|---|---|---|---|---|---|---|---|
"""
_UNITS = (("d", timedelta(days=1)), ("h", timedelta(hours=1)), ("min", timedelta(minutes=1)))


def _duration(value: timedelta | None, without: str) -> str:
    if value is None:
        return without
    unit, size = next((unit, size) for unit, size in _UNITS if value % size == timedelta(0))
    return f"{value // size} {unit}"


def _row(field: schema.Field) -> str:
    cells = (
        f"`{field.path.partition('.')[2]}`",
        field.type.value,
        field.owner.value,
        field.mutability.value,
        _duration(field.every, "on change"),
        _duration(field.stale, ""),
        "" if field.privacy is schema.Privacy.NONE else field.privacy.value,
        field.severity.value if field.may_be_desired else "",
        field.meaning,
    )
    return f"| {' | '.join(cells)} |\n"


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for section, fields in groupby(schema.FIELDS, key=lambda field: field.section):
        parts.append(
            f"\n## {section}\n\n| field | type | owner | changes | every | stale | privacy | drift | |\n"
        )
        parts.append("|---|---|---|---|---|---|---|---|---|\n")
        parts.extend(map(_row, fields))
    by_severity = sorted(schema.VARIABLE_SEVERITY.items(), key=lambda item: (item[1].value, item[0]))
    parts.append("\n## Variables whose drift weighs otherwise\n\n| variable | drift |\n|---|---|\n")
    parts.extend(f"| `{name}` | {severity.value} |\n" for name, severity in by_severity)
    return "".join(parts)


def stale_twin_page(tree: Tree) -> Iterator[Problem]:
    """The page says what the schema says."""
    if PAGE not in tree.paths or tree.text(PAGE) != page():
        yield Problem(PAGE, 1, "does not say what storage/twin_schema.py says; run 'make requirements'")
