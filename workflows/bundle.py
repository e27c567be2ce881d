"""The evidence bundle of a charger: asked for by a person, put together and signed by the signer."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.bundles import BundleActivities
    from storage.bundle import BundleOrder
    from storage.errors import AmpwaveError
    from workflows.options import by_signer

PATIENCE_SECONDS = 600.0


@workflow.defn(failure_exception_types=[AmpwaveError])
class BundleWorkflow:
    """Makes one bundle; id ``bundle/{bundle_id}``."""

    @workflow.run
    async def run(self, order: BundleOrder) -> int:
        """How many lines of evidence it has."""
        workflow.set_current_details(f"evidence of **{order.charger_id}** for **{order.actor}**")
        return await by_signer(
            BundleActivities.sign_bundle, order, "sign a charger's evidence", within=PATIENCE_SECONDS
        )
