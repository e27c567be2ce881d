"""A simulation as a script that people write: which chargers, how busy, and what befalls them.

Read into the same ``FleetSpec`` that a fleet file holds. Every error names the line and the entry.
"""

import hashlib
import math
import re
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from yaml.nodes import MappingNode, Node, SequenceNode

from csms.simulator.catalogue import CONTROLLERS, PERSONALITIES
from csms.simulator.faults import PUBLISHING, FaultKind, NetworkFault
from csms.simulator.pace import SessionPattern, SimPace, Span
from csms.simulator.spec import STARTING_VERSION, ChargerSpec, FleetSpec, check_fleet
from csms.simulator.stages import Stage
from storage.errors import InvalidInput

HINT = "deploy/examples/simulation.yaml is one; csms/simulator/README.md lists every entry."
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h)")


def _hours(weights: str) -> tuple[float, ...]:
    return tuple(map(float, weights.split()))


DAYS: dict[str, tuple[float, ...]] = {
    "flat": (),
    "office": _hours("0 0 0 0 0 .2 1 2.6 3 2.6 2 1.8 1.6 1.8 1.6 1.4 1 .6 .4 .2 .1 0 0 0"),
    "home": _hours("1.2 1 .8 .6 .4 .3 .3 .4 .4 .4 .5 .5 .6 .6 .7 .9 1.3 1.8 2.2 2.3 2.1 1.9 1.6 1.4"),
    "motorway": _hours(
        ".3 .2 .2 .2 .3 .5 .8 1.1 1.3 1.4 1.5 1.6 1.5 1.4 1.4 1.5 1.6 1.7 1.5 1.2 .9 .7 .5 .4"
    ),
}
"""Weights of the 24 UTC hours; 1 is average."""

PACES: dict[str, SimPace] = {
    "demo": SimPace(),
    "field": SimPace(
        session_s=(1200.0, 7200.0),
        meter_s=60.0,
        plug_s=20.0,
        install_s=(60.0, 240.0),
        reboot_s=(30.0, 120.0),
        crash_s=20.0,
        backoff_s=(2.0, 120.0),
        boot_retry_s=60.0,
        download_retry_s=30.0,
        flush_s=10.0,
        report_s=10.0,
    ),
}


def _seconds(value: Any) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        if not 0 <= value < math.inf:
            raise ValueError("is no duration; it cannot be negative or endless")
        return float(value)
    found = _DURATION.fullmatch(str(value).strip())
    if not found:
        raise ValueError("is no duration; write it as in 30s, 5m, 1.5h or 250ms")
    return float(found[1]) * _UNITS[found[2]]


Seconds = Annotated[float, BeforeValidator(_seconds), Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FleetEntry(_Entry):
    """How many chargers, and of which kind; a weight of 2 means twice as many as of weight 1."""

    chargers: int = Field(ge=1, le=100_000)
    sites: int = Field(default=1, ge=1, le=100_000)
    personalities: dict[str, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)
    version: str = STARTING_VERSION
    prefix: str = "SIM-"
    local_controllers: bool = False
    """One more at each site, which fetches images for the others there (OCPP 2.x L03)."""


class SessionsEntry(_Entry):
    """How busy: the share of the time that an outlet has a car, on which day, how unlike the chargers."""

    busy_share: Share = 0.25
    day: Literal["flat", "office", "home", "motorway"] | tuple[float, ...] = "flat"
    spread: Annotated[float, Field(ge=0, le=2)] = 0.0


class FaultEntry(_Entry):
    """What befalls a share of the chargers: at a stage of an update (``when``), after a time, or always."""

    fault: FaultKind
    share: Share = 1.0
    when: Stage | None = None
    after: Seconds = 0.0
    lasts: Seconds = Field(default=0.0, alias="for")
    action: str | None = None
    amount: float = 0.0


class Script(_Entry):
    """The whole file."""

    name: str = "simulation"
    seed: int = 7
    fleet: FleetEntry
    pace: Literal["demo", "field"] | dict[str, Any] = "demo"
    sessions: SessionsEntry = SessionsEntry()
    faults: tuple[FaultEntry, ...] = ()
    connect_per_s: Annotated[float, Field(gt=0)] = 50.0
    manufacturer_roots: tuple[str, ...] = ()


def load_script(path: Path) -> FleetSpec:
    """Read a script. Raises InvalidInput, with the line of each problem."""
    try:
        text = path.read_text("utf-8")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        value = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise InvalidInput(f"{path} is no YAML.", [f"{line}{error.problem}"], hint=HINT) from None
    except RecursionError:
        raise InvalidInput(f"{path} is nested too deeply to be read.", hint=HINT) from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InvalidInput(f"{path} cannot be read: {error}", hint=HINT) from error
    try:
        script = Script.model_validate(value)
    except ValidationError as error:
        problems = [_located(node, each["loc"], each["msg"]) for each in error.errors()]
        raise InvalidInput(f"{path} is no simulation.", problems, hint=HINT) from None
    found = _problems(script)
    if found:
        raise InvalidInput(f"{path} cannot run.", [_located(node, *each) for each in found], hint=HINT)
    return to_fleet(script)


def _located(node: Node | None, where: tuple[int | str, ...], why: str) -> str:
    """``line 7: faults.0.share: why``; an entry that is missing is looked for where it should stand."""
    line = node.start_mark.line + 1 if node else 1
    for step in where:
        child, at = _child(node, step)
        if at is not None:
            line = at
        if child is None:
            break
        node = child
    return f"line {line}: {'.'.join(map(str, where)) or 'the file'}: {why.removeprefix('Value error, ')}"


def _child(node: Node | None, step: int | str) -> tuple[Node | None, int | None]:
    if isinstance(node, MappingNode):
        for key, value in node.value:
            if key.value == str(step):
                return value, key.start_mark.line + 1
    if isinstance(node, SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step], node.value[step].start_mark.line + 1
    return None, None


_Problem = tuple[tuple[int | str, ...], str]


def _problems(script: Script) -> list[_Problem]:
    known = ", ".join(PERSONALITIES)
    found: list[_Problem] = [
        (
            ("fleet", "personalities", name),
            "is a local controller: local_controllers: true puts one at every site"
            if name in CONTROLLERS
            else f"there is no such personality; there are {known}",
        )
        for name in script.fleet.personalities
        if name not in PERSONALITIES
    ]
    if not script.fleet.local_controllers:
        found += [
            (("faults", number, "fault"), "befalls local controllers only: say local_controllers: true")
            for number, entry in enumerate(script.faults)
            if entry.fault in PUBLISHING
        ]
    if script.fleet.sites > script.fleet.chargers:
        found.append((("fleet", "sites"), f"more sites than the {script.fleet.chargers} chargers"))
    if not isinstance(script.sessions.day, str) and len(script.sessions.day) not in (0, 24):
        found.append((("sessions", "day"), f"{len(script.sessions.day)} weights; a day has 24 hours"))
    weights = () if isinstance(script.sessions.day, str) else script.sessions.day
    if not all(0 <= each < math.inf for each in weights):
        found.append((("sessions", "day"), "a weight is a number from 0 on; 1 is average"))
    for number, entry in enumerate(script.faults):
        found += [(("faults", number), problem) for problem in _fault(entry).problems()]
    if isinstance(script.pace, dict):
        found += _pace_problems(script.pace)
    return found


def _pace_problems(given: dict[str, Any]) -> list[_Problem]:
    kinds = SimPace.__annotations__
    found: list[_Problem] = []
    for name, value in given.items():
        if name not in kinds:
            found.append((("pace", name), f"there is no such pace; there are {', '.join(kinds)}"))
            continue
        try:
            _paced(kinds[name], value)
        except (ValueError, TypeError) as error:
            found.append((("pace", name), str(error)))
    return found


def _paced(kind: Any, value: Any) -> float | Span:
    if kind is not Span:
        return _seconds(value)
    least, most = value if isinstance(value, list) and len(value) == 2 else (value, value)
    span = (_seconds(least), _seconds(most))
    if span[0] > span[1]:
        raise ValueError(f"from {span[0]:g} s to {span[1]:g} s is no span")
    return span


def _fault(entry: FaultEntry) -> NetworkFault:
    return NetworkFault(
        entry.fault, entry.share, entry.when, entry.action, entry.amount, entry.after, entry.lasts
    )


def to_fleet(script: Script) -> FleetSpec:
    """The fleet of a valid script; the same script makes the same fleet."""
    sessions, day = script.sessions, script.sessions.day
    daily = DAYS[day] if isinstance(day, str) else day
    pace = PACES[script.pace] if isinstance(script.pace, str) else _changed_pace(script.pace)
    fleet = FleetSpec(
        name=script.name,
        seed=script.seed,
        chargers=tuple(_chargers(script)),
        manufacturer_roots=script.manufacturer_roots,
        pace=pace,
        sessions=SessionPattern(sessions.busy_share, daily, sessions.spread),
        faults=tuple(map(_fault, script.faults)),
        connect_per_s=script.connect_per_s,
    )
    return check_fleet(fleet)


def _changed_pace(given: dict[str, Any]) -> SimPace:
    kinds = SimPace.__annotations__
    changes: dict[str, Any] = {name: _paced(kinds[name], value) for name, value in given.items()}
    return replace(SimPace(), **changes)


def _chargers(script: Script) -> list[ChargerSpec]:
    entry = script.fleet
    weights = entry.personalities or dict.fromkeys(PERSONALITIES, 1.0)
    names: list[str] = []
    counts = dict.fromkeys(weights, 0)
    for _ in range(entry.chargers):
        # Whoever is furthest behind its share comes next, so that every part of the fleet is mixed.
        name = max(weights, key=lambda each: weights[each] / (counts[each] + 1))
        counts[name] += 1
        names.append(name)
    if entry.local_controllers:
        names += islice(cycle(CONTROLLERS), entry.sites)
    return [_one(script, number, name) for number, name in enumerate(names)]


def _one(script: Script, number: int, name: str) -> ChargerSpec:
    """Controllers come after all others, one for each site."""
    entry, site = script.fleet, number % script.fleet.sites
    charger_id = f"{entry.prefix}{number + 1:04d}"
    if name in CONTROLLERS:
        site = number - entry.chargers
        charger_id = f"{entry.prefix}LC{site + 1:02d}"
    return ChargerSpec(
        charger_id=charger_id,
        site_id=f"site-{site + 1:02d}",
        serial=f"{name[:3].upper()}{script.seed:04d}{number + 1:06d}",
        password=hashlib.sha256(f"{script.seed}/{number}/password".encode()).hexdigest()[:40],
        personality=name,
        version=entry.version,
    )
