"""Stored histories still lead to the same commands; a workflow that was changed carelessly is noticed."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio import workflow
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from workflows.charger_update import ChargerUpdateWorkflow
from workflows.messages import ChargerUpdateInput, UpdateEnd
from workflows.payloads import DATA_CONVERTER
from workflows.registry import RUNNER, WORKFLOWS

HISTORIES = sorted(Path(__file__).parent.glob("*.json"))


def read(path: Path) -> WorkflowHistory:
    stored = json.loads(path.read_text())
    return WorkflowHistory.from_json(stored["workflow_id"], stored["history"])


def type_of(path: Path) -> str:
    first = json.loads(path.read_text())["history"]["events"][0]
    name: str = first["workflowExecutionStartedEventAttributes"]["workflowType"]["name"]
    return name


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
async def test_every_stored_history_replays(path: Path) -> None:
    replayer = Replayer(workflows=list(WORKFLOWS), data_converter=DATA_CONVERTER)
    result = await replayer.replay_workflow(read(path), raise_on_replay_failure=False)
    assert result.replay_failure is None


async def test_they_replay_without_a_sandbox_as_in_production() -> None:
    replayer = Replayer(workflows=list(WORKFLOWS), data_converter=DATA_CONVERTER, workflow_runner=RUNNER)
    for path in HISTORIES:
        result = await replayer.replay_workflow(read(path), raise_on_replay_failure=False)
        assert result.replay_failure is None, path.stem


def test_there_is_a_history_of_every_workflow() -> None:
    assert {type_of(path) for path in HISTORIES} == {kind.__name__ for kind in WORKFLOWS}


@workflow.defn(name="ChargerUpdateWorkflow", sandboxed=False)
class CarelesslyChanged(ChargerUpdateWorkflow):
    """Waits a little before it sends: a new command in front of those of the past."""

    @workflow.init
    def __init__(self, given: ChargerUpdateInput) -> None:
        super().__init__(given)

    @workflow.run
    async def run(self, given: ChargerUpdateInput) -> UpdateEnd:
        await workflow.sleep(timedelta(seconds=1))
        return await super().run(given)


async def test_a_careless_change_is_noticed() -> None:
    path = next(path for path in HISTORIES if type_of(path) == "ChargerUpdateWorkflow")
    replayer = Replayer(workflows=[CarelesslyChanged], data_converter=DATA_CONVERTER)
    result = await replayer.replay_workflow(read(path), raise_on_replay_failure=False)
    assert isinstance(result.replay_failure, workflow.NondeterminismError)
