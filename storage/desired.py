"""What a charger should be: desired sections, each with a version, and what the charger said to them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from storage.errors import InvalidInput
from storage.twin_schema import leaves


class AckStatus(StrEnum):
    """What the charger made of a desired value (F13)."""

    IN_PROGRESS = "in_progress"
    """Sent, or accepted and waiting for a restart."""
    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNSUPPORTED = "unsupported"


_WEIGHT = {
    AckStatus.ACCEPTED: 0,
    AckStatus.UNSUPPORTED: 1,
    AckStatus.REFUSED: 2,
    AckStatus.IN_PROGRESS: 3,
}
"""The heaviest answer speaks for a whole section."""


@dataclass(frozen=True, slots=True)
class Ack:
    """The answer to one desired value. ``version``: the desired version it was sent with."""

    status: AckStatus
    version: int
    at: datetime
    detail: str = ""


@dataclass(frozen=True, slots=True)
class DesiredSection:
    """One desired section as it stands. Version 0: nobody has desired anything yet."""

    charger_id: str
    section: str
    desired: dict[str, Any] = field(default_factory=dict)
    version: int = 0
    acks: dict[str, Ack] = field(default_factory=dict)
    """By path, of the values as they are desired now."""
    acked_version: int | None = None
    """The latest version to which every value has an answer."""
    ack_status: AckStatus | None = None
    """Of the whole section; None: something has no answer yet, or nothing is desired."""

    @property
    def values(self) -> dict[str, Any]:
        """Every desired value by its path."""
        return dict(leaves(self.section, self.desired))


@dataclass(frozen=True, slots=True)
class DesiredChange:
    """A change of one desired section, against the version that was read (If-Match)."""

    charger_id: str
    section: str
    body: Mapping[str, Any]
    expected_version: int
    actor: str
    cause: str
    """A request, a workflow."""
    at: datetime
    merge: bool = True
    """``body`` is an RFC 7396 patch; False: the whole section."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What a charger said to values that were sent to it. Values that changed since are left out."""

    charger_id: str
    section: str
    version: int
    sent: Mapping[str, Any]
    """By path."""
    acks: Mapping[str, Ack]
    actor: str
    cause: str


class SectionTooLarge(InvalidInput):
    """A desired section would pass its size."""


def overall(values: Mapping[str, Any], acks: Mapping[str, Ack]) -> AckStatus | None:
    """The status of a whole section: None until every value has an answer."""
    if not values or any(path not in acks for path in values):
        return None
    return max((acks[path].status for path in values), key=_WEIGHT.__getitem__)


def kept_acks(before: DesiredSection, desired: Mapping[str, Any]) -> dict[str, Ack]:
    """The answers that still hold once the section becomes ``desired``: those to values that stay."""
    old, new = before.values, dict(leaves(before.section, desired))
    return {path: ack for path, ack in before.acks.items() if path in new and new[path] == old.get(path)}
