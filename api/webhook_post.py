"""One attempt to deliver a notice: a CloudEvent 1.0 (structured JSON), signed after Standard Webhooks.

Redirects are not followed and answers are not read: a receiver says what it has to say by its status.
"""

import asyncio
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import httpx2
import orjson

from api.pinned import NotAllowed, Resolve, UnknownName, netloc, pinned, resolve
from api.webhook_signature import signed_headers
from api.webhook_url import Target, WebhookRules
from storage.errors import InvalidInput
from storage.notice import Delivery, Notice, Webhook
from workflows.notice_rules import Answer

_PATIENCE_S = 15.0
"""For the whole attempt, the look-up of its name included. Standard Webhooks: 15 to 30 seconds."""
_SECONDS = re.compile(r"\d{1,6}")


def cloud_event(notice: Notice, source: str) -> bytes:
    """The body. ``source`` is this deployment's own address."""
    return orjson.dumps(
        {
            "specversion": "1.0",
            "id": message_id(notice),
            "source": source,
            "type": f"io.ampwave.{notice.kind.value}",
            "subject": notice.subject,
            "time": notice.at.isoformat(),
            "datacontenttype": "application/json",
            "data": notice.data,
        }
    )


def message_id(notice: Notice) -> str:
    """The same in every attempt: receivers drop repeats by it."""
    return f"notice-{notice.notice_id}"


@dataclass(frozen=True, slots=True)
class WebhookPost:
    """``workflows.herald.Post`` over HTTP."""

    rules: WebhookRules
    pepper: bytes
    source: str
    resolve: Resolve = resolve
    trust: Callable[[], ssl.SSLContext] = ssl.create_default_context

    async def __call__(self, webhook: Webhook, delivery: Delivery, now: datetime) -> Answer:
        """Send it, signed; whatever the receiver does is an answer."""
        try:
            # Around it all: the client's own bound begins anew with every byte that a receiver lets drip.
            async with asyncio.timeout(_PATIENCE_S):
                return await self._attempt(webhook, delivery, now)
        except TimeoutError:
            return Answer(f"no answer within {_PATIENCE_S:g} s")

    async def _attempt(self, webhook: Webhook, delivery: Delivery, now: datetime) -> Answer:
        try:
            target = self.rules.parse(webhook.url)
            address = await pinned(target.host, target.port, self.resolve, self.rules.allows)
        except InvalidInput as error:
            return Answer("; ".join(error.problems))
        except UnknownName:
            return Answer("its name is not known")
        except NotAllowed:
            return Answer("its name leads to a private address outside of AMPWAVE_WEBHOOK_NETWORKS")
        body = cloud_event(delivery.notice, self.source)
        headers = signed_headers(self.pepper, webhook, message_id(delivery.notice), now, body)
        try:
            return await self._send(
                target, f"{target.scheme}://{netloc(address, target.port)}", body, headers
            )
        except (httpx2.HTTPError, ssl.SSLError, OSError) as error:
            return Answer(f"no answer ({type(error).__name__})")

    async def _send(self, target: Target, base: str, body: bytes, headers: dict[str, str]) -> Answer:
        timeout = httpx2.Timeout(_PATIENCE_S, connect=5.0)
        async with httpx2.AsyncClient(verify=self.trust(), trust_env=False, timeout=timeout) as http:
            request = http.build_request(
                "POST",
                base + target.target,
                content=body,
                headers={
                    **headers,
                    "Host": target.authority,
                    "Content-Type": "application/cloudevents+json",
                    "User-Agent": "ampwave",
                },
                # The certificate must be the name's, though we connect to the address.
                extensions={"sni_hostname": target.host},
            )
            response = await http.send(request, stream=True)
            await response.aclose()
        return _answer(response)


def _answer(response: httpx2.Response) -> Answer:
    if response.is_success:
        return Answer(status=response.status_code)
    wish = response.headers.get("retry-after", "")
    after = timedelta(seconds=int(wish)) if _SECONDS.fullmatch(wish) else None
    return Answer(f"it answered {response.status_code}", response.status_code, after)
