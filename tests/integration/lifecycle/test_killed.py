"""kill -9 of the worker at each step of a charger's way in and way out: nothing is lost or done twice."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.exceptions import WorkflowAlreadyStartedError

from api.stack import role_environment
from storage.clock import system_clock
from storage.provisioning import EnrolmentState
from storage.retirement import Retirement, RetirementState, Step
from storage.twin import Lifecycle
from tests.integration.lifecycle.test_decommission import until
from tests.integration.lifecycle.test_provisioning import csv_of, enrol, ready, running, specs_of
from tests.integration.operator.conftest import Place
from tests.support.killed_worker import MARKS
from workflows.decommission import DecommissionInput, DecommissionWorkflow
from workflows.provisioning import ProvisioningInput, ProvisioningWorkflow

pytestmark = [pytest.mark.integration, pytest.mark.requirement("F46", "F47", "F50")]


@asynccontextmanager
async def workers(place: Place, queue: str, folder: Path) -> AsyncIterator[None]:
    """They are killed by themselves, one after the other; what is left at the end is ended by its group."""
    assert place.settings is not None
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.support.killed_worker", queue, str(folder)),
        env=role_environment(place.settings, os.environ),
        start_new_session=True,
    )
    try:
        yield
        assert process.returncode is None, "a worker ended otherwise than by kill -9"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


def listed(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def start(place: Place, queue: str, workflow: Any, given: Any) -> None:
    """One that is under way goes on; a workflow task of a killed worker is another's after a second."""
    with suppress(WorkflowAlreadyStartedError):
        await place.client.start_workflow(
            workflow,
            given,
            id=f"charger/{given.charger_id}",
            task_queue=queue,
            task_timeout=timedelta(seconds=1),
        )


async def test_a_worker_may_be_killed_at_each_step_of_the_way_in_and_out(
    signed: Place, tmp_path_factory: pytest.TempPathFactory
) -> None:
    await ready(signed)
    coming, going = specs_of(signed, 2)
    queue, folder = f"killed-{signed.tag}", tmp_path_factory.mktemp("marks")
    assert (await enrol(signed, csv_of((coming, going), template="", profile="1")))["enrolled"] == 2
    await signed.stores.chargers.set_lifecycle(going.charger_id, Lifecycle.ACTIVE)

    async def active() -> bool:
        found = await signed.stores.enrolments.get(coming.charger_id)
        lifecycle = (await signed.stores.chargers.get(coming.charger_id)).charger.lifecycle
        if lifecycle is Lifecycle.ACTIVE:
            assert found.checks, "active without a checklist"
            assert all(check.passed for check in found.checks)
            return True
        assert lifecycle is Lifecycle.PROVISIONING
        await start(signed, queue, ProvisioningWorkflow.run, ProvisioningInput(coming.charger_id, 0.5))
        return False

    async def retired() -> bool:
        await start(signed, queue, DecommissionWorkflow.run, DecommissionInput(going.charger_id, 0.5, 5))
        found = await signed.stores.retirements.get(going.charger_id)
        return found.state is RetirementState.RECEIPTED

    async with running(signed, coming, going), workers(signed, queue, folder):
        await signed.until(going.charger_id, lambda view: view.twin.connectivity is not None)
        now = system_clock()
        asked = Retirement(going.charger_id, "sam", "sold", now, now + timedelta(minutes=5))
        await signed.stores.retirements.open(asked)
        await asyncio.gather(until(active), until(retired))
    assert {mark.name for mark in listed(folder)} == MARKS
    rows = await signed.stores.audit.rows(limit=1000)
    told = [(row.entry.subject, row.entry.action, row.entry.detail.get("to")) for row in rows]
    way_in = [each for each in told if each[0] == f"charger/{coming.charger_id}"]
    moves = [to for _, action, to in way_in if action == "charger.enrolment_moved"]
    assert moves == [state.value for state in EnrolmentState if "after-" + state.value in MARKS][: len(moves)]
    assert sum(action == "charger.activated" for _, action, _ in way_in) == 1
    way_out = [action for subject, action, _ in told if subject == f"charger/{going.charger_id}"]
    assert way_out.count("charger.retired") == way_out.count("charger.retirement_receipted") == 1
    found = await signed.stores.retirements.get(going.charger_id)
    assert [record.step for record in found.steps] == list(Step)
