"""Penalties, and what chargers were before their updates, in PostgreSQL (R27, X9)."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from storage.errors import NotFound
from storage.kept import Kept
from storage.penalty import Penalty
from storage.postgres.kept import PostgresKeptStore
from storage.postgres.penalties import PostgresPenaltyStore

pytestmark = [pytest.mark.integration, pytest.mark.requirement("R27")]


async def test_a_penalty_is_imposed_once_seen_with_its_charger_and_released_once(engine, chargers) -> None:
    store, now = PostgresPenaltyStore(engine), datetime.now(UTC)
    first = Penalty("A", now, now + timedelta(hours=24), 3, 1, "3 attempts failed")
    imposed = await asyncio.gather(*(store.impose(first) for _ in range(5)))
    assert sorted(imposed) == [False, False, False, False, True]
    assert (await chargers.get("A")).penalty == first
    assert (await chargers.get("B")).penalty is None
    assert await store.in_force(now) == [first]

    released = await store.release("A", "ada", now)
    assert (released.released_by, await store.in_force(now)) == ("ada", [])
    assert (await chargers.get("A")).penalty is None
    with pytest.raises(NotFound):
        await store.release("A", "ada", now)

    again = replace(first, times=2, until=now - timedelta(seconds=1))
    assert await store.impose(again)
    assert await store.get("A") == again
    assert (await chargers.get("A")).penalty is None, "its time is over"


@pytest.mark.requirement("X9")
async def test_what_a_charger_was_is_kept_once_until_its_update_is_over(engine) -> None:
    store, now = PostgresKeptStore(engine), datetime.now(UTC)
    kept = Kept("c1", 0, "A", now, {"HeartbeatInterval": "60"}, 2, ("CSMSRootCertificate/k/7",))
    await store.keep(kept)
    await store.keep(replace(kept, values={"HeartbeatInterval": "1"}))
    assert await store.get("c1", 0, "A") == kept
    assert await store.get("c1", 1000, "A") is None
    await store.forget("c1", 0, "A")
    assert await store.get("c1", 0, "A") is None
