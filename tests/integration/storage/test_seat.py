"""One signer at a time: who comes second stands by, and takes over whatever becomes of the first."""

import asyncio

import asyncpg
import pytest

from storage.errors import EngineUnavailable
from storage.postgres.seat import PostgresSeat, seat_key

pytestmark = pytest.mark.integration


@pytest.mark.requirement("S63")
async def test_a_second_one_is_told_who_sits_there_and_takes_over_when_it_leaves(database: str) -> None:
    told: asyncio.Queue[str] = asyncio.Queue()
    first = await PostgresSeat(database, "signer a", "host-1").take(told.put_nowait)
    second = asyncio.create_task(PostgresSeat(database, "signer a").take(told.put_nowait))
    async with await PostgresSeat(database, "signer b").take(pytest.fail):
        assert (await told.get()).startswith("host-1, since 2")
        assert await PostgresSeat(database, "signer a").holder() == "host-1"
        assert await PostgresSeat(database, "signer b").holder() == "an unnamed machine"
        assert await PostgresSeat(database, "signer c").holder() is None
    assert told.empty()
    assert not second.done()
    async with first:
        pass
    async with await second as seat:
        assert not seat.lost.is_set()


@pytest.mark.requirement("S63")
async def test_who_loses_the_connection_knows_that_the_seat_is_lost(database: str) -> None:
    async with await PostgresSeat(database, "signer").take(print) as seat:
        admin = await asyncpg.connect(database)
        ours = "application_name LIKE 'ampwave seat%' AND datname = current_database()"
        await admin.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {ours}")
        await admin.close()
        async with asyncio.timeout(30):
            await seat.lost.wait()
        async with await PostgresSeat(database, "signer").take(print):
            assert seat.lost.is_set()


@pytest.mark.parametrize("number", range(5))
def test_no_seat_is_in_the_space_of_other_locks(number: int) -> None:
    """In the ingest's, 0x0A00, it would be taken for a writer in flight, and nobody would see new events."""
    assert seat_key(f"signer {number}") >> 48 == 0x0C00


async def test_a_database_that_is_away_is_said_so() -> None:
    with pytest.raises(EngineUnavailable, match="does not answer"):
        await PostgresSeat("postgresql://a:b@127.0.0.1:9/c", "signer").take(print)


async def test_giving_up_waiting_frees_everything(database: str) -> None:
    held = await PostgresSeat(database, "signer").take(print)
    waiting = asyncio.create_task(PostgresSeat(database, "signer").take(lambda _: waiting.cancel()))
    with pytest.raises(asyncio.CancelledError):
        await waiting
    async with held:
        pass
    async with await PostgresSeat(database, "signer").take(pytest.fail) as again:
        assert not again.lost.is_set()
