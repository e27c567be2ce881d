"""Small fleets for tests of the gate: chargers that differ from each other, on sites, in strata."""

from datetime import datetime, timedelta
from random import Random

from activities.evidence import Counts, History, Sample
from activities.facts import GroupFacts, WaveFacts
from activities.sampling import summarise
from storage.campaign import Decision, GatePolicy, VerdictWord
from workflows.gate import POLICIES, Health, Look, judged


def fleet(
    chance: Random,
    treated: int = 30,
    control: int = 120,
    *,
    hours: int = 48,
    harm: float = 0.0,
    rate: float = 0.06,
    sites: int = 30,
    models: tuple[str, ...] = ("A/1", "B/2"),
    bad_model: str = "",
) -> Sample:
    """Sessions that fail more or less by charger; hours unheard by site; a fault here and there."""
    rows = [
        (index < treated, chance.choice(models), f"s{chance.randrange(sites)}")
        for index in range(treated + control)
    ]
    hits, exposure, before, unheard, faults = [], [], [], [], []
    for updated, model, _ in rows:
        own = chance.betavariate(9 * rate, 9 * (1 - rate))
        now = min(1.0, own + harm * (updated and model.startswith(bad_model)))
        sessions = sum(chance.random() < 1 / 6 for _ in range(hours))
        exposure.append(sessions)
        hits.append(sum(chance.random() < now for _ in range(sessions)))
        before.append(sum(chance.random() < own for _ in range(40)))
        unheard.append(sum(chance.random() < 0.01 for _ in range(hours)))
        faults.append(int(chance.random() < 0.02))
    count = len(rows)
    return Sample(
        strata=[f"{model}|" for _, model, _ in rows],
        sites=[site for _, _, site in rows],
        treated=[updated for updated, _, _ in rows],
        minutes=[hours * 60] * count,
        heard=[True] * count,
        signals={
            "session_failures": Counts(hits, exposure, before, [40] * count),
            "unheard": Counts(unheard, [hours] * count),
            "faults": Counts(faults, [1] * count),
        },
    )


def binary(treated: tuple[int, int], control: tuple[int, int], signal: str = "faults") -> Sample:
    """One stratum in which (hit, all) chargers of each arm have something."""
    (hit, size), (other, rest) = treated, control
    count = size + rest
    marks = [1] * hit + [0] * (size - hit) + [1] * other + [0] * (rest - other)
    return Sample(
        strata=["A/1|"] * count,
        sites=[f"s{row % 40}" for row in range(count)],
        treated=[row < size for row in range(count)],
        minutes=[24 * 60] * count,
        heard=[True] * count,
        signals={signal: Counts(marks, [1] * count)},
    )


def looks(
    campaign_id: str, now: datetime, *, harm: float = 0.0, hours: tuple[int, ...] = (4, 8, 16, 24, 48, 96)
) -> list[Decision]:
    """The verdicts on one wave as its chargers live longer, by the real gate, up to the one that decides."""
    groups = GroupFacts(120, 120, 0, 120, 0)
    facts = WaveFacts(0, total=30, updated=30, treated=GroupFacts(30, 30, 0, 30, 0), control=groups)
    history, found = History(), []
    for number, lived in enumerate(hours, start=1):
        evidence = summarise(fleet(Random(7), hours=lived, harm=harm))
        look = Look(campaign_id, 0, number, now - timedelta(hours=hours[-1] - lived))
        record, verdict = judged(
            look, GatePolicy(health=POLICIES["balanced"]), facts, Health(evidence, history)
        )
        found.append(record)
        if verdict.health is None or verdict.word is not VerdictWord.HOLD:
            break
        history = verdict.health.history
    return found
