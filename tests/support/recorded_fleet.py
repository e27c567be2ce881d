"""Fleets with weeks of sessions and silence, for forecasts: chargers, sites and weeks differ. From a seed."""

from array import array
from dataclasses import dataclass
from datetime import UTC, datetime
from math import exp
from random import Random

from activities.facts import ArtifactFacts, Situation
from storage.artifact import Compatible
from storage.campaign import CampaignPlan, GatePolicy, Pace, WavePlan
from storage.charger import ChargerFilter, SignatureScheme
from storage.health_policy import HealthPolicy
from storage.recording import WEEK_HOURS, Recorded
from storage.twin import Lifecycle
from workflows.whatif import Member, Study

NOW = datetime(2026, 11, 23, tzinfo=UTC)
"""A Monday."""
ARTIFACT = ArtifactFacts(
    "a" * 64, "acme", "2.0", 2, (Compatible("Acme", "AC22"),), (SignatureScheme.ECDSA_P256,), released=True
)
SITUATION = Situation(
    vendor="Acme",
    model="AC22",
    hardware_revision=None,
    lifecycle=Lifecycle.ACTIVE,
    version="1.0",
    installed_counter=1,
    online=True,
    heard_recently=True,
    busy=None,
    session=False,
    free_at=None,
    maintenance=None,
    takes_signed=True,
    unsigned_waiver=False,
    scheme=SignatureScheme.ECDSA_P256,
    needs_reset=False,
)
WAVES = (WavePlan("canary", 0.05), WavePlan("third", 0.30), WavePlan("rest", 0.65))


@dataclass(frozen=True)
class Shape:
    """What the fleet is like."""

    chargers: int = 400
    weeks: int = 4
    per_site: int = 8
    sessions: float = 4.0
    outages: float = 0.5
    """Of a site, each week; a day long on average."""
    gone: float = 0.01
    """Chargers that are away for weeks."""


def recordings(shape: Shape, seed: int) -> list[Recorded]:
    """Every charger, site by site."""
    chance, hours = Random(seed), shape.weeks * WEEK_HOURS
    busy = [exp(chance.gauss(0, 0.25)) for _ in range(shape.weeks)]
    found: list[Recorded] = []
    while len(found) < shape.chargers:
        out = _spells(chance, hours, shape.outages / WEEK_HOURS, 24)
        for _ in range(min(shape.per_site, shape.chargers - len(found))):
            found.append(_charger(f"C{len(found):06}", shape, busy, out, chance))
    return found


def _spells(chance: Random, hours: int, rate: float, length: float) -> set[int]:
    found: set[int] = set()
    at = chance.expovariate(rate)
    while at < hours:
        end = at + chance.expovariate(1 / length)
        found.update(range(int(at), min(int(end) + 1, hours)))
        at = end + chance.expovariate(rate)
    return found


def _charger(name: str, shape: Shape, busy: list[float], out: set[int], chance: Random) -> Recorded:
    hours = shape.weeks * WEEK_HOURS
    begins, ends, energy = array("i"), array("i"), array("i")
    popular = shape.sessions * exp(chance.gauss(0, 0.6)) / 24
    at = 0.0
    while True:
        week = min(int(at // (WEEK_HOURS * 60)), shape.weeks - 1)
        hour = int(at // 60) % 24
        at += chance.expovariate(max(popular * busy[week] * (0.3 if hour < 6 else 1.25), 1e-6)) * 60
        if at >= hours * 60:
            break
        length = max(5.0, chance.gammavariate(2, 40))
        if int(at // 60) not in out:
            begins.append(int(at))
            ends.append(int(at + length) + 1)
            energy.append(int(length * 150))
        at += length
    away = set(out)
    if chance.random() < shape.gone:
        away.update(range(chance.randrange(hours), hours))
    heard = array("i", (hour for hour in range(hours) if hour not in away))
    return Recorded(name, begins, ends, energy, heard)


def plan(
    health: HealthPolicy | None = None, waves: tuple[WavePlan, ...] = WAVES, **pace: float
) -> CampaignPlan:
    """A plan of three waves, each at most three days."""
    given = {"wave_deadline_seconds": 3 * 86400.0, "tick_seconds": 300.0, **pace}
    return CampaignPlan(
        "Spring",
        "a" * 64,
        ChargerFilter(),
        waves,
        GatePolicy(health=health),
        Pace(**given),  # type: ignore[arg-type]
    )


def study(given: CampaignPlan, rows: list[Recorded], weeks: int, *, per_site: int = 8) -> Study:
    """The rows drawn into waves in their order."""
    members = [
        Member(row.charger_id, f"s{place // per_site}", SITUATION, row) for place, row in enumerate(rows)
    ]
    Random(5).shuffle(members)
    waves, start = [], 0
    for number, wave in enumerate(given.waves):
        size = round(wave.share * len(rows)) if number + 1 < len(given.waves) else len(rows) - start
        waves.append(members[start : start + size])
        start += size
    return Study(given, ARTIFACT, waves, {}, NOW, weeks)


def split(rows: list[Recorded], weeks: int) -> tuple[list[Recorded], list[Recorded]]:
    """The weeks before and those after, which no forecast has seen."""
    minutes, hours = weeks * WEEK_HOURS * 60, weeks * WEEK_HOURS
    before, after = [], []
    for row in rows:
        cut = sum(begin < minutes for begin in row.begins)
        heard = sum(hour < hours for hour in row.heard)
        before.append(
            Recorded(row.charger_id, row.begins[:cut], row.ends[:cut], row.energy_wh[:cut], row.heard[:heard])
        )
        after.append(
            Recorded(
                row.charger_id,
                [each - minutes for each in row.begins[cut:]],
                [each - minutes for each in row.ends[cut:]],
                row.energy_wh[cut:],
                [each - hours for each in row.heard[heard:]],
            )
        )
    return before, after
