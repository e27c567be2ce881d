"""Queries through the door and the real database: the list, the counts and the gate's own view agree."""

from datetime import timedelta

import pytest

from csms.projection import project
from storage.clock import system_clock
from storage.events import (
    ChargerBooted,
    ConnectionOpened,
    ConnectorStatus,
    ConnectorStatusChanged,
    EventRecord,
)
from tests.integration.api.conftest import Deployment

pytestmark = pytest.mark.integration

SITE = {"site_id": "harbour", "name": "Harbour North", "time_zone": "Europe/Berlin"}
API = "/api/v1/chargers"


@pytest.mark.requirement("F1", "F10")
async def test_what_a_charger_said_is_found_counted_and_on_its_timeline(deployment: Deployment) -> None:
    now = system_clock()
    rows = [
        {"charger_id": f"CP-{n}", "site_id": "harbour", "vendor": "Volta", "model": "V22"} for n in range(4)
    ]
    said = [
        ("CP-1", ConnectionOpened("ocpp2.0.1", 1, "10.0.0.1", "node-1")),
        ("CP-1", ChargerBooted("Volta", "V22", "1.9.0")),
        ("CP-1", ConnectorStatusChanged(1, 1, ConnectorStatus.FAULTED)),
        ("CP-2", ConnectionOpened("ocpp2.0.1", 1, "10.0.0.2", "node-1")),
        ("CP-2", ChargerBooted("Volta", "V22", "1.10.0")),
    ]
    async with deployment.client() as client:
        await client.post("/api/v1/sites", json=SITE)
        await client.post(f"{API}/import", json=rows)
        for place, (name, event) in enumerate(said):
            at = now + timedelta(milliseconds=place)
            await deployment.ingest.commit([], [EventRecord(name, event, at, at, 1)], project)

        async def ids(query: str) -> list[str]:
            answer = await client.get(API, params={"query": query})
            assert answer.status_code == 200, answer.text
            return [one["charger_id"] for one in answer.json()["items"]]

        everybody = (await client.get(API)).json()["items"]
        by_state = {one["charger_id"]: one["state"] for one in everybody}
        for state in set(by_state.values()):
            assert await ids(f"state = {state}") == [name for name, its in by_state.items() if its == state]
        assert await ids("firmware.version < 1.10 and faulted") == ["CP-1"]
        assert await ids("not faulted") == []
        assert await ids("unknown(firmware.version) and not online") == ["CP-0", "CP-3"]

        counts = (await client.get(f"{API}/counts", params={"by": "firmware.version", "rates": True})).json()
        found = {each["values"][0]: (each["count"], each["faulted"]) for each in counts["groups"]}
        assert found == {None: (2, 0), "1.10.0": (1, 0), "1.9.0": (1, 1)}

        broken = await client.get(API, params={"query": "vendor = 'x'; DROP TABLE charger"})
        assert broken.json()["position"]["column"] == 13
        alarms = (
            await client.get(f"{API}/CP-1/timeline", params={"what": "alarm,change", "limit": 2})
        ).json()
        assert [(each["source"], each["kind"]) for each in alarms["items"]] == [
            ("twin", "twin_changed"),
            ("event", "connector_status_changed"),
        ]
        wrong = await client.get(f"{API}/CP-1/timeline", params={"what": "alarms"})
        assert (wrong.status_code, "did you mean alarm?" in wrong.text) == (422, True)
