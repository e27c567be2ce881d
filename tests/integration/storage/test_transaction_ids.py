"""A session start that is told twice is one session."""

import asyncio

import pytest

from storage.postgres.transaction_ids import PostgresTransactionIds

pytestmark = [pytest.mark.integration, pytest.mark.requirement("F82")]


async def test_the_same_start_gets_the_same_id(engine) -> None:
    ids = PostgresTransactionIds(engine)
    first = await ids.allot("A", "start-1")
    assert 1 <= first < 2**31
    assert await ids.allot("A", "start-1") == first
    assert len({first, await ids.allot("A", "start-2"), await ids.allot("B", "start-1")}) == 3


async def test_two_nodes_that_are_told_at_once_agree(engine) -> None:
    ids = PostgresTransactionIds(engine)
    allotted = await asyncio.gather(*(ids.allot("A", f"start-{number % 3}") for number in range(24)))
    assert len(set(allotted)) == 3
    assert allotted[:3] * 8 == allotted
