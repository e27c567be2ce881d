"""What a condition means, said once more in plain Python: the compiler is compared with it.

Three outcomes: True, False, and None for unknown.
"""

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from api.states import charger_state
from storage.charger import STALE_AFTER
from storage.codec import to_json
from storage.ports import ChargerView
from storage.query import checker
from storage.query.checker import Condition
from storage.query.operands import Moment, Operand
from storage.query.syntax import Operator
from storage.query.versions import Version, order, version_of
from storage.query.vocabulary import Kind, Side, Subject
from storage.twin import Lifecycle
from storage.twin_schema import patch_keys

Truth = bool | None
_RELATIONS: dict[Operator, Callable[[Any, Any], bool]] = {
    Operator.EQUAL: operator.eq,
    Operator.UNEQUAL: operator.ne,
    Operator.LESS: operator.lt,
    Operator.AT_MOST: operator.le,
    Operator.MORE: operator.gt,
    Operator.AT_LEAST: operator.ge,
}


@dataclass(frozen=True)
class Seen:
    """One charger, at the instant of the question; of what stands beside the twin there is nothing."""

    view: ChargerView
    now: datetime
    desired: Mapping[str, Any] = field(default_factory=dict)


def holds(condition: Condition, seen: Seen) -> Truth:
    match condition:
        case checker.AllOf(parts):
            return _all([holds(part, seen) for part in parts])
        case checker.AnyOf(parts):
            return _any([holds(part, seen) for part in parts])
        case checker.Opposite(part):
            return _opposite(holds(part, seen))
        case checker.IsKnown(subject):
            return any(value is not None for value in values(subject, seen))
        case _:
            each = [_leaf(condition, value, seen.now) for value in values(condition.subject, seen)]
            return _any(each) if each else None


def _all(each: list[Truth]) -> Truth:
    return False if False in each else None if None in each else True


def _any(each: list[Truth]) -> Truth:
    return True if True in each else None if None in each else False


def _opposite(truth: Truth) -> Truth:
    return None if truth is None else not truth


def _leaf(condition: Any, value: Any, now: datetime) -> Truth:
    if value is None:
        return None
    match condition:
        case checker.Contains(_, text):
            return text in map(str, value)
        case checker.Matches(_, pattern):
            return any(_fits(pattern, str(each)) for each in (value if isinstance(value, list) else [value]))
        case checker.OneOf(_, operands):
            return _any([_compare(Operator.EQUAL, value, each, now) for each in operands])
        case _:
            return _compare(condition.operator, value, condition.operand, now)


def _fits(pattern: str, text: str) -> bool:
    parts = re.findall(r"\\.|\\|\*|\?|[^*?\\]+", pattern, re.DOTALL)
    wild = {"*": ".*", "?": "."}
    plain = [
        wild.get(part) or re.escape(part[1:] if len(part) > 1 and part[0] == "\\" else part) for part in parts
    ]
    return re.fullmatch("".join(plain), text, re.DOTALL) is not None


def _compare(relation: Operator, value: Any, operand: Operand, now: datetime) -> Truth:
    compare = _RELATIONS[relation]
    if isinstance(operand, Version):
        version = version_of(value)
        sign = order(version, operand) if version else None
        return None if sign is None else compare(sign, 0)
    if isinstance(operand, Moment):
        return compare(value, operand.instant(now))
    if isinstance(operand, bool) and isinstance(value, str):
        word = {"true": True, "false": False}.get(value.lower())
        return None if word is None else compare(word, operand)
    if isinstance(operand, float) and isinstance(value, str):
        number = float(value) if re.fullmatch(r"[+-]?[0-9]{1,15}(\.[0-9]{1,15})?", value) else None
        return None if number is None else compare(number, operand)
    return compare(value, operand)


def values(subject: Subject, seen: Seen) -> list[Any]:
    """One value, or one of every connector or session."""
    if subject.side is Side.FACT:
        return [_fact(subject.path, seen)]
    if subject.side is Side.REGISTER:
        name, charger = subject.path.partition(".")[2], seen.view.charger
        owner = charger.ownership if hasattr(charger.ownership, name) else charger
        return [_plain(getattr(owner, name))]
    section, keys = subject.path.partition(".")[0], patch_keys(subject.path)
    if subject.side is Side.DESIRED:
        whole = seen.desired.get(section)
    else:
        whole = to_json(getattr(seen.view.twin, section))
    if subject.many:
        return [_read(each, keys[2:], subject.kind) for each in (_dig(whole, keys[:1]) or {}).values()]
    return [_read(whole, keys, subject.kind)]


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, Lifecycle) else value


def _dig(whole: Any, keys: tuple[str, ...]) -> Any:
    for key in keys:
        whole = whole.get(key) if isinstance(whole, dict) else None
    return whole


def _read(whole: Any, keys: tuple[str, ...], kind: Kind) -> Any:
    value = _dig(whole, keys)
    return datetime.fromisoformat(value) if kind is Kind.TIME and value is not None else value


def _fact(path: str, seen: Seen) -> Any:
    view, twin = seen.view, seen.view.twin
    connectors = list(twin.operation.connectors.values()) if twin.operation else []
    sessions = len(twin.operation.transactions) if twin.operation else 0
    known = bool(connectors)
    facts: dict[str, Callable[[], Any]] = {
        "state": lambda: charger_state(view, seen.now).value,
        "online": lambda: bool(twin.connectivity and twin.connectivity.online),
        "stale": lambda: view.last_message_at is None or seen.now - view.last_message_at > STALE_AFTER,
        "charging": lambda: True if sessions else False if known else None,
        "faulted": lambda: any(each.status == "Faulted" for each in connectors) if known else None,
        "quarantined": lambda: view.charger.lifecycle is Lifecycle.QUARANTINED,
        "maintenance": lambda: view.maintenance is not None,
        "maintenance.kind": lambda: view.maintenance.kind if view.maintenance else None,
        "connectivity.last_message_at": lambda: view.last_message_at,
        "connectors": lambda: sum(each.evse_id > 0 for each in connectors) or None,
        "evses": lambda: len({each.evse_id for each in connectors} - {0}) or None,
        "sessions.open": lambda: sessions if known else None,
        "revision": lambda: twin.revision,
        "site.outage": lambda: False,
    }
    return facts.get(path, lambda: 0)()
