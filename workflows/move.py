"""A charger's move to another site, operator or place (F3): under the lock of its maintenance, and on record.

Its state goes with it. Where a new owner must not find it, ``ReprovisionWorkflow`` follows (F46).
"""

from dataclasses import dataclass

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.moves import MoveActivities, MoveEnd, MoveNote
    from storage.errors import AmpwaveError
    from workflows.options import locally


@dataclass(frozen=True, slots=True)
class MoveInput:
    """Which move; everything else of it is in the store."""

    move_id: str
    charger_id: str


@workflow.defn(failure_exception_types=[AmpwaveError])
class MoveWorkflow:
    """Carries out one move; id ``charger/{charger_id}``, so that no update can have the charger meanwhile."""

    @workflow.run
    async def run(self, given: MoveInput) -> MoveEnd:
        """Change what is registered, unless something stands in the way; then tell the timeline."""
        workflow.set_current_details(f"**{given.charger_id}** is moved")
        end = await locally(MoveActivities.apply_move, given.move_id)
        if end.done:
            note = MoveNote(given.move_id, given.charger_id, end.told)
            await locally(MoveActivities.note_move, note)
        return end
