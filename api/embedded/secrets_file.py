"""Secrets that embedded engines make for themselves, in files that only their owner reads."""

import os
import secrets
from pathlib import Path


def read_or_create_secret(path: Path, size: int = 24) -> str:
    """The secret in this file; a new random one on the first call. ``size`` in random bytes."""
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        secret = secrets.token_urlsafe(size)
        write_private(path, secret + "\n")
        return secret


def write_private(path: Path, text: str) -> None:
    """Write the whole file in one step, mode 0600 from its first byte."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    fresh.replace(path)
