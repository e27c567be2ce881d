"""What is stored, counted and removed at the door: by an administrator alone."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

import pytest

from api.app import create_app
from storage.access import Role
from storage.errors import EngineUnavailable
from storage.retention import ClassSize, ClassSurvey, RetentionPolicy
from tests.support.house import House

pytestmark = pytest.mark.requirement("F107")
URL = "/api/v1/storage/retention"


class Stored:
    """One class, of which three rows had their time."""

    def __init__(self) -> None:
        self.left = 3
        self.away = False

    async def sizes(self) -> Sequence[ClassSize]:
        if self.away:
            raise EngineUnavailable("It is away.")
        return [ClassSize("events", 10, 4096)]

    async def survey(self, policy: RetentionPolicy, now: datetime) -> Sequence[ClassSurvey]:
        days = policy.days.get("events")
        return [
            ClassSurvey("events", "what happened", 10, 4096, days, self.left, {"a session that is open": 1})
        ]

    async def remove(self, policy: RetentionPolicy, now: datetime, *, seconds: float) -> Mapping[str, int]:
        removed, self.left = self.left, 0
        return {"events": removed}


@pytest.fixture
def house() -> House:
    made = House()
    policy = RetentionPolicy({"events": 400})
    made.services = replace(made.services, retention=Stored(), retention_policy=policy)
    made.app = create_app(made.services)
    return made


async def test_a_dry_run_removes_nothing_and_a_round_is_on_record(house: House) -> None:
    async with house.client(Role.ADMIN) as client:
        dry = (await client.get(URL)).json()
        assert (dry["dry_run"], dry["classes"][0]["outlived"], dry["classes"][0]["kept_days"]) == (
            True,
            3,
            400,
        )
        assert house.services.retention.left == 3  # type: ignore[union-attr]
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
        house.services.retention.away = True  # type: ignore[union-attr]
        house.app.state.scales.read_at = None
        assert 'ampwave_stored_bytes{class="events"} 4096.0' in (await client.get("/metrics")).text
