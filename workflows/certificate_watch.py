"""Looks after chargers' certificates every half minute: who asked, who has shown a new one, who is due.

What it starts goes on by itself; what it could not do is done at the next look.
"""

from contextlib import suppress
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, WorkflowAlreadyStartedError

with workflow.unsafe.imports_passed_through():
    from activities.certificates import CertificateActivities
    from activities.late_renewals import LateRenewalActivities
    from activities.renewals import FleetRenewalActivities, OpenRequest
    from storage.errors import AmpwaveError
    from storage.ids import SIGNER_QUEUE, TASK_QUEUE, charger_workflow_id, renewal_workflow_id
    from workflows.certificate_renewal import CertificateRenewalWorkflow, RenewalInput
    from workflows.options import by_signer, remotely
    from workflows.renewal import RenewalRun, RenewalWorkflow

_ROUND = timedelta(seconds=60)
_RETRIES = RetryPolicy(maximum_attempts=3)
AT_ONCE = 50
"""Chargers of one look."""


@workflow.defn(failure_exception_types=[AmpwaveError])
class CertificateWatchWorkflow:
    """One look; id ``certificate-watch``, started by a schedule."""

    @workflow.run
    async def run(self) -> None:
        """Settle, answer, plan, and say what is revoked."""
        await self._settle()
        for asked in await remotely(
            FleetRenewalActivities.find_open_requests, AT_ONCE, "find chargers that asked for a certificate"
        ):
            await self._answer(asked)
        at = workflow.now().strftime("%Y%m%dt%H%M%S")
        for renewal_id in await remotely(
            FleetRenewalActivities.plan_renewals, at, "plan the renewals that are due"
        ):
            await self._go_on(renewal_id)
        if workflow.patched("late-renewals"):
            await self._alarm()
        try:
            await workflow.execute_activity_method(
                CertificateActivities.publish_revocations,
                task_queue=SIGNER_QUEUE,
                schedule_to_close_timeout=_ROUND,
                retry_policy=_RETRIES,
                summary="say what is revoked",
            )
        except ActivityError as error:
            workflow.logger.warning("What is revoked was not signed anew: %s", error.cause)

    @staticmethod
    async def _alarm() -> None:
        """A look that fails is made up for by the next."""
        try:
            await workflow.execute_activity_method(
                LateRenewalActivities.watch_late_renewals,
                task_queue=TASK_QUEUE,
                schedule_to_close_timeout=_ROUND,
                retry_policy=_RETRIES,
                summary="tell people of certificates that end soon and are not renewed",
            )
        except ActivityError as error:
            workflow.logger.warning("Certificates that end were not looked at: %s", error.cause)

    async def _settle(self) -> None:
        """Revoke what chargers had before the certificate that they have shown."""
        for charger_id in await remotely(
            FleetRenewalActivities.find_unsettled, AT_ONCE, "find chargers with a new certificate"
        ):
            with suppress(ActivityError):
                await by_signer(
                    CertificateActivities.settle_certificates, charger_id, "revoke older ones", within=20.0
                )

    async def _answer(self, asked: OpenRequest) -> None:
        given = RenewalInput(asked.charger_id, actor=f"charger/{asked.charger_id}", request=asked.sequence)
        with suppress(WorkflowAlreadyStartedError):  # Other work has it: at the next look.
            await workflow.start_child_workflow(
                CertificateRenewalWorkflow.run,
                given,
                id=charger_workflow_id(asked.charger_id),
                static_summary=f"answer {asked.charger_id}, which asked for a certificate",
                parent_close_policy=workflow.ParentClosePolicy.ABANDON,
            )

    async def _go_on(self, renewal_id: str) -> None:
        with suppress(WorkflowAlreadyStartedError):
            await workflow.start_child_workflow(
                RenewalWorkflow.run,
                RenewalRun(renewal_id),
                id=renewal_workflow_id(renewal_id),
                static_summary=f"renewal {renewal_id}",
                parent_close_policy=workflow.ParentClosePolicy.ABANDON,
            )
