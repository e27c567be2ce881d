"""The node under test, alone in its process: the real gateway over the real stores, as production runs it."""

import gc
import ssl
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from csms import collector
from csms.gateway import Gateway
from csms.options import GatewayOptions, GatewayStores, Sources
from storage.clock import system_clock
from storage.postgres.chargers import PostgresChargerStore
from storage.postgres.engine import create_engine, create_ingest_engine
from storage.postgres.ingest import PostgresIngestStore
from storage.postgres.routes import PostgresRouteStore
from storage.postgres.transaction_ids import PostgresTransactionIds
from tests.benchmarks.child import Json, serve_commands
from tests.benchmarks.world import PEPPER


class Node:
    """Holds the gateway between commands."""

    def __init__(self) -> None:
        self._gateway: Gateway | None = None
        self._engines: list[AsyncEngine] = []

    async def start(self, given: Json) -> Json:
        """Open the listeners; their ports."""
        engine = create_engine(given["database"], application_name="ampwave")
        ingest_engine = create_ingest_engine(given["database"])
        self._engines = [engine, ingest_engine]
        stores = GatewayStores(
            PostgresChargerStore(engine),
            PostgresIngestStore(ingest_engine),
            PostgresRouteStore(engine),
            PostgresTransactionIds(engine),
        )
        options = GatewayOptions(
            "bench", "bench-1", PEPPER, port=0, tls_port=0 if "tls" in given else None, drain_per_s=5000.0
        )
        tls = _tls(given["tls"]) if "tls" in given else None
        self._gateway = Gateway(options, stores, Sources(system_clock), tls=tls)
        await self._gateway.start()
        collector.tune()
        return {"ports": self._gateway.ports}

    async def close(self, _: Json) -> Json:
        """Stop as SIGTERM stops a node."""
        if self._gateway is not None:
            await self._gateway.stop()
        for engine in self._engines:
            await engine.dispose()
        return {}

    async def collect(self, _: Json) -> Json:
        """Let the garbage collector go by, before somebody looks at the memory."""
        return {"objects": gc.collect()}

    async def metrics(self, _: Json) -> Json:
        """The node's own counters, in Prometheus' text."""
        return {"text": self._gateway.metrics.render().decode() if self._gateway else ""}


def _tls(given: dict[str, Any]) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=given["ca"])
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(given["cert"], given["key"])
    return context


if __name__ == "__main__":
    node = Node()
    serve_commands(
        {"start": node.start, "collect": node.collect, "close": node.close, "metrics": node.metrics}
    )
