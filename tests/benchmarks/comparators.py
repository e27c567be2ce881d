"""What a node is measured against, alone in a process: a bare echo, and the ``ocpp`` package's own loop.

Neither knows whom it talks to, and neither keeps anything.
"""

import contextlib
import gc
import logging
import ssl
from datetime import UTC, datetime
from typing import Any

from ocpp.routing import on
from ocpp.v16 import ChargePoint as ChargePoint16
from ocpp.v16 import call_result as results16
from ocpp.v201 import ChargePoint as ChargePoint201
from ocpp.v201 import call_result as results201
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from tests.benchmarks.child import Json, serve_commands
from tests.benchmarks.messages import OCPP16, OCPP201

_INFO = {"status": "Accepted"}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Central16(ChargePoint16):  # type: ignore[misc]  # the package has no types
    """The 1.6 messages of the mix, answered as the package's examples do."""

    @on("BootNotification")
    async def on_boot(self, **_: Any) -> Any:
        return results16.BootNotification(current_time=_now(), interval=60, status="Accepted")

    @on("Heartbeat")
    async def on_heartbeat(self, **_: Any) -> Any:
        return results16.Heartbeat(current_time=_now())

    @on("StatusNotification")
    async def on_status(self, **_: Any) -> Any:
        return results16.StatusNotification()

    @on("MeterValues")
    async def on_meter(self, **_: Any) -> Any:
        return results16.MeterValues()

    @on("StartTransaction")
    async def on_start(self, **_: Any) -> Any:
        return results16.StartTransaction(transaction_id=1, id_tag_info=_INFO)

    @on("StopTransaction")
    async def on_stop(self, **_: Any) -> Any:
        return results16.StopTransaction(id_tag_info=_INFO)

    @on("FirmwareStatusNotification")
    async def on_firmware(self, **_: Any) -> Any:
        return results16.FirmwareStatusNotification()


class Central201(ChargePoint201):  # type: ignore[misc]  # the package has no types
    """The 2.0.1 messages of the mix."""

    @on("BootNotification")
    async def on_boot(self, **_: Any) -> Any:
        return results201.BootNotification(current_time=_now(), interval=60, status="Accepted")

    @on("Heartbeat")
    async def on_heartbeat(self, **_: Any) -> Any:
        return results201.Heartbeat(current_time=_now())

    @on("StatusNotification")
    async def on_status(self, **_: Any) -> Any:
        return results201.StatusNotification()

    @on("TransactionEvent")
    async def on_transaction(self, **_: Any) -> Any:
        return results201.TransactionEvent()

    @on("FirmwareStatusNotification")
    async def on_firmware(self, **_: Any) -> Any:
        return results201.FirmwareStatusNotification()


async def _echo(connection: ServerConnection) -> None:
    with contextlib.suppress(ConnectionClosed):
        async for message in connection:
            await connection.send(message)


async def _ocpp(connection: ServerConnection) -> None:
    central = Central16 if connection.subprotocol == OCPP16 else Central201
    with contextlib.suppress(ConnectionClosed):
        await central("bench", connection).start()


class Comparators:
    """Servers of one process, until it ends."""

    def __init__(self) -> None:
        self._servers: list[Server] = []

    async def collect(self, _: Json) -> Json:
        """Let the garbage collector go by, before somebody looks at the memory."""
        return {"objects": gc.collect()}

    async def start(self, given: Json) -> Json:
        """Serve ``echo`` or ``ocpp`` with the socket settings of our own node; the port."""
        logging.getLogger("ocpp").setLevel(logging.WARNING)
        server = await serve(
            _echo if given["kind"] == "echo" else _ocpp,
            "127.0.0.1",
            0,
            ssl=_tls(given["tls"]) if "tls" in given else None,
            subprotocols=[Subprotocol(OCPP16), Subprotocol(OCPP201)],
            compression=None,
            max_queue=16,
            ping_interval=30,
            ping_timeout=30,
        )
        self._servers.append(server)
        return {"ports": [server.sockets[0].getsockname()[1]]}


def _tls(given: dict[str, Any]) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=given["ca"])
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(given["cert"], given["key"])
    return context


if __name__ == "__main__":
    comparators = Comparators()
    serve_commands({"start": comparators.start, "collect": comparators.collect})
