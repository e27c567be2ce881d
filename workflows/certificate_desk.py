"""What people have the signer do with one charger's certificates: done as soon as there is a signer."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.certificates import CertificateActivities, HandedIn, IssueAnswer, RevokeOrder
    from storage.errors import AmpwaveError
    from workflows.options import by_signer


@workflow.defn(failure_exception_types=[AmpwaveError])
class CertificateRevocationWorkflow:
    """One revocation; id ``revocation/{charger_id}``."""

    @workflow.run
    async def run(self, given: RevokeOrder) -> tuple[str, ...]:
        """The serial numbers that were taken away by it."""
        return await by_signer(CertificateActivities.revoke_certificates, given, "take certificates away")


@workflow.defn(failure_exception_types=[AmpwaveError])
class CertificateIssuanceWorkflow:
    """One request that a person handed in; id ``issuance/{charger_id}/{digest}``."""

    @workflow.run
    async def run(self, given: HandedIn) -> IssueAnswer:
        """The certificate, or why there is none."""
        return await by_signer(CertificateActivities.issue_handed_in, given, "issue what was handed in")
