"""What can be true of an asset, and what is missing. Pure (F55, F59, F66)."""

import re
from datetime import date

from storage.provisioning import Asset, ConnectorPlan

_ICCID = re.compile(r"89[0-9]{16,18}")
WANTED = ("address", "installer", "warranty_from", "link_class", "connectors", "meter_serial")
"""What a complete record has; a SIM is wanted of cellular ones alone."""
MAX_CURRENT_A, MAX_POWER_KW = 1000.0, 1500.0
_VOLTS = 1000.0
"""No connector of today has more."""


def asset_problems(asset: Asset) -> list[str]:
    """Everything that cannot be so."""
    problems = [problem for plan in asset.connectors for problem in _connector(plan)]
    places = [(plan.evse_id, plan.connector_id) for plan in asset.connectors]
    problems += [
        f"connectors: {a}.{b} is there twice" for a, b in sorted(set(places)) if places.count((a, b)) > 1
    ]
    if asset.iccid is not None and not (_ICCID.fullmatch(asset.iccid) and _luhn(asset.iccid)):
        problems.append("iccid: it is no SIM's number; its digits do not add up (ITU-T E.118)")
    if asset.warranty_from is not None and not _is_date(asset.warranty_from):
        problems.append("warranty_from: it is no date such as 2026-11-25")
    return problems


def _connector(plan: ConnectorPlan) -> list[str]:
    name = f"connectors: {plan.evse_id}.{plan.connector_id}"
    problems = []
    if plan.evse_id < 1 or plan.connector_id < 1:
        problems.append(f"{name}: EVSEs and connectors are counted from 1")
    if not 0 < plan.max_current_a <= MAX_CURRENT_A:
        problems.append(f"{name}: no connector carries {plan.max_current_a:g} A")
    if not 0 < plan.max_power_kw <= MAX_POWER_KW:
        problems.append(f"{name}: no connector gives {plan.max_power_kw:g} kW")
    elif plan.max_power_kw * 1000 > plan.max_current_a * _VOLTS * 3:
        problems.append(f"{name}: {plan.max_power_kw:g} kW do not come out of {plan.max_current_a:g} A")
    return problems


def missing(asset: Asset) -> tuple[str, ...]:
    """What nobody said of it."""
    wanted = (*WANTED, *(("iccid", "apn") if asset.link_class == "cellular" else ()))
    return tuple(name for name in wanted if not getattr(asset, name))


def _luhn(digits: str) -> bool:
    total = 0
    for place, digit in enumerate(map(int, reversed(digits))):
        doubled = digit * 2 if place % 2 else digit
        total += doubled - 9 if doubled > 9 else doubled
    return total % 10 == 0


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
