"""Chargers on their way into service, over real sockets, workflows and stores."""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from csms.simulator.catalogue import PERSONALITIES
from csms.simulator.fleet import run_fleet
from csms.simulator.spec import ChargerSpec, FleetSpec
from storage.access import Role
from storage.charger import Charger, ModelProfile, Site
from storage.clock import system_clock
from storage.ids import TASK_QUEUE
from storage.provisioning import Enrolment, EnrolmentState
from storage.retirement import RetirementState
from storage.twin import Lifecycle
from tests.integration.lifecycle.test_decommission import retire, until
from tests.integration.operator.conftest import NOBODY, PACE, Place
from workflows.life_watch import LifeWatchWorkflow

pytestmark = pytest.mark.integration

COUNT = int(os.environ.get("AMPWAVE_PROVISION", "3"))
"""Chargers that the CSV brings in; `AMPWAVE_PROVISION=500` is the long one."""
NAMES = ("larkspur", "jetty", "estuary")
TEMPLATE = {
    "parameters": [{"name": "site.supply_limit_a", "type": "integer", "minimum": 6, "maximum": 400}],
    "ocpp16": {"ConnectionTimeOut": "{site.supply_limit_a}"},
    "ocpp2": {},
    "attestations": ["rcd-test"],
}


def specs_of(place: Place, count: int) -> tuple[ChargerSpec, ...]:
    """Chargers of every generation, each with a password and a serial number of its own."""
    return tuple(
        ChargerSpec(
            f"P{number:04d}-{place.tag}",
            "site-01",
            f"SN-{number:04d}-{place.tag}",
            secrets.token_hex(20),
            NAMES[number % len(NAMES)],
        )
        for number in range(count)
    )


async def ready(place: Place) -> None:
    await place.stores.chargers.put_site(Site("site-01", "Depot", "UTC", 1))
    for name in NAMES:
        who = PERSONALITIES[name]
        await place.stores.chargers.put_model(ModelProfile(who.vendor, who.model))
    async with place.http() as http:
        for path, body in (
            ("templates/depot", TEMPLATE),
            ("sites/site-01/constraints", {"values": {"supply_limit_a": "63"}}),
        ):
            answer = await http.put(f"/api/v1/provisioning/{path}", json=body)
            assert answer.status_code == 200, answer.text


@asynccontextmanager
async def running(place: Place, *specs: ChargerSpec) -> AsyncIterator[None]:
    stop = asyncio.Event()
    fleet = FleetSpec("operator", 7, specs, pace=PACE, sessions=NOBODY)
    task = asyncio.create_task(
        run_fleet(fleet, csms_url=place.csms_url, report_path=None, stop_event=stop, clock=system_clock)
    )
    try:
        yield
    finally:
        stop.set()
        assert (await task).totals()["simulator_errors"] == 0


async def watch(place: Place) -> None:
    """What the schedule does."""
    await place.client.execute_workflow(
        LifeWatchWorkflow.run, id=f"watch-{secrets.token_hex(4)}", task_queue=TASK_QUEUE
    )


async def reach(place: Place, charger_id: str, *states: EnrolmentState, waits: str = "") -> Enrolment:
    """Let the watch go round until the charger is there, and waits for this."""

    async def there() -> Enrolment | None:
        found = await place.stores.enrolments.get(charger_id)
        if found.state in states and waits in found.waits_for:
            return found
        await watch(place)
        return None

    try:
        found: Enrolment = await until(there)
    except TimeoutError:
        left = await place.stores.enrolments.get(charger_id)
        pytest.fail(f"{charger_id} is {left.state.value} and waits for {left.waits_for!r}: {left.checks}")
    return found


async def gone(place: Place, charger_id: str) -> None:
    """Let the watch go round until the charger has its receipt: a visit that is not over has it at first."""

    async def there() -> bool:
        found = await place.stores.retirements.get(charger_id)
        if found.state is RetirementState.RECEIPTED:
            return True
        await watch(place)
        return False

    await until(there)


def csv_of(specs: tuple[ChargerSpec, ...], **more: str) -> str:
    header = ["charger_id", "site_id", "vendor", "model", "serial_number", "password", *more]
    lines = [",".join(header)]
    for spec in specs:
        who = PERSONALITIES[spec.personality]
        row = [
            spec.charger_id,
            spec.site_id,
            who.vendor,
            who.model,
            spec.serial,
            spec.password,
            *more.values(),
        ]
        lines.append(",".join(row))
    return "\n".join(lines) + "\n"


async def enrol(place: Place, text: str, **params: Any) -> Any:
    async with place.http() as http:
        answer = await http.post(
            "/api/v1/provisioning/enrolments",
            content=text.encode(),
            headers={"Content-Type": "text/csv"},
            params=params,
        )
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.requirement("F45", "F48", "F49", "F50", "F51", "F52", "F53", "F65", "F67")
async def test_a_file_of_chargers_becomes_active_once_each_passed_its_checklist(signed: Place) -> None:
    await ready(signed)
    specs = specs_of(signed, COUNT)
    text = csv_of(specs, template="depot", environment="production")
    dry = await enrol(signed, text, dry_run=True)
    assert (dry["enrolled"], dry["refused"]) == (COUNT, 0), dry["by_problem"]
    assert not await signed.stores.enrolments.find()
    assert (await enrol(signed, text))["enrolled"] == COUNT
    assert (await enrol(signed, text))["unchanged"] == COUNT
    async with running(signed, *specs), signed.http(Role.INSTALLER) as installer:
        for spec in specs:
            charger = spec.charger_id
            await reach(signed, charger, EnrolmentState.CONFIGURED, waits="nobody attested it")
            view = await signed.stores.chargers.get(charger)
            assert view.charger.lifecycle is Lifecycle.PROVISIONING, "not before its checklist passed"
        for spec in specs:
            path = f"/api/v1/provisioning/enrolments/{spec.charger_id}/attestations"
            answer = await installer.post(path, json={"name": "rcd-test", "passed": True, "value": "21 ms"})
            assert answer.status_code == 200, answer.text
        for spec in specs:
            found = await reach(signed, spec.charger_id, EnrolmentState.ACTIVE)
            assert all(check.passed for check in found.checks)
            view = await signed.stores.chargers.get(spec.charger_id)
            assert view.charger.lifecycle is Lifecycle.ACTIVE
    # A repeated import brings no old password back.
    before = await signed.stores.chargers.credential(specs[0].charger_id)
    assert (await enrol(signed, text))["unchanged"] == COUNT
    assert await signed.stores.chargers.credential(specs[0].charger_id) == before
    rows = await signed.stores.audit.rows(limit=1000)
    actions = [row.entry.action for row in rows if row.entry.subject == f"charger/{specs[0].charger_id}"]
    assert actions[0] == "charger.enrolled"
    assert actions.count("charger.activated") == 1


@pytest.mark.requirement("F43", "F47")
async def test_an_installers_claim_opens_one_charger_once_and_never_a_retired_one(signed: Place) -> None:
    await ready(signed)
    (spec,) = specs_of(signed, 1)
    who = PERSONALITIES[spec.personality]
    row = {
        "charger_id": spec.charger_id,
        "site_id": "site-01",
        "vendor": who.vendor,
        "model": who.model,
        "serial_number": spec.serial,
    }
    wanted = {"charger_id": spec.charger_id, "serial_number": spec.serial, "site_id": "site-01"}
    url = "/api/v1/provisioning"
    async with signed.http() as admin, signed.http(Role.INSTALLER) as installer:
        answer = await admin.post(f"{url}/enrolments", json=[row])
        assert answer.json()["enrolled"] == 1, answer.text
        issued = await admin.post(f"{url}/claims", json={**wanted, "issued_to": "Ida"})
        assert issued.status_code == 201, issued.text
        other = await admin.post(f"{url}/claims", json={**wanted, "issued_to": "Ida"})
        good = {"claim": issued.json()["claim"], "serial_number": spec.serial, "site_id": "site-01"}
        for wrong in ({"serial_number": "SN-X"}, {"site_id": "site-02"}, {"claim": "clm_" + "x" * 32}):
            refused = await installer.post(f"{url}/claims/redeem", json={**good, **wrong})
            assert refused.status_code == 409, refused.text
            assert "opens nothing" in refused.json()["detail"]
        both = await asyncio.gather(*(installer.post(f"{url}/claims/redeem", json=good) for _ in range(2)))
        assert sorted(each.status_code for each in both) == [200, 409]
        password = next(each.json()["password"] for each in both if each.status_code == 200)
        assert (await installer.get(f"{url}/enrolments/{spec.charger_id}")).status_code == 403
        entered = ChargerSpec(spec.charger_id, spec.site_id, spec.serial, password, spec.personality)
        async with running(signed, entered):
            await reach(signed, spec.charger_id, EnrolmentState.ACTIVE)
        unused = {**good, "claim": other.json()["claim"]}
        assert (await installer.post(f"{url}/claims/redeem", json=unused)).status_code == 409
        # The end: neither the claim that was used nor the one that was not opens anything ever again.
        await retire(signed, spec.charger_id, wait_minutes=0)
        await gone(signed, spec.charger_id)
        for each in (good, unused):
            assert (await installer.post(f"{url}/claims/redeem", json=each)).status_code == 409
        again = await admin.post(f"{url}/claims", json={**wanted, "issued_to": "Ida"})
        assert again.status_code == 409
        anew = await admin.post(f"{url}/enrolments", json=[{**row, "charger_id": f"NEW-{signed.tag}"}])
        assert "retired" in str(anew.json()["rows"][0]["problems"])


@pytest.mark.requirement("F45", "F59", "F55")
async def test_a_thousand_broken_rows_are_told_by_line_and_by_problem(signed: Place) -> None:
    await ready(signed)
    broken = [
        "C0,site-01,V,M,S0,a-password-of-it-0,1.1:Type 2:32:22,8944500000000000001",
        "C1,nowhere,V,M,S1,a-password-of-it-1,,",
        "C0,site-01,V,M,S2,a-password-of-it-2,,",
        "C3,site-01,V,M,S0,a-password-of-it-3,,",
        "C4,site-01,V,M,S4,short,,",
        "C5,site-01,V,M,S5,a-password-of-it-5,1.1:Type 2:-5:22,",
        "C6,site-01,V,M,S6,a-password-of-it-6,rubbish,",
        "C 7,site-01,V,M,S7,a-password-of-it-7,,",
        'C8,site-01,"V\nV",M,S8,a-password-of-it-8,,',
    ]
    broken += [f"X{number},nowhere,V,M,T{number},a-password-of-x{number:04d},," for number in range(991)]
    header = "charger_id,site_id,vendor,model,serial_number,password,connectors,iccid"
    told = await enrol(signed, "\n".join([header, *broken]), dry_run=True)
    assert (told["enrolled"], told["refused"]) == (0, 1000)
    assert [row["line"] for row in told["rows"]][:10] == [2, 3, 4, 5, 6, 7, 8, 9, 11, 12]
    problems = {row["line"]: " ".join(row["problems"]) for row in told["rows"]}
    for line, words in ((2, "iccid"), (3, "no site"), (4, "earlier row"), (5, "earlier row"), (7, "-5 A")):
        assert words in problems[line], problems[line]
    assert next(iter(told["by_problem"].values())) == 992
    assert not await signed.stores.enrolments.find()


@pytest.mark.requirement("F45", "F52")
async def test_a_dry_run_meets_every_rule_of_the_import_and_leaves_nothing(place: Place) -> None:
    await ready(place)
    first, second, third = specs_of(place, 3)
    who = PERSONALITIES[third.personality]
    at_once = Charger(third.charger_id, "site-01", who.vendor, who.model, serial_number=third.serial)
    await place.stores.chargers.register(at_once, None)
    assert (await enrol(place, csv_of((first,))))["enrolled"] == 1
    before = await place.stores.audit.rows(limit=1000)
    taken = replace(second, serial=first.serial, personality=first.personality)
    text = csv_of((first, taken, third))
    for told in [await enrol(place, csv_of((each,)), dry_run=True) for each in (first, taken, third)]:
        (row,) = told["rows"]
        words = {
            first.charger_id: "",
            taken.charger_id: "cannot have one name",
            third.charger_id: "registered already",
        }
        assert (row["result"], words[row["charger_id"]] in str(row["problems"])) == (
            ("unchanged", True) if row["charger_id"] == first.charger_id else ("refused", True)
        ), row
    assert await place.stores.audit.rows(limit=1000) == before
    done = await enrol(place, text)
    assert (done["unchanged"], done["refused"]) == (1, 2), "and so it goes when it is meant"
    assert [each.charger_id for each in await place.stores.enrolments.find()] == [first.charger_id]


@pytest.mark.requirement("F52", "F36")
async def test_a_template_sets_no_password_for_everybody(place: Place) -> None:
    async with place.http() as http:
        for side, variable in (("ocpp16", "AuthorizationKey"), ("ocpp2", "SecurityCtrlr.BasicAuthPassword")):
            body = {side: {variable: "one-password-for-all-of-them"}}
            answer = await http.put("/api/v1/provisioning/templates/bad", json=body)
            assert answer.status_code == 422, answer.text
            assert "every one has its own" in answer.text
