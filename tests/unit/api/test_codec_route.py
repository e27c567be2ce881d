"""The codec endpoint: decrypted payloads for people who may read, through the Temporal UI's page only."""

import base64
from typing import Any

import pytest
from temporalio.api.common.v1 import Payload

from api.codec import AesGcmCodec
from api.dashboard.session import COOKIE, seal_session
from storage.access import Role
from tests.support.house import NOW, House

UI = "http://temporal.test:8233"
PLAIN = Payload(metadata={"encoding": b"json/plain"}, data=b'"campaign-1"')
CODEC = AesGcmCodec(b"k" * 32)


def codec_house() -> House:
    house = House()
    object.__setattr__(house.services, "decode_payloads", CODEC.decode)
    return house


async def sealed() -> dict[str, Any]:
    payload = (await CODEC.encode([PLAIN]))[0]
    metadata = {key: base64.b64encode(value).decode() for key, value in payload.metadata.items()}
    return {"payloads": [{"metadata": metadata, "data": base64.b64encode(payload.data).decode()}]}


def session(house: House, role: Role) -> dict[str, str]:
    token = next(token for token in house.tokens.tokens if token.principal.role is role)
    return {"Cookie": f"{COOKIE}={seal_session(house.services, token, NOW)}"}


async def test_a_reader_sees_the_payload() -> None:
    async with codec_house().client(Role.VIEWER) as client:
        answer = await client.post("/codec/decode", json=await sealed())

    shown = answer.json()["payloads"][0]
    assert base64.b64decode(shown["data"]) == PLAIN.data
    assert answer.headers["cache-control"] == "no-store"


async def test_the_temporal_ui_may_use_the_dashboards_session() -> None:
    house = codec_house()
    async with house.client() as client:
        headers = {"Origin": UI, **session(house, Role.VIEWER)}
        answer = await client.post("/codec/decode", json=await sealed(), headers=headers)
        preflight = await client.options("/codec/decode", headers={"Origin": UI})

    assert answer.status_code == 200
    for reply in (answer, preflight):
        assert reply.headers["access-control-allow-origin"] == UI
        assert reply.headers["access-control-allow-credentials"] == "true"


async def test_the_temporal_ui_may_read_why_it_was_refused() -> None:
    async with codec_house().client() as client:
        answer = await client.post("/codec/decode", json=await sealed(), headers={"Origin": UI})

    assert answer.status_code == 401
    assert answer.headers["access-control-allow-origin"] == UI
    assert answer.headers["www-authenticate"]


@pytest.mark.parametrize("origin", ["http://evil.test", "http://temporal.test:8233.evil.test", "null", ""])
async def test_no_other_page_may(origin: str) -> None:
    house = codec_house()
    async with house.client() as client:
        headers = {"Origin": origin, **session(house, Role.ADMIN)}
        answer = await client.post("/codec/decode", json=await sealed(), headers=headers)
        preflight = await client.options("/codec/decode", headers={"Origin": origin})

    assert answer.status_code == 401
    assert "access-control-allow-origin" not in preflight.headers


async def test_nobody_without_session_or_token_may() -> None:
    async with codec_house().client() as client:
        plain = await client.post("/codec/decode", json=await sealed())
        from_ui = await client.post("/codec/decode", json=await sealed(), headers={"Origin": UI})

    assert (plain.status_code, from_ui.status_code) == (401, 401)


@pytest.mark.parametrize("body", [b"", b"{", b'{"payloads": 3}', b"\xff"])
async def test_what_is_no_payload_is_refused(body: bytes) -> None:
    async with codec_house().client(Role.VIEWER) as client:
        answer = await client.post("/codec/decode", content=body)

    assert answer.status_code == 422
