"""Service, meters and trends at the door and on their pages."""

from datetime import date, timedelta

import pytest

from storage.access import Role
from storage.service import GroupBy, Metering, Reading, Register, ServiceDay, ServiceGroup
from tests.support.house import NOW, House


@pytest.fixture
def house() -> House:
    house = House()
    house.add_site()
    house.add_charger("CP-1")
    service = house.watch.service
    service.through = NOW
    service.groups = (
        ServiceGroup("harbour", 2, 1, ServiceDay(up_s=90.0, down_s=10.0, repairs=1, repair_s=10.0)),
        ServiceGroup("", 1, 0, ServiceDay()),
    )
    service.meters["CP-1"] = Metering(
        {"1": Register(5000.0, NOW, NOW)}, {"1/Voltage": Reading(231.0, "V", NOW, NOW)}, 1234.5, NOW
    )
    day = ServiceDay(up_s=86400.0, connects=1)
    service.by_day["CP-1"] = [(NOW.date() - timedelta(days=ago), day) for ago in range(35, -1, -1)]
    return house


@pytest.mark.requirement("F28", "F114")
async def test_service_is_told_by_group_and_what_nobody_knows_is_null(house: House) -> None:
    async with house.client(Role.VIEWER) as client:
        found = (await client.get("/api/v1/service", params={"by": "version", "days": "7"})).json()
        chosen = await client.get("/api/v1/service", params={"query": "vendor = Volta"})
        wrong = await client.get("/api/v1/service", params={"query": "vendor ="})
        days = (await client.get("/api/v1/chargers/CP-1/service", params={"days": "2"})).json()["items"]
    assert [each["figures"]["uptime"] for each in found["groups"]] == [0.9, None]
    assert found["counted"] is True
    assert house.watch.service.asked[0] == (GroupBy.VERSION, date(2026, 11, 14), None)
    assert chosen.status_code == 200
    assert house.watch.service.asked[1][2] is not None
    assert wrong.status_code == 422
    assert [each["day"] for each in days] == ["2026-11-19", "2026-11-20"]


@pytest.mark.requirement("F7", "F30")
async def test_meters_and_trends_of_a_charger(house: House) -> None:
    async with house.client(Role.VIEWER) as client:
        meters = (await client.get("/api/v1/chargers/CP-1/metering")).json()
        trends = (await client.get("/api/v1/chargers/CP-1/trends")).json()
        nobody = [
            (await client.get(f"/api/v1/chargers/CP-9/{what}")).status_code
            for what in ("metering", "trends", "service")
        ]
    assert (meters["delivered_wh"], meters["registers"]["1"]["wh"]) == (1234.5, 5000.0)
    assert meters["readings"]["1/Voltage"]["value"] == 231.0
    assert trends["flag"] == "normal"
    assert nobody == [404, 404, 404]


@pytest.mark.requirement("F28", "F30", "F7")
async def test_the_pages_show_them(house: House) -> None:
    async with house.client() as client:
        await client.post("/login", data={"token": house.texts[Role.VIEWER]})
        fleet = (await client.get("/service")).text
        charger = (await client.get("/chargers/CP-1")).text
    assert "90.0 %" in fleet
    assert "unknown" in fleet
    assert "1.2 kWh" in charger
    assert "As it was before." in charger
