"""Webhooks: who outside is told of campaigns, maintenance, incidents and halts."""

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Response

from api.acts import audit
from api.auth import Permission
from api.guard import Caller, GuardedRoute, Services, permit
from api.replies import Limit
from api.schemas.common import PageReply, Slug
from api.schemas.webhooks import (
    CountReply,
    DeliveryReply,
    WebhookBody,
    WebhookReply,
    WebhookSecretReply,
    kinds_of,
)
from storage.errors import Conflict
from storage.incident import IncidentChange, IncidentKind
from storage.notice import Webhook

router = APIRouter(prefix="/api/v1/webhooks", tags=["webhooks"], route_class=GuardedRoute)

OLD_SECRET_COUNTS = timedelta(hours=24)
MAX_WEBHOOKS = 100
"""Each is one more row per notice, written in a campaign's own transactions."""
_UNKNOWN: dict[int | str, dict[str, Any]] = {404: {"description": "There is no such webhook"}}
WebhookId = Annotated[Slug, "its name"]


@router.get("")
@permit(Permission.READ)
async def list_webhooks(services: Services) -> PageReply[WebhookReply]:
    """All of them, by name."""
    found = await services.webhooks.store.find()
    return PageReply(items=tuple(WebhookReply.of(each) for each in found), next_cursor=None)


@router.post("", status_code=201, responses={409: {"description": "The name is taken"}})
@permit(Permission.WEBHOOK_WRITE)
async def add_webhook(
    response: Response, services: Services, caller: Caller, body: WebhookBody
) -> WebhookSecretReply:
    """Have notices sent to an address; the answer holds the secret that signs them, once."""
    door = services.webhooks
    door.rules.parse(body.url)
    if len(await door.store.find()) >= MAX_WEBHOOKS:
        raise Conflict(f"There are {MAX_WEBHOOKS} webhooks, and no more are kept.", hint="Remove one.")
    made = Webhook(body.webhook_id, body.url, kinds_of(body), caller.name, services.clock())
    await door.store.add(made)
    await _audit(services, caller, "webhook.added", made, url=made.url, kinds=[*body.kinds])
    response.headers["Location"] = f"/api/v1/webhooks/{made.webhook_id}"
    return WebhookSecretReply.with_secret(made, door.secret(made.webhook_id, made.secret_number))


@router.get("/{webhook_id}", responses=_UNKNOWN)
@permit(Permission.READ)
async def get_webhook(services: Services, webhook_id: WebhookId) -> WebhookReply:
    """One, and how it fares."""
    return WebhookReply.of(await services.webhooks.store.get(webhook_id))


@router.delete("/{webhook_id}", responses=_UNKNOWN)
@permit(Permission.WEBHOOK_WRITE)
async def remove_webhook(services: Services, caller: Caller, webhook_id: WebhookId) -> CountReply:
    """Remove it with what waits for it; the answer says how much that was."""
    known = await services.webhooks.store.get(webhook_id)
    lost = await services.webhooks.store.remove(webhook_id)
    # No later success will: nothing is sent there any more.
    subject = f"webhook/{webhook_id}"
    over = IncidentChange(IncidentKind.WEBHOOK_FAILING, subject, services.clock(), close=True)
    await services.watch.incidents.apply([over])
    await _audit(services, caller, "webhook.removed", known, undelivered=lost)
    return CountReply(count=lost)


@router.get("/{webhook_id}/deliveries", responses=_UNKNOWN)
@permit(Permission.READ)
async def list_deliveries(
    services: Services, webhook_id: WebhookId, limit: Limit = 50
) -> PageReply[DeliveryReply]:
    """What was and is to be delivered to it, newest first."""
    found = await services.webhooks.store.deliveries(webhook_id, limit=limit)
    return PageReply(items=tuple(DeliveryReply.of(each) for each in found), next_cursor=None)


@router.post("/{webhook_id}/test", status_code=202, responses=_UNKNOWN)
@permit(Permission.WEBHOOK_WRITE)
async def test_webhook(services: Services, caller: Caller, webhook_id: WebhookId) -> CountReply:
    """Send it a notice of its own; `count` is that notice's number among the deliveries."""
    return CountReply(count=await services.webhooks.store.test(webhook_id, caller.name))


@router.post("/{webhook_id}/retry", responses=_UNKNOWN)
@permit(Permission.WEBHOOK_WRITE)
async def retry_webhook(services: Services, caller: Caller, webhook_id: WebhookId) -> CountReply:
    """Try it again now, also with what was given up; how many that were."""
    count = await services.webhooks.store.retry(webhook_id)
    await _audit(services, caller, "webhook.retried", await services.webhooks.store.get(webhook_id))
    return CountReply(count=count)


@router.post("/{webhook_id}/pause", responses=_UNKNOWN)
@permit(Permission.WEBHOOK_WRITE)
async def pause_webhook(services: Services, caller: Caller, webhook_id: WebhookId) -> WebhookReply:
    """Send it nothing; notices wait."""
    changed = await services.webhooks.store.set_paused(webhook_id, caller.name)
    await _audit(services, caller, "webhook.paused", changed)
    return WebhookReply.of(changed)


@router.post("/{webhook_id}/resume", responses=_UNKNOWN)
@permit(Permission.WEBHOOK_WRITE)
async def resume_webhook(services: Services, caller: Caller, webhook_id: WebhookId) -> WebhookReply:
    """Go on, with what waited."""
    changed = await services.webhooks.store.set_paused(webhook_id, None)
    await _audit(services, caller, "webhook.resumed", changed)
    return WebhookReply.of(changed)


@router.post("/{webhook_id}/rotate", responses=_UNKNOWN)
@permit(Permission.WEBHOOK_WRITE)
async def rotate_secret(services: Services, caller: Caller, webhook_id: WebhookId) -> WebhookSecretReply:
    """A new secret. For a day notices are signed with both, so that the receiver can change over."""
    changed = await services.webhooks.store.rotate(webhook_id, services.clock() + OLD_SECRET_COUNTS)
    await _audit(services, caller, "webhook.rotated", changed, number=changed.secret_number)
    secret = services.webhooks.secret(webhook_id, changed.secret_number)
    return WebhookSecretReply.with_secret(changed, secret)


async def _audit(services: Any, caller: Any, action: str, webhook: Webhook, **detail: Any) -> None:
    await audit(services, caller, action, f"webhook/{webhook.webhook_id}", **detail)
