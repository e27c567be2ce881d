"""How the api starts what belongs to the beginning and the end of chargers."""

from temporalio.client import Client

from workflows.client_start import take_charger
from workflows.client_words import in_our_words
from workflows.decommission import DecommissionInput, DecommissionWorkflow
from workflows.provisioning import ProvisioningInput, ProvisioningWorkflow
from workflows.reprovision import ReprovisionInput, ReprovisionWorkflow


class LifeStarter:
    """Starts workflows of single chargers; what is on record and was not started is started by the watch."""

    def __init__(self, client: Client) -> None:
        self._client = client

    @in_our_words
    async def visit_charger(self, charger_id: str) -> bool:
        """See how far a charger on its way in can go now; False: something else has it."""
        return await take_charger(
            self._client, ProvisioningWorkflow.run, ProvisioningInput(charger_id), charger_id, "provision"
        )

    @in_our_words
    async def reprovision_charger(self, charger_id: str, reprovision_id: str) -> bool:
        """Start what is on record; False: it waits for something else that has the charger."""
        given = ReprovisionInput(reprovision_id, charger_id)
        return await take_charger(self._client, ReprovisionWorkflow.run, given, charger_id, "provision anew")

    @in_our_words
    async def retire_charger(self, charger_id: str) -> bool:
        """Start a retirement that is on record; False: it waits for something else that has the charger."""
        return await take_charger(
            self._client, DecommissionWorkflow.run, DecommissionInput(charger_id), charger_id, "retire"
        )
