"""What the first ``ampwave up`` makes for one machine: secrets and an administrator's token.

For development, said plainly: production hands in files of its own and none of this runs.
"""

import base64
import os
import secrets
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from api.auth import mint_token
from api.settings import Settings
from storage.access import Principal, Role
from storage.canonical import sha256_hex
from storage.ports import TokenStore

Random = Callable[[int], bytes]


def private_dir(path: Path) -> Path:
    """Create a folder that only its owner can enter."""
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    return path


def write_private(path: Path, text: str) -> None:
    """Write a new file that only its owner can read. Raises FileExistsError."""
    private_dir(path.parent)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)


def ensure_secrets(settings: Settings, random: Random = secrets.token_bytes) -> None:
    """Make the payload key and the charger pepper where they are missing."""
    for path in (settings.payload_key_path, settings.charger_pepper_path):
        if not path.exists():
            write_private(path, base64.b64encode(random(32)).decode() + "\n")


async def ensure_admin_token(
    settings: Settings, tokens: TokenStore, now: datetime, random: Random = secrets.token_bytes
) -> None:
    """Give the owner of this data folder a token, so that the CLI works at once."""
    path = settings.token_path
    if path.exists() and await tokens.find(sha256_hex(path.read_text().strip().encode())):
        return
    path.unlink(missing_ok=True)
    text, token = mint_token(
        Principal("administrator", Role.ADMIN),
        now=now,
        expires_at=None,
        token_id=random(6).hex(),
        random_bytes=random,
    )
    await tokens.add(token)
    write_private(path, text + "\n")
