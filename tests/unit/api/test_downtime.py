"""What an uptime obligation allows, what spent it and what is left: at the door and on the pages."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from api.downtime_words import span
from storage.access import Role
from storage.charger import Site
from storage.upkeep import Booking, SiteRules
from tests.support.house import NOW, House

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
RULES = SiteRules(uptime_floor=0.97, uptime_days=30)
SPENT = (
    Booking(NOW - 20 * DAY, NOW - 20 * DAY + 20 * HOUR, "update", "spring"),
    Booking(NOW - HOUR, NOW, "certificate", lasts=True),
)


def house(rules: SiteRules = RULES) -> House:
    made = House()
    made.chargers.by_site["harbour"] = Site("harbour", "Harbour North", "Europe/Berlin", 2, rules)
    for name in ("CP-0", "CP-1", "CP-2"):
        made.add_charger(name)
    made.upkeep.downtime = {"CP-1": SPENT}
    return made


async def asked(made: House, path: str, **query: Any) -> Any:
    async with made.client(Role.VIEWER) as client:
        return await client.get(f"/api/v1{path}", params=query)


@pytest.mark.requirement("X13")
async def test_a_charger_tells_what_is_allowed_spent_by_what_and_left() -> None:
    body = (await asked(house(), "/chargers/CP-1/downtime")).json()
    assert (body["uptime_floor"], body["uptime_days"], body["site_id"]) == (0.97, 30, "harbour")
    assert body["allowed_s"] == pytest.approx(77_760)
    assert (body["spent_s"], body["left_s"]) == (21 * 3600, pytest.approx(2160))
    assert (body["takes_s"], body["room_from"]) == (3600, "2026-11-30T12:24:00Z")
    assert [
        (one["kind"], one["campaign_id"], one["lasts"], one["counted_s"]) for one in body["bookings"]
    ] == [
        ("update", "spring", False, 72_000),
        ("certificate", None, True, 3600),
    ]
    shorter = (await asked(house(), "/chargers/CP-1/downtime", takes_s=1800)).json()
    assert shorter["room_from"] == shorter["at"], "36 minutes are left"
    longer = (await asked(house(), "/chargers/CP-1/downtime", takes_s=90_000)).json()
    assert longer["room_from"] is None, "25 hours are more than the floor ever allows"
    assert (await asked(house(), "/chargers/nobody/downtime")).status_code == 404


@pytest.mark.requirement("X13")
async def test_without_a_floor_downtime_is_counted_and_nothing_bounds_it() -> None:
    body = (await asked(house(SiteRules()), "/chargers/CP-1/downtime")).json()
    assert (body["uptime_floor"], body["allowed_s"], body["left_s"]) == (None, None, None)
    assert (body["spent_s"], body["room_from"]) == (21 * 3600, body["at"])


@pytest.mark.requirement("X13")
async def test_a_site_tells_it_of_each_of_its_chargers_page_by_page() -> None:
    made = house()
    first = (await asked(made, "/sites/harbour/downtime", limit=2)).json()
    rest = (await asked(made, "/sites/harbour/downtime", limit=2, cursor=first["next_cursor"])).json()
    rows = {one["charger_id"]: one["spent_s"] for one in (*first["items"], *rest["items"])}
    assert rows == {"CP-0": 0, "CP-1": 21 * 3600, "CP-2": 0}
    assert rest["next_cursor"] is None
    assert (await asked(made, "/sites/nowhere/downtime")).status_code == 404


@pytest.mark.requirement("X13")
async def test_the_pages_of_charger_and_site_show_it() -> None:
    made = house()
    async with made.client() as client:
        await client.post("/login", data={"token": made.texts[Role.VIEWER]})
        page = (await client.get("/chargers/CP-1")).text
        site = (await client.get("/?site_id=harbour")).text
        whole = (await client.get("/")).text
        made.chargers.by_site["harbour"] = replace(made.chargers.by_site["harbour"], rules=SiteRules())
        free = (await client.get("/chargers/CP-0")).text
    for text in (
        "It owes 97 % of 30 days, which allows 21 h 36 min of planned downtime: 21 h spent, 36 min left.",
        "An update that may take 60 min fits again from 2026-11-30 12:24 UTC on, if nothing more is spent.",
        'update by <a href="/campaigns/spring">spring</a>',
    ):
        assert text in page
    assert "fits from 2026-11-30 12:24 UTC on" in site
    assert site.index("/chargers/CP-1", site.index("Planned downtime")) < site.rindex("/chargers/CP-0")
    assert "Planned downtime" not in whole
    assert "Its site asks for no uptime, so planned downtime is only counted: 0 min in 30 days." in free


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 min"),
        (0.4, "1 s"),
        (59.7, "59 s"),
        (59.99999999994, "1 min"),
        (2159.99999999994, "36 min"),
        (7200, "2 h"),
        (77_759, "21 h 35 min"),
    ],
)
def test_a_length_of_time_is_cut_to_the_minute_and_not_by_a_trillionth_of_a_second(
    seconds: float, said: str
) -> None:
    assert span(seconds) == said
