"""How the api starts what belongs to the beginning and the end of chargers."""

from temporalio.client import Client
from temporalio.exceptions import WorkflowAlreadyStartedError

from storage.ids import TASK_QUEUE, charger_workflow_id
from workflows.client_words import in_our_words
from workflows.decommission import DecommissionInput, DecommissionWorkflow
from workflows.options import OTA_CHARGER, keywords
from workflows.provisioning import ProvisioningInput, ProvisioningWorkflow


class LifeStarter:
    """Starts workflows of single chargers; what is on record and was not started is started by the watch."""

    def __init__(self, client: Client) -> None:
        self._client = client

    @in_our_words
    async def visit_charger(self, charger_id: str) -> bool:
        """See how far a charger on its way in can go now; False: something else has it."""
        try:
            await self._client.start_workflow(
                ProvisioningWorkflow.run,
                ProvisioningInput(charger_id),
                id=charger_workflow_id(charger_id),
                task_queue=TASK_QUEUE,
                static_summary=f"provision {charger_id}",
                search_attributes=keywords((OTA_CHARGER, charger_id)),
            )
        except WorkflowAlreadyStartedError:
            return False
        return True

    @in_our_words
    async def retire_charger(self, charger_id: str) -> bool:
        """Start a retirement that is on record; False: it waits for something else that has the charger."""
        try:
            await self._client.start_workflow(
                DecommissionWorkflow.run,
                DecommissionInput(charger_id),
                id=charger_workflow_id(charger_id),
                task_queue=TASK_QUEUE,
                static_summary=f"retire {charger_id}",
                search_attributes=keywords((OTA_CHARGER, charger_id)),
            )
        except WorkflowAlreadyStartedError:
            return False
        return True
