"""Chargers that go through provisioning again, over real sockets, workflows and stores (F46)."""

import asyncio
from typing import Any

import httpx2
import pytest

from csms.simulator.pace import SessionPattern
from storage.access import Role
from storage.clock import system_clock
from storage.desired import DesiredChange
from storage.provisioning import EnrolmentState, Origin
from storage.reprovision import FORGETS, Reprovision, ReprovisionState
from storage.retirement import StepState
from storage.twin import Lifecycle
from tests.integration.lifecycle.test_decommission import until
from tests.integration.lifecycle.test_provisioning import reach, ready, watch
from tests.integration.operator.conftest import Place

pytestmark = [pytest.mark.integration, pytest.mark.requirement("F46")]


async def ask(place: Place, charger_id: str, role: Role = Role.ADMIN, **body: Any) -> httpx2.Response:
    async with place.http(role) as http:
        given = {"reason": "another owner", "wait_minutes": 5, **body}
        return await http.post(f"/api/v1/chargers/{charger_id}/reprovisions", json=given)


async def over(place: Place, charger_id: str) -> Reprovision:
    async def ended() -> Reprovision | None:
        (latest, *_) = await place.stores.reprovisions.of(charger_id)
        return latest if latest.state is not ReprovisionState.RUNNING else None

    found: Reprovision = await until(ended)
    return found


async def lifecycle(place: Place, charger_id: str) -> Lifecycle:
    return (await place.stores.chargers.get(charger_id)).charger.lifecycle


async def acts(place: Place, charger_id: str) -> list[str]:
    rows = await place.stores.audit.rows(limit=1000)
    return [row.entry.action for row in rows if row.entry.subject == f"charger/{charger_id}"]


async def test_a_charger_forgets_is_parked_and_serves_again_by_its_checklist_alone(signed: Place) -> None:
    await ready(signed)
    charger = signed.named("jetty")
    async with signed.fleet("jetty"):
        change = DesiredChange(
            charger, "configuration", {"values": {"X": "1"}}, 0, "ada", "request/1", system_clock()
        )
        await signed.stores.twins.set_desired(change)
        assert (await ask(signed, charger, Role.OPERATOR, mode="reset")).status_code == 403
        assert (await ask(signed, "NOBODY", mode="reset")).status_code == 404
        assert (await ask(signed, charger, mode="reset", template="nowhere")).status_code == 404
        before = await signed.stores.chargers.credential(charger)
        asked = await asyncio.gather(*(ask(signed, charger, mode="reset") for _ in range(2)))
        assert sorted(each.status_code for each in asked) == [202, 409]
        found = await over(signed, charger)
        assert found.state is ReprovisionState.DONE, found.waits_for
        assert [record.step for record in found.steps] == list(FORGETS)
        assert found.steps[0].state is StepState.DONE
        assert found.before["lifecycle"] == "active"
        assert await lifecycle(signed, charger) is Lifecycle.PROVISIONING
        sections = {each.section: each.desired for each in await signed.stores.twins.desired(charger)}
        assert not sections["configuration"]
        assert (await ask(signed, charger, mode="keep")).status_code == 409, "it is on its way in already"
        enrolled = await reach(signed, charger, EnrolmentState.ACTIVE)
        assert enrolled.origin is Origin.REPROVISION
        assert all(check.passed for check in enrolled.checks)
        assert await signed.stores.chargers.credential(charger) != before
    told = await acts(signed, charger)
    wanted = ["charger.reprovision_requested", "charger.reprovisioned", "charger.activated"]
    assert [each for each in told if each in wanted] == wanted


async def test_who_charges_is_not_parked_and_stays_as_it_is_when_that_takes_too_long(signed: Place) -> None:
    charger = signed.named("jetty")
    async with signed.fleet("jetty", sessions=SessionPattern(busy_share=0.95)) as task:
        await signed.until(charger, lambda view: bool(view.twin.operation.transactions))
        assert (await ask(signed, charger, mode="keep", wait_minutes=0)).status_code == 202
        found = await over(signed, charger)
        assert (found.state, "is open" in found.waits_for) == (ReprovisionState.REFUSED, True)
        assert await lifecycle(signed, charger) is Lifecycle.ACTIVE
        assert (await ask(signed, charger, mode="reset", wait_minutes=0)).status_code == 202
        refused = await over(signed, charger)
        assert (refused.state, refused.steps) == (ReprovisionState.REFUSED, ())
    assert (await task).totals()["sessions_cut"] == 0


async def test_one_that_is_set_aside_leaves_quarantine_to_the_way_in(signed: Place) -> None:
    charger = signed.named("jetty")
    async with signed.fleet("jetty"):
        assert (await ask(signed, charger, mode="quarantine")).status_code == 202
        assert (await over(signed, charger)).state is ReprovisionState.DONE
        assert await lifecycle(signed, charger) is Lifecycle.QUARANTINED
        await watch(signed)
        assert (await ask(signed, charger, mode="keep")).status_code == 409
        async with signed.http(Role.SECURITY) as http:
            shown = (await http.get(f"/api/v1/chargers/{charger}/quarantine")).json()
            assert shown["current"]["reason"] == "another owner"
            freed = await http.post(f"/api/v1/chargers/{charger}/release", json={"reason": "seen"})
        assert freed.json()["lifecycle"] == "provisioning", "not back into service"
