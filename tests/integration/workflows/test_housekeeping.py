"""A round of housekeeping over real workers: who was left out of service is put back."""

import pytest

from csms.commands import ChangeAvailability
from storage.charger import OutOfService
from storage.ids import TASK_QUEUE
from storage.journal import JournalRule
from tests.integration.workflows.harness import Harness
from tests.unit.activities.world import START, World
from workflows.housekeeping import HousekeepingWorkflow

pytestmark = pytest.mark.integration


@pytest.mark.requirement("X3")
async def test_stranded_chargers_are_put_back_as_they_were(real: Harness, world: World) -> None:
    back, away = world.add_chargers(2)
    for name in (back, away):
        site = world.chargers.rows[name].charger.site_id
        world.out_of_service.rows[name] = OutOfService(name, site, ("1.2",), START, "an update")
    world.unplug(away)

    await real.client.execute_workflow(HousekeepingWorkflow.run, id="housekeeping", task_queue=TASK_QUEUE)

    assert world.sent == [
        (back, ChangeAvailability(operative=True)),
        (back, ChangeAvailability(operative=False, evse_id=1, connector_id=2)),
    ]
    assert list(world.out_of_service.rows) == [away], "remembered until it is seen again"
    assert "charger.put_back" in world.audit.actions()


@pytest.mark.requirement("F107")
async def test_a_round_keeps_the_journal(real: Harness, world: World) -> None:
    await real.client.execute_workflow(HousekeepingWorkflow.run, id="housekeeping", task_queue=TASK_QUEUE)
    assert [rule for rule, _ in world.journal.rounds] == [JournalRule()]
