"""From counts of chargers to evidence: scores without regard to the arms, then sums per arm."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, compress
from math import fsum
from operator import mul

from activities.evidence import (
    MICRO,
    TABLE,
    TABLE_CONTROLS,
    Arm,
    Cluster,
    Counts,
    Coverage,
    Evidence,
    Sample,
    SignalEvidence,
    Stratum,
    segment_of,
)
from activities.measures import SHARED


@dataclass(frozen=True, slots=True)
class _Cell:
    """The rows of one stratum: first its updated chargers, then the others."""

    name: str
    rows: list[int]
    treated: int
    sites: list[int]
    """The site of each row, by number."""

    @property
    def segment(self) -> str:
        return segment_of(self.name)


@dataclass(frozen=True, slots=True)
class _Part:
    """One signal in one stratum, rows without exposure left out."""

    cell: _Cell
    treated: int
    sites: list[int]
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
        signals=tuple(_signal(name, counts, cells) for name, counts in sorted(sample.signals.items())),
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
    numbers: dict[str, int] = {}
    sites = [numbers.setdefault(site, len(numbers)) for site in sample.sites]
    arms: defaultdict[str, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
    for row, (stratum, treated) in enumerate(zip(sample.strata, sample.treated, strict=True)):
        arms[stratum][not treated].append(row)
    cells = []
    for name in sorted(arms):
        rows = [*arms[name][0], *arms[name][1]]
        cells.append(_Cell(name, rows, len(arms[name][0]), [sites[row] for row in rows]))
    return cells


def _signal(name: str, counts: Counts, cells: Sequence[_Cell]) -> SignalEvidence:
    parts = [part for cell in cells if (part := _part(cell, counts)).exposure]
    slope = _slope(parts)
    scores = [_scores(part, slope) for part in parts]
    small = sum(part.treated for part in parts) <= TABLE
    return SignalEvidence(
        signal=name,
        strata=tuple(_stratum(part, score, small=small) for part, score in zip(parts, scores, strict=True)),
        clusters=_clusters(parts, scores) if name in SHARED else (),
        binary=all(part.exposure.count(1) == len(part.exposure) and max(part.hits) <= 1 for part in parts),
    )


def _part(cell: _Cell, counts: Counts) -> _Part:
    rows, treated, sites = cell.rows, cell.treated, cell.sites
    exposure = _picked(counts.exposure, rows)
    if 0 in exposure:
        rows, sites = list(compress(rows, exposure)), list(compress(sites, exposure))
        treated -= exposure[:treated].count(0)
        exposure = list(filter(None, exposure))
    hits = _picked(counts.hits, rows)
    base_hits = _picked(counts.base_hits, rows) if counts.base_hits else []
    base_exposure = _picked(counts.base_exposure, rows) if counts.base_hits else []
    raw: list[float] = []
    if total := sum(hits):
        rate = total / sum(exposure)
        raw = [hit - rate * each for hit, each in zip(hits, exposure, strict=True)]
    usual = _usual(exposure, base_hits, base_exposure) if raw else []
    return _Part(cell, treated, sites, hits, exposure, base_hits, base_exposure, raw, usual)


def _picked(column: Sequence[int], rows: Sequence[int]) -> list[int]:
    return list(map(column.__getitem__, rows))


def _usual(exposure: list[int], base_hits: list[int], base_exposure: list[int]) -> list[float]:
    """What is usual for each charger, drawn towards its stratum the less it was seen before."""
    seen, hits = sum(base_exposure), sum(base_hits)
    if not seen or not hits:
        return []
    rate, weight = hits / seen, seen / (2 * len(exposure))
    prior = rate * weight
    rates = [(hit + prior) / (each + weight) for hit, each in zip(base_hits, base_exposure, strict=True)]
    middle = fsum(map(mul, exposure, rates)) / sum(exposure)
    return [each * (own - middle) for each, own in zip(exposure, rates, strict=True)]


def _slope(parts: Sequence[_Part]) -> float:
    """How much of a charger's own past carries over: least squares over both arms, from 0 to 1."""
    # fsum is exact: no order of rows and no version of Python changes it, which sum does not promise.
    known = [part for part in parts if part.usual]
    above = fsum(chain.from_iterable(map(mul, part.usual, part.raw) for part in known))
    below = fsum(chain.from_iterable(map(mul, part.usual, part.usual) for part in known))
    return min(max(above / below, 0.0), 1.0) if below else 0.0


def _scores(part: _Part, slope: float) -> list[int]:
    if not part.raw:
        return []
    # In whole millionths, whose sums are exact.
    if not slope or not part.usual:
        return list(map(int, [each * MICRO for each in part.raw]))
    return list(
        map(int, [(each - slope * own) * MICRO for each, own in zip(part.raw, part.usual, strict=True)])
    )


def _clusters(parts: Sequence[_Part], scores: Sequence[list[int]]) -> tuple[Cluster, ...]:
    """Sites as units: over all, and within each segment if there are several."""
    whole: defaultdict[int, float] = defaultdict(float)
    by_segment: defaultdict[str, defaultdict[int, float]] = defaultdict(lambda: defaultdict(float))
    updated: defaultdict[str, set[int]] = defaultdict(set)
    for part, score in zip(parts, scores, strict=True):
        segment = part.cell.segment
        updated[segment].update(part.sites[: part.treated])
        for site, value in _site_scores(part, score):
            whole[site] += value
            by_segment[segment][site] += value
    found = [_cluster("", whole, set().union(*updated.values()))]
    if len(updated) > 1:
        found += [_cluster(segment, by_segment[segment], updated[segment]) for segment in sorted(updated)]
    return tuple(found)


def _site_scores(part: _Part, score: list[int]) -> Iterator[tuple[int, float]]:
    """Per site: updated scores minus the share of the stratum's updated in all of its scores."""
    count, updated = len(score), part.treated
    if not 0 < updated < count:
        return
    own: defaultdict[int, int] = defaultdict(int)
    others: defaultdict[int, int] = defaultdict(int)
    for site, value in zip(part.sites[:updated], score[:updated], strict=True):
        own[site] += value
    for site, value in zip(part.sites[updated:], score[updated:], strict=True):
        others[site] += value
    for site in {**own, **others}:
        yield site, ((count - updated) * own.get(site, 0) - updated * others.get(site, 0)) / count


def _cluster(segment: str, sites: Mapping[int, float], updated: set[int]) -> Cluster:
    """Squares around the mean of sites with an updated charger: harm itself is not to be taken for spread."""
    own = [value for site, value in sites.items() if site in updated]
    others = [value for site, value in sites.items() if site not in updated]
    total, count = fsum(own), max(len(own), 1)
    spread = fsum(map(mul, own, own)) - total * total / count
    if count > 1:
        spread *= count / (count - 1)
    return Cluster(segment, len(updated), max(spread, 0.0) + fsum(map(mul, others, others)))


def _stratum(part: _Part, score: list[int], *, small: bool) -> Stratum:
    squares = list(map(mul, score, score))
    return Stratum(
        name=part.cell.name,
        treated=_arm(part, score, slice(part.treated), TABLE if small else 0),
        control=_arm(part, score, slice(part.treated, None), TABLE_CONTROLS * part.treated if small else 0),
        squares=float(sum(squares)),
        cubes=float(sum(map(mul, squares, score))),
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
