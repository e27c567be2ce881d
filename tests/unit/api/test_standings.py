"""Every charger of a campaign once, in its one state, and outcomes by kind, at the door."""

from dataclasses import replace
from typing import Any

import pytest

from storage.access import Role
from storage.campaign import CampaignPhase, Outcome, TargetPhase
from tests.support.house import NOW
from tests.unit.api.test_campaigns import ALL, created, ready
from tests.unit.api.test_dashboard import RUNNING, browser, showcase


@pytest.mark.requirement("F120", "F121")
async def test_every_charger_is_shown_once_in_its_state_and_outcomes_by_kind() -> None:
    house, artifact = ready(9)
    campaign_id = await created(house, artifact)
    rows = house.campaigns.rows[campaign_id]
    rows[0] = replace(rows[0], phase=TargetPhase.DONE, outcome=Outcome.UPDATED, dispatched_at=NOW)
    rows.append(replace(rows[0], wave=1000, phase=TargetPhase.WAITING, outcome=None, reason="a car is there"))
    house.campaigns.deadlines[campaign_id, 1000] = NOW
    await house.campaigns.set_phase(campaign_id, CampaignPhase.ROLLING_BACK, "bad", NOW)
    path, cursor = f"{ALL}/{campaign_id}", None
    seen: list[dict[str, Any]] = []
    async with house.client(Role.VIEWER) as client:
        while True:
            params = {"limit": 4, **({"cursor": cursor} if cursor else {})}
            page = (await client.get(f"{path}/chargers", params=params)).json()
            seen += page["items"]
            if (cursor := page["next_cursor"]) is None:
                break
        [kind] = (await client.get(f"{path}/outcomes")).json()["items"]
        assert (await client.get(f"{ALL}/nope/chargers")).status_code == 404

    assert sorted(one["charger_id"] for one in seen) == sorted({row.charger_id for row in rows})
    back = next(one for one in seen if one["charger_id"] == rows[0].charger_id)
    assert (back["state"], back["reason"], back["wave"]) == ("going_back", "a car is there", 1000)
    assert back["deadline"] is not None
    assert (kind["chargers"], kind["by_standing"]) == (len(seen), {"going_back": 1, "planned": len(seen) - 1})


@pytest.mark.requirement("F120", "R48")
async def test_who_runs_the_former_version_again_is_not_left_behind_on_any_page() -> None:
    house, artifact = ready(2)
    campaign_id = await created(house, artifact)
    rows = house.campaigns.rows[campaign_id]
    rows[:] = [
        replace(row, phase=TargetPhase.DONE, outcome=Outcome.UPDATED, dispatched_at=NOW, reason="it booted")
        for row in rows
    ]
    await house.campaigns.set_phase(campaign_id, CampaignPhase.ROLLED_BACK, "bad", NOW)
    house.campaigns.again = frozenset({rows[0].charger_id})
    async with house.client(Role.VIEWER) as client:
        found = (await client.get(f"{ALL}/{campaign_id}/chargers")).json()["items"]
    states = {one["charger_id"]: one["state"] for one in found}
    assert states == {rows[0].charger_id: "back", rows[1].charger_id: "left_behind"}
    async with browser(house, Role.VIEWER) as client:
        shown = (await client.get(f"/campaigns/{campaign_id}")).text
    assert shown.count("It may run the stopped version") == 1


@pytest.mark.requirement("F120", "F121")
async def test_the_campaign_page_says_what_to_do_for_each_charger_and_tells_kinds_apart() -> None:
    house = showcase()
    async with browser(house, Role.VIEWER) as client:
        shown = (await client.get(RUNNING)).text

    assert "By OCPP version and model" in shown
    assert "<td>ocpp2.0.1</td>" in shown
    assert "Find out whether its network or the charger is gone" in shown or "Read why, mend it" in shown
    assert "Nothing: " not in shown, "only what there is to do takes room"
