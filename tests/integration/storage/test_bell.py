"""What tells readers to look, after the commits that it is about."""

import asyncio
from collections import Counter

import asyncpg

from storage.postgres.bell import Bell
from storage.postgres.engine import create_engine


async def test_many_commits_are_one_ring_and_none_is_missed(engine, database) -> None:
    heard: Counter[str] = Counter()
    news = asyncio.Event()

    def note(*said: object) -> None:
        heard[str(said[2])] += 1
        news.set()

    listener = await asyncpg.connect(database.replace("+asyncpg", ""))
    try:
        for channel in ("bell_a", "bell_b"):
            await listener.add_listener(channel, note)
        bell = Bell(engine)
        for _ in range(100):
            bell.ring(["bell_a"])
        bell.ring(["bell_b", "bell_a"])
        bell.ring([])
        async with asyncio.timeout(10):
            while heard != {"bell_a": 1, "bell_b": 1}:
                await news.wait()
                news.clear()
            bell.ring(["bell_b"])  # while it may still be pausing
            while heard["bell_b"] == 1:
                await news.wait()
                news.clear()
        assert heard["bell_a"] == 1
    finally:
        await listener.close()


async def test_a_store_that_is_away_costs_only_the_ring() -> None:
    away = create_engine("postgresql+asyncpg://nobody@127.0.0.1:9/nothing")
    bell = Bell(away)
    bell.ring(["bell_a"])
    ringing = bell._ringing
    assert ringing is not None
    await ringing
    bell.ring(["bell_a"])
    assert bell._ringing is not None
    assert bell._ringing is not ringing
    await bell._ringing
    await away.dispose()


async def test_a_database_that_is_gone_leaves_no_error_behind(database) -> None:
    """Nobody awaits a ring: what one raised would be told by the garbage collector, wherever that runs."""
    gone = create_engine(f"{database}_that_is_gone")
    bell = Bell(gone)
    bell.ring(["bell_a"])
    assert bell._ringing is not None
    await bell._ringing
    await gone.dispose()
