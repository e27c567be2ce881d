"""A station that trusts nothing: every frame that reaches it is checked, and the test fails on a bad one.

What it says itself is checked as well, so that a case never passes on input no charger may send.
"""

import asyncio
import itertools
import json
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from tests.integration.conformance.wire import (
    CALL,
    ERROR,
    OCPP16,
    RESULT,
    Framing,
    answer_fault,
    request_fault,
)

CHARGER, SERIAL, PASSWORD = "STATION-1", "SN-1", "a-password-of-station-1"
PATIENCE_S = 15
Payload = dict[str, Any]


def now() -> str:
    """The station's time, as it writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


class Refused(Exception):
    """A CALLERROR came instead of an answer."""

    def __init__(self, action: str, code: str, description: str) -> None:
        super().__init__(f"{action}: {code} {description}")
        self.code = code


@dataclass
class Station:
    """One connection of a charger; use one of its two dialects below."""

    socket: ClientConnection
    framing: Framing
    faults: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.version = self.framing.version
        self._ids = itertools.count(1)
        self._open: dict[str, tuple[str, asyncio.Future[Payload]]] = {}
        self._replies: dict[str, deque[Payload | str | None]] = defaultdict(deque)
        self._heard: dict[str, asyncio.Queue[Payload]] = defaultdict(asyncio.Queue)
        self._held: dict[str, tuple[str, str]] = {}
        self.vendor, self.model, self.serial = "V", "M", SERIAL
        """What it says of itself at its boot."""
        self.asked: list[str] = []
        """The actions it was called with so far."""
        self.lacks: frozenset[str] = frozenset()
        """What it may be asked for at any time after a boot, and does not have."""
        if self.socket.subprotocol != self.version:
            self.faults.append(f"agreed on {self.socket.subprotocol!r} instead of {self.version}")
        if self.socket.response and "Sec-WebSocket-Extensions" in self.socket.response.headers:
            self.faults.append("an extension was agreed on that nobody asked for")

    # What it says.

    async def call(self, action: str, payload: Payload) -> Payload:
        """Ask the central system; its checked answer. Raises Refused at a CALLERROR."""
        fault = request_fault(self.version, action, payload)
        assert fault is None, f"the station itself is wrong: {fault}"
        return await self.call_wrongly(action, payload)

    async def call_wrongly(self, action: str, payload: Payload) -> Payload:
        """The same without looking at the payload first."""
        message_id = f"{id(self):x}-{next(self._ids)}"
        answer: asyncio.Future[Payload] = asyncio.get_running_loop().create_future()
        self._open[message_id] = action, answer
        await self.socket.send(json.dumps([CALL, message_id, action, payload]))
        return await asyncio.wait_for(answer, PATIENCE_S)

    async def told(self, action: str, payload: Payload) -> None:
        """Tell something to which the answer is empty."""
        assert await self.call(action, payload) == {}, action

    # What it is asked.

    def will_answer(self, action: str, **payload: Any) -> None:
        """The next call of this action gets this answer."""
        fault = answer_fault(self.version, action, payload)
        assert fault is None, f"the station itself is wrong: {fault}"
        self._replies[action].append(payload)

    def will_refuse(self, action: str, code: str) -> None:
        """The next call of this action gets this CALLERROR."""
        self._replies[action].append(code)

    def will_hold(self, action: str) -> None:
        """The next call of this action gets no answer until ``release``."""
        self._replies[action].append(None)

    async def release(self, action: str, **payload: Any) -> None:
        """Answer the call that is held."""
        fault = answer_fault(self.version, action, payload)
        assert fault is None, f"the station itself is wrong: {fault}"
        message_id = next(held for held, (name, _) in self._held.items() if name == action)
        del self._held[message_id]
        await self.socket.send(json.dumps([RESULT, message_id, payload]))

    async def heard(self, action: str) -> Payload:
        """The payload of the next call of this action, once it is here."""
        return await asyncio.wait_for(self._heard[action].get(), PATIENCE_S)

    # What comes in.

    async def read(self) -> None:
        """Serve the socket until it closes."""
        try:
            async for raw in self.socket:
                await self._take(raw)
        except ConnectionClosed:
            pass
        finally:
            for action, answer in self._open.values():
                if not answer.done():
                    answer.set_exception(ConnectionError(f"closed before {action} was answered"))

    async def _take(self, raw: str | bytes) -> None:
        frame, fault = self.framing.read(raw)
        if fault is not None:
            self.faults.append(fault)
        elif frame[0] == CALL:
            await self._asked(*frame[1:])
        else:
            self._answered(frame)

    def _answered(self, frame: list[Any]) -> None:
        action, answer = self._open.pop(frame[1], (None, None))
        if action is None or answer is None:
            self.faults.append(f"an answer to no open call: {frame}")
        elif frame[0] == ERROR:
            answer.set_exception(Refused(action, frame[2], frame[3]))
        else:
            fault = answer_fault(self.version, action, frame[2])
            if fault is not None:
                self.faults.append(fault)
            answer.set_result(frame[2])

    async def _asked(self, message_id: str, action: str, payload: Payload) -> None:
        # 1.6 OCPP-J section 4.1.1, 2.x Part 4 section 4.1.1: one call at a time.
        if self._held:
            self.faults.append(f"{action} was called while {list(self._held.values())} had no answer yet")
        if action in self.lacks and not self._replies[action]:
            await self.socket.send(json.dumps([ERROR, message_id, "NotSupported", "", {}]))
            return
        self.asked.append(action)
        self._heard[action].put_nowait(payload)
        if not self._replies[action]:
            self.faults.append(f"{action} was called out of the blue: {payload}")
            await self.socket.send(json.dumps([ERROR, message_id, "NotImplemented", "", {}]))
            return
        reply = self._replies[action].popleft()
        if reply is None:
            self._held[message_id] = action, message_id
        elif isinstance(reply, str):
            await self.socket.send(json.dumps([ERROR, message_id, reply, "", {}]))
        else:
            await self.socket.send(json.dumps([RESULT, message_id, reply]))

    def verdict(self) -> None:
        """Fail the test over anything that was wrong."""
        missed = [action for action, replies in self._replies.items() if replies]
        assert not self.faults, self.faults
        assert not missed, f"the central system never called {missed}"

    # The words that differ between the dialects.

    async def boot(self, reason: str = "PowerUp", version: str = "1.0") -> Payload:
        """A BootNotification; its answer."""
        raise NotImplementedError

    async def status(self, status: str, evse: int = 1) -> None:
        """Tell the state of an EVSE's connector."""
        raise NotImplementedError

    async def firmware(self, status: str, request_id: int | None) -> None:
        """Tell how far an update is."""
        raise NotImplementedError

    async def ready(self, reason: str = "PowerUp", version: str = "1.0") -> None:
        """Boot, be accepted, and tell the state of both connectors: Part 6 calls this Booted."""
        answer = await self.boot(reason, version)
        assert answer["status"] == "Accepted"
        assert answer["interval"] > 0
        assert abs((datetime.fromisoformat(answer["currentTime"]) - datetime.now(UTC)).total_seconds()) < 60
        await self.everywhere("Available")

    async def everywhere(self, status: str) -> None:
        """Tell the state of every connector."""
        for evse in (1, 2):
            await self.status(status, evse)

    async def progress(self, request_id: int | None, *statuses: str) -> None:
        """Tell a train of firmware statuses."""
        for status in statuses:
            await self.firmware(status, request_id)

    async def security_event(self, kind: str) -> None:
        """Tell a security event."""
        await self.told("SecurityEventNotification", {"type": kind, "timestamp": now()})


class Station16(Station):
    """1.6 with the security extension; ``signed`` False: without it."""

    signed = True

    async def boot(self, reason: str = "PowerUp", version: str = "1.0") -> Payload:
        payload = {
            "chargePointVendor": self.vendor,
            "chargePointModel": self.model,
            "firmwareVersion": version,
        }
        return await self.call("BootNotification", payload)

    async def status(self, status: str, evse: int = 1) -> None:
        payload = {"connectorId": evse, "errorCode": "NoError", "status": status, "timestamp": now()}
        await self.told("StatusNotification", payload)

    async def everywhere(self, status: str) -> None:
        await self.status(status, 0)
        await super().everywhere(status)

    async def firmware(self, status: str, request_id: int | None) -> None:
        if not self.signed:
            await self.told("FirmwareStatusNotification", {"status": status})
            return
        ours = {} if request_id is None else {"requestId": request_id}
        await self.told("SignedFirmwareStatusNotification", {"status": status, **ours})

    async def start(self, evse: int = 1) -> int:
        """A charging session begins; its id."""
        await self.status("Preparing", evse)
        assert (await self.call("Authorize", {"idTag": "TAG"}))["idTagInfo"]["status"] == "Accepted"
        payload = {"connectorId": evse, "idTag": "TAG", "meterStart": 10, "timestamp": now()}
        started = await self.call("StartTransaction", payload)
        assert started["idTagInfo"]["status"] == "Accepted"
        await self.status("Charging", evse)
        return int(started["transactionId"])

    async def stop(self, transaction_id: int, evse: int = 1) -> None:
        """It ends, and the car leaves."""
        payload = {"transactionId": transaction_id, "meterStop": 900, "timestamp": now(), "idTag": "TAG"}
        await self.call("StopTransaction", payload)
        await self.status("Finishing", evse)
        await self.status("Available", evse)


class Station2x(Station):
    """2.0.1 and 2.1."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._sequence = itertools.count()

    async def boot(self, reason: str = "PowerUp", version: str = "1.0") -> Payload:
        station = {
            "vendorName": self.vendor,
            "model": self.model,
            "firmwareVersion": version,
            "serialNumber": self.serial,
        }
        return await self.call("BootNotification", {"chargingStation": station, "reason": reason})

    async def status(self, status: str, evse: int = 1) -> None:
        place = {"evseId": evse, "connectorId": 1}
        at = now()
        await self.told("StatusNotification", {"timestamp": at, "connectorStatus": status, **place})
        # G01.FR.03: stations may say it as a monitored event as well; Part 6 uses both.
        event = {
            "eventId": next(self._sequence),
            "timestamp": at,
            "trigger": "Delta",
            "actualValue": status,
            "eventNotificationType": "HardWiredNotification",
            "component": {"name": "Connector", "evse": {"id": evse, "connectorId": 1}},
            "variable": {"name": "AvailabilityState"},
        }
        await self.told("NotifyEvent", {"generatedAt": at, "seqNo": 0, "eventData": [event]})

    async def firmware(self, status: str, request_id: int | None) -> None:
        # L01.FR.20: without a request id exactly with Idle.
        ours = {} if request_id is None else {"requestId": request_id}
        await self.told("FirmwareStatusNotification", {"status": status, **ours})

    async def transaction(self, kind: str, trigger: str, state: str, **more: Any) -> Payload:
        """One TransactionEvent of the session ``T-1`` on EVSE 1."""
        info = {"transactionId": "T-1", "chargingState": state}
        if "stopped" in more:
            info["stoppedReason"] = more.pop("stopped")
        payload = {
            "eventType": kind,
            "timestamp": now(),
            "triggerReason": trigger,
            "seqNo": next(self._sequence),
            "transactionInfo": info,
            **more,
        }
        return await self.call("TransactionEvent", payload)

    async def start(self) -> None:
        """A charging session begins on EVSE 1 and energy flows: Part 6 calls this EnergyTransferStarted."""
        await self.status("Occupied")
        token = {"idToken": "TAG", "type": "ISO14443"}
        authorized = await self.call("Authorize", {"idToken": token})
        assert authorized["idTokenInfo"]["status"] == "Accepted"
        place = {"id": 1, "connectorId": 1}
        answer = await self.transaction("Started", "Authorized", "EVConnected", idToken=token, evse=place)
        assert answer["idTokenInfo"]["status"] == "Accepted"
        await self.transaction("Updated", "ChargingStateChanged", "Charging")

    async def stop(self) -> None:
        """The driver stops it and the car leaves."""
        token = {"idToken": "TAG", "type": "ISO14443"}
        answer = await self.transaction("Updated", "StopAuthorized", "EVConnected", idToken=token)
        assert answer["idTokenInfo"]["status"] == "Accepted"
        await self.transaction("Ended", "EVCommunicationLost", "Idle", stopped="EVDisconnected")
        await self.status("Available")


@asynccontextmanager
async def connected(
    url: str, framing: Framing, headers: dict[str, str], offered: Sequence[str] = (), **options: Any
) -> AsyncIterator[Any]:
    """A station on a socket of its own; leaving judges all that was heard."""
    names = [Subprotocol(name) for name in offered or (framing.version,)]
    async with connect(
        url, subprotocols=names, additional_headers=headers, compression=None, **options
    ) as socket:
        station = (Station16 if framing.version == OCPP16 else Station2x)(socket, framing)
        reading = asyncio.create_task(station.read())
        try:
            yield station
        except Exception as error:
            # A fault of the peer's is often why a test came to grief.
            error.add_note(f"faults found: {station.faults}")
            raise
        finally:
            await socket.close()
            await reading
        station.verdict()
