"""Chargers that fell silent: the socket lives and answers pings, but no OCPP message comes (F104).

A half-open socket is ended by the ping deadline; this finds what pings cannot. A charger that said nothing
for two and a half heartbeats is asked for one. Any answer, also a refusal, is a sign of life. Without one
it is *silent*: an event, and a flag in the twin, until it is heard again.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from datetime import datetime

import structlog

from csms.commands import TriggerKind, TriggerMessage
from csms.errors import CallFailed, CommandTimeout
from csms.session import Session
from storage.clock import Clock
from storage.errors import AmpwaveError
from storage.findings import ChargerFellSilent, ChargerSpokeAgain, Finding

log = structlog.get_logger(__name__)


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
    """Looks at every session of a node."""

    def __init__(
        self, sessions: Callable[[], Iterable[Session]], clock: Clock, heartbeat_s: float, rule: SilenceRule
    ) -> None:
        self._sessions = sessions
        self._clock = clock
        self.limit_s = heartbeat_s * rule.heartbeats
        """Silence after which a charger is asked."""
        self._rule = rule
        self._asking: dict[Session, asyncio.Task[None]] = {}
        self._silent: dict[Session, datetime] = {}
        self.also: set[Session] = set()
        """Sessions that no charger is behind: the synthetic one."""

    @property
    def found_within_s(self) -> float:
        """The longest time from a charger's last message to the event that says so."""
        rule = self._rule
        return self.limit_s + rule.probes * rule.probe_s + 2 * rule.every_s

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
        present = {*self._sessions(), *self.also}
        for gone in self._silent.keys() - present:
            del self._silent[gone]  # its connection's end is an event of its own
        now = self._clock()
        for session in present - self._asking.keys():
            quiet_s = (now - session.heard_at).total_seconds()
            since = self._silent.get(session)
            if since is not None and session.heard_at > since:
                self._ask(session, self._heard_again(session, since))
            elif since is None and quiet_s >= self.limit_s and len(self._asking) < self._rule.at_once:
                self._ask(session, self._probe(session))

    def _ask(self, session: Session, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work, name=f"silence of {session.charger_id}")
        self._asking[session] = task
        task.add_done_callback(lambda _: self._asking.pop(session, None))

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
        if session.heard_at > last:
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
