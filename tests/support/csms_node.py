"""A csms node in a process of its own: the real gateway over the real stores, told what to do on stdin.

``python -m tests.support.csms_node '{"database_url": ..., "node_id": ..., ...}'``; one JSON object a line
each way. In: ``{"send": charger, "epoch": n}``. Out: ``{"port": n}`` once it serves, then what became of
each command, and ``{"leaving": true}`` once it takes nobody in any more.
"""

import asyncio
import json
import sys
from typing import Any

import structlog
import uvloop

from api.until_signalled import until_signalled
from csms.commands import Reset, ResetKind
from csms.errors import CsmsError
from csms.gateway import Gateway
from csms.options import GatewayOptions, GatewayStores, Sources
from storage.clock import system_clock
from storage.postgres.chargers import PostgresChargerStore
from storage.postgres.engine import create_engine
from storage.postgres.ingest import PostgresIngestStore
from storage.postgres.routes import PostgresRouteStore
from storage.postgres.transaction_ids import PostgresTransactionIds

PEPPER = b"p" * 32


def say(**words: Any) -> None:
    print(json.dumps(words), flush=True)


async def obey(gateway: Gateway, line: str) -> None:
    """Send one command, and tell what became of it."""
    order = json.loads(line)
    command = Reset(ResetKind.ON_IDLE)
    try:
        answer = await gateway.send(
            order["send"], order["epoch"], command, deadline_s=order.get("within", 10)
        )
        say(charger=order["send"], answer=answer.status.value)
    except CsmsError as error:
        say(charger=order["send"], error=type(error).__name__)


async def listen(gateway: Gateway) -> None:
    """Orders from stdin, each in a task of its own."""
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
    async with asyncio.TaskGroup() as orders:
        async for line in reader:
            orders.create_task(obey(gateway, line.decode()))


async def serve(given: dict[str, Any]) -> None:
    """As ``api.serving.serve_csms`` does, without Temporal."""
    engine = create_engine(given.pop("database_url"))
    routes, chargers = PostgresRouteStore(engine), PostgresChargerStore(engine)
    stores = GatewayStores(chargers, PostgresIngestStore(engine), routes, PostgresTransactionIds(engine))
    options = GatewayOptions(pepper=PEPPER, port=0, probe_delay_s=600, **given)
    gateway = Gateway(options, stores, Sources(system_clock))
    await gateway.start()
    say(port=gateway.ports[0])
    listening = asyncio.create_task(listen(gateway))
    await until_signalled()
    gateway.close_doors()
    say(leaving=True)
    await gateway.stop()
    listening.cancel()
    await engine.dispose()


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(json.loads(sys.argv[1])))
