"""After a charger came back, what is desired of it is read again and compared, before anything is sent (F22).

While it was away anything may have become of it: a factory reset, another image, somebody with a laptop. Who
is about to change something waits for this reading; everybody else is read in the background, at a pace that
a fleet which comes back at once does not notice. A charger of which nothing is desired costs a place in a
list and a share of one query.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog

from csms.commands import (
    AnswerStatus,
    ChangeAvailability,
    Command,
    GetVariables,
    SetVariables,
    UpdateFirmware,
)
from csms.errors import CallFailed, CommandTimeout, Unsupported
from csms.session import Session
from storage.drift import same
from storage.errors import AmpwaveError
from storage.findings import DesiredCompared

log = structlog.get_logger(__name__)

Desires = Callable[[Sequence[str]], Awaitable[Mapping[str, Mapping[str, str]]]]
"""What is desired of the variables of these chargers; those of whom nothing is are left out."""
_TOLD = 50
"""Names that one finding lists."""


@dataclass(frozen=True, slots=True)
class RereadPace:
    """How the background goes about it."""

    settle_s: float = 5.0
    """After somebody came back: they boot, and they may be many."""
    looked_up: int = 200
    """Chargers in one query."""
    per_s: float = 20.0
    """Chargers that are asked, each second."""
    at_once: int = 10
    names: int = 20
    """Variables in one question."""
    deadline_s: float = 30.0


async def nothing_desired(_: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
    """A node that desires nothing of anybody."""
    return {}


def changes_something(command: Command) -> bool:
    """Whether a command begins a change that rests on what the charger is: an update, or settings."""
    if isinstance(command, ChangeAvailability):
        return not command.operative
    return isinstance(command, SetVariables | UpdateFirmware)


class Rereader:
    """The readings of one node."""

    def __init__(
        self, desires: Desires, pace: RereadPace, at_ease: Callable[[], bool] = lambda: True
    ) -> None:
        self._desires = desires
        self._pace = pace
        self._at_ease = at_ease
        self._waiting: deque[Session] = deque()
        self._arrived = asyncio.Event()
        self._reading: dict[Session, asyncio.Task[None]] = {}

    def returned(self, session: Session) -> None:
        """It connected, or it restarted."""
        session.reread_due = True
        self._waiting.append(session)
        self._arrived.set()

    async def run(self) -> None:
        """The background, for ever."""
        try:
            while True:
                await self._arrived.wait()
                await asyncio.sleep(self._pace.settle_s)
                await self._round()
        finally:
            for task in self._reading.values():
                task.cancel()

    async def _round(self) -> None:
        """Everybody who waits now, some at a time."""
        while self._waiting:
            if not self._at_ease():
                await asyncio.sleep(self._pace.settle_s)
                continue
            count = min(len(self._waiting), self._pace.looked_up)
            batch = [self._waiting.popleft() for _ in range(count)]
            try:
                await self._some([session for session in batch if session.reread_due])
            except AmpwaveError as error:
                log.warning("what is desired could not be looked up", error=str(error))
                self._waiting.extend(batch)
                await asyncio.sleep(self._pace.settle_s)
        self._arrived.clear()

    async def _some(self, sessions: Sequence[Session]) -> None:
        wanted = await self._desires([session.charger_id for session in sessions])
        for session in sessions:
            values = wanted.get(session.charger_id)
            if not values:
                session.reread_due = False
                continue
            while len(self._reading) >= self._pace.at_once:
                await asyncio.wait(self._reading.values(), return_when=asyncio.FIRST_COMPLETED)
            self._begin(session, values, self._pace.deadline_s)
            await asyncio.sleep(1 / self._pace.per_s)

    async def before(self, session: Session, deadline_s: float) -> None:
        """What is desired of this charger has been read since it came back, when this returns.

        Raises:
            CommandTimeout: it did not answer; nothing else was sent.
            NotConnectedHere, NotAccepted: as for any command.
        """
        try:
            async with asyncio.timeout(deadline_s):
                while session.reread_due or session in self._reading:
                    await self._read_now(session, deadline_s)
        except TimeoutError:
            raise CommandTimeout(session.charger_id, GetVariables.__name__, deadline_s) from None

    async def _read_now(self, session: Session, deadline_s: float) -> None:
        if session not in self._reading:
            values = (await self._desires([session.charger_id])).get(session.charger_id)
            if not values:
                session.reread_due = False
                return
            self._begin(session, values, deadline_s)
        await asyncio.shield(self._reading[session])

    def _begin(self, session: Session, values: Mapping[str, str], deadline_s: float) -> None:
        if session in self._reading:
            return
        task = asyncio.create_task(self._read(session, values, deadline_s), name="reread")
        self._reading[session] = task
        task.add_done_callback(lambda done: self._done(session, done))

    def _done(self, session: Session, task: "asyncio.Task[None]") -> None:
        self._reading.pop(session, None)
        if not task.cancelled() and task.exception() is not None:
            charger_id, why = session.charger_id, str(task.exception())
            log.info("a charger was not read again", charger_id=charger_id, error=why)

    async def _read(self, session: Session, values: Mapping[str, str], deadline_s: float) -> None:
        session.reread_due = False  # A boot while it is read makes it due anew.
        try:
            told = await self._asked(session, tuple(values), deadline_s)
        except AmpwaveError:
            session.reread_due = True
            raise
        differs = tuple(name for name in values if name in told and not same(values[name], told[name]))
        untold = tuple(name for name in values if name not in told)
        await session.note(DesiredCompared(len(values), differs[:_TOLD], untold[:_TOLD]))
        await session.settled()

    async def _asked(self, session: Session, names: tuple[str, ...], deadline_s: float) -> dict[str, str]:
        told: dict[str, str] = {}
        for start in range(0, len(names), self._pace.names):
            command = GetVariables(names[start : start + self._pace.names])
            try:
                answer = await session.send(command, deadline_s)
            except (CallFailed, Unsupported):
                continue  # It will not say: what it is stays unknown, and that is on record.
            if answer.status is AnswerStatus.ACCEPTED:
                told |= dict(answer.values)
        return told
