"""The health check of workers asks Temporal, not the process."""

import secrets
from unittest import mock

from temporalio import activity
from temporalio.client import Client
from temporalio.worker import Worker

from api import probe
from api.settings import Settings


@activity.defn
async def rest() -> None: ...


async def test_a_worker_is_at_work_while_it_asks_for_work(temporal_client: Client) -> None:
    queue = f"probe-{secrets.token_hex(4)}"
    with mock.patch("api.bootstrap.connect_temporal", mock.AsyncMock(return_value=temporal_client)):
        assert not await probe._polls(queue, Settings())
        async with Worker(temporal_client, task_queue=queue, activities=[rest]):
            for _ in range(200):
                if await probe._polls(queue, Settings()):
                    break
            assert await probe._polls(queue, Settings())
