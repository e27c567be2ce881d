"""The twin after an event: one pure function, so that a twin can be rebuilt from its events (F21).

What an event may change is decided by the charger's own time: a fact that is older than what is
known never replaces it (F19). Connectors alone are judged more carefully, because clocks jump and an
idle connector may be taken out of service: see ``connector_reports``. Sections that an event does not touch
stay the same objects.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from csms.connector_reports import (
    SETTLED,
    WHOLE,
    before_the_newest,
    is_earlier,
    is_live,
    moment,
    put_back,
    supersedes,
    whole_serves,
)
from csms.sessions import (
    reconcile,
    sequence_seen,
    session_abandoned,
    session_ended,
    session_heard,
    session_seen,
)
from csms.versions import read_of, runs
from storage.certificate_use import ROOT_USES
from storage.events import (
    NO_RESTART,
    ChargerBooted,
    ClockDriftChanged,
    CommandAnswered,
    ConnectionClosed,
    ConnectionOpened,
    ConnectionRefused,
    ConnectorStatusChanged,
    EventRecord,
    FirmwareStatusReported,
    MeterValuesSampled,
    ReservationChanged,
    SecurityEventReported,
    TransactionEnded,
    TransactionStarted,
    TransactionUpdated,
    VariablesReported,
)
from storage.findings import ChargerFellSilent, ChargerSpokeAgain, SessionAbandoned, SessionStuck
from storage.findings import FirmwareVersionRead as VersionRead
from storage.reports import CertificatesListed, LocalListTold
from storage.twin import (
    ConfigurationSection,
    ConnectivitySection,
    ConnectorState,
    FirmwareSection,
    IdentitySection,
    OperationSection,
    SecuritySection,
    TwinState,
    own_profile,
)
from storage.twin_schema import admitted_variables

KEPT_BOOTS = 10
MAX_CONNECTORS = 200
MAX_VARIABLES = 20_000
"""A charger that invents more of them must not make its twin grow without end; the journal has the rest."""
MAX_ROOTS = 100
SEEN_STEP = timedelta(seconds=60)
"""How often meter samples move the time at which a session was last heard of."""
SKEW_STEP_S = 2.0
"""A smaller change of the clock's error is noise of the network, not worth a revision."""

TAMPER_EVENTS = frozenset({"TamperDetectionActivated"})


def project(twin: TwinState, record: EventRecord) -> TwinState:
    """The twin after this event; the same object if nothing changed. The store counts revisions."""
    change = _CHANGES.get(type(record.event))
    return change(twin, record) if change else twin


def _opened(twin: TwinState, record: EventRecord) -> TwinState:
    event: ConnectionOpened = record.event  # type: ignore[assignment]  # by the table below
    known, proved = twin.connectivity, twin.security or SecuritySection()
    # Whatever order the facts come in, a floor that was reached stays (A05.FR.07).
    reached = own_profile(event.security_profile, event.certificate_serial)
    proved = _floored(proved, max(event.security_floor, reached))
    if known and known.online and known.since and record.received_at < known.since:
        return twin if proved == twin.security else replace(twin, security=proved)
    link = replace(
        known or ConnectivitySection(),
        online=True,
        silent=False,
        dialect=event.dialect,
        since=record.received_at,
        node_id=event.node_id,
        remote_address=event.remote_address,
        tls=event.tls,
        reconnects=known.reconnects + 1 if known else 0,
    )
    proof = replace(
        proved,
        profile=event.security_profile,
        certificate_serial=event.certificate_serial,
        certificate_until=event.certificate_until,
        caution=event.caution,
        last_auth_ok_at=record.received_at,
    )
    return replace(twin, connectivity=link, security=proof)


def _floored(security: SecuritySection, floor: int) -> SecuritySection:
    return replace(security, floor=max(security.floor, floor))


def _closed(twin: TwinState, record: EventRecord) -> TwinState:
    link = twin.connectivity
    if link is None or not link.online or (link.since and record.received_at < link.since):
        return twin
    return replace(twin, connectivity=replace(link, online=False, silent=False, since=record.received_at))


def _refused(twin: TwinState, record: EventRecord) -> TwinState:
    known = twin.security or SecuritySection()
    latest = max(filter(None, (known.last_auth_failed_at, record.received_at)))
    failed = replace(known, auth_failures=known.auth_failures + 1, last_auth_failed_at=latest)
    return replace(twin, security=failed)


def _booted(twin: TwinState, record: EventRecord) -> TwinState:
    event: ChargerBooted = record.event  # type: ignore[assignment]  # by the table below
    at = record.received_at
    known = twin.firmware or FirmwareSection()
    restarted = event.reason not in NO_RESTART
    boots = tuple(sorted({*known.boots, at}))[-KEPT_BOOTS:] if restarted else known.boots
    if known.booted_at and at < known.booted_at:
        return twin if boots == known.boots else replace(twin, firmware=replace(known, boots=boots))
    firmware = replace(runs(known, event.firmware_version), booted_at=at, boots=boots)
    identity = IdentitySection(event.vendor, event.model, event.serial_number)
    twin = replace(twin, firmware=firmware, identity=twin.identity if twin.identity == identity else identity)
    # A boot never opens a session; it makes those that were open doubtful (F85).
    return _operation(twin, twin.operation) if restarted and twin.operation else twin


def _version_read(twin: TwinState, record: EventRecord) -> TwinState:
    event: VersionRead = record.event  # type: ignore[assignment]  # by the table below
    firmware = read_of(twin.firmware, event)
    return twin if firmware == twin.firmware else replace(twin, firmware=firmware)


def _connector(twin: TwinState, record: EventRecord) -> TwinState:
    event: ConnectorStatusChanged = record.event  # type: ignore[assignment]  # by the table below
    operation = twin.operation or OperationSection()
    key = f"{event.evse_id}.{event.connector_id}"
    known, at = operation.connectors.get(key), moment(record)
    if known and known.status is not event.status:
        twin = _clock(twin, record)
    refused = not supersedes(twin, known, record) if known else len(operation.connectors) >= MAX_CONNECTORS
    if refused:
        return twin
    state = ConnectorState(
        event.evse_id,
        event.connector_id,
        event.status,
        at,
        event.error_code,
        event.vendor_status,
        record.received_at,
        session_epoch=max(record.session_epoch, known.session_epoch if known else 0),
    )
    late = known and at < (known.covered_since or known.since) and not is_live(twin, record)
    if known and (late or is_earlier(known, record)):
        state = before_the_newest(known, state)
    connectors = {**operation.connectors, key: state}
    return _operation(twin, replace(operation, connectors=connectors))


def _answered(twin: TwinState, record: EventRecord) -> TwinState:
    """A charger that agreed to be put back as a whole is not out as a whole, whatever it told before.

    What it told over a later connection it told after that, also where its answer is written late.
    """
    event: CommandAnswered = record.event  # type: ignore[assignment]  # by the table below
    operation = twin.operation
    known = operation.connectors.get(WHOLE) if operation and put_back(event) else None
    if operation is None or known is None or record.session_epoch < known.session_epoch:
        return twin
    if (state := whole_serves(known)) == known:
        return twin
    return _operation(twin, replace(operation, connectors={**operation.connectors, WHOLE: state}))


def _clock(twin: TwinState, record: EventRecord) -> TwinState:
    """Server time minus device time, from a live message that has a time of its own (F102)."""
    link = twin.connectivity
    if link is None or link.since is None or record.observed_at == record.received_at:
        return twin
    skew = (record.received_at - record.observed_at).total_seconds()
    steady = link.clock_skew_s is not None and abs(skew - link.clock_skew_s) < SKEW_STEP_S
    if steady or record.received_at - link.since < SETTLED:
        return twin
    return replace(twin, connectivity=replace(link, clock_skew_s=round(skew, 1)))


def _clock_judged(twin: TwinState, record: EventRecord) -> TwinState:
    event: ClockDriftChanged = record.event  # type: ignore[assignment]  # by the table below
    link = replace(
        twin.connectivity or ConnectivitySection(),
        clock_skew_s=event.skew_s,
        clock_suspicious=event.suspicious,
    )
    return replace(twin, connectivity=link)


def _started(twin: TwinState, record: EventRecord) -> TwinState:
    event: TransactionStarted = record.event  # type: ignore[assignment]  # by the table below
    operation = twin.operation or OperationSection()
    place = (event.evse_id, event.connector_id)
    seen = session_seen(operation, event.transaction_id, moment(record), place)
    seen = sequence_seen(seen, event.transaction_id, event.seq_no, begun=True, ended=False)
    return _operation(twin, session_heard(seen, event.transaction_id, record.received_at))


def _updated(twin: TwinState, record: EventRecord) -> TwinState:
    event: TransactionUpdated = record.event  # type: ignore[assignment]  # by the table below
    operation = twin.operation or OperationSection()
    place = (event.evse_id or 0, 0)
    seen = session_seen(operation, event.transaction_id, moment(record), place, event.charging_state)
    seen = sequence_seen(seen, event.transaction_id, event.seq_no, begun=False, ended=False)
    return _operation(twin, session_heard(seen, event.transaction_id, record.received_at))


def _metered(twin: TwinState, record: EventRecord) -> TwinState:
    event: MeterValuesSampled = record.event  # type: ignore[assignment]  # by the table below
    operation = twin.operation or OperationSection()
    if event.transaction_id is None:
        return twin
    known, at = operation.transactions.get(event.transaction_id), moment(record)
    # Every sample proves that the session lives; one a minute is worth a revision.
    if known and not known.suspect and not known.stuck and at < known.updated_at + SEEN_STEP:
        return twin
    seen = session_seen(operation, event.transaction_id, at, (event.evse_id, 0))
    return _operation(twin, session_heard(seen, event.transaction_id, record.received_at))


def _ended(twin: TwinState, record: EventRecord) -> TwinState:
    event: TransactionEnded = record.event  # type: ignore[assignment]  # by the table below
    seen = twin.operation or OperationSection()
    seen = sequence_seen(seen, event.transaction_id, event.seq_no, begun=False, ended=True)
    return _operation(twin, session_ended(seen, event.transaction_id))


def _abandoned(twin: TwinState, record: EventRecord) -> TwinState:
    event: SessionAbandoned = record.event  # type: ignore[assignment]  # by the table below
    operation = twin.operation or OperationSection()
    return _operation(twin, session_abandoned(operation, event.transaction_id, event.as_of))


def _stuck(twin: TwinState, record: EventRecord) -> TwinState:
    event: SessionStuck = record.event  # type: ignore[assignment]  # by the table below
    operation = twin.operation or OperationSection()
    known = operation.transactions.get(event.transaction_id)
    if known is None or (known.heard_at is not None and known.heard_at > record.received_at):
        return twin
    stuck = {**operation.transactions, event.transaction_id: replace(known, stuck=event.reason)}
    return _operation(twin, replace(operation, transactions=stuck))


def _silent(twin: TwinState, record: EventRecord) -> TwinState:
    """Found, or over; a finding about an older socket says nothing of this one."""
    link, silent = twin.connectivity, isinstance(record.event, ChargerFellSilent)
    if link is None or not link.online or link.silent is silent:
        return twin
    if link.since and record.received_at < link.since:
        return twin
    return replace(twin, connectivity=replace(link, silent=silent))


def _reservation(twin: TwinState, record: EventRecord) -> TwinState:
    event: ReservationChanged = record.event  # type: ignore[assignment]  # by the table below
    operation = twin.operation or OperationSection()
    others = tuple(number for number in operation.reservations if number != event.reservation_id)
    kept = (*others, event.reservation_id) if event.active else others
    return _operation(twin, replace(operation, reservations=tuple(sorted(kept))))


def _operation(twin: TwinState, operation: OperationSection) -> TwinState:
    """Put an operation section into the twin, its sessions judged anew against boots and connectors."""
    booted_at = twin.firmware.boots[-1] if twin.firmware and twin.firmware.boots else None
    operation = reconcile(operation, booted_at)
    return twin if operation == twin.operation else replace(twin, operation=operation)


def _firmware_status(twin: TwinState, record: EventRecord) -> TwinState:
    event: FirmwareStatusReported = record.event  # type: ignore[assignment]  # by the table below
    known, at = twin.firmware or FirmwareSection(), moment(record)
    if known.status_at and at < known.status_at:
        return twin
    status = replace(known, status=event.status, status_request_id=event.request_id, status_at=at)
    return replace(twin, firmware=status)


def _security_event(twin: TwinState, record: EventRecord) -> TwinState:
    event: SecurityEventReported = record.event  # type: ignore[assignment]  # by the table below
    known, at = twin.security or SecuritySection(), moment(record)
    tampered = known.tampered or event.type in TAMPER_EVENTS
    if known.last_event_at and at < known.last_event_at:
        return twin if tampered == known.tampered else replace(twin, security=replace(known, tampered=True))
    latest = replace(known, last_event=event.type, last_event_at=at, tampered=tampered)
    return replace(twin, security=latest)


def _certificates(twin: TwinState, record: EventRecord) -> TwinState:
    event: CertificatesListed = record.event  # type: ignore[assignment]  # by the table below
    known, at = twin.security or SecuritySection(), moment(record)
    if known.roots_at and at < known.roots_at:
        return twin
    asked = {use.value for use in event.uses}
    kept = {root for root in known.roots if asked and root.partition("/")[0] not in asked}
    listed = {
        f"{each.use.value}/{each.hash.issuer_key_hash}/{each.hash.serial_number}"
        for each in event.certificates
        if each.use in ROOT_USES
    }
    roots = tuple(sorted(kept | listed))[:MAX_ROOTS]
    return replace(twin, security=replace(known, roots=roots, roots_at=at))


def _variables(twin: TwinState, record: EventRecord) -> TwinState:
    event: VariablesReported = record.event  # type: ignore[assignment]  # by the table below
    known, at = twin.configuration or ConfigurationSection(), moment(record)
    # What lies outside the schema is no part of the twin; the store records it.
    told = admitted_variables(event.values)
    if known.read_at and at < known.read_at:
        values, at = {**told, **known.values}, known.read_at
    else:
        values = {**known.values, **told}
    if len(values) > MAX_VARIABLES:
        return twin
    section = replace(known, values=values, read_at=at)
    return twin if section == known else replace(twin, configuration=section)


def _local_list(twin: TwinState, record: EventRecord) -> TwinState:
    event: LocalListTold = record.event  # type: ignore[assignment]  # by the table below
    known, at = twin.configuration or ConfigurationSection(), moment(record)
    if known.local_list_at and at < known.local_list_at:
        return twin
    return replace(twin, configuration=replace(known, local_list_version=event.version, local_list_at=at))


_CHANGES: dict[type[Any], Callable[[TwinState, EventRecord], TwinState]] = {
    ConnectionOpened: _opened,
    ConnectionClosed: _closed,
    ConnectionRefused: _refused,
    ChargerBooted: _booted,
    ConnectorStatusChanged: _connector,
    CommandAnswered: _answered,
    FirmwareStatusReported: _firmware_status,
    SecurityEventReported: _security_event,
    TransactionStarted: _started,
    TransactionUpdated: _updated,
    TransactionEnded: _ended,
    MeterValuesSampled: _metered,
    VariablesReported: _variables,
    CertificatesListed: _certificates,
    LocalListTold: _local_list,
    ReservationChanged: _reservation,
    ClockDriftChanged: _clock_judged,
    SessionAbandoned: _abandoned,
    SessionStuck: _stuck,
    ChargerFellSilent: _silent,
    ChargerSpokeAgain: _silent,
    VersionRead: _version_read,
}
"""Other kinds (heartbeats, commands sent, rejected frames) are history and change no section."""
