"""What is stored, counted and removed at the door: by an administrator alone."""

import pytest

from storage.access import Role
from tests.support.house import House

pytestmark = pytest.mark.requirement("F107")
URL = "/api/v1/storage/retention"


@pytest.fixture
def house() -> House:
    return House()


async def test_a_dry_run_removes_nothing_and_a_round_is_on_record(house: House) -> None:
    async with house.client(Role.ADMIN) as client:
        dry = (await client.get(URL)).json()
        assert (dry["dry_run"], dry["classes"][0]["outlived"], dry["classes"][0]["kept_days"]) == (
            True,
            3,
            400,
        )
        assert house.retention.left == 3
        assert (await client.post(URL)).json()["removed"] == {"events": 3}
    assert house.audit.actions == ["storage.removed"]


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR, Role.RELEASE_MANAGER, Role.SECURITY])
async def test_nobody_else_may(house: House, role: Role) -> None:
    async with house.client(role) as client:
        assert (await client.get(URL)).status_code == 403
        assert (await client.post(URL)).status_code == 403


async def test_metrics_say_what_is_stored_and_a_database_that_is_away_breaks_nothing(house: House) -> None:
    async with house.client() as client:
        text = (await client.get("/metrics")).text
        assert 'ampwave_stored_bytes{class="events"} 4096.0' in text
        assert 'ampwave_stored_rows{class="events"} 10.0' in text
        house.retention.away = True
        house.app.state.scales.read_at = None
        assert 'ampwave_stored_bytes{class="events"} 4096.0' in (await client.get("/metrics")).text
