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

    A file that is half written or does not fit its partner leaves the old content in force; the
    next look tries again, so that a certificate and its key may change one after the other.
    """

    def __init__(self, what: str, files: Sequence[Path], load: Callable[[], T]) -> None:
        """Read for the first time. Raises InvalidInput."""
        self.what = what
        self._files = tuple(files)
        self._load = load
        self._seen = _look(self._files)
        self.current = load()
        self.problem = ""
        """Why the newest files are not in force; empty: they are."""

    async def refresh(self) -> bool:
        """Look once; whether something new is in force now."""
        seen = await asyncio.to_thread(_look, self._files)
        if seen == self._seen and not self.problem:
            return False
        self._seen = seen
        try:
            self.current = await asyncio.to_thread(self._load)
        except InvalidInput as error:
            if self.problem != error.message:
                log.warning(
                    "changed files cannot be used; the old ones stay", what=self.what, error=error.message
                )
            self.problem = error.message
            return False
        self.problem = ""
        log.info("changed files are in force", what=self.what)
        return True


def _look(files: Sequence[Path]) -> _Seen:
    return tuple(_state(path) for path in files)


def _state(path: Path) -> tuple[int, int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
