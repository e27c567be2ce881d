"""A set of whole numbers as ranges: how the ledger keeps every acknowledged message id in little room."""

from bisect import bisect_left


class NumberSet:
    """Whole numbers, kept as sorted, disjoint, non-touching ranges."""

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []

    def add(self, number: int) -> bool:
        """Add one; returns whether it was new."""
        place = bisect_left(self._lasts, number)
        if place < len(self._lasts) and self._firsts[place] <= number:
            return False
        joins_left = place > 0 and self._lasts[place - 1] == number - 1
        joins_right = place < len(self._firsts) and self._firsts[place] == number + 1
        if joins_left and joins_right:
            self._lasts[place - 1] = self._lasts.pop(place)
            del self._firsts[place]
        elif joins_left:
            self._lasts[place - 1] = number
        elif joins_right:
            self._firsts[place] = number
        else:
            self._firsts.insert(place, number)
            self._lasts.insert(place, number)
        return True

    def __len__(self) -> int:
        return sum(last - first + 1 for first, last in zip(self._firsts, self._lasts, strict=True))

    def text(self) -> str:
        """``1-40,42``; empty for the empty set."""
        pairs = zip(self._firsts, self._lasts, strict=True)
        return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in pairs)


def expand(text: str) -> list[int]:
    """The numbers that ``NumberSet.text`` wrote."""
    numbers: list[int] = []
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        numbers.extend(range(int(first), int(last or first) + 1))
    return numbers
