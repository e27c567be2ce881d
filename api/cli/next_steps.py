"""What a person can do with a campaign now: only steps that will not be refused."""

import shlex
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

from api.cli.errors import Record
from api.cli.output import parse_time

_GATES = ("gate", "rehearsal")
_ROLLBACK_BASE = 1000
_KEY = "--key file2:you.pem"


def next_step(item: Record, decisions: Sequence[Record], now: datetime, called: str = "") -> str:
    """Lines to show below a campaign that can be ``called`` so (else by its name), or nothing."""
    name = called or shlex.quote(str(item["name"]))
    if item["phase"] in ("draft", "awaiting_approval"):
        return _approving(item, name)
    if item["phase"] == "paused":
        return _paused(item, decisions, now, name)
    return f"Follow it: ampwave campaign watch {name}" if item["phase"] in ("running", "rolling_back") else ""


def _approving(item: Record, name: str) -> str:
    begun = len(item["approvals"]) >= int(item["plan"]["required_approvals"])
    begins = item["phase"] == "awaiting_approval" and begun
    step = f"{'Let the next wave begin' if begins else 'Approve it'}: ampwave campaign approve {name} {_KEY}"
    if any(one.get("evidence") for one in item["approvals"]):
        return step
    return f"{step}\nWhere the signed metadata lists no approvers, leave --key out."


def _paused(item: Record, decisions: Sequence[Record], now: datetime, name: str) -> str:
    ends = parse_time(item.get("ends_at"))
    resume = f"Go on: ampwave campaign resume {name}"
    if ends is not None and ends <= now:
        extend = f'ampwave campaign extend {name} --until TIME --reason "..."'
        return f"Its end has come. Give it a later one first: {extend}\n{resume}"
    if not gate_holds(item, decisions):
        return resume
    proceed = f'ampwave campaign proceed {name} --reason "..."'
    return f"Have its gate look again: ampwave campaign resume {name}\nPass the held gate: {proceed}"


def gate_holds(item: Record, decisions: Sequence[Record]) -> bool:
    """Whether the latest verdict is a hold that nothing has followed."""
    latest = max(decisions, key=_decided, default=None)
    if latest is None or latest["verdict"] != "hold" or latest.get("kind") not in _GATES:
        return False
    others = [one for one in item["waves"] if one["wave"] != latest["wave"]]
    return not any(_under_way(one) or (one["wave"] > latest["wave"] and _tried(one)) for one in others)


def _decided(decision: Record) -> datetime:
    return parse_time(decision["decided_at"]) or datetime.min.replace(tzinfo=UTC)


def _under_way(tally: Record) -> bool:
    return bool(Counter(tally["by_phase"]).keys() - {"pending", "done"})


def _tried(tally: Record) -> bool:
    return tally["wave"] < _ROLLBACK_BASE and any(
        tally["by_outcome"].get(each) for each in ("updated", "failed", "silent", "deferred")
    )
