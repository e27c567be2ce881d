"""The normal tail and its inverse by additions, products and divisions alone.

A verdict must come to the same bytes on every machine, and the last digit of ``exp`` or ``erfc`` is the
business of each machine's mathematics library; IEEE 754 fixes only the operations used here and ``sqrt``.
"""

from functools import lru_cache
from math import sqrt

_SQRT_TWO_PI = 2.5066282746310002
_FAR = 38.0
"""Beyond, the tail is below the smallest float."""


def density(z: float) -> float:
    """The standard normal density."""
    return _exp_minus(z * z / 2) / _SQRT_TWO_PI


def tail(z: float) -> float:
    """How likely a standard normal number is at least ``z``."""
    if z < 0:
        return 1.0 - tail(-z)
    if z > _FAR:
        return 0.0
    return _near(z) if z < 3.5 else _away(z)


@lru_cache(maxsize=4096)
def quantile(p: float) -> float:
    """The number that a standard normal one exceeds with chance ``p``; by bisection."""
    low, high = -_FAR, _FAR
    for _ in range(70):
        middle = (low + high) / 2
        if tail(middle) > p:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def skewed(z: float, skewness: float) -> float:
    """The normal number that is as rare as ``z`` is in a shifted gamma distribution of this skewness.

    Pearson type III is what a permuted sum follows closely (Mielke and Berry); the cube root of Wilson and
    Hilferty leads from it to the normal. A tail lighter than the normal is taken for normal: cautious.
    """
    if skewness <= 0.001:
        return z
    shape = 4.0 / (skewness * skewness)
    ratio = 1.0 + z * skewness / 2
    if ratio <= 0:
        return -_FAR
    ninth = 1.0 / (9.0 * shape)
    return (_cube_root(ratio) - 1.0 + ninth) * 3.0 * sqrt(shape)


def _near(z: float) -> float:
    """Marsaglia's series: 1/2 - density * (z + z^3/3 + z^5/15 + ...)."""
    total, term, step = z, z, 1
    while term > total * 1e-18:
        step += 2
        term *= z * z / step
        total += term
    return 0.5 - density(z) * total


def _away(z: float) -> float:
    """Laplace's continued fraction."""
    fraction = z
    for step in range(80, 0, -1):
        fraction = z + step / fraction
    return density(z) / fraction


def _exp_minus(x: float) -> float:
    """exp(-x) for x >= 0: Taylor on a small part, squared back."""
    halvings = 0
    while x > 0.0625:
        x, halvings = x / 2, halvings + 1
    total = term = 1.0
    for step in range(1, 14):
        term *= -x / step
        total += term
    for _ in range(halvings):
        total *= total
    return total


def _cube_root(x: float) -> float:
    """Newton's steps from above until they no longer fall; always the same, so always the same digits."""
    root = max(x, 1.0)
    while True:
        better = (2 * root + x / (root * root)) / 3
        if better >= root:
            return root
        root = better
