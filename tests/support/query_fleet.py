"""A small fleet whose chargers differ in everything that a query may ask; written as the ingest writes it."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg

from storage.canonical import canonical_json
from storage.charger import Charger
from storage.events import ConnectorStatus, FirmwareStatus
from storage.twin import (
    SECTION_TYPES,
    ConfigurationSection,
    ConnectivitySection,
    ConnectorState,
    FirmwareSection,
    IdentitySection,
    Lifecycle,
    OpenTransaction,
    OperationSection,
    SecuritySection,
    TwinState,
)

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
A, OCC, R, U, F = ConnectorStatus


@dataclass(frozen=True)
class Given:
    """A charger as it is put into the database."""

    charger: Charger
    twin: TwinState
    heard: datetime | None = None
    desired: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.charger.charger_id


def operation(*statuses: ConnectorStatus, sessions: int = 0, stuck: str | None = None) -> OperationSection:
    return OperationSection(
        connectors={
            f"{place + 1}.1": ConnectorState(place + 1, 1, status, NOW - HOUR)
            for place, status in enumerate(statuses)
        },
        transactions={
            f"t{number}": OpenTransaction(f"t{number}", 1, 1, NOW - HOUR, NOW, stuck=stuck)
            for number in range(sessions)
        },
    )


def charger(name: str, model: str, hardware: str | None = None, **more: Any) -> Charger:
    vendor, _, words = model.partition("/")
    return Charger(
        name, more.pop("site", "s1"), vendor, words, hardware_revision=hardware, registered_at=NOW, **more
    )


def firmware(version: str | None, **more: Any) -> FirmwareSection:
    return FirmwareSection(version=version, **more)


ONLINE = ConnectivitySection(online=True, dialect="ocpp2.0.1", reconnects=3, clock_skew_s=0.5)
AWAY = ConnectivitySection(online=False, dialect="ocpp1.6", since=NOW - 30 * HOUR)

FLEET = (
    Given(charger("C01", "Volta/V22", "A"), TwinState("C01")),
    Given(
        charger("C02", "Volta/V22", "A"),
        TwinState(
            "C02",
            7,
            identity=IdentitySection("Volta", "V22"),
            firmware=firmware("1.2.10", previous_version="1.2.9", booted_at=NOW - HOUR),
            connectivity=ONLINE,
            operation=operation(A, A),
            configuration=ConfigurationSection({"HeartbeatInterval": "300", "Weird (1).X": "yes"}, NOW),
        ),
        NOW,
        {"configuration": {"values": {"HeartbeatInterval": "600"}}, "firmware": {"version": "2.0"}},
    ),
    Given(
        charger("C03", "Volta/V22", "B"),
        TwinState("C03", 9, firmware=firmware("2.0.0-rc1"), connectivity=ONLINE, operation=operation(A, F)),
        NOW - HOUR / 60,
    ),
    Given(
        charger("C04", "Volta/V44", "B", site="s2"),
        TwinState(
            "C04",
            3,
            firmware=firmware("v2.0", status=FirmwareStatus.INSTALLED, boots=(NOW - HOUR, NOW)),
            security=SecuritySection(
                profile=3, certificate_until=NOW + 100 * HOUR, roots=("CSMS/aa/1", "MF/bb/2")
            ),
            connectivity=ONLINE,
            operation=operation(OCC, sessions=1, stuck="no word since yesterday"),
            configuration=ConfigurationSection({"HeartbeatInterval": "often", "Lights": "TRUE"}),
        ),
        NOW,
        {"security": {"profile": 3}},
    ),
    Given(
        charger("C05", "Acme%/AC_22", site="s2", serial_number="S-5"),
        TwinState("C05", 2, firmware=firmware("beta"), connectivity=AWAY, operation=operation(U, U)),
        NOW - 30 * HOUR,
    ),
    Given(
        charger("C06", "Acme%/AC_22", lifecycle=Lifecycle.QUARANTINED),
        TwinState(
            "C06",
            2,
            firmware=firmware("2.0.0"),
            security=SecuritySection(profile=1, tampered=True),
            connectivity=ConnectivitySection(online=True, silent=True),
            operation=operation(R),
        ),
        NOW,
    ),
    Given(
        charger("C07", "Acme%/ACX22"), TwinState("C07", 2, connectivity=ONLINE, operation=operation(U)), NOW
    ),
    Given(
        charger("C08", "Acme%/ACX22"),
        TwinState("C08", 2, connectivity=ONLINE, operation=operation(U, R)),
        NOW,
    ),
    Given(
        charger("C09", "Acme%/ACX22", 'it"s'),
        TwinState("C09", 2, firmware=firmware("10.0"), connectivity=ONLINE, operation=operation(A, A, A)),
        NOW - HOUR,
    ),
    Given(
        charger("C10", "Volta/V44"),
        TwinState(
            "C10", 2, firmware=firmware("2.0.0-rc2"), connectivity=ONLINE, operation=OperationSection()
        ),
        NOW,
    ),
    Given(
        charger("C11", "Volta/V44"),
        TwinState("C11", 2, firmware=firmware(None), connectivity=ONLINE, operation=operation(F, sessions=2)),
        NOW,
    ),
    Given(
        charger("C12", "Volta/V44"), TwinState("C12", 2, connectivity=ONLINE, operation=operation(U, U)), NOW
    ),
)

_CHARGER = """
INSERT INTO charger
    (charger_id, site_id, vendor, model, lifecycle, serial_number, hardware_revision, registered_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""
_TWIN = """
INSERT INTO twin (charger_id, revision, last_message_at, online, charging, faulted, firmware_version)
VALUES ($1, $2, $3, $4, $5, $6, $7)
"""
_SECTION = """
INSERT INTO twin_section (charger_id, name, reported, desired) VALUES ($1, $2, $3::jsonb, $4::jsonb)
"""


async def fill(connection: asyncpg.Connection, fleet: tuple[Given, ...] = FLEET) -> None:
    """The fleet, at the sites s1 and s2."""
    for site in ("s1", "s2"):
        await connection.execute(
            "INSERT INTO site (site_id, name, time_zone, max_down) VALUES ($1, $1, 'UTC', 1)", site
        )
    for each in fleet:
        await connection.execute(_CHARGER, *_registered(each.charger))
        await connection.execute(_TWIN, *_row(each))
        for name in SECTION_TYPES:
            section, desired = getattr(each.twin, name), each.desired.get(name)
            if section is not None or desired is not None:
                await connection.execute(_SECTION, each.name, name, _json(section), _json(desired))


def _registered(given: Charger) -> tuple[object, ...]:
    return (
        given.charger_id,
        given.site_id,
        given.vendor,
        given.model,
        given.lifecycle.value,
        given.serial_number,
        given.hardware_revision,
        given.registered_at,
    )


def _row(given: Given) -> tuple[object, ...]:
    twin = given.twin
    connectors = twin.operation.connectors.values() if twin.operation else ()
    return (
        given.name,
        twin.revision,
        given.heard,
        bool(twin.connectivity and twin.connectivity.online),
        bool(twin.operation and twin.operation.transactions),
        any(connector.status is F for connector in connectors),
        twin.firmware.version if twin.firmware else None,
    )


def _json(value: object) -> str | None:
    return None if value is None else canonical_json(value).decode()
