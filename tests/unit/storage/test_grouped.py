import asyncio
from collections.abc import Sequence

import pytest

from storage.errors import EngineUnavailable
from storage.postgres.grouped import Grouped


class Statements:
    """Answers keys by their length, one group at a time, when it is let."""

    def __init__(self) -> None:
        self.groups: list[list[str]] = []
        self.gate = asyncio.Semaphore(0)
        self.failing = False

    async def __call__(self, keys: Sequence[str]) -> dict[str, int]:
        self.groups.append(list(keys))
        await self.gate.acquire()
        if self.failing:
            raise EngineUnavailable("away")
        return {key: len(key) for key in keys if key != "nobody"}


async def asked(grouped: Grouped[str, int], *keys: str) -> list[asyncio.Task[int | None]]:
    tasks = [asyncio.create_task(grouped.ask(key)) for key in keys]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return tasks


async def test_what_is_asked_meanwhile_shares_the_next_statement() -> None:
    statements = Statements()
    grouped = Grouped(statements)
    first = await asked(grouped, "a")
    rest = await asked(grouped, "bb", "ccc", "bb", "a", "nobody")
    for _ in range(2):
        statements.gate.release()
    assert await asyncio.gather(*first, *rest) == [1, 2, 3, 2, 1, None]
    # The second "a" was asked while the first was under way: it gets an answer of its own time.
    assert statements.groups == [["a"], ["bb", "ccc", "a", "nobody"]]


async def test_a_group_has_a_limit() -> None:
    statements = Statements()
    grouped = Grouped(statements, limit=2)
    tasks = await asked(grouped, "a", "b", "c", "d", "e")
    for _ in range(4):
        statements.gate.release()
    await asyncio.gather(*tasks)
    assert [len(group) for group in statements.groups] == [2, 2, 1]


async def test_everybody_in_a_group_hears_why_it_failed_and_the_next_is_asked_anew() -> None:
    statements = Statements()
    grouped = Grouped(statements)
    statements.failing = True
    tasks = await asked(grouped, "a", "b")
    statements.gate.release()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(each) for each in results] == [EngineUnavailable, EngineUnavailable]
    statements.failing = False
    statements.gate.release()
    assert await grouped.ask("a") == 1


async def test_whoever_gives_up_takes_the_answer_from_nobody_else() -> None:
    statements = Statements()
    grouped = Grouped(statements)
    gives_up, stays = await asked(grouped, "a", "a")
    gives_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gives_up
    statements.gate.release()
    assert await stays == 1
