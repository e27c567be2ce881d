from collections.abc import AsyncIterator

import pytest
from temporalio.testing import WorkflowEnvironment

from tests.integration.workflows.harness import Harness, real_server, running, time_skipping
from tests.unit.activities.world import World


@pytest.fixture
async def skipping_env() -> AsyncIterator[WorkflowEnvironment]:
    async with time_skipping() as env:
        yield env


@pytest.fixture
async def real_env() -> AsyncIterator[WorkflowEnvironment]:
    async with real_server() as env:
        yield env


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
async def skipping(skipping_env: WorkflowEnvironment, world: World) -> AsyncIterator[Harness]:
    """Days pass in no time; every workflow task replays its whole history, so nothing lives in a cache."""
    async with running(skipping_env, world) as harness:
        yield harness


@pytest.fixture
async def real(real_env: WorkflowEnvironment, world: World) -> AsyncIterator[Harness]:
    async with running(real_env, world) as harness:
        yield harness
