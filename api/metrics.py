"""What this process counts for Prometheus. No label ever holds a charger, ticket, token or path."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

_MEBI = 1024**2


class ApiMetrics:
    """The api's own metrics in a registry of their own, so that two apps in one process do not meet."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Counter(
            "ampwave_api_requests_total",
            "Requests by route template and status",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "ampwave_api_request_seconds",
            "From the request line to the end of the response",
            ["method", "route"],
            registry=self.registry,
        )
        self.refused = Counter(
            "ampwave_api_refused_total",
            "Requests refused for their token or role",
            ["reason"],
            registry=self.registry,
        )
        self.download_bytes = Counter(
            "ampwave_api_download_bytes_total",
            "Firmware bytes sent to chargers",
            registry=self.registry,
        )
        self.download_size = Histogram(
            "ampwave_api_download_size_bytes",
            "Bytes sent per download request of a ticket",
            buckets=[0, 64 * 1024, _MEBI, 8 * _MEBI, 64 * _MEBI, 512 * _MEBI],
            registry=self.registry,
        )
        self.downloads = Gauge(
            "ampwave_api_downloads", "Downloads of firmware that run now", registry=self.registry
        )
        self.upload_bytes = Counter(
            "ampwave_api_upload_bytes_total", "Firmware bytes taken in", registry=self.registry
        )
        self.log_bytes = Counter(
            "ampwave_api_log_bytes_total", "Bytes of logs taken in from chargers", registry=self.registry
        )
        self.stored_rows = Gauge(
            "ampwave_stored_rows", "Rows of a class of stored things", ["class"], registry=self.registry
        )
        self.stored_bytes = Gauge(
            "ampwave_stored_bytes", "Bytes of a class of stored things", ["class"], registry=self.registry
        )
        self.incidents = Gauge(
            "ampwave_open_incidents",
            "What a person should know of, by kind: metadata that runs out, dark sites, stuck sessions",
            ["kind"],
            registry=self.registry,
        )
        self.streams = Gauge("ampwave_api_event_streams", "Event streams open now", registry=self.registry)

    def render(self) -> bytes:
        """The exposition text."""
        return generate_latest(self.registry)
