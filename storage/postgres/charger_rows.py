"""A row of the table ``charger`` as the noun."""

from dataclasses import fields
from typing import Any

from storage.charger import Charger
from storage.ownership import Ownership
from storage.twin import Lifecycle

_OWNED = tuple(each.name for each in fields(Ownership))


def charger_of(row: Any) -> Charger:
    """From a row that has all its columns under their own names."""
    return Charger(
        charger_id=row.charger_id,
        site_id=row.site_id,
        vendor=row.vendor,
        model=row.model,
        lifecycle=Lifecycle(row.lifecycle),
        serial_number=row.serial_number,
        hardware_revision=row.hardware_revision,
        registered_at=row.registered_at,
        security_floor=row.security_floor,
        identity_version=row.identity_version,
        ownership=Ownership(*(getattr(row, name) for name in _OWNED)),
        ownership_version=row.ownership_version,
    )
