"""How likely chance alone is: exact for small arms, by the shape of the same distribution for large ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from math import comb, inf, isfinite, sqrt
from random import Random

from activities.evidence import MICRO, TABLE, Cluster, Stratum
from workflows.gate.normal import skewed, tail

PERMUTATIONS = 10_000
DRAWN = 64_000
"""Chargers drawn in all permutations of one signal over the fleet, and again over its segments together: a
workflow that thinks for two seconds is taken for stuck."""
HYPERGEOMETRIC = 200
"""Up to so many chargers with a hit the distribution is written out in whole numbers."""
SKEWEST = 2.0
"""A permuted sum that is more lopsided rests on a handful of hits: no tail is claimed for it."""


@dataclass(frozen=True, slots=True)
class Spread:
    """The sum of the updated chargers' scores under "the update changes nothing", in hits."""

    total: float
    """As observed, its expectation taken off."""
    variance: float
    """Of the permuted sum, or with sites as units, whichever is larger."""
    skewness: float
    weight: float
    """Divides the total into the difference of rates (Mantel and Haenszel)."""
    sites: int = 0
    """Over so many sites the variance was estimated; 0: it is that of the permuted sum itself."""

    @property
    def estimate(self) -> float:
        """The difference of rates."""
        return self.total / self.weight if self.weight else 0.0

    @property
    def error(self) -> float:
        """Its standard error under no difference."""
        return sqrt(self.variance) / self.weight if self.weight else 0.0

    def chance(self) -> float:
        """The tail, half a hit taken off because hits come whole. 1 if nothing can be claimed."""
        if not 0 < self.variance < inf or not self.skewness <= SKEWEST or not isfinite(self.total):
            return 1.0
        z = (self.total - 0.5) / sqrt(self.variance)
        if z <= 0:
            return 1.0
        return tail(self._as_normal(z) if self.sites else skewed(z, self.skewness))

    def _as_normal(self, z: float) -> float:
        """Student's t of an estimated variance as the normal number that is as rare (Wallace)."""
        freedom = max(self.sites - 1, 1)
        return z * (1 - 1 / (4 * freedom)) / sqrt(1 + z * z / (2 * freedom))


def spread_of(strata: Sequence[Stratum], cluster: Cluster) -> Spread:
    """From the sums of each stratum that has both arms."""
    total = variance = third = weight = 0.0
    for one in strata:
        treated, control = one.treated, one.control
        n_t, n_c = treated.chargers, control.chargers
        n, whole = n_t + n_c, treated.score + control.score
        centred = one.squares - whole * whole / n
        total += treated.score - n_t * whole / n
        if n > 1:
            variance += n_t * n_c / (n * (n - 1)) * centred
        if n > 2:
            mean = whole / n
            cubes = one.cubes - 3 * mean * one.squares + 3 * mean * mean * whole - n * mean * mean * mean
            third += n_t * n_c * (n_c - n_t) / (n * (n - 1) * (n - 2)) * cubes
        weight += treated.exposure * control.exposure / (treated.exposure + control.exposure)
    permuted = max(variance, 0.0)
    lopsided = third / (permuted * sqrt(permuted)) if permuted else 0.0
    units = 0 if permuted >= cluster.squares else cluster.sites
    return Spread(total / MICRO, max(permuted, cluster.squares) / (MICRO * MICRO), lopsided, weight, units)


def binary_chance(strata: Sequence[Stratum]) -> float | None:
    """The exact tail where every charger counts zero or one (stratified Fisher); None: too many to write out.

    Whole numbers throughout, so that every machine computes the same.
    """
    hits = sum(one.treated.hits + one.control.hits for one in strata)
    if hits > HYPERGEOMETRIC:
        return None
    ways, total = [1], 1
    for one in strata:
        n_t, n_c = one.treated.chargers, one.control.chargers
        both = one.treated.hits + one.control.hits
        here = [comb(n_t, hit) * comb(n_c, both - hit) for hit in range(min(both, n_t) + 1)]
        ways = _convolved(ways, here)
        total *= comb(n_t + n_c, both)
    return sum(ways[sum(one.treated.hits for one in strata) :]) / total


def _convolved(left: list[int], right: list[int]) -> list[int]:
    found = [0] * (len(left) + len(right) - 1)
    for i, one in enumerate(left):
        if one:
            for j, other in enumerate(right):
                found[i + j] += one * other
    return found


def has_tables(strata: Sequence[Stratum]) -> bool:
    """Whether every updated charger's score is at hand."""
    return 0 < sum(one.treated.chargers for one in strata) <= TABLE and all(
        len(one.treated.table) == one.treated.chargers and one.control.table for one in strata
    )


def permutations_of(strata: Sequence[Stratum], draws: int = DRAWN) -> int:
    """How many are drawn. Further out than one in so many, the distribution's shape has to do as well."""
    return min(PERMUTATIONS, draws // max(sum(one.treated.chargers for one in strata), 1))


def permuted_chance(strata: Sequence[Stratum], alpha: float, draws: int = DRAWN) -> float:
    """The share of random divisions into arms with at least this sum; a few thousand of them, from a seed.

    Ends early once ``alpha`` is out of reach, with a chance that is not below it.
    """
    pools = [([*one.treated.table, *one.control.table], one.treated.chargers) for one in strata]
    observed = sum(sum(pool[:size]) for pool, size in pools)
    seed = sha256(repr(pools).encode()).digest()
    chance = Random(int.from_bytes(seed[:8], "big")).random  # noqa: S311 - reproducible, not a secret
    count = permutations_of(strata, draws)
    allowed, reached = int(alpha * (count + 1)), 1  # the division that was drawn is one of them
    for drawn in range(1, count + 1):
        total = 0
        for pool, size in pools:
            whole = len(pool)
            for i in range(size):
                j = i + int(chance() * (whole - i))
                pool[i], pool[j] = pool[j], pool[i]
                total += pool[i]
        reached += total >= observed
        if reached > max(allowed, 1):
            return reached / (drawn + 1)
    return reached / (count + 1)
