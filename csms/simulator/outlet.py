"""An outlet of a charger: cars come and go by a seeded pattern, and each is a session."""

import asyncio
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from csms.simulator.concurrency import wait_for_event
from csms.simulator.ledger import ChargerLedger
from csms.simulator.pace import SessionPattern, SimPace
from csms.simulator.voice import Voice
from csms.simulator.wire import Plug, Session
from csms.simulator.words import EndReason, PlugWord

_WATTS = 11_000
_LULL_S = 600.0
"""How soon to look again, in an hour in which no car comes."""


@dataclass(frozen=True, slots=True)
class Habits:
    """What an outlet's life follows: durations, how often cars come, and chance."""

    pace: SimPace
    pattern: SessionPattern
    rng: random.Random
    run_id: str


class Outlet:
    """One EVSE with its connector."""

    def __init__(self, evse_id: int, voice: Voice, account: ChargerLedger, habits: Habits) -> None:
        self.evse_id = evse_id
        self.word = PlugWord.AVAILABLE
        self.operative = True
        self.blocked = False
        """An update keeps new cars out."""
        self.hidden = False
        """An update shows it as Unavailable."""
        self.error_code: str | None = None
        self.session: Session | None = None
        self._voice = voice
        self._account = account
        self._habits = habits
        self.meter_wh = habits.rng.randrange(1_000_000)
        self._sessions = 0
        self._cut = asyncio.Event()
        self._plugged = False
        self._timer: asyncio.TimerHandle | None = None
        self._car: asyncio.Task[None] | None = None
        self._free = asyncio.Event()
        self._free.set()

    def plug(self) -> Plug:
        """What it shows."""
        return Plug(self.evse_id, self.word, self.error_code)

    def show(self) -> None:
        """Report what it shows if that changed; a car that is plugged in comes first."""
        if not self._plugged:
            self._turn(self._rest())

    def show_silently(self) -> None:
        """Set what it shows at a start, when nobody listens yet."""
        self.word = self._rest()

    def set_operative(self, *, operative: bool) -> bool:
        """In or out of service; False if a car must leave first (then it happens by itself)."""
        self.operative = operative
        self.show()
        return operative or not self._plugged

    def cut(self, cause: str, *, broke: bool = False) -> None:
        """The charger stops under a car: that must never happen, unless it broke down by itself."""
        session = self._close()
        if session:
            note = self._account.session_failed if broke else self._account.session_cut
            note(session.session_id, self.evse_id, cause)
            self._voice.ended(session, EndReason.REBOOT)
        self._cut.set()

    def _close(self) -> Session | None:
        session, self.session = self.session, None
        self._free.set()
        return session

    async def session_over(self) -> None:
        """Wait until no session is open here."""
        await self._free.wait()

    def power_on(self) -> None:
        """Cars may come from now on. A timer waits for the next one; a task serves it."""
        self._await_car(self._habits.rng.random())

    def power_lost(self, cause: str, *, broke: bool = False) -> None:
        """The charger is off; whatever car was there is gone when it starts again."""
        self.cut(cause, broke=broke)
        self._cut.clear()
        self._plugged = False
        self.stop()
        self.word = self._rest()

    def stop(self) -> None:
        """No car is waited for or served any more."""
        for waiting in (self._timer, self._car):
            if waiting:
                waiting.cancel()
        self._timer = self._car = None

    def break_down(self, code: str) -> None:
        """It fails, under a car or not, and says so."""
        self.error_code = code
        self.cut(code, broke=True)
        self._turn(self._rest())

    def repair(self) -> None:
        """It works again."""
        self.error_code = None
        self.show()

    def _await_car(self, scale: float) -> None:
        pattern = self._habits.pattern
        gap = pattern.mean_gap_s(self._habits.pace, self._voice.now())
        if gap is None and not pattern.busy_share:
            return
        loop = asyncio.get_running_loop()
        if gap is None:
            self._timer = loop.call_later(_LULL_S, self._await_car, scale)
        else:
            self._timer = loop.call_later(gap * scale, self._car_comes)

    def _car_comes(self) -> None:
        if not self._serving():
            self._car_left(None)
            return
        self._car = asyncio.create_task(self._serve_car())
        self._car.add_done_callback(self._car_left)

    def _car_left(self, car: asyncio.Task[None] | None) -> None:
        if car and car.cancelled():
            return
        if car and car.exception():
            self._account.note("simulator_error", why=repr(car.exception()))
        self._car = None
        self._await_car(self._habits.rng.uniform(0.5, 1.5))

    def _serving(self) -> bool:
        return self.operative and not self.blocked and self.error_code is None

    def _rest(self) -> PlugWord:
        if self.error_code:
            return PlugWord.FAULTED
        out_of_service = not self.operative or (self.blocked and self.hidden)
        return PlugWord.UNAVAILABLE if out_of_service else PlugWord.AVAILABLE

    def _turn(self, word: PlugWord) -> None:
        if word is not self.word:
            self.word = word
            self._voice.plug(self.plug())

    async def _serve_car(self) -> None:
        pace, rng = self._habits.pace, self._habits.rng
        self._plugged = True
        self._cut.clear()
        self._turn(PlugWord.PREPARING)
        await wait_for_event(self._cut, pace.plug_s)
        id_tag = f"TAG{rng.randrange(10**6):06d}"
        if await self._voice.authorize(id_tag, pace.call_timeout_s) and not self.blocked:
            await self._charge(id_tag)
            self._turn(PlugWord.FINISHING)
            await wait_for_event(self._cut, pace.plug_s)
        self._plugged = False
        self._turn(self._rest())

    async def _charge(self, id_tag: str) -> None:
        self._sessions += 1
        session_id = f"{self._habits.run_id}-{self.evse_id}-{self._sessions}"
        session = self.session = Session(session_id, self.evse_id, id_tag, self.meter_wh)
        self._free.clear()
        self._account.session_started(session_id, self.evse_id)
        self._voice.started(session)
        self._turn(PlugWord.CHARGING)
        await self._draw(session, self._habits.rng.uniform(*self._habits.pace.session_s))
        if self.session is session:
            self._close()
            self._account.session_ended(session_id, self.evse_id)
            self._voice.ended(session, EndReason.VEHICLE_LEFT)

    async def _draw(self, session: Session, seconds: float) -> None:
        while seconds > 0 and self.session is session:
            step = min(self._habits.pace.meter_s, seconds)
            seconds -= step
            if await wait_for_event(self._cut, step):
                return
            self.meter_wh += round(_WATTS * step / 3600)
            session.meter_wh = self.meter_wh
            if seconds > 0:
                self._voice.metered(session)


class Outlets:
    """All outlets of a charger."""

    def __init__(self, outlets: Sequence[Outlet]) -> None:
        self._outlets = tuple(outlets)

    def __iter__(self) -> Iterator[Outlet]:
        return iter(self._outlets)

    def chosen(self, evse_id: int | None) -> list[Outlet]:
        """One outlet, or all of them."""
        return [outlet for outlet in self if evse_id in (None, outlet.evse_id)]

    @property
    def charging(self) -> bool:
        """Whether any session is open."""
        return any(outlet.session for outlet in self)

    def block(self, *, hidden: bool) -> None:
        """Keep new cars out; ``hidden``: and show it."""
        for outlet in self:
            outlet.blocked, outlet.hidden = True, hidden
            outlet.show()

    def unblock(self) -> None:
        """Let cars in again."""
        for outlet in self:
            outlet.blocked = outlet.hidden = False
            outlet.show()

    def break_first(self, seconds: float) -> None:
        """The first outlet fails for so long; 0: for ever."""
        outlet = self._outlets[0]
        outlet.break_down("GroundFailure")
        if seconds:
            asyncio.get_running_loop().call_later(seconds, outlet.repair)

    def cut(self, cause: str) -> None:
        """Stop under whatever car is there."""
        for outlet in self:
            outlet.cut(cause)

    def power_on(self) -> None:
        """The charger starts."""
        for outlet in self:
            outlet.power_on()

    def power_lost(self, cause: str, *, broke: bool = False) -> None:
        """The charger is off; ``broke``: by a fault of its own, which cuts nobody's promise."""
        for outlet in self:
            outlet.power_lost(cause, broke=broke)

    def stop(self) -> None:
        """The simulation is over."""
        for outlet in self:
            outlet.stop()

    async def sessions_over(self) -> None:
        """Wait until no session is open. New ones must be blocked."""
        for outlet in self:
            await outlet.session_over()
