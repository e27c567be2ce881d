"""A set of values brought to many chargers: one job, one line for each charger, and what it said (F25)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from storage.command import CommandEnd, CommandState
from storage.desired import Ack, AckStatus, overall

MOST_VALUES = 50
MOST_CHARGERS = 100_000
MOST_ATTEMPTS = 5


class JobState(StrEnum):
    """Where a job is."""

    RUNNING = "running"
    DONE = "done"
    """Every charger has its result."""
    STOPPED = "stopped"
    """A person stopped it; chargers that have no result are left alone."""


class LineState(StrEnum):
    """Where one charger of a job is. All but the first are ends."""

    WAITING = "waiting"
    ACCEPTED = "accepted"
    RESTART = "needs_restart"
    """Accepted, and in force after its next restart."""
    REFUSED = "refused"
    UNSUPPORTED = "unsupported"
    EXPIRED = "expired"
    """It could not be reached in time; the values stay desired of it."""
    FAILED = "failed"
    """It was asked as often as is reasonable; what it has is unknown."""
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class ConfigurationJob:
    """One set of values for many chargers."""

    configuration_id: str
    values: dict[str, str]
    """Variable or configuration key -> value."""
    actor: str
    created_at: datetime
    deadline_at: datetime
    """Chargers that were not reached by then are given up."""
    request_sha256: str
    state: JobState = JobState.RUNNING
    finished_at: datetime | None = None
    counts: dict[str, int] = field(default_factory=dict)
    """Lines by state."""


@dataclass(frozen=True, slots=True)
class ConfigurationLine:
    """One charger of a job."""

    configuration_id: str
    ordinal: int
    charger_id: str
    state: LineState = LineState.WAITING
    reason: str = ""
    desired_version: int | None = None
    attempts: int = 0
    finished_at: datetime | None = None


_STATES = {
    AckStatus.ACCEPTED: LineState.ACCEPTED,
    AckStatus.IN_PROGRESS: LineState.RESTART,
    AckStatus.REFUSED: LineState.REFUSED,
    AckStatus.UNSUPPORTED: LineState.UNSUPPORTED,
}
_OF_ITEM = {
    "Accepted": AckStatus.ACCEPTED,
    "RebootRequired": AckStatus.IN_PROGRESS,
    "UnknownComponent": AckStatus.UNSUPPORTED,
    "UnknownVariable": AckStatus.UNSUPPORTED,
    "NotSupportedAttributeType": AckStatus.UNSUPPORTED,
    "NotImplemented": AckStatus.UNSUPPORTED,
}
"""Everything else is a refusal."""


@dataclass(frozen=True, slots=True)
class LineVerdict:
    """What an attempt means. ``state`` WAITING: try again later."""

    state: LineState
    reason: str
    acks: Mapping[str, Ack] = field(default_factory=dict)


def judge_line(sent: Mapping[str, str], end: CommandEnd, version: int, at: datetime) -> LineVerdict:
    """What a charger's answer to ``sent`` (by path) means for its line, and for each value."""
    if end.state is CommandState.ANSWERED:
        return _answered(sent, end, version, at)
    if end.state is CommandState.UNSUPPORTED:
        return _all(sent, AckStatus.UNSUPPORTED, end.reason, version, at)
    if end.state in (CommandState.FAILED, CommandState.REFUSED):
        return _all(sent, AckStatus.REFUSED, end.reason, version, at)
    return LineVerdict(LineState.WAITING, end.reason)


def _answered(sent: Mapping[str, str], end: CommandEnd, version: int, at: datetime) -> LineVerdict:
    items: list[dict[str, Any]] = end.returned.get("items", [])
    said = {f"configuration.values.{item['name']}": item for item in items}
    acks = {path: _ack(said.get(path), end, version, at) for path in sent}
    status = overall(sent, acks) or AckStatus.REFUSED
    bad = [f"{path.split('.', 2)[2]} {ack.detail}" for path, ack in acks.items() if ack.status is status]
    reason = "" if status is AckStatus.ACCEPTED else ", ".join(bad)[:500]
    return LineVerdict(_STATES[status], reason, acks)


def _ack(item: Mapping[str, Any] | None, end: CommandEnd, version: int, at: datetime) -> Ack:
    word = str(item["status"]) if item else end.status or ""
    detail = f"{word}: {item['detail']}" if item and item.get("detail") else word
    return Ack(_OF_ITEM.get(word, AckStatus.REFUSED), version, at, detail)


def _all(sent: Mapping[str, str], status: AckStatus, reason: str, version: int, at: datetime) -> LineVerdict:
    return LineVerdict(_STATES[status], reason, dict.fromkeys(sent, Ack(status, version, at, reason)))
