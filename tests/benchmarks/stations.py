"""Chargers that can be updated, lean enough for a hundred thousand beside everything else on one machine.

Real sockets and real OCPP 2.0.1 frames, all steps of an update in order: taken out of service, told,
statuses, a restart with a new socket, the boot that proves it, back into service. They fetch no image
and check no signature; ``ampwave simulate`` has chargers that do. Run as a child, like ``fleet``.
"""

import asyncio
import json
from typing import Any

from tests.benchmarks.child import Json, serve_commands
from tests.benchmarks.fleet import Charger, Commands, Fleet
from tests.benchmarks.messages import FIRMWARE_TRAIN, HEARTBEAT, OCPP201, Step, step

REBOOT_S = (0.2, 0.6)
"""From the last word of the old image to the first of the new one."""
_IN_SERVICE = {True: "Available", False: "Unavailable"}
_PLAIN: dict[str, Json] = {
    "GetBaseReport": {"status": "NotSupported"},
    "GetReport": {"status": "NotSupported"},
    "GetInstalledCertificateIds": {"status": "NotFound"},
    "GetTransactionStatus": {"messagesInQueue": False},
}


class Station(Charger):
    """One of them."""

    fleet: "Stations"

    def __init__(self, fleet: "Stations", number: int) -> None:
        super().__init__(fleet, number)
        self.dialect = OCPP201
        self.version = fleet.version
        self.operative = True
        self.turn = asyncio.Lock()
        """One call at a time, whoever makes it (OCPP-J 4.1.1)."""

    def _answer(self, text: bytes) -> None:
        _, message_id, action, payload = json.loads(text)
        self._reply(message_id, self._payload(action, payload))
        if action == "ChangeAvailability":
            self.operative = payload["operationalStatus"] == "Operative"
            self.fleet.go(self._tell(self.fleet.status(self.operative)))
        elif action == "UpdateFirmware":
            self.fleet.updates += 1
            self.fleet.go(self._update(payload["requestId"]))

    def _payload(self, action: str, payload: Json) -> Json:
        if action == "GetVariables":
            return {"getVariableResult": [_unknown(asked) for asked in payload["getVariableData"]]}
        return _PLAIN.get(action) or {"status": "Accepted"}

    def _reply(self, message_id: str, payload: Json) -> None:
        if self.socket is not None:
            self.socket.send(json.dumps([3, message_id, payload], separators=(",", ":")).encode())

    async def _tell(self, said: Step) -> None:
        """Say it once it is our turn; what the socket loses is lost, as in the field."""
        try:
            async with self.turn:
                if self.socket is not None:
                    await self.ask(said)
        except ConnectionError:
            self.fleet.unheard += 1

    async def _update(self, request_id: int) -> None:
        fleet = self.fleet
        for word in FIRMWARE_TRAIN[:-1]:
            await self._tell(fleet.progress(word, request_id))
        async with self.turn:
            if self.socket is not None:
                self.socket.drop()
        while self.socket is not None:  # noqa: ASYNC110 - the loop tells when it is gone
            await asyncio.sleep(0.01)
        self.version = fleet.target
        await asyncio.sleep(fleet.random.uniform(*REBOOT_S))
        async with self.turn:
            await self.come_back(0.0, boot=True)
        await self._tell(fleet.progress(FIRMWARE_TRAIN[-1], request_id))

    async def _boot(self) -> None:
        while b'"Accepted"' not in await self.ask(self.fleet.boot(self.version)):  # noqa: ASYNC110
            await asyncio.sleep(1)
        await self.ask(self.fleet.status(self.operative))


class Stations(Fleet):
    """All of one process, and the frames that they share."""

    def __init__(self, given: Json) -> None:
        self.vendor, self.model = given["vendor"], given["model"]
        self.version, self.target = given["version"], given["target"]
        self.heartbeat_s = given["heartbeat_s"]
        self.updates = 0
        self.unheard = 0
        self._frames: dict[object, Step] = {}
        self._running: set[asyncio.Task[None]] = set()
        super().__init__({**given, "count": 0})
        first = given["first"]
        self.stations = [Station(self, number) for number in range(first, first + given["count"])]
        self.chargers = [*self.stations]

    def go(self, work: Any) -> None:
        """Do it beside everything else."""
        self._running.add(task := asyncio.create_task(work))
        task.add_done_callback(self._running.discard)

    def boot(self, version: str) -> Step:
        """BootNotification."""
        station = {"vendorName": self.vendor, "model": self.model, "firmwareVersion": version}
        return self._frame(
            version, "BootNotification", {"reason": "FirmwareUpdate", "chargingStation": station}
        )

    def status(self, operative: bool) -> Step:
        """StatusNotification of the only connector."""
        said = {"timestamp": "@at@", "connectorStatus": _IN_SERVICE[operative], "evseId": 1, "connectorId": 1}
        return self._frame(operative, "StatusNotification", said)

    def progress(self, word: str, request_id: int) -> Step:
        """FirmwareStatusNotification."""
        return step("FirmwareStatusNotification", {"status": word, "requestId": request_id})

    def _frame(self, key: object, action: str, payload: Json) -> Step:
        if key not in self._frames:
            self._frames[key] = step(action, payload)
        return self._frames[key]

    async def beat(self) -> None:
        """Every charger has its heartbeat, spread over the interval."""
        pause = self.heartbeat_s / max(len(self.stations), 1)
        while True:
            for station in self.stations:
                if station.socket is not None and not station.booting and not station.turn.locked():
                    self.go(station._tell(HEARTBEAT))
                await asyncio.sleep(pause)


class StationCommands(Commands):
    """What the bench may ask of them."""

    async def create(self, given: Json) -> Json:
        """Make the chargers, not yet connected."""
        self._fleet = stations = Stations(given)
        stations.go(stations.beat())
        return {}

    async def tally(self, _: Json) -> Json:
        """Who runs what, and how many updates arrived."""
        fleet = self.fleet
        assert isinstance(fleet, Stations)
        return {
            "updates": fleet.updates,
            "on_target": sum(station.version == fleet.target for station in fleet.stations),
            "in_service": sum(station.operative for station in fleet.stations),
            "connected": self._connected(),
            "unheard": fleet.unheard,
        }


def _unknown(asked: Json) -> Json:
    named = {name: asked[name] for name in ("component", "variable", "attributeType") if name in asked}
    return {"attributeStatus": "UnknownComponent", **named}


if __name__ == "__main__":
    commands = StationCommands()
    serve_commands({name: getattr(commands, name) for name in ("create", "connect", "count", "tally")})
