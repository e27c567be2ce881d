"""A round of housekeeping over real workers: who was left out of service is put back."""

import asyncio

import pytest

from activities.metadata import CeremonyOrder
from csms.commands import ChangeAvailability
from storage.canonical import sha256_hex
from storage.charger import OutOfService
from storage.errors import Conflict
from storage.ids import TASK_QUEUE, ceremony_key
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


@pytest.mark.requirement("S14")
async def test_a_round_tells_of_metadata_that_runs_out(real: Harness, world: World) -> None:
    await real.client.execute_workflow(HousekeepingWorkflow.run, id="housekeeping", task_queue=TASK_QUEUE)
    assert [one.subject for one in world.incidents.rows] == ["tuf/root/30d"]


@pytest.mark.requirement("S15", "S16")
async def test_a_ceremony_is_published_once_and_a_refusal_is_told(real: Harness, world: World) -> None:
    data = b"ada, grace"
    order = CeremonyOrder(sha256_hex(data), "mary")
    world.blobs.objects[ceremony_key(order.sha256)] = data
    stamps = await asyncio.gather(*(real.orchestrator.publish_ceremony(order) for _ in range(2)))
    assert {stamp.signers for stamp in stamps} == {("ada, grace",)}
    assert world.audit.actions().count("tuf.published") == 1
    edited = CeremonyOrder(sha256_hex(b"eve"), "mary")
    world.blobs.objects[ceremony_key(edited.sha256)] = data
    with pytest.raises(Conflict, match="not the one that was handed in"):
        await real.orchestrator.publish_ceremony(edited)
