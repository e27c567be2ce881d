"""Taking certificates of one charger away: the signer does it, as soon as there is one."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.certificates import CertificateActivities, RevokeOrder
    from storage.errors import AmpwaveError
    from workflows.options import by_signer


@workflow.defn(failure_exception_types=[AmpwaveError])
class CertificateRevocationWorkflow:
    """One revocation; id ``revocation/{charger_id}``."""

    @workflow.run
    async def run(self, given: RevokeOrder) -> tuple[str, ...]:
        """The serial numbers that were taken away by it."""
        return await by_signer(CertificateActivities.revoke_certificates, given, "take certificates away")
