from collections.abc import AsyncIterator, Iterator

import pytest
from temporalio.testing import WorkflowEnvironment

from tests.integration.workflows.harness import Harness, real_server, running, time_skipping
from tests.unit.activities.world import World
from workflows.phases import CAMPAIGN_MOVES, TARGET_MOVES


@pytest.fixture
async def skipping_env() -> AsyncIterator[WorkflowEnvironment]:
    async with time_skipping() as env:
        yield env


@pytest.fixture
async def real_env() -> AsyncIterator[WorkflowEnvironment]:
    async with real_server() as env:
        yield env


@pytest.fixture
def world() -> Iterator[World]:
    """A fleet; whatever a test does to it, phases move by the tables only."""
    made = World()
    yield made
    edges = {(before, after) for (before, _), after in TARGET_MOVES.items()}
    assert made.campaigns.target_moves <= edges
    assert made.campaigns.campaign_moves <= {(before, after) for (before, _), after in CAMPAIGN_MOVES.items()}


@pytest.fixture
async def skipping(skipping_env: WorkflowEnvironment, world: World) -> AsyncIterator[Harness]:
    """Days pass in no time."""
    async with running(skipping_env, world) as harness:
        yield harness


@pytest.fixture
async def real(real_env: WorkflowEnvironment, world: World) -> AsyncIterator[Harness]:
    async with running(real_env, world) as harness:
        yield harness
