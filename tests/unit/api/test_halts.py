"""Breaking the glass at the door: everybody who may act may stop, two people restore (S66)."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from storage.access import Principal, Role
from storage.errors import EngineUnavailable
from storage.halt import EVERYTHING
from storage.incident import IncidentKind
from storage.withdrawal import Source, Withdrawal, artifact_subject
from tests.support.house import NOW, House
from tests.unit.api.test_downloads import IMAGE, KEY, TICKET, house_with_ticket, transfer

pytestmark = pytest.mark.requirement("S66")
URL = "/api/v1/halts"


async def post(house: House, role: Role, path: str = "", **body: Any) -> Any:
    async with house.client(role) as client:
        return await client.post(URL + path, json={"reason": "smoke at depot 3", **body})


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.RELEASE_MANAGER, Role.SECURITY, Role.ADMIN])
async def test_whoever_may_act_may_stop_everything(role: Role) -> None:
    house = House()
    answer = await post(house, role)
    assert answer.status_code == 201, answer.text
    assert (answer.json()["scope"], answer.json()["votes_needed"]) == ("everything", 2)
    assert house.audit.actions == ["halt.pulled"]
    assert house.halts.recorded == {1}
    [incident] = await house.services.watch.incidents.find()
    assert (incident.kind, incident.subject) == (IncidentKind.HALTED, EVERYTHING)


async def test_a_viewer_may_not_and_an_operator_may_not_restore() -> None:
    house = House()
    assert (await post(house, Role.VIEWER)).status_code == 403
    await post(house, Role.OPERATOR)
    assert (await post(house, Role.OPERATOR, "/1/restore")).status_code == 403
    assert house.halts.rows[1].lifted_at is None


async def test_two_tokens_of_one_person_are_one_person() -> None:
    house = House()
    await post(house, Role.OPERATOR)
    ann = [house.token(Principal("ann", role)) for role in (Role.SECURITY, Role.ADMIN)]
    for text in ann:
        async with house.client(text=text) as client:
            answer = await client.post(f"{URL}/1/restore", json={"reason": "it was steam"})
            assert answer.json()["lifted_at"] is None
    answer = await post(house, Role.RELEASE_MANAGER, "/1/restore")
    assert answer.json()["lifted_at"] is not None
    assert house.audit.actions == ["halt.pulled", "halt.restore_voted", "halt.restore_voted", "halt.lifted"]
    assert await house.services.watch.incidents.find() == []
    assert (await post(house, Role.ADMIN, "/1/restore")).status_code == 409
    assert (await post(house, Role.ADMIN, "/7/restore")).status_code == 404


async def test_it_is_in_force_although_audit_log_and_temporal_are_away() -> None:
    house = House()

    async def away(*_: object, **__: object) -> None:
        raise EngineUnavailable("It is away.")

    house.audit.append = away  # type: ignore[method-assign]
    answer = await post(house, Role.OPERATOR)
    assert answer.status_code == 201
    assert await house.halts.standing() is not None
    assert [halt.halt_id for halt in await house.halts.unrecorded()] == [1], "the next round writes it down"


async def test_a_reason_is_needed_and_hostile_input_is_refused() -> None:
    house = House()
    for body in (
        {"reason": ""},
        {"reason": "x" * 501},
        {"reason": "a\x00b"},
        {"artifact_id": "f" * 64},
        {"x": 1},
    ):
        assert (await post(house, Role.ADMIN, **body)).status_code == 422, body
    assert house.halts.rows == {}


async def everything(house: House) -> None:
    await house.halts.pull(EVERYTHING, "ann", "now", NOW)


async def its_image(house: House) -> None:
    await house.withdrawals.add([Withdrawal(artifact_subject(KEY), "now", Source.PERSON, "ann", NOW)])


@pytest.mark.parametrize(("stop", "status"), [(everything, 503), (its_image, 410)])
async def test_no_download_begins_and_one_under_way_breaks_off(
    stop: Callable[[House], Awaitable[None]], status: int
) -> None:
    house = house_with_ticket()
    desk = house.app.state.desk
    with desk.seated(transfer(house, "127.0.0.1")) as running:
        await desk.note()
        before = running.over
        await stop(house)
        await desk.note()
    assert (before, running.over) == ("", "its ticket holds no more")
    async with house.client() as client:
        refused = await client.get(f"/d/{TICKET}")
    assert refused.status_code == status
    assert IMAGE[:16] not in refused.content
