"""When does a role serve? Asked by the supervisor at start and after every restart."""

from collections.abc import Awaitable, Callable, Mapping

import httpx2
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.service import RPCError

from api import bootstrap
from api.settings import Settings
from api.stack import ROLES, role_environment
from api.supervisor import RoleProcess
from storage.ids import SIGNER_QUEUE, TASK_QUEUE

Ready = Callable[[], Awaitable[bool]]


def role_processes(settings: Settings, base: Mapping[str, str]) -> list[RoleProcess]:
    """Every role of one machine, each with its way to tell that it serves."""
    checks: dict[str, Ready | None] = {
        "api": _http(f"http://{settings.bind_host}:{settings.api_port}/readyz"),
        "csms": _http(f"http://{settings.bind_host}:{settings.csms_port}/livez"),
        "worker": _polled(settings, TASK_QUEUE),
        "signer": _polled(settings, SIGNER_QUEUE),
        "relay": None,
    }
    return [
        RoleProcess(role, role_environment(settings, base, signer=role == "signer"), ready=checks[role])
        for role in ROLES
    ]


def _http(url: str) -> Ready:
    async def ready() -> bool:
        async with httpx2.AsyncClient(timeout=5.0) as client:
            try:
                return (await client.get(url)).is_success
            except httpx2.TransportError:
                return False

    return ready


def _polled(settings: Settings, queue: str) -> Ready:
    """Somebody asks this task queue for work."""

    async def ready() -> bool:
        try:
            client = await bootstrap.connect_temporal(settings)
            found = await client.workflow_service.describe_task_queue(
                DescribeTaskQueueRequest(
                    namespace=settings.temporal_namespace,
                    task_queue=TaskQueue(name=queue),
                    task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
                )
            )
        except (TimeoutError, RPCError, RuntimeError):
            return False
        return bool(found.pollers)

    return ready
