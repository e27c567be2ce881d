"""Chargers that fell silent: the socket lives and answers pings, but no OCPP message comes (F104).

A half-open socket is ended by the ping deadline; this finds what pings cannot. A charger that said nothing
for two and a half heartbeats is asked for one. Any answer, also a refusal, is a sign of life. Without one
it is *silent*: an event, and a flag in the twin, until it is heard again.
"""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import datetime

import structlog

from csms.commands import TriggerKind, TriggerMessage
from csms.errors import CallFailed, CommandTimeout
from csms.session import Session
from csms.wheel import Wheel
from storage.clock import Clock
from storage.errors import AmpwaveError
from storage.findings import ChargerFellSilent, ChargerSpokeAgain, Finding

log = structlog.get_logger(__name__)

_TICK_S = 1.0


@dataclass(frozen=True, slots=True)
class SilenceRule:
    """When a charger counts as silent. Seconds."""

    heartbeats: float = 2.5
    """Missed heartbeats before it is asked."""
    probe_s: float = 10.0
    probes: int = 2
    every_s: float = 5.0
    """How often the node looks at its sockets."""
    at_once: int = 50
    """Chargers that are asked at the same time."""


class SilenceWatch:
    """Looks at every session of a node, at each when it could be silent and not before."""

    def __init__(self, clock: Clock, heartbeat_s: float, rule: SilenceRule) -> None:
        self._clock = clock
        self.limit_s = heartbeat_s * rule.heartbeats
        """Silence after which a charger is asked."""
        self._rule = rule
        self._watched: set[Session] = set()
        # Each of them is in one of these: waits for its time, is asked, or was found silent.
        self._waiting: Wheel[Session] = Wheel(_TICK_S)
        self._asking: dict[Session, asyncio.Task[None]] = {}
        self._silent: dict[Session, datetime] = {}

    def __contains__(self, session: Session) -> bool:
        return session in self._watched

    @property
    def found_within_s(self) -> float:
        """The longest time from a charger's last message to the event that says so."""
        rule = self._rule
        return self.limit_s + rule.probes * rule.probe_s + 2 * rule.every_s

    def enter(self, session: Session) -> None:
        """Watch it from now on."""
        self._watched.add(session)
        self._wait(session)

    def leave(self, session: Session) -> None:
        """It is over, or another has taken its place; its connection's end is an event of its own."""
        self._watched.discard(session)
        self._waiting.remove(session)
        self._silent.pop(session, None)

    async def run(self) -> None:
        """Look for ever."""
        try:
            while True:
                self.look()
                await asyncio.sleep(self._rule.every_s)
        finally:
            for task in self._asking.values():
                task.cancel()

    def look(self) -> None:
        """Start asking whoever is due, and note who is heard again."""
        for session, since in tuple(self._silent.items()):
            if session.heard_at > since and session not in self._asking:
                self._ask(session, self._heard_again(session, since))
        now = self._clock()
        while len(self._asking) < self._rule.at_once:
            due = self._waiting.take(now.timestamp())
            if due is None:
                return
            if (now - due.heard_at).total_seconds() >= self.limit_s:
                self._ask(due, self._probe(due))
            else:
                self._wait(due)

    def _wait(self, session: Session) -> None:
        self._waiting.put(session, session.heard_at.timestamp() + self.limit_s)

    def _ask(self, session: Session, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work, name=f"silence of {session.charger_id}")
        self._asking[session] = task
        task.add_done_callback(lambda _: self._asked(session))

    def _asked(self, session: Session) -> None:
        self._asking.pop(session, None)
        if session in self._watched and session not in self._silent:
            self._wait(session)

    async def _probe(self, session: Session) -> None:
        last = session.heard_at
        for _ in range(self._rule.probes):
            try:
                await session.send(TriggerMessage(TriggerKind.HEARTBEAT), self._rule.probe_s)
            except CommandTimeout:
                continue
            except CallFailed:
                return  # it refuses: it lives
            except AmpwaveError as error:
                log.debug("could not probe", charger_id=session.charger_id, error=str(error))
                return
            return
        if session.heard_at > last or session not in self._watched:
            return
        self._silent[session] = last
        silent_s = round((self._clock() - last).total_seconds(), 1)
        log.warning("a charger fell silent", charger_id=session.charger_id, silent_s=silent_s)
        detail = f"{self._rule.probes} probes of {self._rule.probe_s:g} s were not answered"
        await self._keep(session, ChargerFellSilent(silent_s, detail))

    async def _heard_again(self, session: Session, since: datetime) -> None:
        self._silent.pop(session, None)
        await self._keep(session, ChargerSpokeAgain(round((session.heard_at - since).total_seconds(), 1)))

    async def _keep(self, session: Session, finding: Finding) -> None:
        try:
            event = session.journal.event(finding, self._clock())
            await (await session.journal.put([], [event]))
        except AmpwaveError as error:
            log.warning("a finding was not stored", charger_id=session.charger_id, error=str(error))
