"""Compares one charger that counts as updated and never was compared (X9). Its id is the charger's lock.

No attempt: nothing is sent but questions and the settings that it had before. What it counts as stands.
"""

from dataclasses import dataclass

from temporalio import workflow
from temporalio.exceptions import ActivityError, FailureError

with workflow.unsafe.imports_passed_through():
    from activities.facts import RouteFacts
    from activities.late_settings import LateActivities, LateEnd, LateKind, LateOrder, LateSender
    from storage.campaign import ROLLBACK_WAVE_BASE
    from storage.errors import AmpwaveError
    from storage.ids import wave_workflow_id
    from storage.kept import Owed
    from workflows.options import on_node, remotely
    from workflows.signals import CHARGER_SPOILT

_OPEN = frozenset({LateKind.NOT_NOW, LateKind.UNTOLD})
"""A later round looks again, as often as ``late_rules`` let it."""


@dataclass(frozen=True, slots=True)
class LateInput:
    """One charger, how it is reached, and how long it is left alone if it does not tell."""

    owed: Owed
    route: RouteFacts
    pause_seconds: float


@workflow.defn(failure_exception_types=[AmpwaveError])
class LateSettingsWorkflow:
    """Compares one charger; id ``charger/{charger_id}``."""

    @workflow.run
    async def run(self, given: LateInput) -> LateKind:
        """What became of it."""
        order = LateOrder(given.owed, given.route.session_epoch, given.pause_seconds)
        try:
            end = await on_node(LateSender.compare_late, order, given.route)
        except ActivityError as error:
            workflow.logger.warning("%s was not compared: %s", given.owed.charger_id, error.cause)
            return LateKind.NOT_NOW
        if end.kind not in _OPEN:
            await remotely(LateActivities.settle_late, end, "write down what became of its settings")
        # A way back is over for whoever runs its version: nothing of it may be stopped for that.
        if end.kind is LateKind.SPOILT and end.owed.wave < ROLLBACK_WAVE_BASE:
            await self._tell_wave(end)
        return end.kind

    @staticmethod
    async def _tell_wave(end: LateEnd) -> None:
        """It counts there as a failed attempt does. Of a wave that is over, people have an incident."""
        owed = end.owed
        wave = workflow.get_external_workflow_handle(wave_workflow_id(owed.campaign_id, owed.wave))
        try:
            await wave.signal(CHARGER_SPOILT, owed.charger_id)
        except FailureError:
            workflow.logger.info("The wave of %s is over", owed.charger_id)
