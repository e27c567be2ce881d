"""What people have done with one charger's certificates: revoked at once, issued once there is a signer."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.certificate_end import RevocationActivities, RevokeOrder
    from activities.certificates import CertificateActivities, HandedIn, IssueAnswer
    from storage.errors import AmpwaveError
    from workflows.options import by_signer, remotely


@workflow.defn(failure_exception_types=[AmpwaveError])
class CertificateRevocationWorkflow:
    """One revocation; id ``revocation/{charger_id}/{digest}``.

    It counts with us at once; the signer says it to everybody else at its next look.
    """

    @workflow.run
    async def run(self, given: RevokeOrder) -> tuple[str, ...]:
        """The serial numbers that were taken away by it."""
        if not workflow.patched("recorded-at-once"):
            return await by_signer(CertificateActivities.revoke_certificates, given, "take certificates away")
        return await remotely(RevocationActivities.record_revocation, given, "take certificates away")


@workflow.defn(failure_exception_types=[AmpwaveError])
class CertificateIssuanceWorkflow:
    """One request that a person handed in; id ``issuance/{charger_id}/{digest}``."""

    @workflow.run
    async def run(self, given: HandedIn) -> IssueAnswer:
        """The certificate, or why there is none."""
        return await by_signer(CertificateActivities.issue_handed_in, given, "issue what was handed in")
