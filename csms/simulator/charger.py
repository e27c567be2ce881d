"""One simulated charger: power, socket, registration, and the parts that live on them."""

import asyncio
import base64
import itertools
import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import quote

import httpx2
from cryptography import x509
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.frames import CloseCode
from websockets.typing import Subprotocol

from csms.simulator.concurrency import race
from csms.simulator.desk import Desk, Reach
from csms.simulator.download import Transfer
from csms.simulator.errors import CallRefused, LinkLost
from csms.simulator.faults import afflictions
from csms.simulator.firmware import Image, faulted
from csms.simulator.flash import Boot, Flash
from csms.simulator.ledger import Ledger
from csms.simulator.life import Life, Turn, live
from csms.simulator.link import Link
from csms.simulator.logbook import Logbook
from csms.simulator.outbox import Outbox
from csms.simulator.outlet import Habits, Outlet, Outlets
from csms.simulator.pace import SimPace
from csms.simulator.personality import KeyStyle
from csms.simulator.spec import ChargerSpec, FleetSpec
from csms.simulator.stages import Stage
from csms.simulator.updater import Parts, Updater
from csms.simulator.voice import Voice
from csms.simulator.wire import Facts, Identity
from csms.simulator.words import BootReason, SecurityWord
from storage.clock import Clock

_MAX_FRAME = 1024 * 1024
_CLOSE_S = 1.0
_DEFAULT_HEARTBEAT_S = 60


@dataclass(frozen=True, slots=True)
class World:
    """What all chargers of a fleet share."""

    fleet: FleetSpec
    csms_url: str
    roots: tuple[x509.Certificate, ...]
    http: httpx2.AsyncClient
    ledger: Ledger
    clock: Clock


class Charger:
    """A charger from its plug on. ``run`` lasts until it is cancelled."""

    def __init__(self, spec: ChargerSpec, world: World) -> None:
        self.spec = spec
        self.life = Life.OFF
        self._world = world
        self._pace: SimPace = world.fleet.pace
        self._character = spec.character
        # Chance that can be repeated is the point; nothing here is a secret.
        self._rng = random.Random(f"{world.fleet.seed}/{spec.charger_id}")  # noqa: S311
        self._faults = afflictions(world.fleet.faults, world.fleet.seed, spec.charger_id)
        self._account = world.ledger.open(spec.charger_id, spec.site_id, spec.personality, spec.version)
        self._numbers = itertools.count(1)
        self._outbox = Outbox(self._next_number, same_id=self._character.resends_same_id)
        self._voice = Voice(self._character, self._account, self._outbox, self._now)
        self._flash = Flash(spec.charger_id, Image(spec.version))
        self._outlets = self._make_outlets()
        self._updater = Updater(self._parts())
        self._desk = Desk(self._reach())
        self._socket: ClientConnection | None = None
        self._restart: asyncio.Future[BootReason] | None = None
        self._boot = Boot.RUNS
        self._boot_reason = BootReason.POWER_UP
        self._registered = False
        self._heartbeat_s = _DEFAULT_HEARTBEAT_S
        self._dropped: set[Stage] = set()

    # Assembly.

    def _make_outlets(self) -> Outlets:
        habits = Habits(self._pace, self._world.fleet.sessions, self._rng, self._world.ledger.run_id)
        numbers = range(1, self._character.evses + 1)
        return Outlets([Outlet(number, self._voice, self._account, habits) for number in numbers])

    def _parts(self) -> Parts:
        return Parts(
            charger_id=self.spec.charger_id,
            personality=self._character,
            voice=self._voice,
            flash=self._flash,
            outlets=self._outlets,
            account=self._account,
            ledger=self._world.ledger,
            pace=self._pace,
            rng=self._rng,
            http=self._world.http,
            roots=self._world.roots,
            transfer=self._transfer(),
            restart=self.restart,
            reached=self._reached,
        )

    def _transfer(self) -> Transfer:
        limit = self._world.fleet.max_image_bytes
        return Transfer("", limit, self._character.piece_bytes, break_after=self._faults.break_after)

    def _reach(self) -> Reach:
        return Reach(
            voice=self._voice,
            outlets=self._outlets,
            updater=self._updater,
            logbook=Logbook(
                self._character.log_style, self._voice, self._account, self._world.http, self._pace
            ),
            facts=lambda: Facts(self._identity(), self._heartbeat_s, self._character.evses),
            boot_again=self._boot_again,
            restart=self.restart,
        )

    def _identity(self) -> Identity:
        character = self._character
        return Identity(character.vendor, character.model, self.spec.serial, self._flash.running.version)

    def _next_number(self) -> int:
        return next(self._numbers)

    def _now(self) -> datetime:
        return self._world.clock() + timedelta(seconds=self._faults.skew_s)

    # Power.

    async def run(self) -> None:
        """Live until cancelled: switch on, run until a restart is asked for, switch off, again."""
        while True:
            self._switch_on()
            if self._boot is Boot.SILENT:
                self.life = live(self.life, Turn.BRICKED)
                self._account.note("went_silent")
                await asyncio.Event().wait()
            self._boot_reason = await self._run_until_restart()
            await self._switch_off()
            await asyncio.sleep(self._rng.uniform(*self._pace.reboot_s) * self._character.boot_factor)

    def restart(self, reason: BootReason) -> None:
        """Ask for a restart; the first reason stands."""
        if self._restart and not self._restart.done():
            self._account.note("restart", why=reason.value)
            self._restart.set_result(reason)

    def _switch_on(self) -> None:
        self._boot = self._flash.start()
        self._registered = False
        image = self._flash.running
        self._account.runs(image.version, f"{self._boot_reason.value}/{self._boot.value}")
        for outlet in self._outlets:
            broken = faulted(image.script, self.spec.charger_id, outlet.evse_id)
            outlet.error_code = image.script.error_code if broken else None
            outlet.show_silently()

    async def _run_until_restart(self) -> BootReason:
        self._restart = asyncio.get_running_loop().create_future()
        self.life = live(self.life, Turn.POWER_ON)
        speaks = self._crash_unheard() if self._crashes_unheard() else self._stay_connected()
        try:
            await race(speaks, *(outlet.live() for outlet in self._outlets), self._until_restart())
        except Exception as error:  # noqa: BLE001 a bug of the simulator is counted, not hidden
            self._account.note("simulator_error", why=repr(error))
            return BootReason.WATCHDOG
        return self._restart.result()

    def _crashes_unheard(self) -> bool:
        announces = self._flash.running.script.loop_announces_boot
        return self._boot is Boot.CRASHES and not announces

    async def _crash_unheard(self) -> None:
        """A boot loop too short for the network to come up."""
        await asyncio.sleep(self._pace.crash_s)
        self.restart(BootReason.WATCHDOG)
        await asyncio.Event().wait()

    async def _until_restart(self) -> None:
        if self._restart:
            await asyncio.wait([self._restart])
        self._drop_socket()

    async def _switch_off(self) -> None:
        self._voice.online = False
        self._desk.power_lost()
        await self._updater.power_lost()
        self._outlets.power_lost(self._boot_reason.value)
        self._outbox.power_lost()
        self.life = live(self.life, Turn.POWER_OFF)

    # The socket.

    async def _stay_connected(self) -> None:
        failures = 0
        while True:
            try:
                await self._be_connected()
            except InvalidStatus as error:
                self._account.note("connection_refused", status=error.response.status_code)
            except (OSError, TimeoutError, WebSocketException, LinkLost):
                self._account.counts["connection_lost"] += 1
            failures = 0 if self.life is Life.OPERATING else failures + 1
            self._lost()
            await asyncio.sleep(self._backoff_s(failures))

    async def _be_connected(self) -> None:
        socket = self._socket = await self._connect()
        try:
            link = Link(socket, self._desk.answer, self._account, self._faults, self._pace.call_timeout_s)
            await race(link.serve(), self._operate(link))
        finally:
            await socket.close(CloseCode.GOING_AWAY)

    def _backoff_s(self, failures: int) -> float:
        first, longest = self._pace.backoff_s
        return min(longest, first * 2.0 ** min(failures, 16)) * self._rng.uniform(0.5, 1.0)

    def _connect(self) -> connect:
        url = f"{self._world.csms_url}/{quote(self.spec.charger_id, safe='')}"
        return connect(
            url,
            subprotocols=[Subprotocol(self._character.dialect.value)],
            additional_headers={"Authorization": self._authorization()},
            compression=None,
            proxy=None,
            open_timeout=self._pace.open_timeout_s,
            close_timeout=_CLOSE_S,
            max_size=_MAX_FRAME,
        )

    def _authorization(self) -> str:
        secret = self.spec.password.encode()
        if self._character.key_style is KeyStyle.HEX_BYTES:
            secret = bytes.fromhex(self.spec.password)
        pair = self.spec.charger_id.encode() + b":" + secret
        return f"Basic {base64.b64encode(pair).decode()}"

    def _lost(self) -> None:
        self._socket = None
        self._voice.online = False
        self._outbox.connection_lost()
        self.life = live(self.life, Turn.LOST)

    def _drop_socket(self) -> None:
        """As a loss of power or of the network does it: without a close frame."""
        if self._socket:
            self._socket.transport.abort()

    def _reached(self, stage: Stage) -> None:
        if stage in self._faults.drops and stage not in self._dropped:
            self._dropped.add(stage)
            self._account.note("fault_drop_socket", stage=stage.value)
            self._drop_socket()

    async def _operate(self, link: Link) -> None:
        first = not self._registered
        if first or self._character.boots_on_every_connect:
            self.life = live(self.life, Turn.CONNECTED)
            await self._register(link)
            self.life = live(self.life, Turn.ACCEPTED)
            self._introduce(first=first)
        else:
            self.life = live(self.life, Turn.RESUMED)
        self._voice.online = True
        await race(self._outbox.drain(link), self._beat(link), self._maybe_crash())

    async def _register(self, link: Link) -> None:
        """BootNotification until it is accepted; nothing else is said before."""
        while True:
            message = self._voice.wire.boot(self._identity(), self._boot_reason)
            try:
                answer = await link.call(message, self._next_number())
            except CallRefused:
                answer = {}
            interval = answer.get("interval") or _DEFAULT_HEARTBEAT_S
            if answer.get("status") == "Accepted":
                self._heartbeat_s = interval
                return
            await asyncio.sleep(min(interval, self._pace.boot_retry_s))

    def _introduce(self, *, first: bool) -> None:
        self._registered = True
        self._desk.show_all()
        if first:
            restarted = self._boot_reason is BootReason.REMOTE_RESET
            self._voice.security(SecurityWord.RESET if restarted else SecurityWord.STARTUP)
            self._updater.booted(self._boot)

    async def _beat(self, link: Link) -> None:
        while True:
            await asyncio.sleep(self._pace.heartbeat_s or self._heartbeat_s)
            try:
                await link.call(self._voice.wire.heartbeat(), self._next_number())
            except CallRefused:
                continue

    async def _maybe_crash(self) -> None:
        """A boot-looping image dies soon after the server let it in."""
        if self._boot is Boot.CRASHES:
            await asyncio.sleep(self._pace.crash_s)
            self.restart(BootReason.WATCHDOG)
        await asyncio.Event().wait()

    def _boot_again(self) -> None:
        self._voice.say(self._voice.wire.boot(self._identity(), BootReason.TRIGGERED))
