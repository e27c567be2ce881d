"""``python -m api.probe ROLE``: is the role in this container at work? Exit code 0 if so.

For container health checks. The api answers that it is ready, a csms node accepts a connection,
and Temporal has lately heard this machine ask for work on the queue of a worker or signer. A signer
that stands by while another machine's is at work is well, too.
"""

import asyncio
import socket
import sys
import urllib.request
from datetime import UTC, datetime, timedelta

from api.settings import Settings
from storage.errors import AmpwaveError
from storage.ids import SIGNER_QUEUE, TASK_QUEUE

SECONDS = 5.0
LATELY = timedelta(minutes=2)
"""A worker that waits for work asks about once a minute."""
QUEUES = {"worker": TASK_QUEUE, "signer": SIGNER_QUEUE}


def at_work(role: str, settings: Settings) -> bool:
    """Whether it is; an OSError or RuntimeError means no, and says why."""
    if role == "api":
        return _answers(f"http://127.0.0.1:{settings.api_port}/readyz")
    if role == "csms":
        return _accepts(settings.csms_port)
    if role == "signer" and asyncio.run(_stands_by(settings)):
        return True
    return asyncio.run(_polls(QUEUES[role], settings))


def _answers(url: str) -> bool:
    with urllib.request.urlopen(url, timeout=SECONDS) as answer:  # noqa: S310  # our own address
        return bool(answer.status == 200)


def _accepts(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS):
        return True


async def _stands_by(settings: Settings) -> bool:
    """Whether another machine's signer has these keys."""
    from api.bootstrap import signer_seat

    holder = await signer_seat(settings).holder()
    return holder is not None and holder != socket.gethostname()


async def _polls(queue: str, settings: Settings) -> bool:
    """Asked of Temporal: a worker that hangs still runs, but asks for nothing."""
    from temporalio.api.enums.v1 import TaskQueueType
    from temporalio.api.taskqueue.v1 import TaskQueue
    from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest

    from api.bootstrap import connect_temporal

    client = await connect_temporal(settings)
    answer = await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=client.namespace,
            task_queue=TaskQueue(name=queue),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
        )
    )
    since = datetime.now(UTC) - LATELY
    return any(
        poller.identity.endswith(f"@{socket.gethostname()}")
        and poller.last_access_time.ToDatetime(UTC) > since
        for poller in answer.pollers
    )


def main(arguments: list[str]) -> int:
    """0: at work. 1: not. 2: no such role."""
    roles = ("api", "csms", *QUEUES)
    if len(arguments) != 1 or arguments[0] not in roles:
        sys.stderr.write(f"Say one of: {', '.join(roles)}.\n")
        return 2
    try:
        return 0 if at_work(arguments[0], Settings()) else 1
    except (OSError, RuntimeError, AmpwaveError) as reason:
        sys.stderr.write(f"{arguments[0]}: {reason}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
