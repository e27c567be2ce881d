"""A synthetic silent charger: proves that this node notices silence, or says that it does not.

It boots through a real session, journal and ingest, and then says nothing and answers nothing. The proof
is read back from the store. It stands beside the chargers, not among them: no route, no twin, no fleet.
Its identity begins with a sign that no registered charger may have.
"""

import asyncio
import itertools
from dataclasses import dataclass
from datetime import datetime, timedelta

import orjson
import structlog

from csms.dialect import Dialect
from csms.health_hours import SYNTHETIC
from csms.inbound import SessionTools
from csms.journal import SessionJournal
from csms.quirks.quirk import Adaptation
from csms.session import Session
from csms.silence import SilenceWatch
from csms.transport import TransportClosed
from storage.errors import AmpwaveError
from storage.events import EventKind
from storage.incident import IncidentChange, IncidentKind
from storage.ports import EventStore
from storage.watching import IncidentStore

log = structlog.get_logger(__name__)

_BOOT = {"chargePointVendor": "Ampwave", "chargePointModel": "Silent", "firmwareVersion": "1"}


class SilentTransport:
    """The charger's side: one BootNotification, then nothing until it is closed."""

    def __init__(self) -> None:
        self._said = [orjson.dumps([2, "boot", "BootNotification", _BOOT]).decode()]
        self._closed = asyncio.Event()

    async def receive(self) -> str | bytes:
        """What it has to say."""
        if self._said:
            return self._said.pop()
        await self._closed.wait()
        raise TransportClosed(1000, "the check is over")

    async def send(self, text: str) -> None:
        """It hears everything and answers nothing."""

    def post(self, text: str) -> bool:  # noqa: ARG002 - the port's shape
        """The same, at once."""
        return True

    async def pause(self, seconds: float) -> None:
        """It has nothing more to say anyway."""

    async def close(self, code: int, reason: str) -> None:  # noqa: ARG002 - the port's shape
        """End it."""
        self._closed.set()


@dataclass(frozen=True, slots=True)
class CanaryOptions:
    """Seconds."""

    node_id: str
    every_s: float = 900.0
    slack_s: float = 15.0
    """Beyond the time that the watch itself allows; then silence counts as missed."""


@dataclass(frozen=True, slots=True)
class CanaryStores:
    """Where the proof is read, and where its lack is told."""

    events: EventStore
    incidents: IncidentStore


class Canary:
    """Runs one check after the other for ever."""

    def __init__(
        self,
        tools: SessionTools,
        dialect: Dialect,
        watch: SilenceWatch,
        stores: CanaryStores,
        options: CanaryOptions,
    ) -> None:
        self._tools = tools
        self._dialect = dialect
        self._watch = watch
        self._stores = stores
        self._options = options
        self._poll_s = min(1.0, options.slack_s / 5)
        self._epochs = itertools.count(1)
        self.charger_id = f"{SYNTHETIC}watchdog.{options.node_id}"

    async def run(self) -> None:
        """Check now and every so often. A store that is away is no verdict on the watchdog."""
        while True:
            try:
                await self.tell(detected=await self.check())
            except AmpwaveError as error:
                log.warning("the watchdog could not be checked", error=str(error))
            await asyncio.sleep(self._options.every_s)

    async def check(self) -> bool:
        """Be silent until it is on record, or until it should have been."""
        began = self._tools.clock()
        transport = SilentTransport()
        session = self._session(transport)
        serving = asyncio.create_task(session.run(), name=self.charger_id)
        self._watch.enter(session)
        try:
            async with asyncio.timeout(self._watch.found_within_s + self._options.slack_s):
                await self._found_since(began)
        except TimeoutError:
            return False
        finally:
            self._watch.leave(session)
            await transport.close(1000, "")
            await serving
        return True

    async def _found_since(self, began: datetime) -> None:
        """Return once it is on record: read from the store, not from memory."""
        kinds, clock = [EventKind.CHARGER_FELL_SILENT.value], self._tools.clock
        earliest = began + timedelta(seconds=self._watch.limit_s)  # with long heartbeats that is an hour
        while clock() < earliest:  # noqa: ASYNC110 - by the clock that was handed in
            await asyncio.sleep(self._poll_s)
        while not await self._stores.events.since(self.charger_id, began, kinds):  # noqa: ASYNC110
            await asyncio.sleep(self._poll_s)

    def _session(self, transport: SilentTransport) -> Session:
        journal = SessionJournal(self.charger_id, next(self._epochs), self._tools.ingest, self._tools.clock)
        return Session(journal, self._dialect, transport, self._tools, Adaptation(()))

    async def tell(self, *, detected: bool) -> None:
        """In the node's metrics, and as an incident while it does not work."""
        self._tools.metrics.watchdog_detects.set(int(detected))
        if not detected:
            log.error("silence is not noticed on this node", node_id=self._options.node_id)
        summary = f"Node {self._options.node_id} did not notice its synthetic silent charger in time"
        change = IncidentChange(
            IncidentKind.WATCHDOG_BLIND,
            f"node/{self._options.node_id}",
            self._tools.clock(),
            summary,
            close=detected,
        )
        await self._stores.incidents.apply([change])
