"""Chargers go from security profile 1 to 2 to 3 over real sockets, in every dialect, and never back (A05)."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from csms.simulator.catalogue import PERSONALITIES
from tests.support.profile_stage import job, plain_fleet, registered
from tests.support.renewal_stage import Stage, stage

pytestmark = pytest.mark.integration
BRANDS = tuple(PERSONALITIES)


@pytest.fixture
async def place(
    database: str, s3_settings: Any, embedded_temporal: Any, tmp_path: Path
) -> AsyncIterator[Stage]:
    async with stage(tmp_path, database=database, s3=s3_settings, temporal=embedded_temporal) as made:
        yield made


@pytest.mark.requirement("S61", "F41")
async def test_a_fleet_is_raised_to_profile_2_and_the_old_door_is_closed_to_it(place: Stage) -> None:
    specs = await registered(place, BRANDS)
    async with plain_fleet(place, specs):
        ends = await job(place, specs, 2)
        assert {outcome for outcome, _ in ends.values()} == {"renewed"}, ends
        for view in await place.stores.chargers.views([spec.charger_id for spec in specs]):
            assert view.twin.security is not None
            assert (view.twin.security.profile, view.charger.security_floor) == (2, 2)
