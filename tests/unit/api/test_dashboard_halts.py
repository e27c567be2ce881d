"""The page of halts: what stands is on every page, and a forged or empty form does nothing."""

import re
from typing import Any

import pytest

from storage.access import Role
from storage.halt import EVERYTHING
from storage.withdrawal import Source, Withdrawal, artifact_subject
from tests.support.house import NOW, House

pytestmark = pytest.mark.requirement("S66")


async def logged_in(house: House, role: Role) -> Any:
    client = house.client()
    await client.post("/login", data={"token": house.texts[role], "next": "/"})
    return client


async def proof(client: Any) -> str:
    found = re.search(r'name="proof" value="([^"]+)"', (await client.get("/halts")).text)
    assert found
    return found[1]


async def test_a_press_halts_and_every_page_says_so() -> None:
    house = House()
    client = await logged_in(house, Role.OPERATOR)
    form = {"proof": await proof(client), "reason": "smoke <b>at</b> depot 3"}
    answer = await client.post("/halts", data=form)
    assert answer.status_code == 303
    for path in ("/", "/campaigns", "/artifacts", "/halts"):
        text = (await client.get(path)).text
        assert "Everything is halted" in text
        assert "smoke &lt;b&gt;at" in text, "what people type is text"
    assert "It may go on" not in (await client.get("/halts")).text, "an operator may not restore"


async def test_a_form_without_proof_or_reason_does_nothing() -> None:
    house = House()
    client = await logged_in(house, Role.ADMIN)
    for form in ({"reason": "x"}, {"proof": "forged", "reason": "x"}, {"proof": await proof(client)}):
        assert (await client.post("/halts", data=form)).status_code in (403, 422)
    assert house.halts.rows == {}
    viewer = await logged_in(house, Role.VIEWER)
    form = {"proof": await proof(viewer), "reason": "x"}
    assert (await viewer.post("/halts", data=form)).status_code == 403


async def test_a_release_is_withdrawn_on_its_page() -> None:
    house = House()
    artifact = house.add_artifact("1.0")
    page = f"/artifacts/{artifact.artifact_id}"
    client = await logged_in(house, Role.SECURITY)
    assert "Withdraw this release" in (await client.get(page)).text
    form = {"proof": await proof(client), "reason": "it bricks"}
    assert (await client.post(f"{page}/withdraw", data={"reason": "x"})).status_code in (403, 422)
    assert not house.withdrawals.rows
    assert (await client.post(f"{page}/withdraw", data=form)).status_code == 303
    [standing] = house.withdrawals.rows.values()
    assert (standing.withdrawn_by, standing.reason) == ("security@ampwave.test", "it bricks")
    assert "Withdraw this release" not in (await client.get(page)).text
    operator = await logged_in(house, Role.OPERATOR)
    form["proof"] = await proof(operator)
    assert (await operator.post(f"{page}/withdraw", data=form)).status_code == 403


async def test_two_people_restore_on_the_page() -> None:
    house = House()
    await house.halts.pull(EVERYTHING, "ann", "smoke", NOW)
    for role in (Role.SECURITY, Role.ADMIN):
        client = await logged_in(house, role)
        form = {"proof": await proof(client), "halt_id": "1", "reason": "it was steam"}
        assert (await client.post("/halts/restore", data=form)).status_code == 303
    assert "Everything goes on" in (await client.get("/halts")).text
    form["halt_id"] = "1; drop"
    assert (await client.post("/halts/restore", data=form)).status_code == 422


async def test_two_people_bring_a_withdrawn_release_back_on_its_page() -> None:
    house = House()
    artifact = house.add_artifact("1.0")
    page, subject = f"/artifacts/{artifact.artifact_id}", artifact_subject(artifact.artifact_id)
    await house.withdrawals.add([Withdrawal(subject, "it <b>bricks", Source.PERSON, "ann", NOW)])
    operator = await logged_in(house, Role.OPERATOR)
    text = (await operator.get(page)).text
    assert "By ann: it &lt;b&gt;bricks" in text
    assert "It may come back" not in text, "an operator may not restore"
    form = {"proof": await proof(operator), "subject": subject}
    assert (await operator.post(f"{page}/restore", data=form)).status_code == 403
    security = await logged_in(house, Role.SECURITY)
    assert "It may come back (0 of 2)" in (await security.get(page)).text
    assert (await security.post(f"{page}/restore", data={"subject": subject})).status_code in (403, 422)
    form["proof"] = await proof(security)
    assert (await security.post(f"{page}/restore", data=form)).status_code == 303
    assert "You have said yes; another person has to." in (await security.get(page)).text
    admin = await logged_in(house, Role.ADMIN)
    form["proof"] = await proof(admin)
    assert (await admin.post(f"{page}/restore", data=form)).status_code == 303
    assert "Nothing of it is sent" not in (await admin.get(page)).text
    assert house.audit.actions[-2:] == ["artifact.restore_voted", "artifact.restored"]


async def test_what_a_revocation_list_names_offers_no_way_back() -> None:
    house = House()
    artifact = house.add_artifact("1.0")
    subject = artifact_subject(artifact.artifact_id)
    await house.withdrawals.add([Withdrawal(subject, "key compromised", Source.LIST, "ann", NOW)])
    client = await logged_in(house, Role.ADMIN)
    text = (await client.get(f"/artifacts/{artifact.artifact_id}")).text
    assert "it does not come back" in text
    assert "Say that it may come back" not in text
