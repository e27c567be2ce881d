"""Changing a charger's password over a real socket: the old one dies exactly when it should (A01)."""

import asyncio
import json
from typing import Any

import pytest
from sqlalchemy import select
from websockets.exceptions import InvalidStatus

from csms.frames import OCPP16, OCPP21, OCPP201
from csms.ports import PasswordChange
from storage.credentials import PendingFate
from storage.errors import Conflict, NotFound
from storage.events import EventKind
from storage.postgres.tables import charger_credential, event, frame, outbox, twin_history

pytestmark = pytest.mark.integration

ACCEPTED_16 = {"status": "Accepted"}


def password_in(call: Any) -> str:
    """What the charger was sent."""
    payload = call[3]
    found = payload["value"] if "value" in payload else payload["setVariableData"][0]["attributeValue"]
    assert isinstance(found, str)
    return found


def result(status: str) -> dict[str, Any]:
    """A 2.x answer to setting the password."""
    named = {"component": {"name": "SecurityCtrlr"}, "variable": {"name": "BasicAuthPassword"}}
    return {"setVariableResult": [{**named, "attributeStatus": status}]}


async def change(place: Any, node: Any, peer: Any, deadline_s: float = 10.0) -> asyncio.Task[PasswordChange]:
    """Begin a change; the charger hears of it next."""
    # Answered: the node holds this very socket.
    await peer.ask(2, "ready", "Heartbeat", {})
    route = await place.routes.resolve("CP-1")
    return asyncio.create_task(node.change_password("CP-1", route.session_epoch, deadline_s=deadline_s))


async def gets_in(place: Any, node: Any, password: str, version: str = OCPP16) -> bool:
    status = 101
    try:
        async with place.charger(node, password=password, subprotocols=(version,)) as peer:
            # Answered: the node is done with letting it in, and the next one is the newer one.
            await peer.ask(2, "in", "Heartbeat", {})
    except InvalidStatus as refused:
        status = refused.response.status_code
    assert status in (101, 401)
    return status == 101


async def pending(place: Any) -> bool:
    credential = await place.chargers.credential("CP-1")
    return credential.pending is not None


async def everything_stored(place: Any) -> str:
    """All that the database holds of this charger's conversation, as text."""
    async with place.engine.connect() as connection:
        tables = (frame, event, twin_history, outbox, charger_credential)
        rows = [(await connection.execute(select(table))).all() for table in tables]
    return repr(rows)


OLD = "the-old-password-of-this-charger"


@pytest.fixture
async def node(place: Any) -> Any:
    await place.register("CP-1", OLD)
    return await place.start_node()


@pytest.mark.requirement("F36")
@pytest.mark.parametrize(
    ("version", "answer"),
    [(OCPP16, ACCEPTED_16), (OCPP201, result("Accepted")), (OCPP21, result("Accepted"))],
)
async def test_accepted_the_old_one_dies_at_once(
    place: Any, node: Any, version: str, answer: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    async with place.charger(node, password=OLD, subprotocols=(version,)) as peer:
        changing = await change(place, node, peer)
        call = await peer.hear()
        new = password_in(call)
        assert await pending(place), "known before it was sent"
        await peer.say(3, call[1], answer)
        assert (await changing).fate is PendingFate.PROMOTE
        assert not await gets_in(place, node, OLD, version)
        await peer.say(2, "1", "Heartbeat", {})
        assert (await peer.hear())[:2] == [3, "1"], "the open socket stays"
    assert await gets_in(place, node, new, version)
    assert len(new) == 40
    if version == OCPP16:
        assert bytes.fromhex(new)
        assert await gets_in(place, node, bytes.fromhex(new), version)  # type: ignore[arg-type]
    assert new not in await everything_stored(place)
    assert new not in caplog.text


@pytest.mark.parametrize(
    ("version", "answer"),
    [
        (OCPP16, {"status": "Rejected"}),
        (OCPP16, {"status": "NotSupported"}),
        (OCPP201, result("Rejected")),
        (OCPP201, result("UnknownVariable")),
    ],
)
async def test_refused_the_old_one_stays(place: Any, node: Any, version: str, answer: dict[str, Any]) -> None:
    async with place.charger(node, password=OLD, subprotocols=(version,)) as peer:
        changing = await change(place, node, peer)
        call = await peer.hear()
        await peer.say(3, call[1], answer)
        assert (await changing).fate is PendingFate.DROP
    assert not await gets_in(place, node, password_in(call), version)
    assert await gets_in(place, node, OLD, version)


async def test_when_the_answer_is_lost_and_the_charger_took_it_the_old_one_dies(
    place: Any, node: Any
) -> None:
    async with place.charger(node, password=OLD) as peer:
        changing = await change(place, node, peer)
        new = password_in(await peer.hear())
    assert await changing == PasswordChange(PendingFate.HOLD, None)
    assert await gets_in(place, node, new)
    assert not await gets_in(place, node, OLD)
    assert await gets_in(place, node, new)


async def test_when_the_answer_is_lost_and_the_charger_did_not_take_it_the_new_one_dies(
    place: Any, node: Any
) -> None:
    async with place.charger(node, password=OLD) as peer:
        changing = await change(place, node, peer)
        new = password_in(await peer.hear())
    assert (await changing).fate is PendingFate.HOLD
    assert await gets_in(place, node, OLD)
    assert await pending(place), "it may take effect with a restart: the lost answer may have said so"
    async with place.charger(node, password=OLD) as peer:
        await peer.boot()
    assert await gets_in(place, node, OLD)
    assert not await pending(place)
    assert not await gets_in(place, node, new)


async def test_an_answer_that_never_comes_leaves_both_open(place: Any, node: Any) -> None:
    async with place.charger(node, password=OLD) as peer:
        changing = await change(place, node, peer, deadline_s=1.0)
        new = password_in(await peer.hear())
        assert (await changing).fate is PendingFate.HOLD
        again = await change(place, node, peer)
        with pytest.raises(Conflict, match="pending already"):
            await again
    assert await gets_in(place, node, new)
    assert not await gets_in(place, node, OLD)


async def test_after_reboot_required_the_old_one_lives_until_the_restart(place: Any, node: Any) -> None:
    async with place.charger(node, password=OLD) as peer:
        await peer.boot()
        changing = await change(place, node, peer)
        call = await peer.hear()
        new = password_in(call)
        await peer.say(3, call[1], {"status": "RebootRequired"})
        assert (await changing).fate is PendingFate.HOLD
    assert await gets_in(place, node, OLD), "its network was away for a moment"
    assert await gets_in(place, node, OLD)
    async with place.charger(node, password=new) as peer:
        await peer.boot("1.0")
    assert not await gets_in(place, node, OLD)


async def test_a_charger_that_restarted_with_the_old_one_does_not_have_the_new_one(
    place: Any, node: Any
) -> None:
    async with place.charger(node, password=OLD) as peer:
        changing = await change(place, node, peer)
        call = await peer.hear()
        await peer.say(3, call[1], {"status": "RebootRequired"})
        await changing
    async with place.charger(node, password=OLD) as peer:
        await peer.boot()
    assert await gets_in(place, node, OLD)
    assert not await gets_in(place, node, password_in(call))


@pytest.mark.requirement("F23")
async def test_a_charger_that_echoes_the_password_does_not_get_it_into_any_record(
    place: Any, node: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async with place.charger(node, password=OLD) as peer:
        changing = await change(place, node, peer)
        call = await peer.hear()
        new = password_in(call)
        await peer.say(4, call[1], "InternalError", f"cannot store {new.upper()}", {"echo": call})
        assert await changing == PasswordChange(PendingFate.HOLD, None)
        await peer.say(2, "1", "DataTransfer", {"vendorId": "V", "data": json.dumps(call)})
        await peer.hear()
        await peer.socket.send(f"no frame, but {new}")
        await peer.hear()
    await place.wait_for(EventKind.CONNECTION_CLOSED)
    stored = await everything_stored(place)
    assert "InternalError" in stored
    assert "DataTransfer" in stored
    for text in (stored, caplog.text):
        assert new.lower() not in text.lower()


async def test_a_charger_without_a_password_has_none_to_change(place: Any) -> None:
    await place.register("CP-2", password=None)
    node = await place.start_node(unsafe_profile_0=True)
    async with place.charger(node, "CP-2", password=None):
        await place.wait_for(EventKind.CONNECTION_OPENED, 1, "CP-2")
        route = await place.routes.resolve("CP-2")
        with pytest.raises(NotFound):
            await node.change_password("CP-2", route.session_epoch, deadline_s=1)


@pytest.mark.requirement("F36")
async def test_two_chargers_never_share_a_password(place: Any, node: Any) -> None:
    with pytest.raises(Conflict, match="belongs to another charger"):
        await place.register("CP-2", OLD)
    assert await place.chargers.credential("CP-2") is None
    await place.register("CP-1", OLD)
    outcomes = await asyncio.gather(
        *(place.register(f"CP-{number}", "one-password-for-all-of-us") for number in range(3, 9)),
        return_exceptions=True,
    )
    assert sum(outcome is None for outcome in outcomes) == 1
