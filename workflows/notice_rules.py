"""What a webhook is sent next, and what one attempt at a notice means. Pure.

A notice that is not taken holds up its own subject: one campaign, one charger, one site. Who does not take
several different ones in a row counts as down, whatever the answers were: then one at a time goes out as a
probe, and never the same one twice while there is another, so that a notice that nobody could digest does
not stand for the receiver.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from storage.notice import Delivery, DeliveryChange, DeliveryState, Webhook

_PAUSES_S = (5, 30, 120, 600, 1800, 3600)
"""Between attempts, seconds; the last for ever. After Standard Webhooks, "Retry schedule"."""
MAX_ATTEMPTS = 77
"""So many fill three days."""
PATIENCE = timedelta(days=3)
MAX_REFUSALS = 8
"""A receiver that answers and does not want this notice will not want it tomorrow."""
DOWN_AFTER = 3
"""Different notices in a row that were not taken: it is the receiver, and not what it was sent."""
ALARM_AFTER = 5
"""Attempts that failed, at one notice or at a receiver that is down: a quarter of an hour."""
_LONGEST_WISH = timedelta(hours=6)
_GONE = 410
_TOO_MANY = 429
_ASKS_FOR_TIME = (_TOO_MANY, 503)
"""Their ``Retry-After`` is about the receiver, and not about this notice. RFC 9110 15.6.4, RFC 6585 4."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one attempt. ``error`` "": it was taken (2xx)."""

    error: str = ""
    status: int | None = None
    """None: no HTTP answer came."""
    retry_after: timedelta | None = None


def is_down(webhook: Webhook) -> bool:
    """Whether it is only probed."""
    return webhook.failures >= DOWN_AFTER


def turns(webhook: Webhook, line: Sequence[Delivery]) -> Sequence[Delivery]:
    """Who of the line goes now. A probe is the first of a subject that was tried the least."""
    if not is_down(webhook) or not line:
        return line
    heads: dict[str, Delivery] = {}
    for delivery in line:
        heads.setdefault(delivery.notice.subject, delivery)
    return [min(heads.values(), key=lambda each: each.attempts)]


def judge(webhook: Webhook, delivery: Delivery, answer: Answer, now: datetime) -> DeliveryChange:
    """What one attempt means for the notice, for its subject and for the webhook."""
    notice_id = delivery.notice.notice_id
    if not answer.error:
        back = is_down(webhook)
        return DeliveryChange(webhook.webhook_id, notice_id, DeliveryState.DELIVERED, now, back=back)
    attempts = delivery.attempts + 1
    failures = _failures(webhook, delivery)
    lost = attempts >= (MAX_REFUSALS if _refused(answer) else MAX_ATTEMPTS)
    wish = now + min(answer.retry_after or timedelta(0), _LONGEST_WISH)
    return DeliveryChange(
        webhook.webhook_id,
        notice_id,
        DeliveryState.GIVEN_UP if lost else DeliveryState.WAITING,
        now,
        answer.error,
        # What follows one that is given up is tried at once: that one may have been the trouble.
        retry_at=None if lost else max(now + _pause(attempts), wish),
        failures=failures,
        pause_until=_pause_until(failures, answer, now, wish),
        gone=answer.status == _GONE,
        lost_before=now - PATIENCE if failures >= DOWN_AFTER + MAX_ATTEMPTS else None,
    )


def alarms(delivery: Delivery, change: DeliveryChange) -> bool:
    """Whether a person should know of this failure."""
    lost = change.state is DeliveryState.GIVEN_UP or change.gone
    return lost or delivery.attempts + 1 >= ALARM_AFTER or change.failures >= DOWN_AFTER + ALARM_AFTER - 1


def _failures(webhook: Webhook, delivery: Delivery) -> int:
    """A notice that failed before says nothing new of a receiver that takes others."""
    says_something = delivery.attempts == 0 or is_down(webhook)
    return webhook.failures + says_something


def _refused(answer: Answer) -> bool:
    return answer.status is not None and 400 <= answer.status < 500 and answer.status != _TOO_MANY


def _pause_until(failures: int, answer: Answer, now: datetime, wish: datetime) -> datetime | None:
    asked = wish if answer.status in _ASKS_FOR_TIME and answer.retry_after else None
    if failures < DOWN_AFTER:
        return asked
    return max(now + _pause(failures - DOWN_AFTER + 1), asked or now)


def _pause(failures: int) -> timedelta:
    return timedelta(seconds=_PAUSES_S[min(failures, len(_PAUSES_S)) - 1])
