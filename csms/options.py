"""What is handed to a csms node once, at its start."""

import secrets
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from csms.ingest import IngestOptions
from csms.internal_http import ReadinessCheck
from csms.limits import Rate
from csms.registration import Registrar, by_lifecycle
from csms.rereading import Desires, RereadPace, nothing_desired
from csms.silence import SilenceRule
from storage.clock import Clock, steady_clock
from storage.ports import ChargerStore, IngestStore, RouteStore, TransactionIds


@dataclass(frozen=True, slots=True)
class GatewayOptions:
    """How one node behaves. Seconds and bytes."""

    node_id: str
    boot_id: str
    """New at every start, so that a restarted node never answers for its predecessor."""
    pepper: bytes = field(repr=False)
    """The key of the hashes over chargers' passwords and id tokens."""
    host: str = "127.0.0.1"
    port: int | None = 9000
    """0: a free one; None: no plain listener."""
    tls_port: int | None = None
    heartbeat_interval_s: int = 60
    message_timeout_s: float = 30.0
    max_frame_bytes: int = 512 * 1024
    lease_s: float = 30.0
    open_timeout_s: float = 10.0
    ping_interval_s: float = 30.0
    """With the timeout, bounds how long a half-open socket is believed."""
    ping_timeout_s: float = 30.0
    probe_delay_s: float = 5.0
    """After a boot, how long a charger has to report by itself before it is asked."""
    stall_s: float = 10.0
    """A charger that does not read what it is sent for so long is cut off."""
    rate: Rate = field(default_factory=lambda: Rate(per_s=100.0, burst=1000.0))
    """Messages of one charger; over it, its socket is read more slowly."""
    arrivals: Rate = field(default_factory=lambda: Rate(per_s=1 / 3, burst=20.0))
    """Sockets of one charger, with the right credentials; over it, it is told to wait (429)."""
    unproved_per_address: int = 3000
    """Connections of one address that may stand in the handshake at once; 0: no limit."""
    clock_drift_s: float = 300.0
    """A charger's clock that is wrong by more is flagged (F102)."""
    drain_per_s: float = 200.0
    """Sockets closed per second at a stop: a whole fleet must not come back at once. More where ``drain_s``
    would not do, for a node must end."""
    drain_s: float = 10.0
    reload_s: float = 3.0
    """How often certificates, authorities and revocation lists are looked at for changes."""
    internal_host: str = "127.0.0.1"
    internal_port: int | None = None
    """For metrics and readiness; never for chargers. 0: a free one; None: not served."""
    unsafe_profile_0: bool = False
    """Let registered chargers without a password in. For a bench, never for a fleet."""
    silence: SilenceRule = field(default_factory=SilenceRule)
    reread: RereadPace = field(default_factory=RereadPace)
    ingest: IngestOptions = field(default_factory=IngestOptions)


@dataclass(frozen=True, slots=True)
class GatewayStores:
    """The engines a node works on."""

    chargers: ChargerStore
    ingest: IngestStore
    routes: RouteStore
    transactions: TransactionIds
    readiness: Mapping[str, ReadinessCheck] = field(default_factory=dict)
    """What must answer for this node to be ready, by name."""
    desires: Desires = nothing_desired
    """What is desired of chargers' variables."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Time, chance and identity."""

    clock: Clock
    monotonic: Callable[[], float] = steady_clock
    new_message_id: Callable[[], str] = lambda: str(uuid.uuid4())
    new_request_id: Callable[[], int] = lambda: secrets.randbelow(2**31)
    registrar: Registrar = by_lifecycle
    """Whether a charger that boots is accepted; provisioning parks it as Pending."""
