"""Campaign plans as people write them: a YAML or JSON file, or a few flags.

The names are those of ``CampaignPlan``; besides, ``artifact`` and ``rollback_to`` take a reference
(``ROLE/VERSION`` or the start of an id), a share may be written ``5%``, and every field that ends in
``_seconds`` may be written without it and with a unit: ``soak: 6h``. See deploy/examples/campaign.yaml.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, get_args, get_origin

from api.cli import documents
from api.cli.documents import Entry, Problems
from api.cli.errors import Record, WrongUse
from storage.campaign import Edge, EndBehaviour, GatePolicy, LateJoiners, Pace, Ramp, WavePlan
from storage.charger import ChargerFilter
from storage.health_policy import HealthPolicy, SegmentRule, SignalLimit, SignalRole
from storage.upkeep import Link
from storage.windows import Day, Window

HINT = "deploy/examples/campaign.yaml shows every field."
_SHARES = frozenset(
    {
        "share",
        "max_failure_share",
        "max_excess_fault_share",
        "max_excess_offline_share",
        "threshold",
        "false_stop",
        "coverage",
        "confidence",
    }
)

Reader = Callable[[Entry, Problems], Any]


ADDED_UP = "sum"
"""What a problem of all waves together is about, below them."""
UNREADABLE: Record = {"?": 0}
"""Stands for what could not be read. No field takes it, so the api leaves the field open, too."""


@dataclass(frozen=True, slots=True)
class PlanFile:
    """A plan whose artifacts are still references; with ``problems`` it only serves to find the others."""

    body: Record
    artifact: str | None
    rollback_to: str | None
    name: str = "This plan"
    problems: tuple[str, ...] = ()
    about: frozenset[str] = frozenset()
    """The fields that the problems are about, by their path in the body."""
    places: Mapping[str, Entry] = field(default_factory=dict)
    """Where each field was written, by its path in the body."""

    @property
    def after(self) -> str | None:
        """The campaign that it comes after, by its name or the start of its id."""
        given = self.body.get("after")
        return given if isinstance(given, str) else None

    def check(self) -> None:
        """Raise WrongUse with every problem, if there is any."""
        if self.problems:
            raise WrongUse(f"{self.name} does not hold.", self.problems, hint=HINT)


def read_plan(path: Path) -> PlanFile:
    """Read and check a plan file; WrongUse lists every problem with its line and field."""
    found = look_at_plan(path)
    found.check()
    return found


def look_at_plan(path: Path) -> PlanFile:
    """Read a plan file with all its problems. Raises WrongUse where it is no mapping, or not well formed."""
    problems = Problems(str(path))
    root = documents.load(path)
    if root.kind != "mapping":
        documents.mapping(root, problems)
        problems.check(hint=HINT)
    body = _object(root, _PLAN, problems, required=("name", "waves"))
    named = {"artifact", "artifact_id"} & body.keys()
    artifact = body.pop("artifact", body.pop("artifact_id", None))
    rollback = body.pop("rollback_to", body.pop("rollback_artifact_id", None))
    if not named:
        problems.add(root, "artifact is missing.", missing="artifact_id")
    for name, reference in (("artifact_id", artifact), ("rollback_artifact_id", rollback)):
        if reference == UNREADABLE:
            body[name] = reference
    return PlanFile(
        body,
        artifact if isinstance(artifact, str) else None,
        rollback if isinstance(rollback, str) else None,
        str(path),
        tuple(problems.found),
        frozenset(problems.about),
        problems.places,
    )


def plan_from_flags(
    artifact: str,
    waves: str,
    *,
    model: str | None = None,
    query: str | None = None,
    rollback_to: str | None = None,
    name: str | None = None,
) -> PlanFile:
    """The simple plan: one artifact, all chargers or those of a model or a query, waves by share."""
    targets: Record = {} if query is None else {"query": query}
    body: Record = {"name": name or artifact.replace("/", "-"), "targets": targets}
    problems: list[str] = []
    about: set[str] = set()
    try:
        body["waves"] = parse_waves(waves)
    except WrongUse as error:
        problems.append(f"{error.message} {error.hint}".strip())
        about.add("waves")
        body["waves"] = UNREADABLE
    if model is not None:
        try:
            targets["vendor"], targets["model"] = parse_model(model)
        except WrongUse as error:
            problems.append(f"--model: {error.message} {error.hint}")
            about.add("targets")
            body["targets"] = UNREADABLE
    return PlanFile(body, artifact, rollback_to, problems=tuple(problems), about=frozenset(about))


def parse_waves(text: str) -> list[Record]:
    """``canary:5%,half:45%,rest:50%`` as waves."""
    waves: list[Record] = []
    for part in text.split(","):
        name, _, share = part.strip().rpartition(":")
        try:
            waves.append({"name": name, "share": documents.number(share)})
        except ValueError:
            name = ""
        if not name:
            raise WrongUse(
                f"--waves: {part.strip()!r} is not NAME:SHARE.",
                hint='Write it as in "canary:5%,half:45%,rest:50%".',
            )
    if problem := _sum_problem(waves):
        raise WrongUse(f"--waves: {problem}")
    return waves


def parse_model(text: str) -> tuple[str, str]:
    """``VENDOR/MODEL`` as a pair."""
    vendor, slash, model = text.partition("/")
    if not (vendor and slash and model):
        raise WrongUse(f"{text!r} is not VENDOR/MODEL.", hint="Write it as in Acme/AC22.")
    return vendor, model


def _object(
    entry: Entry, readers: dict[str, Reader], problems: Problems, required: tuple[str, ...] = ()
) -> Record:
    if entry.kind != "mapping":
        documents.mapping(entry, problems)
        return UNREADABLE
    result: Record = {}
    before = problems.about.copy()
    for name, given in documents.mapping(entry, problems).items():
        target, reader = _reader(name, readers)
        child = replace(given, sent=documents.below(entry, _SENT_AS.get(target, target)))
        problems.place(child)
        if reader is None:
            problems.add(child, f"is not a field here. {documents.nearest(name, readers)}")
            result[target] = UNREADABLE
        elif given.sent in problems.about - before:  # It came twice.
            problems.about.add(child.sent)
            result[target] = UNREADABLE
        elif not documents.is_null(child):
            result[target] = reader(child, problems)
    for name in required:
        if name not in result:
            problems.add(entry, f"{name} is missing.", missing=name)
    return result


def _reader(name: str, readers: dict[str, Reader]) -> tuple[str, Reader | None]:
    """The field a name stands for: itself, or the one with ``_seconds`` behind it."""
    if name in readers:
        return name, readers[name]
    reader = readers.get(f"{name}_seconds")
    return (f"{name}_seconds" if reader else name), reader


def _scalar(what: str, parse: Callable[[str], Any]) -> Reader:
    def read(entry: Entry, problems: Problems) -> Any:
        if entry.kind == "scalar":
            try:
                return parse(entry.text)
            except (ValueError, KeyError):
                pass
        problems.add(entry, f"should be {what}, not {_shown(entry)}.")
        return UNREADABLE

    return read


def _shown(entry: Entry) -> str:
    return repr(entry.text) if entry.kind == "scalar" else f"a {entry.kind}"


def _list_of(reader: Reader) -> Reader:
    def read(entry: Entry, problems: Problems) -> Any:
        items: list[Any] = []
        for child in documents.sequence(entry, problems):
            problems.place(child)
            items.append(reader(child, problems))
        return items if entry.kind == "sequence" else UNREADABLE

    return read


def _nested(readers: dict[str, Reader], required: tuple[str, ...] = ()) -> Reader:
    return lambda entry, problems: _object(entry, readers, problems, required)


_SENT_AS = {"artifact": "artifact_id", "rollback_to": "rollback_artifact_id"}
"""What a reference becomes."""
_TRUTH = {"true": True, "yes": True, "false": False, "no": False}
_READERS: dict[Any, Reader] = {
    str: _scalar("text", str),
    int: _scalar("a whole number", int),
    float: _scalar("a number", float),
    bool: _scalar("true or false", lambda text: _TRUTH[text.lower()]),
    tuple: _list_of(_scalar("text", str)),
}
_SHARE = _scalar("a share such as 0.05 or 5%", documents.number)
_SECONDS = _scalar("a length of time such as 90s, 15m, 6h or 7d", documents.seconds)


def _word(words: Collection[str]) -> Reader:
    """One of a few words, told with all of them if it is another."""
    known = {word: word for word in words}
    return _scalar(f"one of {', '.join(known)}", known.__getitem__)


def _health(entry: Entry, problems: Problems) -> Any:
    """A shipped policy by its name, or one of one's own."""
    if entry.kind == "mapping":
        return _object(entry, _readers_of(HealthPolicy), problems, required=("signals",))
    return _word(_SHIPPED)(entry, problems)


def _waves(entry: Entry, problems: Problems) -> Any:
    """The waves, and whether they add up, as far as they can be read."""
    before = len(problems.found)
    waves = _list_of(_nested(_readers_of(WavePlan), required=("name",)))(entry, problems)
    if len(problems.found) == before and (problem := _sum_problem(waves)):
        problems.add(entry, problem, missing=ADDED_UP)
    return waves


_CLOCK = _scalar("a time of day such as 22:00", documents.clock)
_SHIPPED = ("cautious", "balanced", "fast")
_OWN: dict[str, Reader] = {
    "health": _health,
    "ramp": lambda entry, problems: _object(entry, _readers_of(Ramp), problems),
    "days": _list_of(_word([day.value for day in Day])),
    "opens": _CLOCK,
    "closes": _CLOCK,
    "segments": _word([rule.value for rule in SegmentRule]),
    "role": _word([role.value for role in SignalRole]),
    "signals": _list_of(
        lambda entry, problems: _object(
            entry, _readers_of(SignalLimit), problems, required=("signal", "threshold")
        )
    ),
}
"""Fields whose type says too little."""


def _readers_of(noun: type[Any]) -> dict[str, Reader]:
    """How to read each field of a noun: by its name where the name says the unit, else by its type."""
    readers: dict[str, Reader] = {}
    for item in fields(noun):
        if item.name.endswith("_seconds"):
            readers[item.name] = _SECONDS
        elif item.name in _SHARES:
            readers[item.name] = _SHARE
        elif item.name in _OWN:
            readers[item.name] = _OWN[item.name]
        else:
            readers[item.name] = _READERS[_plain_type(item.type)]
    return readers


def _plain_type(annotation: Any) -> Any:
    """``str`` of ``str | None``, ``tuple`` of ``tuple[str, ...]``."""
    if isinstance(annotation, UnionType):
        annotation = next(part for part in get_args(annotation) if part is not NoneType)
    return get_origin(annotation) or annotation


_PLAN: dict[str, Reader] = {
    "name": _READERS[str],
    "artifact": _READERS[str],
    "artifact_id": _READERS[str],
    "rollback_to": _READERS[str],
    "rollback_artifact_id": _READERS[str],
    "targets": _nested(_readers_of(ChargerFilter)),
    "waves": _waves,
    "gate": _nested(_readers_of(GatePolicy)),
    "pace": _nested(_readers_of(Pace)),
    "required_approvals": _READERS[int],
    "seed": _READERS[int],
    "start_at": _scalar("a time with its zone such as 2026-12-01T02:00:00+01:00", documents.instant),
    "rehearse_rollback": _READERS[int],
    "end_at": _scalar("a time with its zone such as 2026-12-20T18:00:00+01:00", documents.instant),
    "end_behaviour": _word([word.value for word in EndBehaviour]),
    "windows": _list_of(_nested(_readers_of(Window), required=("opens", "closes"))),
    "max_price": _READERS[float],
    "priority": _READERS[int],
    "edges": _list_of(_nested(_readers_of(Edge))),
    "links": _list_of(_word([link.value for link in Link])),
    "needs_configuration": _READERS[bool],
    "late_joiners": _word([word.value for word in LateJoiners]),
    "after": _READERS[str],
    "one_way_waiver": _READERS[str],
}


def _sum_problem(waves: list[Record]) -> str | None:
    if not waves:
        return "there has to be at least one wave."
    plain = [wave for wave in waves if not {"charger_ids", "query", "count"} & wave.keys()]
    if any(wave.get("share", 0) <= 0 for wave in plain):
        return "every wave needs a share of more than 0, a count, a query or charger_ids."
    total = sum(wave["share"] for wave in plain)
    if plain and abs(total - 1) > 1e-6:
        whose = (
            "the shares" if len(plain) == len(waves) else "the shares of waves without a list, query or count"
        )
        return f"{whose} add up to {100 * total:g} %; together they have to be 100 %."
    return None
