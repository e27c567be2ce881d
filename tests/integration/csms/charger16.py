"""A charger of OCPP 1.6 with settings, as far as a test asks it for them."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

SET = {"HeartbeatInterval": "60", "MeterValueSampleInterval": "900", "WebSocketPingInterval": "30"}
NEVER = frozenset[str]()


@dataclass
class Charger16:
    """A charger that answers what it is asked."""

    peer: Any
    settings: dict[str, str] = field(default_factory=lambda: dict(SET))
    read_only: frozenset[str] = NEVER
    mute: bool = False
    changed: list[tuple[str, str]] = field(default_factory=list)
    others: asyncio.Queue[Any] = field(default_factory=asyncio.Queue)
    began: list[asyncio.Future[Any]] = field(default_factory=list)
    on_asked: Callable[[], Awaitable[Any]] | None = None
    """Begun as it is asked for its settings, before it answers, and once."""

    async def live(self) -> None:
        while True:
            frame = json.loads(await self.peer.socket.recv())
            if frame[0] != 2:
                self.others.put_nowait(frame)
            elif not self.mute:
                if self.on_asked and frame[2] == "GetConfiguration":
                    meanwhile, self.on_asked = self.on_asked, None
                    self.began.append(asyncio.ensure_future(meanwhile()))
                    await asyncio.sleep(0.05)  # It has its turn next.
                await self.peer.say(3, frame[1], self._answer(frame[2], frame[3]))

    def _answer(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        if action == "GetConfiguration":
            known = [(key, self.settings[key]) for key in payload["key"] if key in self.settings]
            told = [{"key": key, "readonly": False, "value": value} for key, value in known]
            return {"configurationKey": told}
        if action == "ChangeConfiguration":
            self.changed.append((payload["key"], payload["value"]))
            if payload["key"] in self.read_only:
                return {"status": "Rejected"}
            self.settings[payload["key"]] = payload["value"]
            return {"status": "Accepted"}
        return {}

    async def boot(self, version: str) -> None:
        payload = {"chargePointVendor": "V", "chargePointModel": "M", "firmwareVersion": version}
        await self.peer.say(2, f"boot {version}", "BootNotification", payload)
        await asyncio.wait_for(self.others.get(), 30)
        for connector in (0, 1):
            free = {"connectorId": connector, "errorCode": "NoError", "status": "Available"}
            await self.peer.say(2, f"{version} {connector}", "StatusNotification", free)
            await asyncio.wait_for(self.others.get(), 30)
