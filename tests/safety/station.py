# long-file: one charger, whole
"""A charger as a pure model of the thing itself: what is plugged in, what runs, what it says and when.

It is honest unless its habits say otherwise. What the central system believes is in the twin; what is
true is here, and the referee compares the two.
"""

import asyncio
import itertools
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from csms.commands import (
    AnswerStatus,
    ChangeAvailability,
    Command,
    CommandAnswer,
    PublishFirmware,
    Reset,
    UpdateFirmware,
)
from csms.errors import CallFailed
from storage.events import (
    ChargerBooted,
    ConnectorStatus,
    ConnectorStatusChanged,
    Event,
    FirmwareStatus,
    FirmwareStatusReported,
    ReservationChanged,
    SecurityEventReported,
    TransactionEnded,
    TransactionStarted,
)
from storage.ticket_binding import TICKET_LETTERS

NOTHING = "/d/" + "x" * TICKET_LETTERS
"""Where an address ends that nothing answers."""
OTHER_BYTES = "other bytes"
"""What is behind an address that gives something else than was signed."""
VENDOR, MODEL, SLOW_MODEL = "Voltworks", "VW-22", "VW-22R"


class Habit(StrEnum):
    """What a charger makes of one update that reaches it."""

    GOOD = "good"
    BY_RESET = "installs, waits for a reset"
    REFUSES = "refused"
    CALL_ERROR = "call error"
    DOWNLOAD_FAILS = "download failed"
    INSTALL_FAILS = "install failed"
    DISTRUSTS = "vendor signature refused"
    CUT_IN_DOWNLOAD = "power cut in download"
    CUT_IN_INSTALL = "power cut in install"
    LOOPS = "boot loop, old version in the end"
    LOOPS_THEN_RUNS = "boot loop, new version in the end"
    LIES = "says Installed, does nothing"
    FALLS_BACK = "says Installed, boots the old version"
    SAYS_NOTHING = "does it without a word"
    LATE = "done after the deadline"
    DIES = "never heard again"
    IDLES = "accepts, does nothing"
    FORGETS = "forgets its availability"
    TELLS_NO_VERSION = "boots without a version"


BAD_IMAGE = (Habit.FALLS_BACK, Habit.INSTALL_FAILS, Habit.LOOPS, Habit.DIES, Habit.CUT_IN_INSTALL)


AT_ONCE, AT_RESTART, NO_ROOM = "installs at once", "installs at a restart", "cannot fetch ahead"
HASTE = ("", "", "", "", "", "", AT_ONCE, AT_RESTART, NO_ROOM)
"""What a charger makes of an image that it is to fetch and not to install yet; mostly it waits."""


class Line(Protocol):
    """What a charger needs of its socket."""

    def up(self, event: Event, observed_at: datetime, key: str) -> None: ...


@dataclass(slots=True)
class Session:
    transaction_id: str
    connector: int
    since: float


@dataclass(frozen=True, slots=True)
class Nature:
    """How one charger is: fixed for the campaign."""

    name: str
    site: str
    habits: tuple[Habit, ...] = (Habit.GOOD,)
    """By update that reaches it; the last one stays."""
    needs_reset: bool = False
    flat: bool = False
    """As in 1.6: a command for the whole reaches every connector, and nothing remembers what was before."""
    skew: float = 0.0
    out_before: tuple[int, ...] = ()
    """Connectors that were out of service before anybody came."""
    worst_moment: str = ""
    """When a car comes: ``before drain`` or ``after drain`` (it finds the connector closed)."""
    offline_until: float = 0.0
    visits: tuple[tuple[float, float, int], ...] = ()
    """(when, how long, connector) a car charges."""
    reservations: tuple[tuple[float, float], ...] = ()
    haste: str = ""
    takes_nothing: bool = False
    """Told to fetch nothing while it is idle, it says yes and fails to."""
    power_kw: float = 0.0
    loops: int = 3
    """How often it boots in a boot loop."""
    slow: float = 0.0
    """So much longer its installs take."""


@dataclass
class Station:
    """One charger. ``watch`` is told what really happens to it."""

    nature: Nature
    rng: random.Random
    version: str
    version_of: Callable[["UpdateFirmware | PublishFirmware"], "str | None"]
    """The image behind an address, or None: the download is refused."""
    watch: Callable[[str, "Station", object], None]
    dial: Callable[["Station"], None]
    line: Line | None = None
    powered: bool = True
    dead: bool = False
    whole: bool = True
    """2.x: whether the station as a whole is in service, whatever its connectors are."""
    own: dict[int, bool] = field(default_factory=lambda: {1: True, 2: True})
    """Each connector by itself."""
    scheduled: dict[int, bool] = field(default_factory=dict)
    """What is done to a connector (0: the whole) as soon as its session is over."""
    sessions: dict[int, Session] = field(default_factory=dict)
    plugged: set[int] = field(default_factory=set)
    reserved: dict[int, int] = field(default_factory=dict)
    at_work: int | None = None
    """The request it works on."""
    writing: bool = False
    """It has the image."""
    parked: tuple[int, str] | None = None
    """An image that it holds and is not to install yet: the request under which it came, and its version."""
    stubborn: bool = False
    """It was told to drop what it has, and would not."""
    done: set[int] = field(default_factory=set)
    waits_for_reset: str | None = None
    received: list[int] = field(default_factory=list)
    booted_with: list[tuple[float, str | None]] = field(default_factory=list)
    """What it claimed at each restart, and when."""
    _queue: deque[tuple[Event, datetime, str]] = field(default_factory=deque)
    _numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))
    _visits: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))
    _update: "asyncio.Task[None] | None" = None
    _turns: int = 0
    _surprised: bool = False
    _looping: bool = False
    """It booted with the new version once already, and is about to go down again."""

    def __post_init__(self) -> None:
        for connector in self.nature.out_before:
            self.own[connector] = False
        self.before = dict(self.operative)

    @property
    def operative(self) -> dict[int, bool]:
        """What a car finds."""
        return {connector: self.whole and own for connector, own in self.own.items()}

    @property
    def dialect(self) -> str:
        return "ocpp1.6" if self.nature.flat else "ocpp2.0.1"

    @property
    def name(self) -> str:
        return self.nature.name

    def _loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    def now(self) -> datetime:
        """By its own clock."""
        return self._loop().instant() + timedelta(seconds=self.nature.skew)  # type: ignore[attr-defined]

    # --- the wire --------------------------------------------------------------------------------

    def say(self, event: Event, *, keep: bool = False) -> None:
        """``keep``: a message that is queued while there is no connection."""
        message = (event, self.now(), f"m{next(self._numbers)}")
        if keep:
            self._queue.append(message)
        if self.line is not None:
            self.line.up(*message)

    def arrived(self, key: str) -> None:
        """A message was answered: it need not be repeated."""
        self._queue = deque(one for one in self._queue if one[2] != key)

    def connected(self, line: Line, *, restarted: bool) -> None:
        self.line = line
        for message in list(self._queue):
            line.up(*message)
        if restarted:
            self._say_boot()
        self.say_connectors()

    def _say_boot(self) -> None:
        told = None if self._habit() is Habit.TELLS_NO_VERSION and self.received else self.version
        self.booted_with.append((self._loop().time(), told))
        self.say(ChargerBooted(VENDOR, self.model, told, reason="PowerUp"))
        self.watch("booted", self, told)

    @property
    def model(self) -> str:
        return SLOW_MODEL if self.nature.needs_reset else MODEL

    def say_connectors(self) -> None:
        for connector in self.operative:
            self.say(ConnectorStatusChanged(connector, 1, self._status(connector)))

    def _status(self, connector: int) -> ConnectorStatus:
        if connector in self.plugged or connector in self.sessions:
            return ConnectorStatus.OCCUPIED
        if not self.operative[connector]:
            return ConnectorStatus.UNAVAILABLE
        return ConnectorStatus.RESERVED if connector in self.reserved else ConnectorStatus.AVAILABLE

    def disconnected(self) -> None:
        self.line = None

    # --- cars ------------------------------------------------------------------------------------

    async def live(self) -> None:
        """Cars come and go as its nature has it."""
        tasks = [self._visit(*visit) for visit in self.nature.visits]
        tasks += [self._reservation(*each) for each in self.nature.reservations]
        await asyncio.gather(*tasks)

    async def _visit(self, at: float, seconds: float, connector: int) -> None:
        await asyncio.sleep(max(0.0, at - self._loop().time()))
        await self.charge(seconds, connector)

    async def charge(self, seconds: float, connector: int) -> None:
        """A car is plugged in; if the connector is open, it charges."""
        if self.dead or not self.powered or connector in self.plugged:
            return
        self.plugged.add(connector)
        if not self.operative[connector]:
            self.watch("car turned away", self, connector)
        else:
            self._begin(connector)
            self.say(ConnectorStatusChanged(connector, 1, ConnectorStatus.OCCUPIED))
        await asyncio.sleep(seconds)
        self.plugged.discard(connector)
        self._end(connector)
        self.say(ConnectorStatusChanged(connector, 1, self._status(connector)))

    def _begin(self, connector: int) -> None:
        session = Session(f"{self.name}-t{next(self._visits)}", connector, self._loop().time())
        self.sessions[connector] = session
        self.watch("session began", self, session)
        self.say(TransactionStarted(session.transaction_id, connector, 1), keep=True)

    def _end(self, connector: int) -> None:
        session = self.sessions.pop(connector, None)
        if session is not None:
            self.say(TransactionEnded(session.transaction_id), keep=True)
        for which in [0, connector]:
            if which in self.scheduled and not (self.sessions if which == 0 else connector in self.sessions):
                self._set(which, operative=self.scheduled.pop(which))
                self.watch("availability", self, None)

    async def _reservation(self, at: float, seconds: float) -> None:
        await asyncio.sleep(max(0.0, at - self._loop().time()))
        if self.dead or not self.operative[1] or self.line is None:
            return
        number = next(self._visits)
        self.reserved[1] = number
        self.say(ReservationChanged(number, active=True, evse_id=1))
        await asyncio.sleep(seconds)
        self.reserved.pop(1, None)
        self.say(ReservationChanged(number, active=False, evse_id=1), keep=True)

    # --- commands --------------------------------------------------------------------------------

    def obey(self, command: Command) -> CommandAnswer:
        """Its answer; may raise CallFailed."""
        if isinstance(command, ChangeAvailability):
            return self._change(command)
        if isinstance(command, UpdateFirmware):
            return self._asked(command)
        if isinstance(command, Reset):
            return self._reset()
        return CommandAnswer(AnswerStatus.NOT_IMPLEMENTED)

    def _change(self, command: ChangeAvailability) -> CommandAnswer:
        chosen = [command.evse_id] if command.evse_id else list(self.operative)
        moment = "" if self._surprised or command.operative else self.nature.worst_moment
        self._surprised = self._surprised or bool(moment)
        if moment == "before drain":
            open_ = [connector for connector in self.operative if self.operative[connector]]
            if open_ and open_[0] not in self.plugged:
                self._begin_now(open_[0])
        busy = [connector for connector in chosen if connector in self.sessions]
        if not command.operative and busy:
            self.scheduled[command.evse_id or 0] = False
            return CommandAnswer(AnswerStatus.SCHEDULED)
        self.scheduled.pop(command.evse_id or 0, None)
        self._set(command.evse_id or 0, operative=command.operative)
        self.watch("availability", self, command)
        if moment == "after drain":
            self._loop().create_task(self.charge(300.0, chosen[0]))
        return CommandAnswer(AnswerStatus.ACCEPTED)

    def _set(self, which: int, *, operative: bool) -> None:
        """One connector, or 0: the whole; its connectors say so."""
        if which:
            self.own[which] = operative
        elif self.nature.flat:
            self.own = dict.fromkeys(self.own, operative)
        else:
            self.whole = operative
        for connector in [which] if which else list(self.own):
            self.say(ConnectorStatusChanged(connector, 1, self._status(connector)))

    def _begin_now(self, connector: int) -> None:
        """The car of the worst moment: the session is there before the answer is."""
        self.plugged.add(connector)
        self._begin(connector)
        self.say(ConnectorStatusChanged(connector, 1, ConnectorStatus.OCCUPIED))

        async def leave() -> None:
            await asyncio.sleep(600.0)
            self.plugged.discard(connector)
            self._end(connector)
            self.say(ConnectorStatusChanged(connector, 1, self._status(connector)))

        self._loop().create_task(leave())

    def _habit(self) -> Habit:
        habits = self.nature.habits
        return habits[min(max(0, self._turns - 1), len(habits) - 1)]

    def _asked(self, command: UpdateFirmware) -> CommandAnswer:
        if command.location.endswith(NOTHING):
            return self._told_to_stop(command)
        if command.install_at is not None:
            return self._told_to_fetch(command)
        self.watch("update", self, command)
        number = command.request_id
        again = number in self.received
        self.received.append(number)
        if again and (number == self.at_work or number in self.done):
            return CommandAnswer(AnswerStatus.ACCEPTED)
        self._turns += 1
        habit = self._habit()
        if habit is Habit.REFUSES:
            return CommandAnswer(AnswerStatus.REJECTED)
        if habit is Habit.CALL_ERROR:
            raise CallFailed(self.name, "UpdateFirmware", "InternalError", "no")
        cancelled = self._update is not None and not self._update.done() and self.at_work is not None
        if self._update is not None:
            self._update.cancel()
        self.at_work, self.writing, self._looping = number, False, False
        held, self.parked = self.parked, None
        self._update = self._loop().create_task(self._install(command, habit, held))
        return CommandAnswer(AnswerStatus.ACCEPTED_CANCELED if cancelled else AnswerStatus.ACCEPTED)

    def _told_to_fetch(self, command: UpdateFirmware) -> CommandAnswer:
        """An image for later; what it had before goes (L01.FR.24)."""
        self.watch("told to fetch", self, command)
        self._cancel_update()
        self.at_work, self.writing, self.parked = command.request_id, False, None
        self._update = self._loop().create_task(self._fetch(command))
        return CommandAnswer(AnswerStatus.ACCEPTED)

    async def _fetch(self, command: UpdateFirmware) -> None:
        number = command.request_id
        self._tell(FirmwareStatus.DOWNLOADING, number)
        await asyncio.sleep(self.rng.uniform(5, 60))
        version = self.version_of(command)
        if version is None or self.nature.haste == NO_ROOM:
            self._stop(FirmwareStatus.DOWNLOAD_FAILED, number)
            return
        self._tell(FirmwareStatus.DOWNLOADED, number)
        self._tell(FirmwareStatus.SIGNATURE_VERIFIED, number)
        self.parked, self.at_work = (number, version), None
        self.watch("fetched", self, version)
        if self.nature.haste == AT_ONCE:
            await self._hurry(number, version)

    async def _hurry(self, number: int, version: str) -> None:
        """It was told to wait; at least it cuts nobody's session."""
        await self._until_free()
        self.at_work, self.writing = number, True
        self._tell(FirmwareStatus.INSTALLING, number)
        await asyncio.sleep(self.rng.uniform(10, 120))
        await self._until_free()
        self.parked = None
        self.watch("installed by itself", self, version)
        await self._restarts(version)
        self._finished(number)

    async def _until_free(self) -> None:
        while self.sessions:  # noqa: ASYNC110 - it is simulated time
            await asyncio.sleep(10.0)

    def _told_to_stop(self, command: UpdateFirmware) -> CommandAnswer:
        """An update that brings nothing cancels the older one (L01.FR.24), unless it writes (L01.FR.27)."""
        busy = self.parked is not None or (self._update is not None and not self._update.done())
        if not busy and self.nature.takes_nothing:
            self._tell(FirmwareStatus.DOWNLOAD_FAILED, command.request_id)
            return CommandAnswer(AnswerStatus.ACCEPTED)
        if not busy or self.writing or self._habit() in (Habit.REFUSES, Habit.DIES):
            self.stubborn = True
            return CommandAnswer(AnswerStatus.REJECTED)
        self._cancel_update()
        self.parked = None
        self.watch("told to stop", self, command)
        return CommandAnswer(AnswerStatus.ACCEPTED_CANCELED)

    def _reset(self) -> CommandAnswer:
        if self.sessions:
            return CommandAnswer(AnswerStatus.SCHEDULED)
        self.watch("reset", self, None)
        self._loop().create_task(self._restarts(self.waits_for_reset or self.version))
        self.waits_for_reset = None
        return CommandAnswer(AnswerStatus.ACCEPTED)

    # --- an update -------------------------------------------------------------------------------

    def _tell(self, status: FirmwareStatus, request_id: int) -> None:
        self.say(FirmwareStatusReported(status, request_id))

    async def _install(self, command: UpdateFirmware, habit: Habit, held: tuple[int, str] | None) -> None:
        number, rng = command.request_id, self.rng
        if habit is Habit.IDLES:
            return
        if habit is Habit.DIES:
            await asyncio.sleep(rng.uniform(1, 60))
            self._power_off()
            self.dead = True
            self.watch("died", self, None)
            return
        quiet = habit is Habit.SAYS_NOTHING
        if not quiet:
            self._tell(FirmwareStatus.DOWNLOADING, number)
        await asyncio.sleep(rng.uniform(5, 60) if held is None else 0.5)
        version = self.version_of(command)
        if version == OTHER_BYTES:
            habit = Habit.DISTRUSTS
        if habit is Habit.DOWNLOAD_FAILS or version is None:
            self._stop(FirmwareStatus.DOWNLOAD_FAILED, number)
            return
        if habit is Habit.CUT_IN_DOWNLOAD:
            await self._cut()
            return
        if habit is Habit.DISTRUSTS:
            self._stop(FirmwareStatus.INVALID_SIGNATURE, number)
            self.say(SecurityEventReported("InvalidFirmwareSignature"))
            return
        if not quiet:
            self._tell(FirmwareStatus.DOWNLOADED, number)
            self._tell(FirmwareStatus.INSTALLING, number)
        self.writing = True
        await asyncio.sleep(rng.uniform(10, 120) + self.nature.slow)
        await self._activate(habit, number, version)

    async def _activate(self, habit: Habit, number: int, version: str) -> None:
        old = self.version
        if habit is Habit.INSTALL_FAILS:
            self._stop(FirmwareStatus.INSTALLATION_FAILED, number)
            return
        if habit is Habit.CUT_IN_INSTALL:
            await self._cut()
            return
        if habit is Habit.LATE:
            await asyncio.sleep(self.rng.uniform(1000, 3000))
        if habit is Habit.LIES:
            self._stop(FirmwareStatus.INSTALLED, number)
            return
        if habit in (Habit.LOOPS, Habit.LOOPS_THEN_RUNS):
            await self._loops(number, version, old if habit is Habit.LOOPS else None)
            return
        if self.nature.needs_reset:
            self.waits_for_reset = version
            self._stop(FirmwareStatus.INSTALLED, number)
            return
        await self._runs(habit, number, old if habit is Habit.FALLS_BACK else version)

    async def _loops(self, number: int, version: str, back_to: str | None) -> None:
        self._tell(FirmwareStatus.INSTALL_REBOOTING, number)
        for _ in range(self.nature.loops):
            await self._restarts(version)
            self._looping = True
            await asyncio.sleep(self.rng.uniform(1, 5))
        if back_to is not None:
            await self._restarts(back_to)
        self._looping = False
        self._finished(number)

    def _crashes(self) -> bool:
        """Whether it goes down by itself, with an image that it had proved, as everybody may use it again."""
        return self._looping and self.operative == self.before

    async def _runs(self, habit: Habit, number: int, version: str) -> None:
        """It restarts, and says what its habit says."""
        if habit is Habit.FALLS_BACK:
            self._tell(FirmwareStatus.INSTALLED, number)
        elif habit is not Habit.SAYS_NOTHING and self.rng.random() < 0.5:
            self._tell(FirmwareStatus.INSTALL_REBOOTING, number)
        await self._restarts(version)
        self._finished(number)
        if habit is Habit.GOOD:
            self._tell(FirmwareStatus.INSTALLED, number)

    def _cancel_update(self) -> None:
        if self._update is not None:
            self._update.cancel()

    def _finished(self, number: int) -> None:
        self.done.add(number)
        self.at_work = None

    def _stop(self, status: FirmwareStatus, number: int) -> None:
        self._finished(number)
        self._tell(status, number)

    async def _cut(self) -> None:
        """The power fails: whatever was not finished is lost."""
        self.at_work = None
        await self._restarts(self.version, seconds=self.rng.uniform(20, 400))

    async def _restarts(self, version: str, seconds: float | None = None) -> None:
        for connector in list(self.sessions):
            self.watch("crashed in service" if self._crashes() else "session cut", self, connector)
            self._end(connector)
        if self.parked is not None and self.nature.haste == AT_RESTART:
            (_, version), self.parked = self.parked, None
            self.watch("installed by itself", self, version)
        self._power_off()
        await asyncio.sleep(self.rng.uniform(5, 60) if seconds is None else seconds)
        self.version = version
        if self._habit() is Habit.FORGETS:
            self.whole, self.own = True, dict.fromkeys(self.own, True)
            self.scheduled.clear()
            self.watch("availability forgotten", self, None)
        self.powered = True
        self.dial(self)

    def _power_off(self) -> None:
        self.powered = False
        line, self.line = self.line, None
        if line is not None:
            line.broken()  # type: ignore[attr-defined]
