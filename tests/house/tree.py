"""The files of the project: what is committed or about to be, never what is ignored."""

import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, order=True)
class Problem:
    """One thing to mend, and where."""

    path: str
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.what}"


@dataclass(frozen=True)
class Tree:
    """Paths relative to ``root``, with ``/``."""

    root: Path
    paths: tuple[str, ...]

    @classmethod
    def of(cls, root: Path) -> "Tree":
        """All tracked files and new ones that are not ignored."""
        listing = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=root,
            capture_output=True,
            check=True,
        )
        names = sorted(set(listing.stdout.decode().split("\0")) - {""})
        return cls(root, tuple(name for name in names if (root / name).is_file()))

    def text(self, path: str) -> str | None:
        """The file's text; None for a binary one."""
        content = (self.root / path).read_bytes()
        return None if b"\0" in content else content.decode(errors="replace")

    def python(self, under: str = "") -> Iterable[str]:
        """Python files, in order."""
        return (path for path in self.paths if path.endswith(".py") and path.startswith(under))
