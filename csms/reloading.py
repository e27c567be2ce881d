"""Files that are read anew when they change, while everything runs on with what was read before."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

import structlog

from storage.errors import InvalidInput

log = structlog.get_logger(__name__)

T = TypeVar("T")

_Seen = tuple[tuple[int, int, int] | None, ...]


class Reloading(Generic[T]):
    """The newest good content of some files.

    They are read when two looks in a row found them alike: a bundle that is still being written may be
    cut off between two certificates, where it reads well. A file that does not read, or does not fit its
    partner, leaves the old content in force; the next look tries again, so that a certificate and its
    key may change one after the other.
    """

    def __init__(self, what: str, files: Sequence[Path], load: Callable[[], T]) -> None:
        """Read for the first time. Raises InvalidInput."""
        self.what = what
        self._files = tuple(files)
        self._load = load
        self._read = self._looked = _look(self._files)
        self.current = load()
        self.problem = ""
        """Why the newest files are not in force; empty: they are."""

    async def refresh(self) -> bool:
        """Look once; whether something new is in force now."""
        looked = await asyncio.to_thread(_look, self._files)
        settled, self._looked = looked == self._looked, looked
        if not settled or (looked == self._read and not self.problem):
            return False
        self._read = looked
        try:
            self.current = await asyncio.to_thread(self._load)
        except Exception as error:  # noqa: BLE001 - a parser of other people's files may raise anything
            self._remain(error)
            return False
        self.problem = ""
        log.info("changed files are in force", what=self.what)
        return True

    def _remain(self, error: Exception) -> None:
        if isinstance(error, InvalidInput):
            problem, trace = error.message, None
        else:
            problem, trace = f"The {self.what} cannot be read: {type(error).__name__}.", error
        if problem != self.problem:
            text = "changed files cannot be used; the old ones stay"
            log.warning(text, what=self.what, error=problem, exc_info=trace)
        self.problem = problem


def _look(files: Sequence[Path]) -> _Seen:
    return tuple(_state(path) for path in files)


def _state(path: Path) -> tuple[int, int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
