"""How much may be read at once while many read: whoever reads next gets a share of what is left."""

SMALLEST = 16 * 1024
LARGEST = 512 * 1024
_SHARE = 8


class ReadBudget:
    """Bytes that were read and not passed on yet, over many readers; they stay near ``total`` at most.

    One alone reads in large pieces, which is fast. Of hundreds each reads in small ones, and none waits for
    another: the smallest piece is always given, so a few slow readers beyond the total cost a little more.
    """

    def __init__(self, total: int) -> None:
        self._total = total
        self.held = 0

    def size(self) -> int:
        """How much the next one may read."""
        return max(SMALLEST, min(LARGEST, (self._total - self.held) // _SHARE))

    def took(self, count: int) -> None:
        """So many bytes were read."""
        self.held += count

    def gave(self, count: int) -> None:
        """So many bytes were passed on, or dropped."""
        self.held -= count
