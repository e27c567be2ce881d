"""What is desired of a charger that came back is read and compared before anything is sent to it."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from csms.commands import AnswerStatus, SetVariables, TriggerKind, TriggerMessage, VariableValue
from csms.errors import CommandTimeout
from csms.frames import OCPP201
from csms.projection import project
from csms.rereading import RereadPace
from storage.desired import DesiredChange
from storage.events import EventKind
from storage.postgres.twins import PostgresTwinStore

NAME = "OCPPCommCtrlr.HeartbeatInterval"
STATION = {
    "chargingStation": {"vendorName": "V", "model": "M", "firmwareVersion": "1.0"},
    "reason": "PowerUp",
}
NEVER = RereadPace(settle_s=600)
AT_ONCE = RereadPace(settle_s=0, per_s=1000)


async def desire(place: Any, charger_id: str = "CP-1") -> None:
    body = {"values": {NAME: "300", "TxCtrlr.EVConnectionTimeOut": "30"}}
    change = DesiredChange(charger_id, "configuration", body, 0, "ada", "test", datetime.now(UTC))
    await PostgresTwinStore(place.engine, project).set_desired(change)


async def answer(peer: Any, value: str = "60") -> list[Any]:
    """Answer the next GetVariables: the first variable has this value, the second is unknown."""
    call = await peer.hear()
    assert call[2] == "GetVariables", call
    known = {"attributeStatus": "Accepted", "attributeValue": value}
    unknown = {"attributeStatus": "UnknownVariable"}
    results = [
        {**item, **(known if item["variable"]["name"] == "HeartbeatInterval" else unknown)}
        for item in call[3]["getVariableData"]
    ]
    await peer.say(3, call[1], {"getVariableResult": results})
    return call


def setting() -> SetVariables:
    return SetVariables((VariableValue(NAME, "300"),))


@pytest.mark.requirement("F22")
async def test_a_change_waits_until_what_is_desired_was_read_since_the_return(place: Any) -> None:
    node = await place.start_node(reread=NEVER)
    await desire(place)
    async with place.charger(node, subprotocols=(OCPP201,)) as peer:
        await peer.ask(2, "b", "BootNotification", STATION)
        epoch = (await place.routes.resolve("CP-1")).session_epoch
        asked = asyncio.create_task(
            node.send("CP-1", epoch, TriggerMessage(TriggerKind.HEARTBEAT), deadline_s=20)
        )
        trigger = await peer.hear()
        assert trigger[2] == "TriggerMessage", "what changes nothing waits for nothing"
        await peer.say(3, trigger[1], {"status": "Accepted"})
        await asked
        changing = asyncio.create_task(node.send("CP-1", epoch, setting(), deadline_s=20))
        call = await answer(peer)
        names = {item["variable"]["name"] for item in call[3]["getVariableData"]}
        assert names == {"HeartbeatInterval", "EVConnectionTimeOut"}
        change = await peer.hear()
        assert change[2] == "SetVariables"
        status = {**change[3]["setVariableData"][0], "attributeStatus": "Accepted"}
        del status["attributeValue"]
        await peer.say(3, change[1], {"setVariableResult": [status]})
        assert (await changing).status is AnswerStatus.ACCEPTED
        (found,) = await place.bodies(EventKind.DESIRED_COMPARED)
        assert found == {"desired": 2, "differs": [NAME], "untold": ["TxCtrlr.EVConnectionTimeOut"]}
        assert (await place.twin()).configuration.values[NAME] == "60"
        again = asyncio.create_task(node.send("CP-1", epoch, setting(), deadline_s=20))
        assert (await peer.hear())[2] == "SetVariables", "once for each return"
        again.cancel()


@pytest.mark.requirement("F22")
async def test_nothing_is_sent_to_a_charger_that_does_not_answer_what_it_is(place: Any) -> None:
    node = await place.start_node(reread=NEVER)
    await desire(place)
    async with place.charger(node, subprotocols=(OCPP201,)) as peer:
        await peer.ask(2, "b", "BootNotification", STATION)
        epoch = (await place.routes.resolve("CP-1")).session_epoch
        with pytest.raises(CommandTimeout, match="GetVariables"):
            await node.send("CP-1", epoch, setting(), deadline_s=0.4)
        assert (await peer.hear())[2] == "GetVariables"
    sent = await place.bodies(EventKind.COMMAND_SENT)
    assert [each["action"] for each in sent] == ["GetVariables"]


@pytest.mark.requirement("F22")
async def test_everybody_who_comes_back_is_read_in_the_background_and_nobody_else(place: Any) -> None:
    node = await place.start_node(reread=AT_ONCE)
    await place.register("CP-2")
    await desire(place)
    async with (
        place.charger(node, "CP-2", subprotocols=(OCPP201,)),
        place.charger(node, subprotocols=(OCPP201,)) as peer,
    ):
        await answer(peer, "300")
        await place.wait_for(EventKind.DESIRED_COMPARED)
        await peer.ask(2, "b", "BootNotification", STATION)
        await answer(peer, "60")
        first, second = await place.wait_for(EventKind.DESIRED_COMPARED, 2)
        assert (first["differs"], second["differs"]) == ([], [NAME]), "a restart may have changed it"
    assert await place.bodies(EventKind.COMMAND_SENT, "CP-2") == []


async def test_one_of_whom_nothing_is_desired_is_sent_to_at_once(place: Any) -> None:
    node = await place.start_node(reread=NEVER)
    async with place.charger(node, subprotocols=(OCPP201,)) as peer:
        await peer.ask(2, "b", "BootNotification", STATION)
        epoch = (await place.routes.resolve("CP-1")).session_epoch
        sending = asyncio.create_task(node.send("CP-1", epoch, setting(), deadline_s=20))
        assert (await peer.hear())[2] == "SetVariables"
        sending.cancel()
    assert await place.bodies(EventKind.DESIRED_COMPARED) == []
