"""Queries at the doors: who matches, how many of each kind, and the place of what is wrong."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import pytest

from storage.access import Role
from storage.charger import Charger
from storage.ports import ChargerView
from storage.twin import FirmwareSection, TwinState
from tests.support.house import House

FLEET = {"CP-1": ("V22", "1.9"), "CP-2": ("V22", "1.10"), "CP-3": ("V44", None), "CP-4": ("V44", "2.0")}
API = "/api/v1/chargers"


def stocked() -> House:
    house = House()
    house.add_site()
    for name, (model, version) in FLEET.items():
        twin = TwinState(name, 1, firmware=FirmwareSection(version=version) if version else None)
        house.chargers.all[name] = ChargerView(Charger(name, "harbour", "Volta", model), twin)
    return house


@asynccontextmanager
async def browser() -> AsyncIterator[httpx2.AsyncClient]:
    house = stocked()
    async with house.client() as client:
        await client.post("/login", data={"token": house.texts[Role.VIEWER]})
        yield client


async def test_a_query_selects_and_its_cursor_goes_on() -> None:
    async with stocked().client(Role.VIEWER) as client:
        first = (await client.get(API, params={"query": "firmware.version < 2.0", "limit": 1})).json()
        more = {"query": "firmware.version < 2.0", "cursor": first["next_cursor"]}
        second = (await client.get(API, params=more)).json()
        filtered = (await client.get(API, params={"query": "known(version)", "model": "V44"})).json()
    assert [one["charger_id"] for one in first["items"] + second["items"]] == ["CP-1", "CP-2"]
    assert [one["charger_id"] for one in filtered["items"]] == ["CP-4"]


@pytest.mark.parametrize("path", [API, f"{API}/counts"])
async def test_what_is_wrong_with_a_query_is_told_with_its_place(path: str) -> None:
    async with stocked().client(Role.VIEWER) as client:
        answer = await client.get(path, params={"by": "vendor", "query": "online and\nvendr = Volta"})
    problem = answer.json()
    assert (answer.status_code, problem["type"]) == (422, "/problems/query-invalid")
    assert problem["detail"] == "Line 2, column 1: a charger has no field 'vendr'. Did you mean vendor?"
    assert problem["position"] == {
        "line": 2,
        "column": 1,
        "offset": 11,
        "length": 5,
        "source": "vendr = Volta",
    }
    assert problem["near"] == ["vendor"]


async def test_chargers_are_counted_by_two_fields() -> None:
    async with stocked().client(Role.VIEWER) as client:
        answer = await client.get(f"{API}/counts", params={"by": "model, version", "top": 2})
    counts = answer.json()
    assert answer.status_code == 200
    assert (counts["by"], counts["total"], counts["other_groups"]) == (["model", "firmware.version"], 4, 2)
    assert [each["count"] for each in counts["groups"]] == [1, 1]
    assert counts["other"]["count"] == 2


@pytest.mark.parametrize("by", ["vendr", "vendor,", ",", "vendor,model,site", "id", "vendor;", "'"])
async def test_only_fields_can_be_counted_by(by: str) -> None:
    house = stocked()
    async with house.client(Role.VIEWER) as client:
        answer = await client.get(f"{API}/counts", params={"by": by})
    assert answer.status_code == 422


async def test_the_fleet_page_shows_who_matches() -> None:
    async with browser() as client:
        page = (await client.get("/", params={"query": "version >= 1.10"})).text
        nobody = (await client.get("/", params={"query": "version = 9"})).text
    assert "2 chargers match" in page
    assert re.findall(r'id="c-(CP-\d)"', page) == ["CP-2", "CP-4"]
    assert 'value="version &gt;= 1.10"' in page
    assert "No charger matches" in nobody


async def test_the_fleet_page_marks_the_token_that_is_wrong_and_stays() -> None:
    hostile = "online and <script>alert(1)</script>"
    async with browser() as client:
        answer = await client.get("/", params={"query": hostile})
    assert answer.status_code == 422
    assert "online and <mark>&lt;</mark>script&gt;alert" in answer.text
    assert "<script>alert" not in answer.text
    assert "Chargers" in answer.text


async def test_no_charger_is_named_like_the_address_of_the_counts() -> None:
    house = stocked()
    charger = {"charger_id": "counts", "site_id": "harbour", "vendor": "Volta", "model": "V22"}
    async with house.client(Role.ADMIN) as client:
        answer = await client.post(API, json=charger)
    assert answer.status_code == 422
    assert "own addresses" in answer.json()["problems"][0]
