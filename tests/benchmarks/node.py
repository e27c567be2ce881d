"""The node under test, alone in its process: the real gateway over the real stores, as production runs it."""

import gc
from pathlib import Path
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from csms import collector
from csms.client_certificates import ClientCertificates, ClientTlsOptions
from csms.gateway import Gateway
from csms.options import GatewayOptions, GatewayStores, Sources
from csms.pki.trust import TrustFiles
from csms.tls import CertificateFiles, ServerTls, ServerTlsFiles
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
        self._gateway = Gateway(options, stores, Sources(system_clock), **_tls(given.get("tls"), stores))
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


def _tls(given: dict[str, str] | None, stores: GatewayStores) -> dict[str, Any]:
    """Security profile 3 with everything that belongs to it: paths, bindings, a revocation list."""
    if given is None:
        return {}
    authority = Path(given["ca"])
    pair = CertificateFiles(Path(given["cert"]), Path(given["key"]))
    trust = ClientTlsOptions(TrustFiles((authority,), (Path(given["crl"]),)))
    return {
        "tls": ServerTls(ServerTlsFiles((pair,), (authority,))),
        "certificates": ClientCertificates(trust, stores.chargers, system_clock, None),
    }


if __name__ == "__main__":
    node = Node()
    serve_commands(
        {"start": node.start, "collect": node.collect, "close": node.close, "metrics": node.metrics}
    )
