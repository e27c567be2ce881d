# long-file: what is measured of chargers, shards and waves, on one page
"""What activities measure: facts without opinion, small enough to live in a workflow's history.

The facts of a shard are normalised (sites, situations and nodes once each, entries by index),
because 500 chargers are described anew at every tick.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from activities.circumstances import Circumstances
from activities.silence_facts import SilenceFacts
from csms.capabilities import of_charger
from csms.frames import OCPP16
from storage.artifact import Artifact, ArtifactPhase, Compatible
from storage.charger import STALE_AFTER, ModelProfile, SignatureScheme
from storage.events import FIRMWARE_DISTRUST, NO_RESTART, ConnectorStatus, EventKind, FirmwareStatus
from storage.listening import Break
from storage.parked import Parking
from storage.ports import ChargerView
from storage.publication import Publication
from storage.twin import Lifecycle, OperationSection, TwinState, busy_reason


@dataclass(frozen=True, slots=True)
class ArtifactFacts:
    """What of an artifact decides who may get it."""

    artifact_id: str
    vendor_role: str
    version: str
    release_counter: int
    compatible: tuple[Compatible, ...]
    schemes: tuple[SignatureScheme, ...]
    released: bool
    stopped: str = ""
    """Why it must not be sent although it was released: somebody withdrew it."""


@dataclass(frozen=True, slots=True)
class Situation:
    """What is known of a charger that decides whether it may be touched now. Many chargers share one."""

    vendor: str
    model: str
    hardware_revision: str | None
    lifecycle: Lifecycle
    version: str | None
    """As of its last boot; None: it never told."""
    installed_counter: int | None
    """Release counter of that version, None if we never released it."""
    online: bool
    heard_recently: bool
    busy: str | None
    """Why it must not be touched, in words."""
    session: bool
    """It is busy because a car is there."""
    free_at: datetime | None
    """When the reason may be gone, where that is known."""
    maintenance: str | None
    """The kind of maintenance that holds its site lease."""
    takes_signed: bool | None
    """Whether it takes signed updates; None: only its session can tell."""
    unsigned_waiver: bool
    scheme: SignatureScheme | None
    """Of its vendor's signatures; None: no profile of the model was at hand."""
    needs_reset: bool
    updates: bool = True
    """False: it is known to take no firmware over OCPP at all."""
    unread: bool = False
    """Its last boot told no version, and it can be asked: it is not known *yet*."""
    around: Circumstances | None = None
    """What people, other campaigns and its own state say beside; None: nothing."""
    goes_back: bool = True
    """False: it is known to take no earlier version again (X11)."""
    set_apart: str = ""
    """Why it gets no update for now, in words: it failed again and again (R27)."""
    ahead: bool = False
    """The plan has it fetch the image ahead of its install, if it has not yet, and it can (R20)."""


@dataclass(frozen=True, slots=True)
class SiteFacts:
    """A site's availability budget at one instant."""

    site_id: str
    down: int
    max_down: int
    closed: str = ""
    """Why nothing may begin there now (its window, a grid event, a freeze); "": it may."""
    opens_at: datetime | None = None
    """When it may again, where that is known."""
    frozen: bool = False
    """People froze it: nothing is fetched either."""
    uplink: int | None = None
    """So many more images may be on their way to it (X16); None: as many as there are."""


class ParkedFacts(NamedTuple):
    """A charger that fetches, or has fetched, the image ahead of its install."""

    charger_id: str
    state: Parking
    issue: int
    """Of its shard's directives, the one for that order: the install needs a later one."""


class LocalFacts(NamedTuple):
    """A site whose local controller fetches the image for all of its chargers (OCPP 2.0.1 L03)."""

    site_id: str
    controller_id: str
    state: Publication | None = None
    """None: nobody has asked it yet."""
    deadline: datetime | None = None
    """Until when its chargers wait for it."""


class RouteFacts(NamedTuple):
    """Which node's queue reaches a charger, and over which session. A tuple: every byte counts here."""

    node_id: str
    boot_id: str
    session_epoch: int


class Entry(NamedTuple):
    """One target that is not done; numbers are places in the tables beside it (-1: none)."""

    charger_id: str
    site: int
    situation: int
    node: int
    session_epoch: int
    out_of_service: tuple[str, ...] = ()
    """Connectors (``"evse.connector"``) that were out of service before we came."""


@dataclass(frozen=True, slots=True)
class ShardFacts:
    """All targets of a shard that are not done."""

    artifact: ArtifactFacts
    sites: tuple[SiteFacts, ...]
    situations: tuple[Situation, ...]
    nodes: tuple[tuple[str, str], ...]
    """(node, boot) pairs."""
    entries: tuple[Entry, ...]
    replaces: str | None = None
    """In a rollback wave the version that is taken back; a charger that runs another is left alone."""
    takes: float = 0.0
    """Seconds that an attempt may take at the most."""
    recalled: tuple[tuple[str, str], ...] = ()
    """(charger, why): somebody called it back as its attempt ended."""
    parked: tuple[ParkedFacts, ...] = ()
    local: tuple[LocalFacts, ...] = ()
    staying: tuple[tuple[str, datetime | None], ...] = ()  # As ``activities.steadiness.staying`` has it.
    back_at: datetime | None = None
    """When some node listened again after a break in which those could tell nothing, if there was one."""
    signals_late: float = 0.0
    """How long what chargers told has been waiting for its workflow, seconds."""

    def local_of(self, site_id: str) -> LocalFacts | None:
        """The local controller of a site, if it has one."""
        return next((one for one in self.local if one.site_id == site_id), None)

    def route(self, entry: Entry) -> RouteFacts | None:
        """The route of one entry."""
        if entry.node < 0:
            return None
        node_id, boot_id = self.nodes[entry.node]
        return RouteFacts(node_id, boot_id, entry.session_epoch)


@dataclass(frozen=True, slots=True)
class Sighting:
    """One boot or firmware status of a charger, from a signal or from the store."""

    sequence: int
    at: datetime
    """Server time of receipt."""
    booted: bool
    version: str | None = None
    status: FirmwareStatus | None = None
    request_id: int | None = None
    triggered: bool = False
    """The charger was asked for this boot notification; it did not restart."""
    read_after: datetime | None = None
    """It is the version read after the boot of that instant, which told none."""


SIGHTED = (
    EventKind.CHARGER_BOOTED,
    EventKind.FIRMWARE_VERSION_READ,
    EventKind.FIRMWARE_STATUS_REPORTED,
    EventKind.SECURITY_EVENT_REPORTED,
)
"""The kinds of events in which there may be a sighting."""


def sighting_in(sequence: int, at: datetime, kind: str, body: dict[str, Any]) -> Sighting | None:
    """The sighting in an event, or None: it tells nothing of an update."""
    if kind == EventKind.CHARGER_BOOTED.value:
        version, triggered = body.get("firmware_version"), body.get("reason") in NO_RESTART
        return Sighting(sequence, at, booted=True, version=version, triggered=triggered)
    if kind == EventKind.FIRMWARE_VERSION_READ.value:
        booted_at = datetime.fromisoformat(body["booted_at"])
        version, asked = body["version"], not body.get("restarted", True)
        return Sighting(sequence, at, booted=False, version=version, triggered=asked, read_after=booted_at)
    if kind == EventKind.FIRMWARE_STATUS_REPORTED.value:
        status = FirmwareStatus(body["status"])
        return Sighting(sequence, at, booted=False, status=status, request_id=body.get("request_id"))
    if kind == EventKind.SECURITY_EVENT_REPORTED.value and body.get("type") in FIRMWARE_DISTRUST:
        return Sighting(sequence, at, booted=False, status=FirmwareStatus.INVALID_SIGNATURE)
    return None


@dataclass(frozen=True, slots=True)
class AttemptFacts:
    """Everything the store knows of one attempt."""

    route: RouteFacts | None
    online: bool
    last_message_at: datetime | None
    request_id: int | None
    sightings: tuple[Sighting, ...]
    marked: int | None = None
    """The attempt whose command is marked as on its way; that is written before anything is sent."""
    silence: SilenceFacts | None = None
    """Of a charger that is away."""
    stuck: str = ""
    """How its download departs from all that was learned of its model, in words (R23)."""
    stale_s: float = STALE_AFTER.total_seconds()
    """For so long what was heard of it is current."""
    breaks: tuple[Break, ...] = ()
    """When nobody of ours listened since the attempt began."""


@dataclass(frozen=True, slots=True)
class GroupFacts:
    """The health of a group of chargers. The charger is the unit, not its sessions (R42)."""

    size: int = 0
    known: int = 0
    """Chargers that are offline for certain, or online and heard of lately."""
    offline: int = 0
    """Of the known."""
    reporting: int = 0
    """Known, online, and every connector was reported; of the updated: since their last restart."""
    faulted: int = 0
    """Of the reporting: at least one connector is faulted."""


@dataclass(frozen=True, slots=True)
class WaveFacts:
    """What a gate looks at. Outcomes are of this wave; groups are of the whole campaign."""

    wave: int
    total: int = 0
    unfinished: int = 0
    updated: int = 0
    already_current: int = 0
    failed: int = 0
    silent: int = 0
    deferred: int = 0
    skipped: int = 0
    cancelled: int = 0
    reverted: int = 0
    """Counted as updated, but their twin reports another version now (R29), or their settings or whom they
    trust were found otherwise once they could be compared, and stay so (X9)."""
    recovered: int = 0
    """Without that outcome, but their twin reports the wave's version now."""
    treated: GroupFacts = GroupFacts()
    control: GroupFacts = GroupFacts()
    """Not yet updated chargers of the same campaign, looked at in the same instant (R39)."""
    baseline: GroupFacts | None = None
    """The whole cohort before the first wave; stands in where no control group is left."""
    security_halt: str = ""
    """Why nothing more may be sent, if verification failed somewhere."""


def artifact_facts(artifact: Artifact) -> ArtifactFacts:
    """The facts of one artifact."""
    return ArtifactFacts(
        artifact_id=artifact.artifact_id,
        vendor_role=artifact.vendor_role,
        version=artifact.version,
        release_counter=artifact.release_counter,
        compatible=artifact.compatible,
        schemes=tuple(signature.scheme for signature in artifact.vendor_signatures),
        released=artifact.phase is ArtifactPhase.RELEASED,
    )


def situation_of(
    view: ChargerView,
    profile: ModelProfile | None,
    installed_counter: int | None,
    now: datetime,
    around: Circumstances | None = None,
) -> Situation:
    """The situation of one charger at ``now``."""
    charger, twin = view.charger, view.twin
    connectivity, operation = twin.connectivity, twin.operation
    able = of_charger(charger, twin, profile)
    return Situation(
        vendor=charger.vendor,
        model=charger.model,
        hardware_revision=charger.hardware_revision,
        lifecycle=charger.lifecycle,
        version=twin.firmware.version if twin.firmware else None,
        installed_counter=installed_counter,
        online=connectivity is not None and connectivity.online,
        heard_recently=heard_recently(view, now),
        busy=busy_reason(operation, now),
        session=has_car(operation),
        free_at=operation.remote_start_pending_until if operation else None,
        maintenance=view.maintenance.kind if view.maintenance else None,
        takes_signed=able.takes_signed,
        unsigned_waiver=profile is not None and profile.unsafe_unsigned_waiver is not None,
        scheme=profile.signature_scheme if profile else None,
        needs_reset=profile is not None and profile.needs_reset_after_install,
        updates=able.known.updates is not False,
        unread=version_unread(twin),
        around=around,
        goes_back=able.known.goes_back is not False,
        set_apart=view.penalty.sentence if view.penalty and view.penalty.holds(now) else "",
    )


def version_unread(twin: TwinState) -> bool:
    """Whether a charger with a device model booted without a version that has not been read since."""
    link, firmware = twin.connectivity, twin.firmware
    told_none = firmware is not None and firmware.booted_at is not None and firmware.version is None
    return told_none and link is not None and link.dialect not in (None, OCPP16)


def has_car(operation: OperationSection | None) -> bool:
    """Whether a session is open or a car is plugged in."""
    if operation is None:
        return False
    return bool(operation.transactions) or any(
        connector.status is ConnectorStatus.OCCUPIED for connector in operation.connectors.values()
    )


def out_of_service(operation: OperationSection | None) -> tuple[str, ...]:
    """The connectors that are out of service, sorted; ``"0.0"`` stands for the whole charger."""
    if operation is None:
        return ()
    return tuple(
        sorted(
            key
            for key, connector in operation.connectors.items()
            if connector.status is ConnectorStatus.UNAVAILABLE
        )
    )


def group_of(
    views: list[ChargerView], live: frozenset[str], now: datetime, *, restarted: bool = False
) -> GroupFacts:
    """The health of these chargers at ``now``.

    ``live``: those that have a route; a charger without one is offline, whatever its twin remembers of
    a node that died. ``restarted``: what was reported before a charger's last restart is no news of it.
    """
    known = [view for view in views if view.twin.connectivity is not None]
    online = [view for view in known if _online(view, live)]
    heard = [view for view in online if heard_recently(view, now)]
    reporting = [view for view in heard if _reports(view, restarted=restarted)]
    return GroupFacts(
        size=len(views),
        known=len(known) - len(online) + len(heard),
        offline=len(known) - len(online),
        reporting=len(reporting),
        faulted=sum(_faulted(view.twin.operation) for view in reporting),
    )


def heard_recently(view: ChargerView, now: datetime) -> bool:
    """Whether it said anything lately, and answers."""
    link = view.twin.connectivity
    return (link is None or not link.silent) and view.heard_lately(now)


def _online(view: ChargerView, live: frozenset[str]) -> bool:
    link = view.twin.connectivity
    return link is not None and link.online and view.charger.charger_id in live


def _reports(view: ChargerView, *, restarted: bool) -> bool:
    operation, firmware = view.twin.operation, view.twin.firmware
    connectors = operation.connectors.values() if operation else ()
    told = [connector.reported_at for connector in connectors if connector.evse_id > 0]
    if not restarted or firmware is None:
        return bool(told)
    since = firmware.boots[-1] if firmware.boots else firmware.booted_at
    return bool(told) and all(since is None or (at is not None and at >= since) for at in told)


def _faulted(operation: OperationSection | None) -> bool:
    return operation is not None and any(
        connector.status is ConnectorStatus.FAULTED for connector in operation.connectors.values()
    )
