"""What a csms node counts for Prometheus. No label holds a charger, an address or a charger's own words."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

_COMMIT_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_BATCH_BUCKETS = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2000)


class CsmsMetrics:
    """A node's metrics in a registry of their own, so that two nodes in one process do not meet."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.connections = Gauge(
            "ampwave_csms_connections", "Open sockets of chargers", ["dialect"], registry=registry
        )
        self.refused = Counter(
            "ampwave_csms_refused_total",
            "Sockets turned away, by HTTP status, or tls or subprotocol",
            ["status"],
            registry=registry,
        )
        frames = Counter("ampwave_csms_frames_total", "Frames by direction", ["direction"], registry=registry)
        self.frames_in, self.frames_out = frames.labels("in"), frames.labels("out")
        self.rejected = Counter(
            "ampwave_csms_rejected_frames_total", "Frames that broke a rule", ["fault"], registry=registry
        )
        self.tolerated = Counter(
            "ampwave_csms_tolerated_frames_total",
            "Frames that broke a rule of their schema and were read all the same",
            registry=registry,
        )
        self.commands = Counter(
            "ampwave_csms_commands_total", "Calls to chargers", ["action", "outcome"], registry=registry
        )
        self.watchdog_detects = Gauge(
            "ampwave_csms_watchdog_detects",
            "Whether the synthetic silent charger was found in time at the last check; -1: not checked yet",
            registry=registry,
        )
        self.watchdog_detects.set(-1)
        self.refusals = Counter(
            "ampwave_dispatch_refusals_total",
            "Updates that were not sent because a proof did not hold, or could not be had",
            ["kind"],
            registry=registry,
        )
        self.superseded = Counter(
            "ampwave_csms_superseded_total", "Sockets closed for a newer one", registry=registry
        )
        self.revoked = Counter(
            "ampwave_csms_revoked_total", "Sockets closed for a revoked certificate", registry=registry
        )
        self.cautions = Counter(
            "ampwave_csms_cautions_total",
            "Certificates let in although nothing fresh says whether they are revoked",
            registry=registry,
        )
        self.tls_problem = Gauge(
            "ampwave_csms_tls_problem", "1: changed TLS files cannot be used", registry=registry
        )
        self.throttled = Counter(
            "ampwave_csms_throttled_total",
            "Episodes in which a charger did more than it may",
            ["what"],
            registry=registry,
        )
        self.cut_off = Counter(
            "ampwave_csms_cut_off_total", "Sockets ended without a close frame", ["why"], registry=registry
        )
        self.commit_seconds = Histogram(
            "ampwave_ingest_commit_seconds",
            "One group commit, retries included",
            buckets=_COMMIT_BUCKETS,
            registry=registry,
        )
        self.commit_entries = Histogram(
            "ampwave_ingest_commit_entries",
            "Messages in one group commit",
            buckets=_BATCH_BUCKETS,
            registry=registry,
        )
        self.commit_failures = Counter(
            "ampwave_ingest_commit_failures_total", "Commits that had to be tried again", registry=registry
        )
        self.loop_late = Gauge(
            "ampwave_csms_loop_late_seconds",
            "How late the event loop came to what was due, the worst of the last seconds",
            registry=registry,
        )
        self.pending_bytes = Gauge(
            "ampwave_ingest_pending_bytes", "Bytes that wait for their commit", registry=registry
        )
        self.shed = Counter(
            "ampwave_ingest_shed_total", "Meter samples dropped under pressure", registry=registry
        )

    def render(self) -> bytes:
        """The exposition text."""
        return generate_latest(self.registry)
