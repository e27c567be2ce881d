"""One attempt, over a real socket: what the receiver sees, and where it is never sent."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from api.webhook_post import WebhookPost
from api.webhook_signature import signature, webhook_secret
from api.webhook_url import WebhookRules
from storage.notice import Delivery, Notice, NoticeKind, Webhook
from tests.support.receiver import receiving

pytestmark = [pytest.mark.requirement("X15"), pytest.mark.requirement("F99")]

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
PEPPER = b"p" * 32
LOCAL = WebhookRules.of(["127.0.0.0/8"], plain_http=True)
NOTICE = Notice(7, NoticeKind.MAINTENANCE_PLANNED, "charger/CP-1", NOW, {"charger_id": "CP-1"})


def names(*addresses: str) -> Callable[[str, int], object]:
    async def look_up(_host: str, _port: int) -> list[str]:
        return list(addresses)

    return look_up


async def post(url: str, rules: WebhookRules = LOCAL, *addresses: str) -> object:
    send = WebhookPost(rules, PEPPER, "https://ampwave.test", names(*addresses))  # type: ignore[arg-type]
    return await send(Webhook("ops", url, (), "ada", NOW), Delivery(NOTICE), NOW)


async def test_a_receiver_gets_a_cloud_event_whose_signature_it_can_check() -> None:
    async with receiving() as receiver:
        answer = await post(f"http://ops.test:{receiver.port}/hook?x=1", LOCAL, "127.0.0.1")
    assert answer.error == "", answer  # type: ignore[attr-defined]
    [head], [body] = receiver.heads, receiver.bodies
    fields = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
    assert head.startswith("POST /hook?x=1 HTTP/1.1\r\n")
    assert fields["host"] == f"ops.test:{receiver.port}"
    assert fields["content-type"] == "application/cloudevents+json"
    at = datetime.fromtimestamp(int(fields["webhook-timestamp"]), UTC)
    wanted = signature(webhook_secret(PEPPER, "ops", 1), fields["webhook-id"], at, body)
    assert fields["webhook-signature"] == wanted.lower()
    said = json.loads(body)
    assert (said["specversion"], said["id"], said["type"]) == (
        "1.0",
        "notice-7",
        "io.ampwave.charger.maintenance_planned",
    )
    assert (said["source"], said["subject"], said["data"]["charger_id"]) == (
        "https://ampwave.test",
        "charger/CP-1",
        "CP-1",
    )


@pytest.mark.parametrize("addresses", [("10.0.0.1",), ("93.184.216.34", "127.0.0.1"), ("::ffff:127.0.0.1",)])
async def test_a_name_that_leads_into_our_own_network_is_never_called(
    addresses: tuple[str, ...],
) -> None:
    async with receiving() as receiver:
        rules = WebhookRules.of([], plain_http=True)
        answer = await post(f"http://ops.test:{receiver.port}/", rules, *addresses)
    assert "private address" in answer.error  # type: ignore[attr-defined]
    assert receiver.heads == []


async def test_a_redirect_is_an_error_and_is_not_followed() -> None:
    async with receiving() as inner:
        moved = f"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:{inner.port}/\r\n\r\n".encode()
        async with receiving(moved) as receiver:
            answer = await post(f"http://ops.test:{receiver.port}/", LOCAL, "127.0.0.1")
    assert (answer.error, answer.status) == ("it answered 302", 302)  # type: ignore[attr-defined]
    assert inner.heads == []


async def test_what_a_receiver_asks_for_is_heard() -> None:
    busy = b"HTTP/1.1 503 Busy\r\nRetry-After: 120\r\n\r\n"
    async with receiving(busy) as receiver:
        answer = await post(f"http://ops.test:{receiver.port}/", LOCAL, "127.0.0.1")
    assert answer.retry_after == timedelta(seconds=120)  # type: ignore[attr-defined]


@pytest.mark.parametrize("reply", [b"", b"HTTP/1.1 abc\r\n\r\n", b"\x00\xff"])
async def test_nonsense_for_an_answer_is_a_failure_like_others(reply: bytes) -> None:
    async with receiving(reply) as receiver:
        answer = await post(f"http://ops.test:{receiver.port}/", LOCAL, "127.0.0.1")
    assert answer.error.startswith("no answer")  # type: ignore[attr-defined]


async def test_a_name_that_nobody_knows_and_a_port_where_nobody_listens() -> None:
    assert (await post("http://ops.test/")).error == "its name is not known"  # type: ignore[attr-defined]
    async with receiving() as receiver:
        port = receiver.port
    refused = await post(f"http://ops.test:{port}/", LOCAL, "127.0.0.1")
    assert refused.error == "no answer (ConnectError)"  # type: ignore[attr-defined]


async def test_a_receiver_that_lets_its_answer_drip_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each byte began the client's own wait anew; a hold ran out meanwhile, and it took place after place."""
    monkeypatch.setattr("api.webhook_post._PATIENCE_S", 0.3)

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 204 No Content\r\nX: ")
        for _ in range(20):
            writer.write(b"a")
            await asyncio.sleep(0.1)
        writer.write(b"\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    async with server:
        answer = await post(f"http://ops.test:{server.sockets[0].getsockname()[1]}/", LOCAL, "127.0.0.1")
    assert answer.error == "no answer within 0.3 s"  # type: ignore[attr-defined]


async def test_a_name_server_that_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.webhook_post._PATIENCE_S", 0.05)

    async def silent(_host: str, _port: int) -> list[str]:
        await asyncio.Event().wait()
        return []

    send = WebhookPost(LOCAL, PEPPER, "https://ampwave.test", silent)
    answer = await send(Webhook("ops", "http://ops.test/", (), "ada", NOW), Delivery(NOTICE), NOW)
    assert answer.error == "no answer within 0.05 s"
