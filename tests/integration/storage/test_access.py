"""Tokens and download tickets are kept by the hash of their secret, revocations at once."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from storage.access import Principal, Role, Token
from storage.charger import DownloadTicket
from storage.errors import Conflict
from storage.postgres.tickets import PostgresTicketStore
from storage.postgres.tokens import PostgresTokenStore

pytestmark = pytest.mark.integration
AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
TOKEN = Token("t1", "f" * 64, Principal("ann", Role.RELEASE_MANAGER), AT, AT + timedelta(days=1))
TICKET = DownloadTicket("e" * 64, "A", "a" * 64, AT, AT + timedelta(hours=6))


async def test_a_token_is_found_by_its_secret_and_revoked_once(engine) -> None:
    tokens = PostgresTokenStore(engine)
    await tokens.add(TOKEN)
    assert await tokens.find("f" * 64) == TOKEN
    assert await tokens.find("0" * 64) is None
    assert await tokens.revoke("t1", AT)
    assert not await tokens.revoke("t1", AT + timedelta(1)), "the first revocation stands"
    assert not await tokens.revoke("t9", AT)
    assert (await tokens.find("f" * 64)).revoked_at == AT


async def test_tokens_are_listed_newest_first_and_never_overwritten(engine) -> None:
    tokens = PostgresTokenStore(engine)
    newer = Token("t2", "d" * 64, Principal("relay", Role.ADMIN), AT + timedelta(1))
    for token in (TOKEN, newer):
        await tokens.add(token)
    for clash in (replace(TOKEN, secret_sha256="1" * 64), replace(TOKEN, token_id="t3")):
        with pytest.raises(Conflict):
            await tokens.add(clash)
    assert await tokens.all() == [newer, TOKEN]


@pytest.mark.requirement("S43")
async def test_tickets_of_a_charger_are_revoked_together(engine) -> None:
    tickets = PostgresTicketStore(engine)
    other = replace(TICKET, ticket_sha256="c" * 64, charger_id="B")
    for ticket in (TICKET, replace(TICKET, ticket_sha256="d" * 64), other):
        await tickets.add(ticket)
    assert await tickets.find("e" * 64) == TICKET
    assert await tickets.find("0" * 64) is None
    assert await tickets.revoke_for("A") == 2
    assert await tickets.revoke_for("A") == 0
    assert (await tickets.find("e" * 64)).revoked
    assert await tickets.find("c" * 64) == other
    with pytest.raises(Conflict):
        await tickets.add(TICKET)
