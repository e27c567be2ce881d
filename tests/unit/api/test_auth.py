"""Tokens: what is stored of them opens nothing, and nothing but the whole text opens anything."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.auth import authenticate, mint_token
from api.errors import TokenRefused, Unauthenticated
from storage.access import Principal, Role, Token
from storage.canonical import sha256_hex
from tests.support.house import NOW
from tests.support.memory import MemoryTokens

ADA = Principal("ada", Role.OPERATOR)


def minted(**changes: object) -> tuple[str, Token]:
    return mint_token(
        ADA,
        now=NOW,
        token_id="t1",
        random_bytes=lambda count: b"\xfe" * count,
        **{"expires_at": None, **changes},
    )


async def stored(token: Token) -> MemoryTokens:
    tokens = MemoryTokens()
    await tokens.add(token)
    return tokens


async def test_a_minted_token_opens_and_its_secret_is_not_stored() -> None:
    text, token = minted()
    tokens = await stored(token)

    assert (await authenticate(tokens, text, NOW)).principal == ADA
    assert text.split("_", 2)[2] not in repr(token)
    assert token.secret_sha256 == sha256_hex(text.encode())


async def test_a_token_opens_until_the_instant_it_expires() -> None:
    text, token = minted(expires_at=NOW + timedelta(hours=1))
    tokens = await stored(token)

    assert await authenticate(tokens, text, NOW + timedelta(minutes=59))
    with pytest.raises(TokenRefused, match="expired"):
        await authenticate(tokens, text, NOW + timedelta(hours=1))


async def test_a_revoked_token_opens_nothing() -> None:
    text, token = minted()
    tokens = await stored(token)
    await tokens.revoke("t1", NOW)

    with pytest.raises(TokenRefused, match="revoked"):
        await authenticate(tokens, text, NOW)


async def test_a_stored_hash_is_no_token() -> None:
    _, token = minted()
    tokens = await stored(token)

    with pytest.raises(Unauthenticated):
        await authenticate(tokens, token.secret_sha256, NOW)


async def test_a_token_under_another_id_opens_nothing() -> None:
    text, token = minted()
    tokens = MemoryTokens()
    await tokens.add(Token("other", token.secret_sha256, ADA, NOW))

    with pytest.raises(Unauthenticated):
        await authenticate(tokens, text, NOW)


@given(st.text(max_size=80))
async def test_any_other_text_opens_nothing(text: str) -> None:
    _, token = minted()
    tokens = await stored(token)

    with pytest.raises(Unauthenticated):
        await authenticate(tokens, text, NOW)
