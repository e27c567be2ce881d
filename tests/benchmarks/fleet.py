"""Thousands of chargers in one process: they connect, boot, talk, vanish and come back, and keep count.

A charger waits for the answer to its message before it sends the next (OCPP-J 4.1.1). Run as a child
(``tests.benchmarks.child``); ``closed`` loops send at once, ``paced`` ones every so many seconds.
"""

import asyncio
import json
import random
import ssl
import time
from collections import Counter
from datetime import UTC, datetime
from typing import Any

from tests.benchmarks.child import Json, serve_commands
from tests.benchmarks.messages import AVAILABLE, BOOT, CYCLE, FAULTED, OCPP16, OCPP201, Step
from tests.benchmarks.wire import ClientSocket, Opening

_SOURCES = 16
"""Chargers come from 127.0.1.1 to 127.0.1.16: each address has its own ephemeral ports."""
_PATIENCE_S = 30.0
"""How long a charger waits for a handshake or an answer."""
_Sent = tuple[bytes, int, Step, asyncio.Future[bytes] | None]
"""A message on its way: its text, its number, what it was, and who waits for the answer."""
_ANSWER_16 = {"GetConfiguration": '{"unknownKey":["SecurityProfile"]}'}


def dialect_of(number: int) -> str:
    """Six of ten speak 1.6, the others 2.0.1."""
    return OCPP16 if number % 10 < 6 else OCPP201


def name_of(number: int) -> str:
    """The identity of one charger."""
    return f"BENCH-{number:05d}"


class Stamp:
    """The time of day as a charger writes it, renewed every few milliseconds for all of them."""

    def __init__(self) -> None:
        self.text = b""
        self._renew()

    def _renew(self) -> None:
        self.text = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3].encode() + b"Z"
        asyncio.get_running_loop().call_later(0.005, self._renew)


class Fleet:
    """All chargers of this process, and what they counted."""

    def __init__(self, given: Json) -> None:
        self.host, self.port = given.get("host", "127.0.0.1"), given["port"]
        self.password = given.get("password")
        self.echo = given.get("echo", False)
        self.tls: Json | None = given.get("tls")
        self.random = random.Random(given.get("seed", 7))
        self.stamp = Stamp()
        self.acknowledged = 0
        self.refused: Counter[str] = Counter()
        self.pace_s: float | None = None
        self.running = False
        self.keep_ids = given.get("keep_ids", False)
        first, count = given.get("first", 0), given["count"]
        self.chargers = [Charger(self, number) for number in range(first, first + count)]


class Charger:
    """One charger: at most one message on its way."""

    def __init__(self, fleet: Fleet, number: int) -> None:
        self.fleet, self.number = fleet, number
        self.name, self.dialect = name_of(number), dialect_of(number)
        self.cycle = CYCLE[self.dialect]
        self.position = fleet.random.randrange(len(self.cycle))
        self.socket: ClientSocket | None = None
        self.sent = 0
        self.acknowledged: list[int] = []
        self.transaction = b"%d" % (1_000_000 + number)
        self.sequence = 0
        self.waiting: _Sent | None = None
        self.owed: _Sent | None = None
        self.booting = False

    async def connect(self) -> int:
        """Open the socket; the HTTP status, 0 if the network failed."""
        fleet = self.fleet
        opening = Opening(f"/ocpp/{self.name}", self.dialect, self.name, fleet.password)
        socket = ClientSocket(opening, self._heard, self._lost)
        try:
            await asyncio.get_running_loop().create_connection(
                lambda: socket,
                fleet.host,
                fleet.port,
                local_addr=(f"127.0.1.{1 + self.number % _SOURCES}", 0),
                ssl=_tls(fleet.tls, self.name) if fleet.tls else None,
            )
            status = await asyncio.wait_for(socket.opened, _PATIENCE_S)
        except (OSError, TimeoutError):
            status = 0
        if status != 101 or socket.lost:
            socket.drop()
            return 0 if socket.lost else status
        self.socket = socket
        return status

    async def ask(self, step: Step) -> bytes:
        """Send one message and wait for its answer; ConnectionError when the socket goes first."""
        done: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._send(step, done)
        try:
            return await asyncio.wait_for(done, _PATIENCE_S)
        except TimeoutError:
            if self.socket is not None:
                self.socket.drop()
            raise ConnectionError("no answer") from None

    def go(self) -> None:
        """Begin to talk, or go on: a message that was not answered is sent again, with its own id."""
        if self.socket is None or self.booting or not self.fleet.running:
            return
        if self.waiting is not None:
            self.socket.send(self.waiting[0])
            return
        step = self.cycle[self.position]
        self.position = (self.position + 1) % len(self.cycle)
        if self.position == 0 and self.dialect == OCPP201:
            self.transaction, self.sequence = b"%d-%d" % (self.number, self.sent), 0
        self._send(step, None)

    def _send(self, step: Step, done: asyncio.Future[bytes] | None) -> None:
        self.sent += 1
        self.sequence += 1
        payload = step.template % {
            b"id": b"%d" % self.sent,
            b"at": self.fleet.stamp.text,
            b"tx": self.transaction,
            b"seq": b"%d" % self.sequence,
        }
        self.waiting = (payload, self.sent, step, done)
        if self.socket is not None:
            self.socket.send(payload)

    def _heard(self, text: bytes) -> None:
        if text.startswith(b"[2,") and not self.fleet.echo:
            self._answer(text)
            return
        waiting = self.waiting
        if waiting is None or not text.startswith(b'"%d"' % waiting[1], 3):
            return  # the late answer to a message that was sent again
        self.waiting = None
        _, number, step, done = waiting
        fleet = self.fleet
        fleet.acknowledged += 1
        if text.startswith(b"[4,"):
            fleet.refused[text[:300].decode()] += 1
        elif fleet.keep_ids:
            self.acknowledged.append(number)
        if step.allots and text.startswith(b"[3,"):
            self.transaction = b"%d" % json.loads(text)[2]["transactionId"]
        if done is not None and not done.done():
            done.set_result(text)
        if fleet.running and done is None:
            if fleet.pace_s is None:
                self.go()
            else:
                asyncio.get_running_loop().call_later(fleet.pace_s * fleet.random.uniform(0.8, 1.2), self.go)

    def _answer(self, text: bytes) -> None:
        """The node asks after a boot; this charger has nothing to tell."""
        _, message_id, action, _ = json.loads(text)
        payload = _ANSWER_16.get(action, '{"status":"Rejected"}')
        if self.socket is not None:
            self.socket.send(f'[3,"{message_id}",{payload}]'.encode())

    def _lost(self, socket: ClientSocket) -> None:
        if self.socket is not socket:
            return
        self.socket = None
        if self.waiting is not None and (done := self.waiting[3]) is not None:
            self.waiting = None
            if not done.done():
                done.set_exception(ConnectionError("the socket was lost"))

    async def come_back(self, spread_s: float, *, boot: bool = True) -> None:
        """Connect until it works, then boot and report, as a charger does after a power cut."""
        wait = spread_s
        self.booting = boot
        while True:
            await asyncio.sleep(self.fleet.random.uniform(0, wait))
            try:
                if self.socket is None and await self.connect() != 101:
                    raise ConnectionError
                if boot:
                    await self._boot()
                self.booting = False
                return
            except ConnectionError:
                # OCPP 2.0.1 Part 4 5.3: back off, with a random part and doubling.
                wait = min(max(1.0, wait * 2), 20.0)

    async def _boot(self) -> None:
        # What was on its way when the power went is still owed; kept over failed attempts as well.
        if self.waiting is not None:
            self.owed, self.waiting = self.waiting, None
        while b'"Accepted"' not in await self.ask(BOOT[self.dialect]):  # noqa: ASYNC110 - the node decides
            await asyncio.sleep(1)
        await self.ask(AVAILABLE[self.dialect])
        self.waiting, self.owed = self.owed, None


class Commands:
    """What the bench may ask of a fleet."""

    def __init__(self) -> None:
        self._fleet: Fleet | None = None

    @property
    def fleet(self) -> Fleet:
        if self._fleet is None:
            raise RuntimeError("create the fleet first")
        return self._fleet

    async def create(self, given: Json) -> Json:
        """Make the chargers, not yet connected."""
        self._fleet = Fleet(given)
        return {}

    async def connect(self, given: Json) -> Json:
        """Bring the first ``count`` chargers up that are not, all at once or spread over some seconds."""
        began = time.monotonic()
        chosen = self.fleet.chargers[: given.get("count", len(self.fleet.chargers))]
        comers = [
            charger.come_back(given.get("spread_s", 0.0), boot=given.get("boot", False))
            for charger in chosen
            if charger.socket is None
        ]
        await asyncio.gather(*comers)
        return {"seconds": time.monotonic() - began, "connected": self._connected()}

    async def drop(self, given: Json) -> Json:
        """Cut a share of the sockets, without a goodbye."""
        up = [charger for charger in self.fleet.chargers if charger.socket is not None]
        chosen = self.fleet.random.sample(up, int(len(up) * given.get("share", 1.0)))
        for charger in chosen:
            if charger.socket is not None:
                charger.socket.drop()
        while any(charger.socket is not None for charger in chosen):  # noqa: ASYNC110 - callbacks do it
            await asyncio.sleep(0.01)
        return {"dropped": len(chosen)}

    async def start(self, given: Json) -> Json:
        """Begin to talk."""
        fleet = self.fleet
        fleet.running, fleet.pace_s = True, given.get("pace_s")
        self._go_all(fleet.pace_s or 0.0)
        return {}

    def _go_all(self, spread_s: float) -> None:
        loop = asyncio.get_running_loop()
        for charger in self.fleet.chargers:
            if charger.socket is not None:
                loop.call_later(self.fleet.random.uniform(0, spread_s), charger.go)

    async def count(self, _: Json) -> Json:
        """How many messages were acknowledged until now."""
        fleet = self.fleet
        return {
            "acknowledged": fleet.acknowledged,
            "at": time.monotonic(),
            "refused": dict(fleet.refused.most_common(5)),
            "connected": self._connected(),
        }

    async def storm(self, given: Json) -> Json:
        """Drop a share and have it come back at once, while the others go on."""
        began = time.monotonic()
        await self.drop(given)
        down = [charger for charger in self.fleet.chargers if charger.socket is None]
        await asyncio.gather(*(charger.come_back(given.get("spread_s", 0.0)) for charger in down))
        for charger in down:
            charger.go()
        return {"seconds": time.monotonic() - began, "chargers": len(down)}

    async def stop(self, _: Json) -> Json:
        """Send nothing new, and wait for the answers that are still owed."""
        self.fleet.running = False
        async with asyncio.timeout(120):
            while any(c.waiting is not None and c.socket is not None for c in self.fleet.chargers):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        return await self.count({})

    async def acknowledged(self, _: Json) -> Json:
        """Whose which messages were acknowledged."""
        return {charger.name: charger.acknowledged for charger in self.fleet.chargers}

    async def probe(self, given: Json) -> Json:
        """One charger after the other reports a change and waits for the answer."""
        chargers = self.fleet.chargers
        for number in range(given["count"]):
            await asyncio.sleep(given["every_s"])
            charger = chargers[number % len(chargers)]
            steps = FAULTED if number // len(chargers) % 2 == 0 else AVAILABLE
            await charger.ask(steps[charger.dialect])
        return {"sent": given["count"]}

    def _connected(self) -> int:
        return sum(charger.socket is not None for charger in self.fleet.chargers)


def _tls(given: dict[str, Any], name: str) -> ssl.SSLContext:
    """This charger's own certificate; the chain alone is checked, many times faster than a name would be."""
    context = ssl.create_default_context(cafile=given["ca"])
    context.check_hostname = False
    context.load_cert_chain(f"{given['folder']}/{name}.pem", f"{given['folder']}/{name}.key")
    return context


if __name__ == "__main__":
    commands = Commands()
    serve_commands(
        {
            name: getattr(commands, name)
            for name in (
                *("create", "connect", "drop", "start", "count", "storm"),
                *("stop", "acknowledged", "probe"),
            )
        }
    )
