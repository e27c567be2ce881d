"""What service comes to: uptime, utilisation, time to repair. Pure; no data is no figure (F28, F114)."""

from dataclasses import dataclass

from storage.service import ServiceGroup

DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one group. None: nothing is known to make it of."""

    uptime: float | None
    """Up, as a share of up and down; maintenance is neither."""
    utilisation: float | None
    """In use, as a share of the time that is known."""
    maintenance: float | None
    """Planned, as a share of the time that is known."""
    known: float | None
    """Share of the time that is known at all."""
    faults_per_day: float | None
    """Of one charger."""
    sessions_per_day: float | None
    """Of one charger."""
    mttr_s: float | None
    """Mean time to repair, of the failures that ended."""


def figures(group: ServiceGroup) -> Figures:
    """What a group's sums come to."""
    total = group.total
    told = total.up_s + total.down_s
    known = told + total.maintenance_s
    return Figures(
        uptime=_share(total.up_s, told),
        utilisation=_share(min(total.in_use_s, known), known),
        maintenance=_share(total.maintenance_s, known),
        known=_share(known, known + total.unknown_s),
        faults_per_day=_share(total.faults, known / DAY_S),
        sessions_per_day=_share(total.sessions, known / DAY_S),
        mttr_s=_share(total.repair_s, total.repairs),
    )


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole > 0 else None
