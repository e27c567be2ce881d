"""The faults with a moment, at work on one charger: each strikes once, at its stage or its time."""

import asyncio
from collections.abc import Callable, Mapping

from csms.simulator.faults import FaultKind, Incident
from csms.simulator.ledger import ChargerLedger
from csms.simulator.stages import Stage

Blow = Callable[[float], None]
"""Strikes for so many seconds; 0: as the fault itself says."""


class Trouble:
    """Outlives the charger's restarts."""

    def __init__(
        self, incidents: tuple[Incident, ...], account: ChargerLedger, blows: Mapping[FaultKind, Blow]
    ) -> None:
        self._waiting = list(incidents)
        self._account = account
        self._blows = blows
        self._timers: list[asyncio.TimerHandle] = []

    def begin(self) -> None:
        """The charger is plugged in: from now on time counts."""
        for incident in [each for each in self._waiting if each.stage is None]:
            self._expect(incident)

    def reached(self, stage: Stage) -> None:
        """The update got here."""
        for incident in [each for each in self._waiting if each.stage is stage]:
            self._expect(incident)

    def _expect(self, incident: Incident) -> None:
        self._waiting.remove(incident)
        if incident.stage is not None and not incident.after_s:
            self._strike(incident)
            return
        loop = asyncio.get_running_loop()
        self._timers.append(loop.call_later(incident.after_s, self._strike, incident))

    def _strike(self, incident: Incident) -> None:
        stage = incident.stage.value if incident.stage else None
        self._account.note(f"fault_{incident.kind.value}", stage=stage)
        self._blows[incident.kind](incident.for_s)

    def end(self) -> None:
        """The simulation is over."""
        for timer in self._timers:
            timer.cancel()
