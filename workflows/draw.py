"""How a cohort is drawn into waves: at random within models, spread over sites, from a seed. Pure."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import inf
from random import Random
from typing import Generic, TypeVar

T = TypeVar("T")
K = TypeVar("K", str, tuple[str, ...])


@dataclass(frozen=True, slots=True)
class Lot(Generic[T]):
    """One charger in the draw."""

    name: str
    """Unique; makes the draw independent of the order in which chargers were read."""
    model: tuple[str, ...]
    """Vendor, model and hardware: each is spread evenly over the waves."""
    site: str
    item: T


def wave_sizes(total: int, shares: Sequence[float]) -> list[int]:
    """Whole chargers per wave, largest remainder first, and at least one each where there are enough."""
    if not shares or total <= 0:
        return [0] * len(shares)
    usable = [share if 0 < share < inf else 0.0 for share in shares]
    whole = sum(usable) or 1.0
    exact = [total * share / whole for share in usable]
    sizes = [int(value) for value in exact]
    by_remainder = sorted(range(len(shares)), key=lambda i: (sizes[i] - exact[i], i))
    for i in by_remainder[: total - sum(sizes)]:
        sizes[i] += 1
    for i, size in enumerate(sizes):
        if size == 0 and max(sizes) > 1:
            sizes[sizes.index(max(sizes))] -= 1
            sizes[i] = 1
    return sizes


def draw(lots: Iterable[Lot[T]], sizes: Sequence[int], seed: int) -> list[list[T]]:
    """Cut one random order, in which every model is spread evenly, into waves of these sizes."""
    chance = Random(seed)  # noqa: S311 - a reproducible draw, not a secret
    placed: list[tuple[float, str, T]] = []
    for group in _grouped(lots, lambda lot: lot.model):
        order = _spread_over_sites(group, chance)
        offset = chance.random()
        placed += [((place + offset) / len(order), lot.name, lot.item) for place, lot in enumerate(order)]
    line = [item for _, _, item in sorted(placed, key=lambda one: one[:2])]
    return _cut(line, sizes)


def _spread_over_sites(group: Iterable[Lot[T]], chance: Random) -> list[Lot[T]]:
    """A random order that visits every site before any site twice."""
    sites = _grouped(group, lambda lot: lot.site)
    for site in sites:
        chance.shuffle(site)
    order: list[Lot[T]] = []
    while sites:
        chance.shuffle(sites)
        order += [site.pop() for site in sites]
        sites = [site for site in sites if site]
    return order


def _grouped(lots: Iterable[Lot[T]], key: Callable[[Lot[T]], K]) -> list[list[Lot[T]]]:
    groups: defaultdict[K, list[Lot[T]]] = defaultdict(list)
    for lot in sorted(lots, key=lambda one: one.name):
        groups[key(lot)].append(lot)
    return [groups[name] for name in sorted(groups)]


def _cut(line: Sequence[T], sizes: Sequence[int]) -> list[list[T]]:
    waves, start = [], 0
    for size in sizes:
        waves.append(list(line[start : start + size]))
        start += size
    return waves
