"""The way in of one ceremony: people have signed, the signer judges and publishes."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.metadata import CeremonyActivities, CeremonyOrder
    from signing.ports import CeremonyStamp
    from storage.errors import AmpwaveError
    from workflows.options import by_signer

PATIENCE_SECONDS = 600.0
"""How long the signer may be away, or a key out of reach; after that the same file is handed in again."""


@workflow.defn(failure_exception_types=[AmpwaveError])
class PublishCeremonyWorkflow:
    """Publishes one ceremony file; id ``ceremony/{sha256}``."""

    @workflow.run
    async def run(self, order: CeremonyOrder) -> CeremonyStamp:
        """What is published now. Fails with VerificationFailed or StaleStage; nothing is written then."""
        workflow.set_current_details(f"handed in by **{order.actor}**")
        return await by_signer(
            CeremonyActivities.conclude_ceremony, order, "publish a ceremony", within=PATIENCE_SECONDS
        )
