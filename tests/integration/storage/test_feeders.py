"""A feeder over PostgreSQL: sites that share it, many who ask at once, and every way to come back (X4)."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from storage.charger import Charger, OutOfService, Site, SiteLease
from storage.postgres.leases import PostgresLeaseStore
from storage.postgres.out_of_service import PostgresOutOfServiceStore
from storage.postgres.upkeep import PostgresUpkeepStore
from storage.upkeep import SiteRules, Upkeep

pytestmark = [pytest.mark.integration, pytest.mark.requirement("X4")]
NAMES = [f"F{number}" for number in range(6)]


def lease(charger_id: str, *, seconds: float = 3600) -> SiteLease:
    expires = datetime.now(UTC) + timedelta(seconds=seconds)
    return SiteLease(charger_id, "", f"charger/{charger_id}", "update", expires)


async def test_sites_share_a_cap_and_who_came_back_counts_for_a_minute(engine, chargers, sql) -> None:
    upkeep, leases = PostgresUpkeepStore(engine), PostgresLeaseStore(engine)
    out = PostgresOutOfServiceStore(engine)
    for site_id, cap in (("f1", 200.0), ("f2", 500.0)):
        rules = SiteRules(feeder="north", feeder_kw=cap)
        await chargers.put_site(Site(site_id, site_id, "UTC", 9, rules))
    for number, name in enumerate(NAMES):
        await chargers.register(Charger(name, f"f{1 + number % 2}", "Volt", "V2"), None)
        await upkeep.put_upkeep(Upkeep(name, power_kw=100.0))

    async def ask(*names: str) -> list[str]:
        answers = await asyncio.gather(*(leases.take(lease(name)) for name in names))
        return [name for name, answer in zip(names, answers, strict=True) if answer.granted]

    async def a_minute_later() -> None:
        await sql("UPDATE downtime SET began = began - interval '61 s', ended = ended - interval '61 s'")

    gone = await ask(*NAMES)
    assert len(gone) == 2, "the least cap of its sites, whoever asks and all at once"
    left = [name for name in NAMES if name not in gone]
    room = (await upkeep.rooms(["f2"]))["f2"]
    assert [plug.charger_id for plug in room.feeder.loads] == sorted(gone), "of both sites"

    assert await leases.release(gone[0], f"charger/{gone[0]}")
    assert not await ask(*left), "it came back just now"
    await a_minute_later()
    assert len(await ask(*left)) == 1

    # Put back by housekeeping, when the lease was over long ago.
    await sql("DELETE FROM site_lease")
    site_id = (await chargers.get(left[0])).charger.site_id
    await out.add(OutOfService(left[0], site_id, (), datetime.now(UTC), "a power cut"))
    await sql("UPDATE downtime SET ended = ended - interval '61 s'")
    assert await out.remove(left[0])
    assert not await out.remove(left[0])
    assert len(await ask(*left[1:])) == 1
    await a_minute_later()
    assert len(await ask(*left[1:])) == 2, "one goes on, and one more goes"

    # A lease that runs out, swept or not.
    await sql("UPDATE site_lease SET taken_at = now() - interval '9 s', expires_at = now() - interval '1 s'")
    assert not await ask(gone[0])
    assert len(await leases.sweep()) == 2
    refused = await leases.take(lease(gone[0]))
    assert "its feeder north takes 200 kW back a minute; 200 kW are away or just back" in refused.why_not
    await a_minute_later()
    assert await ask(gone[0])
