"""From counts of chargers to evidence: scores without regard to the arms, then sums per arm."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from operator import mul

from activities.evidence import (
    MICRO,
    TABLE,
    TABLE_CONTROLS,
    Arm,
    Counts,
    Coverage,
    Evidence,
    Sample,
    SignalEvidence,
    Stratum,
)


@dataclass(frozen=True, slots=True)
class _Cell:
    """The rows of one stratum: first its updated chargers, then the others."""

    name: str
    rows: list[int]
    treated: int


@dataclass(frozen=True, slots=True)
class _Part:
    """One signal in one stratum, rows without exposure left out."""

    cell: _Cell
    rows: list[int]
    treated: int
    hits: list[int]
    exposure: list[int]
    base_hits: list[int]
    base_exposure: list[int]
    raw: list[float]
    """Hits beyond the stratum's rate."""
    usual: list[float]
    """Exposure times how much the charger's own baseline is above its stratum's; sums to about zero."""


def summarise(sample: Sample, *, last: bool = False, behind_seconds: float = 0.0) -> Evidence:
    """The evidence in a sample. Pure, and the same for any order of the rows but for the exact test's."""
    cells = _cells(sample)
    return Evidence(
        treated=_coverage(sample, updated=True),
        control=_coverage(sample, updated=False),
        signals=tuple(
            _signal(name, counts, cells, sample) for name, counts in sorted(sample.signals.items())
        ),
        last=last,
        behind_seconds=behind_seconds,
    )


def _coverage(sample: Sample, *, updated: bool) -> Coverage:
    chosen = [treated is updated for treated in sample.treated]
    return Coverage(
        chargers=sum(chosen),
        heard=sum(compress(sample.heard, chosen)),
        minutes=sum(compress(sample.minutes, chosen)),
        sites=len(set(compress(sample.sites, chosen))),
    )


def _cells(sample: Sample) -> list[_Cell]:
    arms: defaultdict[str, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
    for row, (stratum, treated) in enumerate(zip(sample.strata, sample.treated, strict=True)):
        arms[stratum][not treated].append(row)
    return [_Cell(name, [*arms[name][0], *arms[name][1]], len(arms[name][0])) for name in sorted(arms)]


def _signal(name: str, counts: Counts, cells: Sequence[_Cell], sample: Sample) -> SignalEvidence:
    parts = [part for cell in cells if (part := _part(cell, counts)).rows]
    slope = _slope(parts)
    scores = [_scores(part, slope) for part in parts]
    small = sum(part.treated for part in parts) <= TABLE
    updated = {sample.sites[row] for part in parts for row in part.rows[: part.treated]}
    by_site: defaultdict[str, float] = defaultdict(float)
    strata = []
    for part, score in zip(parts, scores, strict=True):
        sites = _site_scores(part, score, sample.sites)
        for site, value in sites.items():
            by_site[site] += value
        here = updated.intersection(sample.sites[row] for row in part.rows[: part.treated])
        strata.append(_stratum(part, score, _clustered(sites, here), small=small))
    return SignalEvidence(
        signal=name,
        strata=tuple(strata),
        sites=len(updated),
        clustered=_clustered(by_site, updated),
        binary=all(each == 1 for part in parts for each in part.exposure)
        and all(each <= 1 for part in parts for each in part.hits),
    )


def _part(cell: _Cell, counts: Counts) -> _Part:
    exposure = [counts.exposure[row] for row in cell.rows]
    rows, treated = cell.rows, cell.treated
    if 0 in exposure:
        rows = list(compress(rows, exposure))
        treated = sum(1 for each in exposure[:treated] if each)
        exposure = [each for each in exposure if each]
    hits = [counts.hits[row] for row in rows]
    base_hits = [counts.base_hits[row] for row in rows] if counts.base_hits else []
    base_exposure = [counts.base_exposure[row] for row in rows] if counts.base_hits else []
    total, rate = sum(hits), 0.0
    if total:
        rate = total / sum(exposure)
        raw = [hit - rate * each for hit, each in zip(hits, exposure, strict=True)]
    else:
        raw = []
    usual = _usual(exposure, base_hits, base_exposure) if raw else []
    return _Part(cell, rows, treated, hits, exposure, base_hits, base_exposure, raw, usual)


def _usual(exposure: list[int], base_hits: list[int], base_exposure: list[int]) -> list[float]:
    """What is usual for each charger, drawn towards its stratum the less it was seen before."""
    seen, hits = sum(base_exposure), sum(base_hits)
    if not seen or not hits:
        return []
    rate, weight = hits / seen, seen / (2 * len(exposure))
    prior = rate * weight
    rates = [(hit + prior) / (each + weight) for hit, each in zip(base_hits, base_exposure, strict=True)]
    middle = sum(map(mul, exposure, _micros(rates))) / (sum(exposure) * MICRO)
    return [each * (own - middle) for each, own in zip(exposure, rates, strict=True)]


def _micros(values: Iterable[float]) -> list[int]:
    """As whole millionths: their sums are exact, so no order and no version of Python changes them."""
    return [round(value * MICRO) for value in values]


def _slope(parts: Sequence[_Part]) -> float:
    """How much of a charger's own past carries over: least squares over both arms, from 0 to 1."""
    above = below = 0
    for part in parts:
        if part.usual:
            usual = _micros(part.usual)
            above += sum(map(mul, usual, _micros(part.raw)))
            below += sum(map(mul, usual, usual))
    return min(max(above / below, 0.0), 1.0) if below else 0.0


def _scores(part: _Part, slope: float) -> list[int]:
    if not part.raw:
        return []
    if not slope or not part.usual:
        return _micros(part.raw)
    return _micros([each - slope * own for each, own in zip(part.raw, part.usual, strict=True)])


def _site_scores(part: _Part, score: list[int], sites: Sequence[str]) -> dict[str, float]:
    """Per site: updated scores minus the share of the stratum's updated in all of its scores."""
    found: defaultdict[str, float] = defaultdict(float)
    if not score or not 0 < part.treated < len(score):
        return found
    share = part.treated / len(score)
    for row, value in zip(part.rows[: part.treated], score[: part.treated], strict=True):
        found[sites[row]] += (1 - share) * value
    for row, value in zip(part.rows[part.treated :], score[part.treated :], strict=True):
        found[sites[row]] -= share * value
    return found


def _clustered(sites: Mapping[str, float], updated: set[str]) -> float:
    """Squares around the mean of sites with an updated charger: harm itself is not to be taken for spread."""
    own = [round(value) for site, value in sites.items() if site in updated]
    others = [round(value) for site, value in sites.items() if site not in updated]
    spread = sum(each * each for each in own) - sum(own) * sum(own) // max(len(own), 1)
    return float(spread * len(own) // max(len(own) - 1, 1) + sum(each * each for each in others))


def _stratum(part: _Part, score: list[int], clustered: float, *, small: bool) -> Stratum:
    squares = list(map(mul, score, score))
    return Stratum(
        name=part.cell.name,
        treated=_arm(part, score, slice(part.treated), TABLE if small else 0),
        control=_arm(part, score, slice(part.treated, None), TABLE_CONTROLS * part.treated if small else 0),
        squares=float(sum(squares)),
        cubes=float(sum(map(mul, squares, score))),
        clustered=clustered,
    )


def _arm(part: _Part, score: list[int], rows: slice, kept: int) -> Arm:
    hits, own = part.hits[rows], score[rows]
    return Arm(
        chargers=len(hits),
        hits=sum(hits),
        exposure=sum(part.exposure[rows]),
        base_hits=sum(part.base_hits[rows]),
        base_exposure=sum(part.base_exposure[rows]),
        score=sum(own),
        table=tuple(own[:kept]),
    )
