"""The SQL of a condition against the same condition said in plain Python, over chargers that differ."""

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from storage.ports import ChargerView
from storage.postgres.engine import reading
from storage.postgres.query import compiled
from storage.postgres.query_sources import Instant, Sources
from storage.postgres.tables import charger
from storage.query.checker import Condition, Opposite
from tests.support.query_fleet import FLEET, NOW, fill
from tests.support.query_oracle import Seen, holds
from tests.support.query_trees import CONDITIONS

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
async def fleet(pool: AsyncEngine, database: str) -> AsyncEngine:
    connection = await asyncpg.connect(database)
    await fill(connection)
    await connection.close()
    return pool


@given(st.lists(CONDITIONS, min_size=8, max_size=12))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.requirement("F1")
async def test_the_database_selects_whom_the_words_mean(
    fleet: AsyncEngine, conditions: list[Condition]
) -> None:
    asked = [each for condition in conditions for each in (condition, Opposite(condition))]
    sources = Sources(Instant(NOW))
    truths = [compiled(condition, sources).label(f"c{place}") for place, condition in enumerate(asked)]
    query = select(charger.c.charger_id, *truths).select_from(sources.joined()).order_by(charger.c.charger_id)
    async with reading(fleet) as connection:
        rows = (await connection.execute(query)).all()
    for given_, row in zip(FLEET, rows, strict=True):
        seen = Seen(ChargerView(given_.charger, given_.twin, given_.heard), NOW, given_.desired)
        for condition, truth in zip(asked, row[1:], strict=True):
            # A plain yes is all that a WHERE takes; only below a "not" is an unknown told from a no.
            assert (truth is True) == (holds(condition, seen) is True), (given_.name, condition)
