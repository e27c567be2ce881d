"""The pages of incidents and of configuration jobs."""

import pytest

from storage.access import Role
from storage.configuration import ConfigurationJob, ConfigurationLine, LineState
from storage.incident import Incident, IncidentKind
from tests.support.house import NOW
from tests.support.showcase import showcase
from tests.unit.api.test_dashboard import browser, hidden


async def test_an_incident_is_closed_on_its_page_by_who_may() -> None:
    house = showcase()
    evil = "<script>alert(1)</script>"
    house.watch.incidents.rows = [  # type: ignore[attr-defined]  # the double's
        Incident(1, IncidentKind.SESSION_STUCK, "charger/CP-0000", evil, NOW),
        Incident(2, IncidentKind.SUSPECTED_INTRUSION, "charger/CP-0001", "it was opened", NOW),
    ]
    async with browser(house, Role.VIEWER) as client:
        assert "Close it" not in (await client.get("/incidents")).text
    async with browser(house, Role.OPERATOR) as client:
        shown = (await client.get("/incidents")).text
        assert (evil in shown, shown.count("Close it")) == (False, 1), "an intrusion is for fewer people"
        form = {"proof": hidden(shown, "proof"), "reason": "looked at it"}
        for number, data, status in (
            (1, {"reason": "no proof"}, 403),
            (1, {**form, "reason": " "}, 422),
            (2, form, 403),
            (1, form, 303),
            (1, form, 409),
        ):
            answer = await client.post(f"/incidents/{number}/close", data=data)
            assert answer.status_code == status, (number, data)
        over = (await client.get("/incidents?closed=true")).text
    assert "operator@ampwave.test: looked at it" in over


@pytest.mark.requirement("F25")
async def test_a_job_for_many_chargers_has_a_page_with_each_chargers_result() -> None:
    house = showcase()
    job = ConfigurationJob("job-1", {"A.B": "<b>"}, "ada", NOW, NOW, "0" * 64, counts={"refused": 1})
    house.twins.jobs["job-1"] = job
    house.twins.lines["job-1"] = [ConfigurationLine("job-1", 0, "CP-0000", LineState.REFUSED, "Rejected")]
    async with browser(house, Role.VIEWER) as client:
        listed = (await client.get("/configurations")).text
        shown = await client.get("/configurations/job-1")
        missing = await client.get("/configurations/job-9")
    assert "&lt;b&gt;" in listed
    assert (shown.status_code, missing.status_code) == (200, 404)
    for text in ("CP-0000", "refused", "Rejected"):
        assert text in shown.text
