"""Notices: what the world outside is told, and the webhooks to which they go (X15, F80, F99).

The database writes a notice in the very transaction that makes it true (migrations 0028 and 0077), so none is
missed and none is told of what did not happen. Delivery is at least once and, for each webhook, in order for
each subject: one that is not taken holds up what follows of its own subject and nothing else.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol


class NoticeKind(StrEnum):
    """What a webhook can be told of."""

    CAMPAIGN_PHASE_CHANGED = "campaign.phase_changed"
    WAVE_JUDGED = "campaign.wave_judged"
    MAINTENANCE_PLANNED = "charger.maintenance_planned"
    """Before its EVSEs are drained: maps and roaming partners may show it."""
    MAINTENANCE_ENDED = "charger.maintenance_ended"
    INCIDENT_OPENED = "incident.opened"
    INCIDENT_CLOSED = "incident.closed"
    HALT_PULLED = "halt.pulled"
    HALT_LIFTED = "halt.lifted"
    WEBHOOK_TESTED = "webhook.tested"
    """Goes to the one webhook that a person tests."""


BULK = (NoticeKind.MAINTENANCE_PLANNED, NoticeKind.MAINTENANCE_ENDED)
"""A campaign makes thousands of them; all others are urgent and are sent first."""
CHOOSABLE = tuple(kind for kind in NoticeKind if kind is not NoticeKind.WEBHOOK_TESTED)


@dataclass(frozen=True, slots=True)
class Notice:
    """One fact. ``subject`` is like ``charger/CP-1``; ``data`` is JSON."""

    notice_id: int
    kind: NoticeKind
    subject: str
    at: datetime
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Webhook:
    """An address of somebody who wants to know. Its secret is nowhere stored (``api.webhook_signature``)."""

    webhook_id: str
    url: str
    kinds: tuple[NoticeKind, ...]
    """() for all."""
    created_by: str
    created_at: datetime
    secret_number: int = 1
    """Counts rotations; the one before counts, too, until ``old_secret_until``."""
    old_secret_until: datetime | None = None
    paused_by: str | None = None
    """Who paused it, or ``receiver``, when that said 410 Gone. Notices wait meanwhile."""
    failures: int = 0
    """Different notices in a row that it did not take; once it counts as down, all attempts in a row."""
    retry_at: datetime | None = None
    """Nothing at all is sent before."""
    last_error: str = ""
    waiting: int = 0
    """Notices that are not delivered yet."""
    held_up: int = 0
    """Subjects of which a notice was not taken and is tried again."""


class DeliveryState(StrEnum):
    """What became of one notice at one webhook."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    GIVEN_UP = "given_up"
    """It was refused for too long; ``ampwave webhook retry`` sends it again."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One notice on its way to one webhook."""

    notice: Notice
    state: DeliveryState = DeliveryState.WAITING
    attempts: int = 0
    ended_at: datetime | None = None
    last_error: str = ""
    retry_at: datetime | None = None
    """Nothing of its subject is sent before."""


@dataclass(frozen=True, slots=True)
class DeliveryChange:
    """What one attempt made of a delivery and of its webhook."""

    webhook_id: str
    notice_id: int
    state: DeliveryState
    at: datetime
    error: str = ""
    retry_at: datetime | None = None
    """Nothing of the same subject is sent before; None: at once."""
    failures: int = 0
    """The webhook's, from now on."""
    pause_until: datetime | None = None
    """Nothing at all is sent to this webhook before; None: others go on."""
    gone: bool = False
    """The receiver wants no more of them."""
    back: bool = False
    """It was down and is not any more: whatever waits is due."""
    lost_before: datetime | None = None
    """It has been down for so long that what is older is given up, too."""


class NoticeStore(Protocol):
    """Webhooks and what is on its way to them."""

    async def add(self, webhook: Webhook) -> None:
        """Raises Conflict when the id is taken."""

    async def get(self, webhook_id: str) -> Webhook:
        """Raises NotFound."""

    async def find(self) -> Sequence[Webhook]:
        """All, by id."""

    async def remove(self, webhook_id: str) -> int:
        """With what waits for it; how many that were. Raises NotFound."""

    async def set_paused(self, webhook_id: str, by: str | None) -> Webhook:
        """None: it goes on, at once. Raises NotFound."""

    async def rotate(self, webhook_id: str, old_until: datetime) -> Webhook:
        """The next secret; the one before counts until then. Raises NotFound."""

    async def deliveries(self, webhook_id: str, *, limit: int = 50) -> Sequence[Delivery]:
        """The newest notices first. Raises NotFound."""

    async def test(self, webhook_id: str, actor: str) -> int:
        """A notice to this webhook alone; its number. Raises NotFound."""

    async def retry(self, webhook_id: str) -> int:
        """What was given up waits again, and the webhook is tried at once; how many. Raises NotFound."""

    async def hold_due(self, now: datetime, until: datetime, *, limit: int) -> Sequence[Webhook]:
        """Webhooks with something to be sent now, held by the caller alone until then. Their counts are 0.

        Where there are more of them than the limit, by chance: so each has its turn.
        """

    async def line(self, webhook_id: str, now: datetime, *, limit: int) -> Sequence[Delivery]:
        """What may be sent now, the first of it first.

        All that waits, but for subjects of which a notice is tried again later. Subjects with something
        urgent come first; within these, and within the others, the oldest does. So each subject is in order.
        """

    async def in_trouble(self, webhook_id: str, attempts: int) -> bool:
        """Whether a notice was given up, or waits after so many attempts."""

    async def record(self, change: DeliveryChange, hold_until: datetime) -> None:
        """Write down one attempt, and keep the hold so long. What has ended does not wait again by it."""

    async def release(self, webhook_id: str) -> None:
        """Give up the hold."""

    async def forget(self, before: datetime) -> int:
        """Remove notices that are older and wait for nobody; how many."""
