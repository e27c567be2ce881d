# long-file: the one place where a simulated charger is put together from its parts
"""One simulated charger: power, socket, registration, and the parts that live on them."""

import asyncio
import itertools
import random
from contextlib import suppress
from dataclasses import dataclass

import httpx2
from cryptography import x509
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.frames import CloseCode

from csms.simulator.concurrency import race
from csms.simulator.desk import Desk, Reach
from csms.simulator.device import Device
from csms.simulator.dial import DeviceClock, dial
from csms.simulator.download import Transfer
from csms.simulator.errors import CallRefused, LinkLost
from csms.simulator.faults import FaultKind, afflictions
from csms.simulator.firmware import Image, faulted
from csms.simulator.flash import Boot, Flash
from csms.simulator.gate import Gate
from csms.simulator.holdings import Holdings
from csms.simulator.keyring import Keyring
from csms.simulator.ledger import Ledger
from csms.simulator.life import Life, Turn, live
from csms.simulator.link import Link, Weather
from csms.simulator.logbook import Logbook
from csms.simulator.network import Network, Way
from csms.simulator.outbox import Outbox, Outgoing
from csms.simulator.outlet import Habits, Outlet, Outlets
from csms.simulator.pace import SimPace
from csms.simulator.publisher import Press, Publisher
from csms.simulator.spec import ChargerSpec, FleetSpec
from csms.simulator.trouble import Blow, Trouble
from csms.simulator.updater import Parts, Updater
from csms.simulator.voice import Voice
from csms.simulator.wire import Facts, Identity
from csms.simulator.words import BootReason, SecurityWord
from storage.clock import Clock

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
        seed = f"{world.fleet.seed}/{spec.charger_id}"
        self._rng = random.Random(seed)  # noqa: S311
        self._faults = afflictions(world.fleet.faults, world.fleet.seed, spec.charger_id)
        self._clock = DeviceClock(world.clock, self._faults.skew_s, unset=self._faults.clock_unset)
        self._account = world.ledger.open(spec.charger_id, spec.site_id, spec.personality, spec.version)
        self._numbers = itertools.count(1)
        # Of its own, so that a fault changes nothing but what it strikes.
        self._weather = Weather(self._faults, Gate(), random.Random(f"{seed}/weather"))  # noqa: S311
        self._outbox = Outbox(self._next_number, same_id=self._character.resends_same_id, swaps=self._swaps)
        self._voice = Voice(self._character, self._account, self._outbox, self._clock.now)
        self._flash = Flash(spec.charger_id, Image(spec.version))
        self._outlets = self._make_outlets()
        self._holdings = self._make_holdings()
        self._trouble = Trouble(self._faults.incidents, self._account, self._blows())
        self._updater = Updater(self._parts())
        self._publisher = Publisher(self._press()) if self._character.local_controller else None
        self._desk = Desk(self._reach())
        self._socket: ClientConnection | None = None
        self._link: Link | None = None
        self._restart: asyncio.Future[BootReason] | None = None
        self._boot = Boot.RUNS
        self._boot_reason = BootReason.POWER_UP
        self._registered = False
        self._broke = False
        """It goes off by a fault of its own."""
        self._off_s: float | None = None
        self._left = asyncio.Event()
        """A half-open socket was left as it is."""
        self._abandoned: list[ClientConnection] = []
        self._downgrades = 0
        self._beat_timer: asyncio.TimerHandle | None = None

    # Assembly.

    def _make_outlets(self) -> Outlets:
        pattern = self._world.fleet.sessions.of_one(self._rng)
        habits = Habits(self._pace, pattern, self._rng, self._world.ledger.run_id)
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
            reached=self._trouble.reached,
        )

    def _press(self) -> Press:
        world = self._world
        return Press(
            self._voice, self._account, world.http, self._transfer(), self._pace, self._faults.publishing
        )

    def _transfer(self) -> Transfer:
        limit = self._world.fleet.max_image_bytes
        return Transfer(
            "",
            limit,
            self._character.piece_bytes,
            break_after=self._faults.break_after,
            bytes_per_s=self._faults.bytes_per_s,
        )

    def _make_holdings(self) -> Holdings:
        device = Device(lambda: self._voice.wire.variables(self._facts()))
        keyring = Keyring.made(self.spec.held, self._voice.wire.own.csms_root, self._world.fleet.csms_roots)
        url, secure = self._world.csms_url, self._world.fleet.secure_url
        home = Way(url, self.spec.profiles(url, secure)[0])
        network = Network(home, secure or (url if url.startswith("wss:") else None), self._faults.network)
        return Holdings(device, keyring, self._voice, self._account, self._connect_anew, network)

    def _facts(self) -> Facts:
        profiles = self.spec.profiles(self._world.csms_url, self._world.fleet.secure_url)
        return Facts(self._identity(), self._character.evses, self.spec.password, profiles)

    def _blows(self) -> dict[FaultKind, Blow]:
        return {
            FaultKind.DROP_SOCKET: lambda _: self._drop_socket(),
            FaultKind.HALF_OPEN: lambda _: self._leave_socket(),
            FaultKind.POWER_CUT: self._cut_power,
            FaultKind.SILENCE: self._weather.gate.close,
            FaultKind.CONNECTOR_FAULT: self._outlets.break_first,
        }

    def _reach(self) -> Reach:
        return Reach(
            voice=self._voice,
            outlets=self._outlets,
            updater=self._updater,
            logbook=Logbook(
                self._character.log_style, self._voice, self._account, self._world.http, self._pace
            ),
            holdings=self._holdings,
            publisher=self._publisher,
            lacks=self._character.lacks,
            report_from=self._character.report_from,
            boot_again=self._boot_again,
            restart=self.restart,
        )

    def _identity(self) -> Identity:
        character = self._character
        version, tells = self._flash.running.version, character.tells_version
        return Identity(character.vendor, character.model, self.spec.serial, version, tells)

    def _next_number(self) -> int:
        return next(self._numbers)

    def _swaps(self) -> bool:
        return bool(self._faults.reorder) and self._weather.rng.random() < self._faults.reorder

    # Power.

    async def run(self) -> None:
        """Live until cancelled: switch on, run until a restart is asked for, switch off, again."""
        self._trouble.begin()
        try:
            await self._live()
        finally:
            self._trouble.end()
            self._outlets.stop()
            if self._publisher:
                await self._publisher.close()
            for socket in self._abandoned:
                socket.transport.abort()

    async def _live(self) -> None:
        while True:
            self._switch_on()
            if self._boot is Boot.SILENT:
                self.life = live(self.life, Turn.BRICKED)
                self._account.note("went_silent")
                await asyncio.Event().wait()
            self._boot_reason = await self._run_until_restart()
            await self._switch_off()
            usual_s = self._rng.uniform(*self._pace.reboot_s) * self._character.boot_factor
            await asyncio.sleep(self._off_s or usual_s)
            self._off_s = None

    def restart(self, reason: BootReason) -> None:
        """Ask for a restart; the first reason stands."""
        if self._restart and not self._restart.done():
            self._account.note("restart", why=reason.value)
            self._restart.set_result(reason)

    def _switch_on(self) -> None:
        before = self._flash.running
        self._boot = self._flash.start()
        self._registered = self._broke = False
        self._clock.power_on()
        self._holdings.device.started()
        self._holdings.network.started()
        image = self._flash.running
        if image is not before:
            self._new_image()
        self._account.runs(image.version, f"{self._boot_reason.value}/{self._boot.value}")
        for outlet in self._outlets:
            broken = faulted(image.script, self.spec.charger_id, outlet.evse_id)
            outlet.error_code = image.script.error_code if broken else None
            outlet.show_silently()

    def _new_image(self) -> None:
        """What an image that cares little for its charger does at its first start."""
        if self._faults.forgets:
            self._holdings.forget()
        if self._faults.downgrades and not self._downgrades:
            self._account.note("fault_profile_downgrade")
            self._downgrades = self._faults.downgrades

    async def _run_until_restart(self) -> BootReason:
        self._restart = asyncio.get_running_loop().create_future()
        self.life = live(self.life, Turn.POWER_ON)
        speaks = self._crash_unheard() if self._crashes_unheard() else self._stay_connected()
        try:
            self._outlets.power_on()
            await race(speaks, self._until_restart())
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
        self._stop_beating()
        self._weather.gate.open()
        self._desk.power_lost()
        await self._updater.power_lost()
        if self._publisher:
            await self._publisher.power_lost()
        self._outlets.power_lost(self._boot_reason.value, broke=self._broke)
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
                self._downgrade_refused()
                self._holdings.refused()
            except (OSError, TimeoutError, WebSocketException, LinkLost):
                self._account.counts["connection_lost"] += 1
            failures = 0 if self.life is Life.OPERATING else failures + 1
            if failures:
                self._holdings.unconnected()
            self._lost()
            await asyncio.sleep(self._backoff_s(failures))

    async def _be_connected(self) -> None:
        socket = self._socket = await self._connect()
        self._holdings.connected()
        if self._downgrades:
            self._account.note("downgrade_accepted")
            self._downgrades = 0
        self._left.clear()
        try:
            link = self._link = Link(
                socket, self._desk.answer, self._account, self._weather, self._pace.call_timeout_s
            )
            await race(link.serve(), self._operate(link))
        finally:
            if self._left.is_set():
                self._abandoned.append(socket)
            else:
                await socket.close(CloseCode.GOING_AWAY)

    def _downgrade_refused(self) -> None:
        """After so many attempts without credentials it remembers that it has some."""
        if self._downgrades:
            self._downgrades -= 1
            self._account.counts["downgrade_refused"] += 1

    def _leave_socket(self) -> None:
        """As a router that forgot the connection does it: neither end is told."""
        if self._socket:
            self._socket.transport.pause_reading()
            self._left.set()
            self._connect_anew()

    def _connect_anew(self) -> None:
        """Give up the socket and come again."""
        if self._link:
            self._link.give_up()

    def _cut_power(self, seconds: float) -> None:
        self._broke, self._off_s = True, seconds or None
        self.restart(BootReason.POWER_UP)

    def _backoff_s(self, failures: int) -> float:
        first, longest = self._pace.backoff_s
        return min(longest, first * 2.0 ** min(failures, 16)) * self._rng.uniform(0.5, 1.0)

    def _connect(self) -> connect:
        access = self._holdings.access(forgotten=bool(self._downgrades))
        url = self._holdings.network.way.url
        return dial(url, self.spec.charger_id, self._character, self._pace, access)

    def _lost(self) -> None:
        self._socket = self._link = None
        self._stop_beating()
        self._voice.online = False
        self._outbox.connection_lost()
        self.life = live(self.life, Turn.LOST)

    def _drop_socket(self) -> None:
        """As a loss of power or of the network does it: without a close frame."""
        if self._socket:
            self._socket.transport.abort()

    async def _operate(self, link: Link) -> None:
        first = not self._registered
        if first or self._character.boots_on_every_connect:
            self.life = live(self.life, Turn.CONNECTED)
            await self._register(link)
            self.life = live(self.life, Turn.ACCEPTED)
            self._introduce(first=first)
            self._clock.told()  # Its first words are stamped before it has taken the time over.
        else:
            self.life = live(self.life, Turn.RESUMED)
        self._voice.online = True
        self._beat_later()
        if self._boot is Boot.CRASHES:
            # A boot-looping image dies soon after the server let it in.
            asyncio.get_running_loop().call_later(self._pace.crash_s, self.restart, BootReason.WATCHDOG)
        await self._outbox.drain(link)

    async def _register(self, link: Link) -> None:
        """BootNotification until it is accepted; nothing but what it is asked for is said before."""
        while True:
            message = self._voice.wire.boot(self._identity(), self._boot_reason)
            try:
                answer = await link.call(message, self._next_number())
            except CallRefused:
                answer = {}
            interval = answer.get("interval") or _DEFAULT_HEARTBEAT_S
            if answer.get("status") == "Accepted":
                self._holdings.device.force(self._voice.wire.own.heartbeat, str(interval))
                return
            pause_s = min(interval, self._pace.boot_retry_s)
            if answer.get("status") != "Pending":
                await asyncio.sleep(pause_s)
                continue
            # B02.FR.09: what it is asked for is said, too.
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._outbox.drain(link)

    def _introduce(self, *, first: bool) -> None:
        self._registered = True
        self._desk.show_all()
        if first:
            restarted = self._boot_reason is BootReason.REMOTE_RESET
            self._voice.security(SecurityWord.RESET if restarted else SecurityWord.STARTUP)
            self._updater.booted(self._boot)
            if self._publisher:
                self._publisher.booted()

    def _beat_later(self) -> None:
        told = self._holdings.device.value(self._voice.wire.own.heartbeat) or _DEFAULT_HEARTBEAT_S
        interval_s = self._pace.heartbeat_s or float(told)
        self._beat_timer = asyncio.get_running_loop().call_later(interval_s, self._beat)

    def _beat(self) -> None:
        message = self._voice.wire.heartbeat()
        self._outbox.put(Outgoing(lambda: message, asks=True))
        self._beat_later()

    def _stop_beating(self) -> None:
        if self._beat_timer:
            self._beat_timer.cancel()
            self._beat_timer = None

    def _boot_again(self) -> None:
        self._voice.say(self._voice.wire.boot(self._identity(), BootReason.TRIGGERED))
