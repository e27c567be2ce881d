import asyncio
import http.client
import json
from typing import Any

import pytest
from sqlalchemy import select
from websockets.exceptions import ConnectionClosed, InvalidStatus

from csms.commands import AnswerStatus, ChangeAvailability, Reset, ResetKind
from csms.errors import NotConnectedHere
from csms.frames import OCPP16, OCPP21, OCPP201
from csms.session import SUPERSEDED
from storage.events import EventKind
from storage.postgres.tables import frame
from storage.twin import Lifecycle

pytestmark = pytest.mark.integration

STATUS = {"connectorId": 1, "errorCode": "NoError", "status": "Available"}
STATION = {
    "chargingStation": {"vendorName": "V", "model": "M", "firmwareVersion": "2.0"},
    "reason": "PowerUp",
}
RESET = Reset(ResetKind.ON_IDLE)


async def refusal(place: Any, node: Any, *args: Any, **options: Any) -> Any:
    """The HTTP response that ended a handshake."""
    with pytest.raises(InvalidStatus) as refused:
        async with place.charger(node, *args, **options):
            pass
    return refused.value.response


# Who comes in.


@pytest.mark.requirement("F69", "F58", "F98")
@pytest.mark.parametrize(
    ("offered", "agreed"),
    [((OCPP16,), OCPP16), ((OCPP201, OCPP16), OCPP201), (("ocpp9", OCPP21, OCPP201), OCPP21)],
)
async def test_a_charger_boots_in_every_version(place: Any, offered: tuple[str, ...], agreed: str) -> None:
    node = await place.start_node()
    async with place.charger(node, subprotocols=offered) as peer:
        assert peer.socket.subprotocol == agreed
        payload = STATION if agreed != OCPP16 else {"chargePointVendor": "V", "chargePointModel": "M"}
        assert (await peer.ask(2, "1", "BootNotification", payload))[2]["status"] == "Accepted"
        twin = await place.twin()
        assert twin.identity.vendor == "V", "it is stored when it is answered"
        assert (twin.connectivity.online, twin.connectivity.dialect) == (True, agreed)
        assert twin.security.profile == 1
    await place.wait_for(EventKind.CONNECTION_CLOSED)
    assert not (await place.twin()).connectivity.online


@pytest.mark.requirement("F35", "F39")
async def test_strangers_are_refused_and_failures_are_on_the_timeline(place: Any) -> None:
    node = await place.start_node()
    unknown = await refusal(place, node, "CP-9")
    wrong = await refusal(place, node, password="guess")
    without = await refusal(place, node, password=None)
    nonsense = await refusal(place, node, "a%20b%2Fc")
    assert [each.status_code for each in (unknown, wrong, without, nonsense)] == [404, 401, 401, 404]
    assert wrong.headers["WWW-Authenticate"].startswith("Basic realm=")
    assert unknown.body == b"no charger is registered under this identity\n"
    refused = await place.wait_for(EventKind.CONNECTION_REFUSED, 2)
    assert [each["reason"] for each in refused] == [
        "wrong password",
        "no basic credentials with this identity as the username",
    ]
    assert (await place.twin()).security.auth_failures == 2
    assert node.metrics.registry.get_sample_value("ampwave_csms_refused_total", {"status": "401"}) == 2


@pytest.mark.requirement("F47")
async def test_a_retired_charger_is_refused_with_the_right_password(place: Any) -> None:
    node = await place.start_node()
    await place.chargers.set_lifecycle("CP-1", Lifecycle.RETIRED)
    response = await refusal(place, node)
    assert (response.status_code, response.body) == (403, b"the charger is retired\n")


async def test_an_identity_is_percent_decoded_and_a_1_6_key_may_be_bytes(place: Any) -> None:
    node = await place.start_node()
    await place.register("CP|1*", "30313233343536373839616263646566")
    async with place.charger(
        node, "CP|1*", password=bytes.fromhex("30313233343536373839616263646566")
    ) as peer:
        assert (await peer.boot())[2]["status"] == "Accepted"
    async with place.charger(node, "CP|1*", password="30313233343536373839616263646566") as peer:
        assert (await peer.boot())[2]["status"] == "Accepted"


@pytest.mark.requirement("F34")
async def test_a_charger_that_was_quarantined_while_connected_is_told_so_at_its_next_boot(place: Any) -> None:
    node = await place.start_node()
    async with place.charger(node) as peer:
        assert (await peer.boot())[2]["status"] == "Accepted"
        await place.chargers.set_lifecycle("CP-1", Lifecycle.QUARANTINED)
        assert (await peer.boot("1.1"))[2]["status"] == "Rejected"
        assert (await peer.ask(2, "h", "Heartbeat", {}))[2] == "SecurityError"


@pytest.mark.parametrize(
    ("target", "headers", "status"),
    [
        ("//[", (), 404),
        ("//[x]/ocpp/CP-1", (), 404),
        ("/ocpp/CP-1", ("Basic Q1AtMTp4", "Basic Q1AtMTp4"), 401),
    ],
)
async def test_a_request_that_cannot_be_read_is_refused_like_any_other(
    place: Any, caplog: pytest.LogCaptureFixture, target: str, headers: tuple[str, ...], status: int
) -> None:
    """Anybody may send one, so it must cost no more than a line of the log."""
    node = await place.start_node()
    reader, writer = await asyncio.open_connection("127.0.0.1", node.ports[0])
    fields = {"Host": "x", "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
    lines = [f"{name}: {value}" for name, value in fields.items()]
    lines += ["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", *(f"Authorization: {each}" for each in headers)]
    writer.write("\r\n".join([f"GET {target} HTTP/1.1", *lines, "", ""]).encode())
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    assert answer.split()[1] == str(status).encode()
    assert not [record for record in caplog.records if record.exc_info]


@pytest.mark.parametrize("offered", [(), ("ocpp1.5",)])
async def test_without_a_common_version_the_handshake_ends_and_then_the_socket(
    place: Any, offered: tuple[str, ...]
) -> None:
    node = await place.start_node()
    async with place.charger(node, subprotocols=offered) as peer:
        assert peer.socket.subprotocol is None
        code, reason = await peer.closed()
    assert code == 1002
    assert reason == "no common subprotocol; offer one of ocpp2.1, ocpp2.0.1, ocpp1.6"
    (refused,) = await place.wait_for(EventKind.CONNECTION_REFUSED)
    assert refused["reason"] == reason


async def test_liveness_is_plain_http(place: Any) -> None:
    node = await place.start_node()

    def ask(path: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", node.ports[0], timeout=10)
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()

    assert await asyncio.to_thread(ask, "/livez") == (200, b"alive\n")
    assert (await asyncio.to_thread(ask, "/"))[0] == 404


# What comes in.


async def test_bad_frames_are_answered_recorded_and_the_socket_stays(place: Any) -> None:
    node = await place.start_node()
    async with place.charger(node) as peer:
        await peer.socket.send("{not json")
        assert (await peer.hear())[:3] == [4, "-1", "FormationViolation"]
        assert (await peer.ask(2, "1", "StatusNotification", {"connectorId": 1}))[
            2
        ] == "OccurenceConstraintViolation"
        assert (await peer.ask(2, "2", "Heartbeat", {}))[:2] == [3, "2"]
        rejected = await place.bodies(EventKind.FRAME_REJECTED)
        assert [each["code"] for each in rejected] == ["FormationViolation", "OccurenceConstraintViolation"]


async def test_a_frame_that_is_too_long_closes_the_socket_and_is_recorded(place: Any) -> None:
    node = await place.start_node(max_frame_bytes=1000)
    async with place.charger(node) as peer:
        assert (await peer.ask(2, "1", "StatusNotification", STATUS))[:2] == [3, "1"]
        await peer.say(2, "2", "DataTransfer", {"vendorId": "V", "data": "x" * 2000})
        assert (await peer.closed())[0] == 1009
    (rejected,) = await place.wait_for(EventKind.FRAME_REJECTED)
    assert rejected["code"] == "1009"
    (closed,) = await place.wait_for(EventKind.CONNECTION_CLOSED)
    assert closed["code"] == 1009
    assert "1.1" in (await place.twin()).operation.connectors, "what came before is kept"


async def test_while_the_database_is_away_chargers_wait_and_nothing_is_lost(place: Any) -> None:
    node = await place.start_node()
    async with place.charger(node) as peer:
        await peer.boot()
        place.ingest.away = 3
        assert (await peer.ask(2, "1", "StatusNotification", STATUS))[:2] == [3, "1"]
        assert place.ingest.refused == 3
        assert "1.1" in (await place.twin()).operation.connectors


@pytest.mark.requirement("F82")
async def test_a_session_keeps_its_id_over_a_restart_of_the_node(place: Any) -> None:
    start = {"connectorId": 1, "idTag": "T", "meterStart": 0, "timestamp": "2026-11-20T11:59:00Z"}
    node = await place.start_node()
    async with place.charger(node) as peer:
        first = await peer.ask(2, "1", "StartTransaction", start)
    await node.stop()
    again_node = await place.start_node("node-2")
    async with place.charger(again_node) as peer:
        again = await peer.ask(2, "2", "StartTransaction", start)
        assert again[2] == first[2]
        assert len((await place.twin()).operation.transactions) == 1


# The newest socket.


@pytest.mark.requirement("F19")
async def test_the_newest_authenticated_socket_wins(place: Any) -> None:
    node = await place.start_node()
    async with place.charger(node) as old:
        await old.boot()
        first = await place.routes.resolve("CP-1")
        async with place.charger(node) as new:
            assert (await old.closed())[0] == SUPERSEDED
            await new.boot("1.1")
            second = await place.routes.resolve("CP-1")
            assert second.session_epoch > first.session_epoch
            await place.wait_for(EventKind.CONNECTION_CLOSED)
            assert (await place.twin()).connectivity.online, (
                "the old one's end does not take the new one offline"
            )
            with pytest.raises(NotConnectedHere):
                await node.send("CP-1", first.session_epoch, RESET, deadline_s=5)
            sending = asyncio.create_task(node.send("CP-1", second.session_epoch, RESET, deadline_s=5))
            call = await new.hear()
            await new.say(3, call[1], {"status": "Accepted"})
            assert (await sending).status is AnswerStatus.ACCEPTED


@pytest.mark.requirement("F82", "X1")
async def test_a_session_that_began_on_a_dying_socket_is_known_when_the_new_one_speaks(place: Any) -> None:
    start = {"connectorId": 1, "idTag": "T", "meterStart": 0, "timestamp": "2026-11-20T11:59:00Z"}
    node = await place.start_node()
    async with place.charger(node) as old:
        await old.boot()
        place.ingest.away = 5
        await old.say(2, "1", "StartTransaction", start)
        await place.ingest.until_refused()
        async with place.charger(node) as new:
            again = await new.ask(2, "2", "StartTransaction", start)
            assert again[2]["transactionId"] == 1
            assert list((await place.twin()).operation.transactions) == ["1"]
            assert len(await place.bodies(EventKind.TRANSACTION_STARTED)) == 1


async def test_a_refused_newcomer_does_not_touch_the_old_socket(place: Any) -> None:
    node = await place.start_node()
    async with place.charger(node) as peer:
        await peer.boot()
        await refusal(place, node, password="guess")
        assert (await peer.ask(2, "1", "Heartbeat", {}))[:2] == [3, "1"]
        assert (await place.twin()).connectivity.online


async def test_a_charger_that_moved_to_another_node_is_let_go_by_the_first(place: Any) -> None:
    first = await place.start_node("node-1", lease_s=0.3)
    second = await place.start_node("node-2")
    async with place.charger(first) as old, place.charger(second) as new:
        await new.boot()
        assert (await old.closed())[0] == SUPERSEDED
        route = await place.routes.resolve("CP-1")
        assert (route.node_id, route.boot_id) == ("node-2", "node-2-boot")
        assert second.supports_signed_update("CP-1", route.session_epoch)
        with pytest.raises(NotConnectedHere):
            first.supports_signed_update("CP-1", route.session_epoch)


# What goes out.


@pytest.mark.requirement("X1")
async def test_after_an_answer_settling_shows_all_that_was_told_before_it(place: Any) -> None:
    node = await place.start_node()
    async with place.charger(node) as peer:
        await peer.ask(2, "1", "StatusNotification", STATUS)
        route = await place.routes.resolve("CP-1")
        command = ChangeAvailability(operative=False)
        sending = asyncio.create_task(node.send("CP-1", route.session_epoch, command, deadline_s=10))
        call = await peer.hear()
        await peer.say(2, "2", "StatusNotification", {**STATUS, "status": "Preparing"})
        await peer.say(3, call[1], {"status": "Scheduled"})
        assert (await sending).status is AnswerStatus.SCHEDULED
        await node.settle("CP-1", route.session_epoch)
        assert (await place.twin()).operation.connectors["1.1"].vendor_status == "Preparing"
        answered = await place.bodies(EventKind.COMMAND_ANSWERED)
        assert [(each["action"], each["status"]) for each in answered] == [
            ("ChangeAvailability", "Scheduled")
        ]


@pytest.mark.requirement("F6")
async def test_a_charger_that_says_nothing_of_itself_is_asked_after_its_boot(place: Any) -> None:
    node = await place.start_node(probe_delay_s=0)
    async with place.charger(node) as peer:
        await peer.boot()
        probe = await peer.hear()
        assert probe[2] == "GetConfiguration"
        assert "SecurityProfile" in probe[3]["key"]
        await peer.say(3, probe[1], {"unknownKey": ["SecurityProfile"]})
        trigger = await peer.hear()
        assert trigger[2:] == ["TriggerMessage", {"requestedMessage": "StatusNotification"}]
        await peer.say(3, trigger[1], {"status": "Accepted"})
        assert (await peer.ask(2, "1", "StatusNotification", STATUS))[:2] == [3, "1"]
        assert "1.1" in (await place.twin()).operation.connectors
        route = await place.routes.resolve("CP-1")
        assert not node.supports_signed_update("CP-1", route.session_epoch)


async def test_stopping_drains_and_gives_the_leases_back(place: Any) -> None:
    node = await place.start_node()
    async with place.charger(node) as peer:
        await peer.boot()
        await peer.say(2, "1", "StatusNotification", STATUS)
        await peer.hear()
        await node.stop()
        with pytest.raises(ConnectionClosed):
            await peer.socket.recv()
        assert peer.socket.close_code == 1012
    assert await place.routes.resolve("CP-1") is None
    twin = await place.twin()
    assert not twin.connectivity.online
    assert "1.1" in twin.operation.connectors


@pytest.mark.requirement("F23")
async def test_frames_are_journaled_both_ways_without_secrets(place: Any) -> None:
    node = await place.start_node()
    async with place.charger(node) as peer:
        await peer.ask(2, "1", "Authorize", {"idTag": "SECRET"})
    async with place.engine.connect() as connection:
        rows = (await connection.execute(select(frame.c.direction, frame.c.text, frame.c.answer))).all()
    assert [row.direction for row in rows] == ["in"]
    assert json.loads(rows[0].answer) == [3, "1", {"idTagInfo": {"status": "Accepted"}}]
    assert "SECRET" not in repr(rows)
