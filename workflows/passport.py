"""The firmware passport of a charger: asked for by a person, put together and signed by the signer."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.passports import PassportActivities
    from storage.errors import AmpwaveError
    from storage.passport import PassportOrder
    from workflows.bundle import PATIENCE_SECONDS
    from workflows.options import by_signer


@workflow.defn(failure_exception_types=[AmpwaveError])
class PassportWorkflow:
    """Makes one passport; id ``passport/{passport_id}``."""

    @workflow.run
    async def run(self, order: PassportOrder) -> str:
        """The SHA-256 of the signed document."""
        workflow.set_current_details(f"passport of **{order.charger_id}** for **{order.actor}**")
        return await by_signer(
            PassportActivities.sign_passport, order, "sign a charger's passport", within=PATIENCE_SECONDS
        )
