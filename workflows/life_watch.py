"""Starts what is due in chargers' lives: whoever is asked for and not under way (F42-F47).

A schedule starts it. A charger that something else has is looked at again in the next round; so is whatever
a crash left behind, for PostgreSQL says what is not over.
"""

from contextlib import suppress

from temporalio import workflow
from temporalio.exceptions import ActivityError, WorkflowAlreadyStartedError

with workflow.unsafe.imports_passed_through():
    from activities.provisioning import ProvisioningActivities
    from activities.reprovisioning import ReprovisionActivities, Underway
    from activities.retiring import RetirementActivities, RetirementSender, RetireOrder, Unwelcome
    from storage.ids import charger_workflow_id
    from storage.retirement import Step
    from workflows.decommission import DecommissionInput, DecommissionWorkflow
    from workflows.options import OTA_CHARGER, keywords, locally, on_node
    from workflows.provisioning import ProvisioningInput, ProvisioningWorkflow
    from workflows.reprovision import ReprovisionInput, ReprovisionWorkflow

MOST = 200
"""Chargers that one round starts."""


@workflow.defn
class LifeWatchWorkflow:
    """One round."""

    @workflow.run
    async def run(self) -> int:
        """Returns how many were started."""
        started = 0
        for charger_id in await locally(RetirementActivities.find_retiring, MOST):
            started += await self._retire(charger_id)
        if workflow.patched("reprovision"):
            for underway in await locally(ReprovisionActivities.find_reprovisions, MOST):
                started += await self._again(underway)
        for charger_id in await locally(ProvisioningActivities.find_enrolments, MOST):
            started += await self._visit(charger_id)
        for unwelcome in await locally(RetirementActivities.find_unwelcome, MOST):
            await self._cut(unwelcome)
        return started

    async def _cut(self, given: Unwelcome) -> None:
        order = RetireOrder(given.charger_id, given.route.session_epoch, Step.SOCKET)
        with suppress(ActivityError):  # Its node is gone, or it has another socket: the next round looks.
            await on_node(RetirementSender.cut_socket, order, given.route)

    async def _visit(self, charger_id: str) -> bool:
        try:
            await workflow.start_child_workflow(
                ProvisioningWorkflow.run,
                ProvisioningInput(charger_id),
                id=charger_workflow_id(charger_id),
                parent_close_policy=workflow.ParentClosePolicy.ABANDON,
                static_summary=f"provision {charger_id}",
                search_attributes=keywords((OTA_CHARGER, charger_id)),
            )
        except WorkflowAlreadyStartedError:
            return False
        return True

    async def _again(self, given: Underway) -> bool:
        try:
            await workflow.start_child_workflow(
                ReprovisionWorkflow.run,
                ReprovisionInput(given.reprovision_id, given.charger_id),
                id=charger_workflow_id(given.charger_id),
                parent_close_policy=workflow.ParentClosePolicy.ABANDON,
                static_summary=f"provision anew {given.charger_id}",
                search_attributes=keywords((OTA_CHARGER, given.charger_id)),
            )
        except WorkflowAlreadyStartedError:
            return False
        return True

    async def _retire(self, charger_id: str) -> bool:
        try:
            await workflow.start_child_workflow(
                DecommissionWorkflow.run,
                DecommissionInput(charger_id),
                id=charger_workflow_id(charger_id),
                parent_close_policy=workflow.ParentClosePolicy.ABANDON,
                static_summary=f"retire {charger_id}",
                search_attributes=keywords((OTA_CHARGER, charger_id)),
            )
        except WorkflowAlreadyStartedError:
            return False  # Busy, or retired just now.
        return True
