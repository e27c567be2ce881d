"""Chargers: registered before their first contact, in bulk with a verdict on every row."""

from datetime import timedelta
from typing import Any

import pytest

from storage.access import Role
from storage.events import ConnectorStatus, EventKind
from storage.learned import Mark, Step, Trail
from tests.support.house import NOW, House

ONE = {"charger_id": "CP-1", "site_id": "harbour", "vendor": "Volta", "model": "V22"}
IMPORT = "/api/v1/chargers/import"


def site_house() -> House:
    house = House()
    house.add_site()
    return house


@pytest.mark.requirement("F35")
async def test_a_charger_is_registered_with_a_hashed_password_only() -> None:
    house = site_house()
    async with house.client(Role.ADMIN) as client:
        answer = await client.post("/api/v1/chargers", json={**ONE, "password": "correct-horse-battery"})

    assert answer.status_code == 201
    assert answer.headers["location"] == "/api/v1/chargers/CP-1"
    assert house.chargers.credentials["CP-1"].secret_hmac == b"hmac:21"
    assert "correct-horse" not in answer.text + str(house.audit.chain)


async def test_the_same_charger_again_is_fine_and_another_under_its_name_is_not() -> None:
    house = site_house()
    async with house.client(Role.ADMIN) as client:
        answers = [
            await client.post("/api/v1/chargers", json=body)
            for body in (ONE, ONE, {**ONE, "model": "V11"}, {**ONE, "charger_id": "CP-2", "site_id": "moon"})
        ]

    assert [answer.status_code for answer in answers] == [201, 201, 409, 422]
    assert "no site 'moon'" in answers[3].json()["problems"][0]


ROWS: list[Any] = [
    ONE,
    {**ONE, "charger_id": "CP-2", "site_id": "moon"},
    {**ONE, "charger_id": "CP 3"},
    ONE,
    {**ONE, "charger_id": "CP-4", "serial_number": "S-4"},
    {**ONE, "charger_id": "OLD", "model": "V11"},
    {**ONE, "charger_id": "SAME"},
    "not a charger",
]
EXPECTED = ["registered", "refused", "refused", "refused", "registered", "refused", "unchanged", "refused"]


def stocked() -> House:
    house = site_house()
    house.add_charger("OLD")
    house.add_charger("SAME")
    return house


@pytest.mark.requirement("F45")
async def test_an_import_says_what_became_of_every_row_and_takes_the_good_ones() -> None:
    house = stocked()
    async with house.client(Role.ADMIN) as client:
        answer = (await client.post(IMPORT, json=ROWS)).json()
        again = (await client.post(IMPORT, json=ROWS)).json()

    assert [row["result"] for row in answer["rows"]] == EXPECTED
    assert (answer["registered"], answer["unchanged"], answer["refused"]) == (2, 1, 5)
    assert set(house.chargers.all) == {"OLD", "SAME", "CP-1", "CP-4"}
    assert again["registered"] == 0
    assert "earlier row" in answer["rows"][3]["problems"][0]
    assert "other values" in answer["rows"][5]["problems"][0]


@pytest.mark.requirement("F45")
async def test_a_dry_run_says_the_same_and_stores_nothing() -> None:
    house = stocked()
    async with house.client(Role.ADMIN) as client:
        answer = (await client.post(IMPORT, json=ROWS, params={"dry_run": True})).json()

    assert answer["dry_run"] is True
    assert [row["result"] for row in answer["rows"]] == EXPECTED
    assert set(house.chargers.all) == {"OLD", "SAME"}
    assert house.audit.actions == []


@pytest.mark.requirement("F20")
async def test_two_rows_with_one_serial_number_are_not_both_taken() -> None:
    house = site_house()
    rows = [
        {**ONE, "charger_id": "CP-1", "serial_number": "S-1"},
        {**ONE, "charger_id": "CP-2", "serial_number": "S-1"},
        {**ONE, "charger_id": "CP-3", "serial_number": "S-1", "vendor": "Other"},
    ]
    async with house.client(Role.ADMIN) as client:
        answer = (await client.post(IMPORT, json=rows, params={"dry_run": "true"})).json()
    assert [row["result"] for row in answer["rows"]] == ["registered", "refused", "registered"]
    assert answer["rows"][1]["problems"] == ["serial_number: CP-1 in an earlier row has it too"]


@pytest.mark.requirement("F45")
async def test_a_csv_import_takes_empty_cells_for_values_not_given() -> None:
    house = site_house()
    text = (
        "\ufeffcharger_id,site_id,vendor,model,serial_number,password\r\n"
        "CP-1,harbour,Volta,V22,,\r\n"
        'CP-2,harbour,"Volta",V22,S-2,correct-horse-battery\r\n'
        "CP-3,harbour,Volta,V22,S-3,too-short,surplus\r\n"
        "CP-4,harbour\r\n"
    )
    async with house.client(Role.ADMIN) as client:
        answer = await client.post(IMPORT, content=text.encode(), headers={"content-type": "text/csv"})

    rows = answer.json()["rows"]
    assert [row["result"] for row in rows] == ["registered", "registered", "refused", "refused"]
    assert house.chargers.all["CP-1"].charger.serial_number is None
    assert set(house.chargers.credentials) == {"CP-2"}
    assert any(problem.startswith("surplus") for problem in rows[2]["problems"])
    assert "too-short" not in answer.text


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"{", "application/json"),
        (b"{}", "application/json"),
        (b"\xff\xfe", "text/csv"),
        (b'a,b\n"1', "text/csv"),
        (b"charger_id,site_id\nA,harbour\n", "text/csv"),
        (b"", "text/csv"),
        (b"x", "text/plain"),
    ],
)
async def test_an_unreadable_import_is_refused_whole(content: bytes, kind: str) -> None:
    async with site_house().client(Role.ADMIN) as client:
        answer = await client.post(IMPORT, content=content, headers={"content-type": kind})

    assert answer.status_code == 422


async def test_chargers_are_found_by_what_is_known_of_them() -> None:
    house = site_house()
    house.add_charger("A", version="1.0.0")
    house.add_charger("B", version="1.1.0", online=False)
    house.add_charger("C", vendor="Amperix", model="X1")
    async with house.client(Role.VIEWER) as client:

        async def found(**params: Any) -> list[str]:
            page = (await client.get("/api/v1/chargers", params=params)).json()
            return [each["charger_id"] for each in page["items"]]

        assert await found() == ["A", "B", "C"]
        assert await found(firmware_version="1.1.0") == ["B"]
        assert await found(online=False) == ["B"]
        assert await found(vendor="Amperix", site_id="harbour") == ["C"]


@pytest.mark.requirement("F115")
async def test_one_charger_comes_with_its_twin_and_its_word() -> None:
    house = site_house()
    house.add_charger("A", status=ConnectorStatus.FAULTED)
    async with house.client(Role.VIEWER) as client:
        body = (await client.get("/api/v1/chargers/A")).json()

    assert body["state"] == "faulted"
    assert body["twin"]["firmware"]["version"] == "1.0.0"
    assert body["twin"]["revision"] == 7
    assert body["maintenance"] is None


async def test_the_timeline_pages_backwards_in_time() -> None:
    house = site_house()
    house.add_charger("A")
    for sequence in range(1, 6):
        house.add_event("A", EventKind.HEARTBEAT_RECEIVED, sequence)
    house.add_event("B", EventKind.HEARTBEAT_RECEIVED, 6)
    async with house.client(Role.VIEWER) as client:
        first = (await client.get("/api/v1/chargers/A/timeline", params={"limit": 3})).json()
        params = {"limit": 3, "cursor": first["next_cursor"]}
        second = (await client.get("/api/v1/chargers/A/timeline", params=params)).json()
        missing = await client.get("/api/v1/chargers/B/timeline")

    assert [each["sequence"] for each in first["items"] + second["items"]] == [5, 4, 3, 2, 1]
    assert second["next_cursor"] is None
    assert missing.status_code == 404


async def test_sites_and_models_are_stored_and_read_back() -> None:
    house = House()
    site = {"site_id": "quay-2", "name": "Quay 2", "time_zone": "Europe/Oslo", "max_down": 2}
    model = {"vendor": "Volta", "model": "V22", "unsafe_unsigned_waiver": "Ada, bench only, until March."}
    async with house.client(Role.ADMIN) as client:
        stored = await client.post("/api/v1/sites", json=site)
        listed = (await client.get("/api/v1/sites")).json()
        wrong = await client.post("/api/v1/sites", json={**site, "time_zone": "Europe/Atlantis"})
        profile = await client.put("/api/v1/models", json=model)

    assert stored.status_code == 201
    [found] = listed["items"]
    assert {**found, **site} == found
    assert wrong.status_code == 422
    assert profile.json()["signature_scheme"] == "ecdsa-p256-sha256"
    assert house.audit.chain[-1].entry.detail["unsafe_unsigned_waiver"] == model["unsafe_unsigned_waiver"]


@pytest.mark.requirement("F74")
async def test_a_model_shows_learned_beside_declared() -> None:
    house = House()
    boot = Mark(house.now, Step.BOOTED, version="2.0")
    house.learned.known = [Trail("A", house.now - timedelta(seconds=90), "1.0", (boot,))]
    model = {"vendor": "innogy", "model": "eBox 1/2", "declared": {"transfers": ["SFTP"]}}
    async with house.client(Role.ADMIN) as client:
        before = await client.get("/api/v1/models/innogy/eBox 3")
        await client.put("/api/v1/models", json=model)
        bad = await client.put("/api/v1/models", json={**model, "declared": {"transfers": ["sftp!"]}})
        found = await client.get("/api/v1/models/innogy/eBox 3?from_version=1.0&days=30")
        slashed = await client.get("/api/v1/models/innogy/eBox%201%2F2")
        none = await client.get("/api/v1/models/innogy/eBox 3?from_version=9")
        too_far = await client.get("/api/v1/models/innogy/eBox 3?days=731")
    assert before.json()["profile"] is None
    assert [quirk["name"] for quirk in before.json()["quirks"]] == ["sftp-only"]
    learned = found.json()["learned"]
    assert (learned["attempts"], learned["succeeded"], learned["order"]) == (1, 1, ["Commanded", "Booted"])
    assert learned["whole"] == {"samples": 1, "p50": 90.0, "p95": 90.0, "longest": 90.0}
    assert none.json()["learned"]["attempts"] == 0
    assert house.learned.asked[1][2] == house.now - timedelta(days=30)
    assert slashed.json()["profile"]["declared"]["transfers"] == ["SFTP"]
    assert bad.status_code == too_far.status_code == 422


@pytest.mark.requirement("F112")
async def test_the_fleet_in_numbers() -> None:
    house = site_house()
    house.add_charger("A")
    house.add_charger("B", online=False, last_message_at=NOW - timedelta(days=1))
    async with house.client(Role.VIEWER) as client:
        fleet = (await client.get("/api/v1/fleet")).json()

    assert (fleet["total"], fleet["online"]) == (2, 1)
    assert fleet["by_version"] == {"1.0.0": 2}


async def test_a_local_controller_is_a_charger_of_its_very_site() -> None:
    house = House()
    site = {"site_id": "quay-2", "name": "Quay 2", "time_zone": "Europe/Oslo"}
    charger = {"charger_id": "LC-1", "site_id": "quay-2", "vendor": "Volta", "model": "V22"}
    with_one = {**site, "rules": {"local_controller": "LC-1"}}
    async with house.client(Role.ADMIN) as client:
        unknown = await client.post("/api/v1/sites", json=with_one)
        await client.post("/api/v1/sites", json=site)
        registered = await client.post("/api/v1/chargers", json=charger)
        elsewhere = await client.post("/api/v1/sites", json={**with_one, "site_id": "quay-3"})
        stored = await client.post("/api/v1/sites", json=with_one)

    assert registered.status_code == 201
    assert [unknown.status_code, elsewhere.status_code, stored.status_code] == [422, 422, 201]
    assert "register it there first" in unknown.text
    assert stored.json()["rules"]["local_controller"] == "LC-1"
