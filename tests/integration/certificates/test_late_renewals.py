"""Certificates near their end: the schedule takes them from what stands still, and people are alarmed."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from activities.late_renewals import LateRenewalActivities
from storage.certificate import RequestFilter, RequestState
from storage.certificate_use import CertificateUse
from storage.charger import SiteLease
from storage.events import ConnectionOpened
from storage.incident import Incident, IncidentKind
from storage.postgres.incidents import PostgresIncidentStore
from storage.renewal import FleetWork, RenewalOutcome, RenewalPhase
from storage.reports import CertificateSigningRequested
from storage.twin import Lifecycle
from tests.integration.certificates.test_issuing import desk, fresh
from tests.integration.certificates.test_scheduling import RULES, Planner, planner
from tests.support.pki import DAY, NOW

__all__ = ["desk", "planner"]
pytestmark = [pytest.mark.integration, pytest.mark.requirement("F40", "S56")]


async def test_the_schedule_takes_whose_end_presses_from_a_job_that_stands_still(planner: Planner) -> None:
    await planner.add("A", "B", "BUSY")
    await planner.add("EARLY", ends=25 * DAY)
    await planner.of_a_person(FleetWork.RENEW, RenewalPhase.PAUSED, "A", "EARLY", "BUSY")
    await planner.of_a_person(FleetWork.INSTALL_ROOT, RenewalPhase.HELD, "B")
    lease = SiteLease("BUSY", "s1", "charger/BUSY", "certificate", NOW + 3650 * DAY)
    assert (await planner.leases.take(lease)).granted
    await planner.look()
    assert await planner.planned("scheduled-look-1") == ["A", "B"], "not who is at work, nor who has time"
    lines = {each.charger_id: each for each in await planner.renewals.targets("by-hand-renew")}
    assert lines["A"].outcome is RenewalOutcome.RESCHEDULED
    assert "within 21 days of its certificate's end: the schedule renews it" in lines["A"].reason
    assert lines["EARLY"].outcome is lines["BUSY"].outcome is None
    (rooted,) = await planner.renewals.targets("by-hand-install_root")
    assert rooted.outcome is None, "its root is still to be installed"
    assert await planner.renewals.whys(["A"]) == {}, "no reason why it is late"
    assert (await planner.renewals.get("by-hand-renew")).counts == {"open": 2, "rescheduled": 1}
    assert [entry for entry in await planner.desk.said() if "rescheduled" in entry] == ["renewal.rescheduled"]


async def test_a_job_that_runs_keeps_its_chargers_however_near_their_end_is(planner: Planner) -> None:
    await planner.add("A", "B")
    await planner.of_a_person(FleetWork.INSTALL_ROOT, RenewalPhase.PAUSED, "A")
    await planner.of_a_person(FleetWork.RENEW, RenewalPhase.RUNNING, "A")
    await planner.look()
    assert await planner.planned("scheduled-look-1") == ["B"]


class Watch:
    """The alarms over the planner's database."""

    def __init__(self, planner: Planner, **changes: Any) -> None:
        self.incidents = PostgresIncidentStore(planner.desk.engine)
        self.alarms = LateRenewalActivities(
            planner.stores,
            planner.desk.certificates,
            planner.renewals,
            self.incidents,
            replace(RULES, **changes),
        )

    async def look(self) -> dict[str, Incident]:
        """What is open after a look."""
        count = await self.alarms.watch_late_renewals()
        found = await self.incidents.find(kind=IncidentKind.CERTIFICATE_ENDING)
        assert len(found) == count
        return {each.subject: each for each in found}


async def test_a_renewal_that_is_held_is_an_incident_until_the_charger_has_a_new_one(
    planner: Planner,
) -> None:
    watch = Watch(planner)
    await planner.add("A", ends=20 * DAY)
    await planner.of_a_person(FleetWork.RENEW, RenewalPhase.PAUSED, "A")
    assert await watch.look() == {}, "14 days before, not earlier"
    planner.desk.now += 7 * DAY
    (found,) = (await watch.look()).values()
    assert found.subject == "charger/A/certificate/held"
    assert "'by hand' is paused" in found.summary
    assert "ampwave cert resume by-hand-renew" in found.summary
    assert list((await watch.look()).values()) == [found], "told once"
    planner.desk.now += 20 * DAY
    assert list(await watch.look()) == ["charger/A/certificate/ended"]
    opened = ConnectionOpened("ocpp2.0.1", 3, "10.0.0.1", "n1", 3, "0A", planner.desk.now + 300 * DAY)
    await planner.desk.tell("A", opened)
    assert await watch.look() == {}


async def test_each_reason_is_named(planner: Planner) -> None:
    watch = Watch(planner)
    await planner.add("AWAY", online=False)
    await planner.add("ASIDE", "ODD", "NEWER", "PLAIN")
    await planner.desk.chargers.set_lifecycle("ASIDE", Lifecycle.QUARANTINED)
    await planner.desk.tell("ODD", CertificateSigningRequested("?", refusal="a key of RSA 1024 is too short"))
    assert (await planner.desk.issue("NEWER", fresh("NEWER"))).serial
    found = {each.subject.split("/")[1]: each.summary for each in (await watch.look()).values()}
    assert "it is in quarantine. Release it" in found["ASIDE"]
    assert "it is not connected" in found["AWAY"]
    assert "refused: a key of RSA 1024 is too short. Have it make a P-256 key" in found["ODD"]
    assert "has a newer one and has not come with it" in found["NEWER"]
    assert "it has not reported its connectors yet. It is renewed once it is idle" in found["PLAIN"]
    await planner.halts.pull("everything", "ada", "fire", planner.desk.now)
    assert {each.rpartition("/")[2] for each in await watch.look()} == {"held"}
    assert await Watch(planner, alarm=timedelta()).look() == {}, "switched off"


async def test_requests_are_found_with_what_became_of_them(planner: Planner) -> None:
    certificates = planner.desk.certificates
    await planner.add("A", "B")
    refused = await planner.desk.issue("A", fresh("B"))
    assert refused.serial is None
    await planner.desk.tell("A", CertificateSigningRequested("?", refusal="a key of RSA 1024 is too short"))
    waiting = await planner.desk.asks("B", fresh("B"))
    page = await certificates.find_requests(RequestFilter(), limit=2)
    rest = await certificates.find_requests(RequestFilter(), limit=2, cursor=page.next_cursor)
    assert [each.charger_id for each in (*page.items, *rest.items)] == ["B", "A", "A"]
    by_node, by_signer = (
        await certificates.find_requests(RequestFilter(states=frozenset({RequestState.REFUSED})))
    ).items
    assert by_node.reasons == ("a key of RSA 1024 is too short",)
    assert by_signer.reasons == refused.reasons
    assert by_signer.answered_at == planner.desk.now
    (left,) = (await certificates.find_requests(RequestFilter(states=frozenset({None})))).items
    assert (left.sequence, left.answered, left.answered_at) == (waiting, None, None)
    await planner.desk.asks("A", fresh("A"), CertificateUse.V2G)
    (newest,) = (await certificates.find_requests(RequestFilter(("A",), newest=True, of_station=True))).items
    assert newest.sequence == by_node.sequence
