"""Webhooks at the door."""

from datetime import datetime
from typing import Annotated, Literal, cast

from pydantic import Field

from api.schemas.common import Body, Reply, Slug
from storage.notice import CHOOSABLE, Delivery, DeliveryState, NoticeKind, Webhook

Kind = Literal[
    "campaign.phase_changed",
    "campaign.wave_judged",
    "charger.maintenance_planned",
    "charger.maintenance_ended",
    "incident.opened",
    "incident.closed",
    "halt.pulled",
    "halt.lifted",
]


class WebhookBody(Body):
    """Where notices are to go."""

    webhook_id: Slug
    url: Annotated[str, Field(min_length=1, max_length=2000, examples=["https://ops.example.com/ampwave"])]
    kinds: Annotated[
        tuple[Kind, ...],
        Field(max_length=len(CHOOSABLE), description="What it is told of; none named: everything."),
    ] = ()


class WebhookReply(Reply):
    """A webhook. Its secret is in the answer to creation and rotation alone."""

    webhook_id: str
    url: str
    kinds: tuple[str, ...] = Field(description="Empty: everything.")
    created_by: str
    created_at: datetime
    paused_by: str | None = Field(description="`receiver`: it answered 410 Gone.")
    failures: int = Field(
        description="Different notices in a row that were not taken. From the third on it is only probed."
    )
    retry_at: datetime | None = Field(description="Nothing at all is sent before.")
    last_error: str
    waiting: int = Field(description="Notices that are not delivered yet.")
    held_up: int = Field(
        description="Subjects of which a notice was not taken and is tried again; the others go on."
    )
    old_secret_until: datetime | None

    @classmethod
    def of(cls, webhook: Webhook) -> "WebhookReply":
        """The reply for a stored webhook."""
        return cls.model_validate(webhook)


class WebhookSecretReply(WebhookReply):
    """With the secret, which is shown this once."""

    secret: str = Field(examples=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])

    @classmethod
    def with_secret(cls, webhook: Webhook, secret: str) -> "WebhookSecretReply":
        """The reply to whoever made or rotated it."""
        return cls(**WebhookReply.of(webhook).model_dump(), secret=secret)


class DeliveryReply(Reply):
    """One notice on its way to one webhook."""

    notice_id: int
    kind: str
    subject: str
    at: datetime
    state: DeliveryState
    attempts: int
    ended_at: datetime | None
    last_error: str
    retry_at: datetime | None = Field(description="Nothing of its subject is sent before.")

    @classmethod
    def of(cls, delivery: Delivery) -> "DeliveryReply":
        """The reply for a stored delivery."""
        notice = delivery.notice
        return cls(
            notice_id=notice.notice_id,
            kind=notice.kind.value,
            subject=notice.subject,
            at=notice.at,
            state=delivery.state,
            attempts=delivery.attempts,
            ended_at=delivery.ended_at,
            last_error=delivery.last_error,
            retry_at=delivery.retry_at,
        )


class CountReply(Reply):
    """How many."""

    count: int


def kinds_of(body: WebhookBody) -> tuple[NoticeKind, ...]:
    """Each once, in the order of the vocabulary."""
    asked = cast("tuple[str, ...]", body.kinds)
    return tuple(kind for kind in CHOOSABLE if kind.value in asked)
