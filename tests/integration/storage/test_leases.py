"""The site budget: never more chargers away than the site allows, whoever asks and however often."""

import asyncio
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from csms.projection import project
from storage.charger import Charger, OutOfService, Site, SiteLease
from storage.desired import DesiredChange
from storage.drift import judge
from storage.errors import NotFound
from storage.postgres.leases import PostgresLeaseStore
from storage.postgres.out_of_service import PostgresOutOfServiceStore
from storage.postgres.routes import PostgresRouteStore
from storage.postgres.twins import PostgresTwinStore
from storage.postgres.upkeep import PostgresUpkeepStore
from storage.upkeep import Claimant

pytestmark = [pytest.mark.integration, pytest.mark.requirement("X2")]


def lease(charger_id: str, *, minutes: float = 60, site_id: str = "s1", kind: str = "update") -> SiteLease:
    expires = datetime.now(UTC) + timedelta(minutes=minutes)
    return SiteLease(charger_id, site_id, f"charger/{charger_id}", kind, expires)


@pytest.fixture
def leases(engine, chargers) -> PostgresLeaseStore:
    return PostgresLeaseStore(engine)


async def test_a_full_site_refuses_and_says_how_full_it_is(leases) -> None:
    assert (await leases.take(lease("A"))).granted
    answer = await leases.take(lease("B"))
    assert (answer.granted, answer.down, answer.max_down, answer.holder) == (False, 1, 1, None)
    assert (await leases.take(lease("C", site_id="s2"))).granted, "another site, another budget"
    assert await leases.down(["s1", "s2", "s3"]) == {"s1": 1, "s2": 1, "s3": 0}


async def test_the_same_workflow_takes_it_again_and_extends_it(leases) -> None:
    first = lease("A", minutes=5)
    await leases.take(replace(first, request_id=7))
    again = await leases.take(replace(lease("A", minutes=50), wake_on=("booted",)))
    assert (again.granted, again.down) == (True, 1)
    held = await leases.get("A")
    assert held.expires_at > first.expires_at + timedelta(minutes=40)
    assert (held.request_id, held.wake_on) == (7, ("booted",))
    await leases.take(lease("A", minutes=1))
    assert (await leases.get("A")).expires_at == held.expires_at, "never shortened"


async def test_another_workflow_is_told_who_holds_the_charger(leases) -> None:
    await leases.take(lease("C", site_id="s2"))
    other = replace(lease("C", site_id="s2"), workflow_id="cert/C")
    answer = await leases.take(other)
    assert (answer.granted, answer.holder) == (False, "charger/C")
    assert not await leases.release("C", "cert/C")
    assert (await leases.get("C")).workflow_id == "charger/C"


@pytest.mark.requirement("F33", "F61")
async def test_a_load_group_takes_no_more_of_its_chargers_away_than_it_can_do_without(
    engine, chargers, leases
) -> None:
    twins = PostgresTwinStore(engine, project)
    for name in ("D", "E", "F"):
        await chargers.register(Charger(name, "s2", "Volt", "V2"), None)
    for name, body in (
        ("C", {"load_group": "bus-1", "group_max_down": 2}),
        ("D", {"load_group": "bus-1", "group_max_down": 1, "limit_a": 63, "priority": 2}),
        ("E", {"load_group": "bus-1"}),
        ("A", {"load_group": "bus-1", "group_max_down": 1}),
    ):
        given = DesiredChange(name, "power", body, 0, "ada", "r/1", datetime.now(UTC))
        await twins.set_desired(given)
    assert (await leases.take(lease("A"))).granted, "the same name at another site is another group"
    assert (await leases.take(lease("C", site_id="s2"))).granted
    # The site has room for two more; the group has not, by the least that one of its chargers says.
    answer = await leases.take(lease("E", site_id="s2"))
    assert (answer.granted, answer.down, answer.max_down, answer.group) == (False, 1, 1, "bus-1")
    assert answer.place == "in its load group bus-1"
    # Who is sure to be refused is not begun with: each look would cost a workflow.
    upkeep, ours = PostgresUpkeepStore(engine), Claimant("", 0, datetime.now(UTC))
    said = await upkeep.surrounding(ours, ["A", "C", "E", "F"], downtime_since=None)
    assert said.full_groups == {"E": answer.why_not}
    assert (await leases.take(lease("F", site_id="s2"))).granted, "it is in no group"
    assert (await leases.take(lease("C", site_id="s2"))).granted, "who has it may go on"
    await leases.release("C", "charger/C")
    assert (await leases.take(lease("E", site_id="s2"))).granted
    assert (await twins.drift_facts())[0].desired, "it is judged, and"
    assert judge((await twins.drift_facts())[0], timedelta(0), datetime.now(UTC)).drifts == ()


@pytest.mark.requirement("F33")
async def test_a_group_that_nobody_bounds_bounds_nobody_and_zero_lets_none_go(
    engine, chargers, leases
) -> None:
    twins = PostgresTwinStore(engine, project)

    async def desire(version: int, **body: object) -> int:
        given = DesiredChange("C", "power", body, version, "ada", "r/1", datetime.now(UTC))
        return (await twins.set_desired(given)).version

    version = await desire(0, load_group="bus-1")
    assert (await leases.take(lease("C", site_id="s2"))).granted
    await leases.release("C", "charger/C")
    await desire(version, load_group="bus-1", group_max_down=0)
    assert not (await leases.take(lease("C", site_id="s2"))).granted
    ours = Claimant("", 0, datetime.now(UTC))
    said = await PostgresUpkeepStore(engine).surrounding(ours, ["A", "C"], downtime_since=None)
    assert said.full_groups == {"C": "0 of 0 chargers that may be down in its load group bus-1 are"}


async def test_a_release_makes_room(leases) -> None:
    await leases.take(lease("A"))
    assert await leases.release("A", "charger/A")
    assert not await leases.release("A", "charger/A")
    assert await leases.get("A") is None
    assert (await leases.take(lease("B"))).granted


async def test_an_expired_lease_counts_no_more_and_is_swept(leases) -> None:
    expired = replace(lease("A", minutes=-1), request_id=4)
    await leases.take(expired)
    assert await leases.get("A") is None
    assert await leases.down(["s1"]) == {"s1": 0}
    assert (await leases.take(lease("B"))).granted
    assert await leases.sweep() == [expired]
    assert await leases.sweep() == []
    assert (await leases.get("B")).charger_id == "B"


async def test_an_expired_lease_of_another_workflow_leaves_nothing_behind(leases) -> None:
    old = replace(lease("A", minutes=-1), workflow_id="cert/A", request_id=4)
    await leases.take(old)
    assert (await leases.take(lease("A"))).granted
    held = await leases.get("A")
    assert (held.workflow_id, held.request_id) == ("charger/A", None)


async def test_a_request_is_noted_with_its_lease_and_nobody_else_changes_it(leases) -> None:
    await leases.take(replace(lease("A"), request_id=41))
    assert not (await leases.take(replace(lease("A"), workflow_id="cert/A", request_id=42))).granted
    assert (await leases.get("A")).request_id == 41
    await leases.take(replace(lease("A"), request_id=43))
    assert (await leases.get("A")).request_id == 43


async def test_an_unknown_charger_has_no_lease(leases) -> None:
    with pytest.raises(NotFound, match="Z"):
        await leases.take(lease("Z"))


async def test_the_budget_is_that_of_the_site_where_the_charger_is(leases) -> None:
    """A target was frozen before the charger moved: its old site has room, its real one has none."""
    await leases.take(lease("A"))
    assert not (await leases.take(lease("B", site_id="s2"))).granted


async def test_a_closed_site_grants_nothing(leases, chargers) -> None:
    await chargers.put_site(Site("s1", "Depot", "Europe/Berlin", 0))
    assert not (await leases.take(lease("A"))).granted


async def test_twenty_at_once_never_exceed_the_budget(leases, chargers, sql) -> None:
    await chargers.put_site(Site("big", "Big", "UTC", 3))
    names = [f"b{number}" for number in range(20)]
    for name in names:
        await chargers.register(Charger(name, "big", "V", "M"), None)
    answers = await asyncio.gather(*(leases.take(lease(name, site_id="big")) for name in names))
    assert sum(answer.granted for answer in answers) == 3
    assert await sql.value("SELECT count(*) FROM site_lease WHERE site_id = 'big'") == 3


async def test_takers_and_releasers_in_any_order_never_exceed_the_budget(leases, chargers, sql) -> None:
    await chargers.put_site(Site("big", "Big", "UTC", 2))
    names = [f"b{number}" for number in range(8)]
    for name in names:
        await chargers.register(Charger(name, "big", "V", "M"), None)
    highest = 0

    async def work(name: str, chance: random.Random) -> int:
        nonlocal highest
        granted = 0
        for _ in range(12):
            answer = await leases.take(lease(name, site_id="big"))
            highest = max(highest, (await leases.down(["big"]))["big"])
            if answer.granted:
                granted += 1
                assert answer.down <= 2
                await asyncio.sleep(chance.random() * 0.003)
                assert await leases.release(name, f"charger/{name}")
        return granted

    workers = [work(name, random.Random(place)) for place, name in enumerate(names)]
    assert sum(await asyncio.gather(*workers)) > 0
    assert highest == 2
    assert await leases.down(["big"]) == {"big": 0}


async def test_a_charger_that_is_still_out_of_service_counts_without_a_lease(leases, engine) -> None:
    store = PostgresOutOfServiceStore(engine)
    row = OutOfService("A", "s1", ("1.2",), datetime.now(UTC), "an update")
    assert await store.add(row) == row
    assert await store.add(replace(row, before=())) == row, "the first look stands"
    row = replace(row, steady_seconds=60.0)
    assert await store.add(replace(row, before=())) == row, "but for how long it has to stay up"
    assert await store.add(replace(row, steady_seconds=None)) == row
    assert await store.get("A") == row
    refused = await leases.take(lease("B"))
    assert (refused.granted, refused.down, refused.max_down, refused.holder) == (False, 1, 1, None)
    assert (await leases.take(lease("A"))).granted, "it is down already"
    assert await leases.down(["s1"]) == {"s1": 1}, "leased and out of service: one charger"
    await leases.release("A", "charger/A")
    assert await store.remove("A")
    assert not await store.remove("A")
    assert (await leases.take(lease("B"))).granted


async def test_stranded_is_who_is_connected_and_left_alone(leases, engine, sql) -> None:
    store = PostgresOutOfServiceStore(engine)
    row = OutOfService("A", "s1", (), datetime.now(UTC), "an update")
    await store.add(row)
    assert await store.stranded() == [], "it is not connected"
    await PostgresRouteStore(engine).claim("A", "n", "b", "ocpp1.6", timedelta(minutes=1))
    assert await store.stranded() == [row]
    await leases.take(lease("A"))
    assert await store.stranded() == []


async def test_a_lease_belongs_to_one_run_of_its_workflow(leases) -> None:
    await leases.take(replace(lease("A"), run="two"))
    refused = await leases.take(replace(lease("A"), run="one"))
    assert (refused.granted, refused.holder) == (False, "charger/A")
    assert not await leases.release("A", "charger/A", run="one")
    await leases.take(replace(lease("A"), run="two", request_id=8))
    assert (await leases.get("A")).request_id == 8
    assert await leases.release("A", "charger/A", run="two")
