import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from storage.charger import Charger, ChargerCredential, Site
from storage.credentials import PendingFate, PendingSecret
from storage.errors import Conflict, NotFound
from storage.postgres.chargers import PostgresChargerStore

pytestmark = pytest.mark.integration

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
NEW = PendingSecret(b"new", AT + timedelta(minutes=1))


@pytest.fixture
async def chargers(engine: AsyncEngine) -> PostgresChargerStore:
    store = PostgresChargerStore(engine)
    await store.put_site(Site("site", "Site", "Europe/Berlin"))
    await store.register(Charger("A", "site", "V", "M"), ChargerCredential("A", b"old", AT))
    return store


@pytest.mark.requirement("S61")
async def test_a_floor_only_rises(chargers: Any) -> None:
    for profile, floor in ((1, 1), (3, 3), (2, 3), (0, 3)):
        await chargers.raise_security_floor("A", profile)
        assert (await chargers.get("A")).charger.security_floor == floor
    await chargers.register(Charger("A", "site", "V", "M", security_floor=2), None)
    assert (await chargers.get("A")).charger.security_floor == 3
    await chargers.register(Charger("B", "site", "V", "M", security_floor=1), None)
    await chargers.register(Charger("B", "site", "V", "M", security_floor=2), None)
    assert (await chargers.get("B")).charger.security_floor == 2


async def test_a_floor_only_rises_when_many_write_at_once(chargers: Any) -> None:
    await asyncio.gather(*(chargers.raise_security_floor("A", number % 4) for number in range(20)))
    assert (await chargers.get("A")).charger.security_floor == 3


@pytest.mark.requirement("F36")
async def test_who_bears_a_name(chargers: Any) -> None:
    await chargers.register(Charger("B", "site", "V", "M", serial_number="A"), None)
    await chargers.register(Charger("C", "site", "V", "M", serial_number="S"), None)
    assert await chargers.named("A") == ["A", "B"]
    assert await chargers.named("S") == ["C"]
    assert await chargers.named("nobody") == []


@pytest.mark.parametrize(
    ("fate", "secret", "pending"),
    [
        (PendingFate.PROMOTE, b"new", None),
        (PendingFate.DROP, b"old", None),
        (PendingFate.HOLD, b"old", NEW),
    ],
)
async def test_what_becomes_of_a_pending_password(
    chargers: Any, fate: PendingFate, secret: bytes, pending: PendingSecret | None
) -> None:
    await chargers.offer_secret("A", NEW)
    with pytest.raises(Conflict, match="pending already"):
        await chargers.offer_secret("A", PendingSecret(b"third", AT))
    for _ in range(2):
        await chargers.settle_secret("A", NEW, fate)
        stored = await chargers.credential("A")
        assert (stored.secret_hmac, stored.pending) == (secret, pending)


async def test_a_yes_counts_although_the_pending_one_was_dropped_a_moment_before(chargers: Any) -> None:
    await chargers.offer_secret("A", NEW)
    await chargers.settle_secret("A", NEW, PendingFate.DROP)
    await chargers.settle_secret("A", NEW, PendingFate.PROMOTE)
    assert (await chargers.credential("A")).secret_hmac == b"new"


async def test_a_late_yes_never_replaces_what_came_after_it(chargers: Any) -> None:
    await chargers.offer_secret("A", NEW)
    by_hand = ChargerCredential("A", b"by hand", NEW.since + timedelta(minutes=1))
    await chargers.register(Charger("A", "site", "V", "M"), by_hand)
    await chargers.settle_secret("A", NEW, PendingFate.PROMOTE)
    assert await chargers.credential("A") == by_hand


async def test_a_charger_without_a_password_is_offered_none(chargers: Any) -> None:
    await chargers.register(Charger("B", "site", "V", "M"), None)
    with pytest.raises(NotFound):
        await chargers.offer_secret("B", NEW)


@pytest.mark.requirement("F36")
async def test_a_password_belongs_to_one_charger_pending_or_not(chargers: Any) -> None:
    await chargers.offer_secret("A", NEW)
    for taken in (b"old", b"new"):
        with pytest.raises(Conflict, match="belongs to another charger"):
            await chargers.register(Charger("B", "site", "V", "M"), ChargerCredential("B", taken, AT))
    with pytest.raises(NotFound):
        await chargers.get("B")
