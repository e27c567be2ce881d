"""Why a plan cannot run, in one list: what its file or flags say wrong, and what the api says of the rest."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from api.cli.errors import CliError, Record, Refused, Unreachable, WrongUse
from api.cli.session import Session

if TYPE_CHECKING:
    from api.cli.documents import Entry

Places = Mapping[str, "Entry"]
_FIELD = re.compile(r"[a-z][a-z_]*(?:\.[a-z_0-9]+)*")
_LINE = re.compile(r"line (\d+)")
_LAST = 10**9
_WAVE = re.compile(r"[Ww]ave (['\"])(.*?)\1")
_PLACED = re.compile(r"(windows|edges), the (\d+)\. one")
_SPOKEN_OF = (
    ("there is no artifact", "artifact_id"),
    ("artifact ", "artifact_id"),
    ("none of the ", "artifact_id"),
    ("there is no rollback artifact", "rollback_artifact_id"),
    ("the rollback artifact", "rollback_artifact_id"),
    ("rollback ", "rollback_artifact_id"),
    ("every wave", "waves"),
    ("the waves' shares", "waves"),
    ("the shares of waves", "waves"),
)
"""How sentences of the planner begin that do not begin with their field."""


def others(session: Session, body: Record, about: Collection[str], places: Places) -> tuple[list[str], str]:
    """What the api says of a plan besides what is known already, and why it said nothing, if it did not."""
    try:
        session.api.post("/campaigns/plan", body)
    except Refused as refused:
        if refused.problem.get("status") == 422 and refused.problems:
            return [placed(one, places) for one in refused.problems if not _known(one, about)], ""
        return [], f"{refused.message} {refused.detail}".strip()
    except (Unreachable, WrongUse) as error:
        return [], f"{error.message} {error.hint}".strip()
    except CliError as error:
        return [], error.message
    return [], ""


@contextmanager
def with_lines(places: Places) -> Iterator[None]:
    """Whatever the api refuses in here names the lines of the file, too."""
    try:
        yield
    except Refused as refused:
        refused.problems = in_order(placed(one, places) for one in refused.problems)
        raise


def in_order(problems: Iterable[str]) -> tuple[str, ...]:
    """By their lines, and then what has none."""
    lines = {one: _LINE.match(one) for one in problems}
    return tuple(sorted(lines, key=lambda one: int(found[1]) if (found := lines[one]) else _LAST))


def placed(problem: str, places: Places) -> str:
    """A problem with the line that it is about, where that is known."""
    path = _path(problem, places)
    entry = places.get(path)
    if entry is None:
        return problem
    if problem.startswith(f"{path}:"):  # By the schema, which counts from 0 and knows no other names.
        return f"line {entry.line}, {entry.path}:{problem.removeprefix(f'{path}:')}"
    return f"line {entry.line}: {problem}"


def _path(problem: str, places: Places) -> str:
    """The longest known path of a field that a problem speaks of; "": none."""
    if found := _WAVE.match(problem):
        return next((path for path in places if _is_wave(path, found[2], places)), "waves")
    if found := _PLACED.match(problem):
        return f"{found[1]}.{int(found[2]) - 1}"
    for start, path in _SPOKEN_OF:
        if problem.startswith(start):
            return path
    field = _FIELD.match(problem)
    path = field[0] if field else ""
    while path and path not in places:
        path = path.rpartition(".")[0]
    return path


def _is_wave(path: str, name: str, places: Places) -> bool:
    named = places.get(f"{path}.name")
    return re.fullmatch(r"waves\.\d+", path) is not None and named is not None and named.text == name


def _known(problem: str, about: Collection[str]) -> bool:
    """Whether the file's own reader has said it already, in its own words."""
    if "waves.sum" in about and "must add up to 1" in problem:
        return True
    path, colon, _ = problem.partition(": ")
    return bool(colon) and any(path == one or path.startswith(f"{one}.") for one in about if one)
