"""Chargers renew their certificates over real mTLS: a small fleet, and what goes wrong with one charger."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from csms.simulator.catalogue import PERSONALITIES
from storage.clock import system_clock
from storage.renewal import Renewal, RenewalPhase, RenewalPlan
from tests.support.renewal_stage import Stage, stage

pytestmark = pytest.mark.integration
BRANDS = tuple(PERSONALITIES)


@pytest.fixture
async def place(
    database: str, s3_settings: Any, embedded_temporal: Any, tmp_path: Path
) -> AsyncIterator[Stage]:
    async with stage(tmp_path, database=database, s3=s3_settings, temporal=embedded_temporal) as made:
        yield made


async def test_a_mixed_fleet_renews_in_waves(place: Stage) -> None:
    specs = await place.enrolled(12, sites=3, names=BRANDS)
    async with place.fleet(specs):
        await place.introduced(specs)
        plan = RenewalPlan("all", canary=2, growth=5, pause_seconds=0.2, request_seconds=20, proof_seconds=30)
        new = Renewal(f"r-{place.tag}", plan, RenewalPhase.RUNNING, "", "ada", system_clock(), len(specs), 0)
        await place.stores.renewals.create(new, [spec.charger_id for spec in specs])
        await place.orchestrator.start_renewal(new.renewal_id)
        done = await place.renewal_over(new.renewal_id, seconds=90)
        for each in await place.stores.renewals.targets(new.renewal_id):
            print(each)
        print(done)
        assert done.phase is RenewalPhase.COMPLETED
