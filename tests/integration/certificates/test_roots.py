"""A root change over real TLS: install, verify, switch, confirm, delete, and what is no root at all (M05)."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from csms.commands import GetInstalledCertificateIds, InstallCertificate
from csms.simulator.catalogue import PERSONALITIES
from storage.certificate_use import CertificateUse
from storage.clock import system_clock
from storage.errors import InvalidInput
from storage.renewal import RenewalPlan, spelled
from tests.support.renewal_stage import Stage, stage
from tests.support.root_change import RootChange, names

pytestmark = [pytest.mark.integration, pytest.mark.requirement("S60")]
PLAN = RenewalPlan("roots", canary=1, growth=10, pause_seconds=0.2, wave_seconds=30, attempts=2)


@pytest.fixture
async def place(
    database: str, s3_settings: Any, embedded_temporal: Any, tmp_path: Path
) -> AsyncIterator[Stage]:
    async with stage(tmp_path, database=database, s3=s3_settings, temporal=embedded_temporal) as made:
        yield made


async def listed(place: Stage, charger_id: str) -> set[str]:
    route = await place.stores.routes.resolve(charger_id)
    assert route is not None
    ask = GetInstalledCertificateIds((CertificateUse.CSMS_ROOT,))
    answer = await place.gateway.send(charger_id, route.session_epoch, ask, deadline_s=10)
    return {spelled(each.hash) for each in answer.certificates}


async def test_a_fleet_changes_its_root_with_a_switch_in_the_middle_and_nobody_is_lost(place: Stage) -> None:
    specs = await place.enrolled(10, sites=2, names=tuple(PERSONALITIES))
    change = RootChange(place, specs)
    async with place.fleet(specs):
        await place.introduced(specs)
        assert await change.install(PLAN) == {"renewed": 10}
        early = RenewalPlan("early", canary=10, pause_seconds=0.2, wave_seconds=1.5)
        assert await change.delete(early, system_clock().isoformat(), "early") == {"deferred": 10}
        wrong = (system_clock() - timedelta(hours=1)).isoformat()
        assert await change.delete(early, wrong, "wrong") == {"deferred": 10}, "nobody's word is enough"
        assert await listed(place, specs[0].charger_id) >= set(names(change.old)[:1]), "kept until it came"

        since = await change.switch()
        assert await change.back(since) == []
        assert await change.delete(PLAN, since) == {"renewed": 10}
        for spec in specs[:2]:
            assert await listed(place, spec.charger_id) == set(names(change.new)[:1])
        again = await change.switch()
        assert await change.back(again) == [], "it is found by the new root alone"
        await nothing_else_is_installed(place, specs[0].charger_id, change)


async def nothing_else_is_installed(place: Stage, charger_id: str, change: RootChange) -> None:
    """A leaf, or rubbish, never leaves the node."""
    route = await place.stores.routes.resolve(charger_id)
    assert route is not None
    leaf = place.bench.server_certificate("leaf").chain.read_text().split("-----END CERTIFICATE-----")[0]
    for pem, said in (
        (leaf + "-----END CERTIFICATE-----\n", "it is no root"),
        (change.new + change.old, "not one certificate"),
        ("hello", "not one certificate"),
    ):
        command = InstallCertificate(CertificateUse.CSMS_ROOT, pem)
        with pytest.raises(InvalidInput) as caught:
            await place.gateway.send(charger_id, route.session_epoch, command, deadline_s=10)
        assert said in caught.value.diagnostics()
