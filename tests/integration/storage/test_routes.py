"""Which node holds which socket: epochs only rise, leases run out, the old node is told."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from storage.errors import NotFound
from storage.listening import CLOSELY, KEPT, breaks
from storage.postgres.routes import PostgresRouteStore
from storage.postgres.tables import listening, twin

pytestmark = pytest.mark.integration
LEASE = timedelta(seconds=30)


@pytest.fixture
def routes(engine, chargers) -> PostgresRouteStore:
    return PostgresRouteStore(engine)


async def test_a_claim_is_resolved_until_it_is_released(routes) -> None:
    route = await routes.claim("A", "n1", "b1", "ocpp2.1", LEASE)
    assert (route.node_id, route.boot_id, route.session_epoch, route.dialect) == ("n1", "b1", 1, "ocpp2.1")
    assert await routes.resolve("A") == route
    assert await routes.release("A", 1)
    assert await routes.resolve("A") is None
    assert not await routes.release("A", 1), "there was nothing left to release"


async def test_the_epoch_survives_the_release(routes) -> None:
    await routes.claim("A", "n1", "b1", "ocpp1.6", LEASE)
    await routes.release("A", 1)
    assert (await routes.claim("A", "n1", "b1", "ocpp1.6", LEASE)).session_epoch == 2


async def test_the_newest_claim_wins_and_the_old_socket_cannot_release_it(routes) -> None:
    await routes.claim("A", "n1", "b1", "ocpp1.6", LEASE)
    newest = await routes.claim("A", "n2", "b2", "ocpp2.0.1", LEASE)
    assert not await routes.release("A", 1)
    assert await routes.resolve("A") == newest


async def test_renewing_names_the_sockets_that_must_close(routes) -> None:
    for charger_id in "AB":
        await routes.claim(charger_id, "n1", "b1", "ocpp1.6", LEASE)
    await routes.claim("B", "n2", "b2", "ocpp1.6", LEASE)
    before = await routes.resolve("A")
    moved = await routes.renew("n1", "b1", [("A", 1), ("B", 1), ("C", 1)], 2 * LEASE)
    assert sorted(moved) == ["B", "C"]
    after = await routes.resolve("A")
    assert after.lease_until > before.lease_until
    assert (await routes.resolve("B")).node_id == "n2"


async def test_a_restarted_node_does_not_renew_its_predecessors_sockets(routes) -> None:
    await routes.claim("A", "n1", "b1", "ocpp1.6", LEASE)
    assert await routes.renew("n1", "b2", [("A", 1)], LEASE) == ["A"]


async def test_renewing_nothing_is_fine(routes) -> None:
    assert await routes.renew("n1", "b1", [], LEASE) == []


async def test_a_lease_that_ran_out_is_no_route(routes) -> None:
    await routes.claim("A", "n1", "b1", "ocpp1.6", timedelta(0))
    assert await routes.resolve("A") is None
    assert await routes.renew("n1", "b1", [("A", 1)], LEASE) == []
    assert (await routes.resolve("A")).session_epoch == 1


async def test_who_is_live_is_one_look(routes) -> None:
    await routes.claim("A", "n1", "b1", "ocpp1.6", LEASE)
    await routes.claim("B", "n1", "b1", "ocpp1.6", timedelta(0))
    assert await routes.live(["A", "B", "Z"]) == {"A"}
    assert await routes.live([]) == frozenset()
    assert await routes.resolve_all(["A", "B", "Z"]) == {"A": await routes.resolve("A")}
    assert await routes.resolve_all([]) == {}


async def test_an_unregistered_charger_has_no_route(routes) -> None:
    with pytest.raises(NotFound, match="Z"):
        await routes.claim("Z", "n1", "b1", "ocpp1.6", LEASE)
    assert await routes.resolve("Z") is None


async def test_claims_at_the_same_time_get_different_epochs(routes) -> None:
    claims = [routes.claim("A", f"n{number}", "b", "ocpp1.6", LEASE) for number in range(12)]
    epochs = [route.session_epoch for route in await asyncio.gather(*claims)]
    assert sorted(epochs) == list(range(1, 13))


async def test_what_nobody_renews_is_given_up_and_told_until_the_twin_knows(routes, engine) -> None:
    for charger_id in "AB":
        await routes.claim(charger_id, "n1", "b1", "ocpp1.6", timedelta(0))
    await routes.claim("C", "n1", "b1", "ocpp1.6", LEASE)
    async with engine.begin() as connection:
        await connection.execute(update(twin).where(twin.c.charger_id != "B").values(online=True))
    assert await routes.abandon(LEASE) == [], "it may only be slow"
    assert await routes.abandon(timedelta(0)) == [("A", 1)]
    assert await routes.abandon(timedelta(0)) == [("A", 1)], "until it is on record"
    assert await routes.renew("n1", "b1", [("A", 1), ("C", 1)], LEASE) == ["A"], "too late: close the socket"
    again = await routes.claim("A", "n1", "b1", "ocpp1.6", LEASE)
    assert await routes.abandon(timedelta(0)) == []
    assert await routes.resolve("A") == again


async def test_marks_of_a_node_are_one_span_until_there_is_a_break(routes, engine) -> None:
    long_ago = datetime.now(UTC) - timedelta(hours=1)
    assert (await routes.listened(long_ago)).first is None, "nobody has marked anything"
    await routes.mark_listening("n1", "b1")
    await routes.mark_listening("n1", "b1")
    first = await routes.listened(long_ago)
    [span] = first.spans
    assert first.first == span.began_at < span.until <= first.now
    async with engine.begin() as connection:  # As if an hour had passed.
        hour, columns = timedelta(hours=1), listening.c
        await connection.execute(
            update(listening).values(began_at=columns.began_at - hour, until=columns.until - hour)
        )
    await routes.mark_listening("n1", "b1")
    await routes.mark_listening("n2", "b2")
    told = await routes.listened(long_ago - timedelta(hours=1))
    assert len(told.spans) == 3
    [gap] = breaks(told, long_ago - timedelta(hours=1))
    assert gap.since == span.until - hour
    assert gap.until == told.spans[1].began_at
    assert len((await routes.listened(long_ago + timedelta(minutes=30))).spans) == 2, (
        "what is over is left out"
    )


async def test_a_node_that_was_marked_just_now_goes_on_and_what_is_old_goes(routes, engine) -> None:
    await routes.mark_listening("n1", "b0")
    async with engine.begin() as connection:
        old = datetime.now(UTC) - KEPT - timedelta(days=1)
        await connection.execute(update(listening).values(began_at=old, until=old))
    await routes.mark_listening("n1", "b1")
    async with engine.begin() as connection:
        assert (await connection.execute(select(listening.c.boot_id))).scalars().all() == ["b1"]
        just = datetime.now(UTC) - CLOSELY / 2
        await connection.execute(update(listening).values(began_at=just, until=just))
    await routes.mark_listening("n1", "b1")
    [span] = (await routes.listened(just)).spans
    assert span.until - span.began_at >= CLOSELY / 2
