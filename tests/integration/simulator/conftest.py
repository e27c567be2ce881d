"""A tiny CSMS, an image server that understands Range, and a bench that puts simulated chargers to them."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any

import orjson
import pytest
from websockets.asyncio.server import Server, ServerConnection, serve

from csms.schemas import check_answer, check_request
from csms.simulator.fleet import run_fleet
from csms.simulator.ledger import Ledger
from csms.simulator.pace import SessionPattern, SimPace
from csms.simulator.personality import Dialect, Personality
from csms.simulator.spec import ChargerSpec, FleetSpec
from tests.support.maker import Maker, found_maker

BOOT = "BootNotification"


@dataclass
class TinyCsms:
    """Accepts everybody, answers everything, checks every message against the schemas, remembers all."""

    calls: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    ids: list[tuple[str, str]] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    sockets: dict[str, ServerConnection] = field(default_factory=dict)
    credentials: dict[str, str] = field(default_factory=dict)
    boot_answers: list[str] = field(default_factory=list)
    """Statuses for the first BootNotifications; after them all are accepted."""
    deaf_to: set[str] = field(default_factory=set)
    refuse: set[str] = field(default_factory=set)
    server: Server | None = None
    _pending: dict[str, asyncio.Future[list[Any]]] = field(default_factory=dict)
    _numbers: Any = field(default_factory=lambda: itertools.count(1))
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def url(self) -> str:
        assert self.server
        host, port = next(iter(self.server.sockets)).getsockname()[:2]
        return f"ws://{host}:{port}/ocpp"

    async def handle(self, socket: ServerConnection) -> None:
        assert socket.request
        charger = socket.request.path.rsplit("/", 1)[1]
        self.sockets[charger] = socket
        self.credentials[charger] = socket.request.headers["Authorization"]
        async for text in socket:
            kind, message_id, *rest = orjson.loads(text)
            if kind != 2:
                self._pending.pop(message_id).set_result([kind, *rest])
                continue
            await self._take(socket, charger, message_id, rest[0], rest[1])

    async def _take(
        self, socket: ServerConnection, charger: str, message_id: str, action: str, payload: dict[str, Any]
    ) -> None:
        violation = check_request(str(socket.subprotocol), action, payload)
        if violation:
            self.violations.append(f"{charger} {action}: {violation}")
        async with self._changed:
            self.calls.append((charger, action, payload))
            self.ids.append((charger, message_id))
            self._changed.notify_all()
        if action in self.deaf_to:
            return
        if action in self.refuse:
            await socket.send(orjson.dumps([4, message_id, "InternalError", "", {}]).decode())
            return
        answer = self._answer(action, str(socket.subprotocol))
        await socket.send(orjson.dumps([3, message_id, answer]).decode())

    def _answer(self, action: str, dialect: str) -> dict[str, Any]:
        now = datetime.now(UTC).isoformat()
        if action == BOOT:
            status = self.boot_answers.pop(0) if self.boot_answers else "Accepted"
            return {"currentTime": now, "interval": 1, "status": status}
        tag = {"status": "Accepted"}
        return {
            "Heartbeat": {"currentTime": now},
            "Authorize": {"idTagInfo": tag} if dialect == "ocpp1.6" else {"idTokenInfo": tag},
            "StartTransaction": {"idTagInfo": tag, "transactionId": next(self._numbers)},
        }.get(action, {})

    async def command(self, charger: str, action: str, payload: dict[str, Any]) -> list[Any]:
        """[3, payload] or [4, code, description, details]."""
        message_id = f"c{next(self._numbers)}"
        answered: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        self._pending[message_id] = answered
        socket = self.sockets[charger]
        assert check_request(str(socket.subprotocol), action, payload) is None
        await socket.send(orjson.dumps([2, message_id, action, payload]).decode())
        answer = await asyncio.wait_for(answered, 20)
        if answer[0] == 3:
            violation = check_answer(str(socket.subprotocol), action, answer[1])
            assert violation is None, violation
        return answer

    async def until(self, condition: Callable[[], bool], timeout_s: float = 40) -> None:
        """Wait until what was received fulfils the condition."""
        async with self._changed:
            await asyncio.wait_for(self._changed.wait_for(condition), timeout_s)

    def of(self, charger: str, *actions: str) -> list[dict[str, Any]]:
        return [payload for who, action, payload in self.calls if who == charger and action in actions]

    def firmware_words(self, charger: str) -> list[str]:
        actions = ("FirmwareStatusNotification", "SignedFirmwareStatusNotification")
        return [payload["status"] for payload in self.of(charger, *actions)]

    def booted_versions(self, charger: str) -> list[str]:
        boots = self.of(charger, BOOT)
        return [boot.get("firmwareVersion") or boot["chargingStation"]["firmwareVersion"] for boot in boots]

    def security_events(self, charger: str) -> list[str]:
        return [payload["type"] for payload in self.of(charger, "SecurityEventNotification")]


@dataclass
class ImageServer:
    """GET with single ranges; remembers every request's Range header."""

    images: dict[str, bytes] = field(default_factory=dict)
    ranges: list[str | None] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    server: asyncio.Server | None = None

    def put(self, name: str, image: bytes) -> str:
        assert self.server
        self.images[f"/{name}"] = image
        host, port = self.server.sockets[0].getsockname()[:2]
        return f"http://{host}:{port}/{name}"

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                await self._serve(line.split()[1].decode(), head, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _serve(self, path: str, head: str, writer: asyncio.StreamWriter) -> None:
        asked = next((row[13:] for row in head.splitlines() if row.startswith("range: bytes=")), None)
        self.ranges.append(asked)
        image = self.images.get(path)
        if image is None:
            status, body, extra = HTTPStatus.NOT_FOUND, b"", ""
        elif asked is None:
            status, body, extra = HTTPStatus.OK, image, 'ETag: "x"\r\n'
        else:
            first, last = asked.split("-")
            body = image[int(first) : int(last) + 1 if last else None]
            end = int(first) + len(body) - 1
            status = HTTPStatus.PARTIAL_CONTENT
            extra = f'ETag: "x"\r\nContent-Range: bytes {first}-{end}/{len(image)}\r\n'
        self.statuses.append(status.value)
        start = f"HTTP/1.1 {status.value} {status.phrase}\r\n{extra}Content-Length: {len(body)}\r\n\r\n"
        writer.write(start.encode() + body)
        await writer.drain()


PACE = SimPace(
    session_s=(1.2, 1.2),
    meter_s=0.2,
    plug_s=0.02,
    install_s=(0.05, 0.05),
    reboot_s=(0.05, 0.05),
    crash_s=0.05,
    backoff_s=(0.05, 0.2),
    call_timeout_s=20,
    boot_retry_s=0.05,
    download_retry_s=0.05,
    report_s=0.05,
)


def clock() -> datetime:
    return datetime.now(UTC)


@dataclass
class Bench:
    """One charger of a chosen personality (or a fleet) between the tiny CSMS and the image server."""

    csms: TinyCsms
    images: ImageServer
    manufacturer: Maker
    report: Path
    charger = "SIM-0001"

    def fleet(self, personality: Personality, **changes: Any) -> FleetSpec:
        spec = ChargerSpec(self.charger, "site-01", "SN1", "00" * 20, personality.name)
        nobody = SessionPattern(busy_share=0)
        fleet = FleetSpec("one", 7, (spec,), (self.manufacturer.root,), pace=PACE, sessions=nobody)
        return replace(fleet, **changes)

    @asynccontextmanager
    async def running(self, fleet: FleetSpec) -> AsyncIterator[asyncio.Task[Ledger]]:
        """The fleet, registered; on leaving it is stopped, and nothing it sent broke a schema."""
        stop = asyncio.Event()
        task = asyncio.create_task(
            run_fleet(fleet, csms_url=self.csms.url, report_path=self.report, stop_event=stop, clock=clock)
        )
        try:
            await self.csms.until(lambda: self._shown() == len(fleet.chargers))
            yield task
        finally:
            stop.set()
            ledger = await task
            assert ledger.totals()["simulator_errors"] == 0, ledger.as_json(final=True)
            assert self.csms.violations == []

    def _shown(self) -> int:
        return len({who for who, action, _ in self.csms.calls if action == "StatusNotification"})

    async def until_report(self, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Read the report file until it says so."""
        async with asyncio.timeout(40):
            while not self.report.exists() or not condition(orjson.loads(self.report.read_bytes())):  # noqa: ASYNC110 a file has no event
                await asyncio.sleep(0.02)
        return orjson.loads(self.report.read_bytes())

    async def send(self, action: str, payload: dict[str, Any]) -> list[Any]:
        return await self.csms.command(self.charger, action, payload)

    def update(
        self,
        personality: Personality,
        image: bytes,
        *,
        request_id: int = 5,
        served: bytes | None = None,
        by: Maker | None = None,
        at: str | None = None,
    ) -> tuple[str, dict[str, Any]]:
        """The signed command for an image, which is put on the image server (or ``served`` in its place)."""
        signature, certificate = (by or self.manufacturer).sign(personality.scheme, image)
        firmware = {
            "location": self.images.put(f"fw{request_id}", image if served is None else served),
            "retrieveDateTime": at or clock().isoformat(),
            "signingCertificate": certificate,
            "signature": signature,
        }
        action = "SignedUpdateFirmware" if personality.dialect is Dialect.OCPP16 else "UpdateFirmware"
        return action, {"requestId": request_id, "retries": 1, "retryInterval": 1, "firmware": firmware}

    async def reset(self, personality: Personality) -> str:
        kind = "Soft" if personality.dialect is Dialect.OCPP16 else "OnIdle"
        answer = await self.send("Reset", {"type": kind})
        return str(answer[1]["status"])

    async def activate(self, personality: Personality) -> None:
        """Send the Reset that some need to run what they installed."""
        if personality.needs_reset:
            await self.csms.until(lambda: "Installed" in self.csms.firmware_words(self.charger))
            assert await self.reset(personality) == "Accepted"

    async def see_it_through(self, personality: Personality, version: str) -> None:
        """Until the charger runs ``version`` and has said all it will say about it."""
        await self.activate(personality)
        await self.csms.until(lambda: version in self.csms.booted_versions(self.charger))
        await self.csms.until(lambda: "FirmwareUpdated" in self.csms.security_events(self.charger))


@pytest.fixture
async def csms() -> AsyncIterator[TinyCsms]:
    tiny = TinyCsms()
    protocols = ["ocpp2.1", "ocpp2.0.1", "ocpp1.6"]
    async with serve(tiny.handle, "127.0.0.1", 0, subprotocols=protocols, compression=None) as server:  # type: ignore[arg-type]
        tiny.server = server
        yield tiny


@pytest.fixture
async def images() -> AsyncIterator[ImageServer]:
    images = ImageServer()
    images.server = await asyncio.start_server(images.handle, "127.0.0.1", 0)
    yield images
    images.server.close()


@pytest.fixture(scope="module")
def manufacturer() -> Maker:
    return found_maker(clock())


@pytest.fixture
def bench(csms: TinyCsms, images: ImageServer, manufacturer: Maker, tmp_path: Path) -> Bench:
    return Bench(csms, images, manufacturer, tmp_path / "report.json")
