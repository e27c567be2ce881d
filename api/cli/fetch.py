"""Where a command reads the published metadata from: a folder, or the api that anybody may ask."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from api.cli.session import Session

if TYPE_CHECKING:
    from signing.trust_source import Fetch


def fetch_for(session: Session, folder: Path | None) -> "Fetch":
    """Files of a folder if one is named, else of the api; no token is needed."""
    from api.cli.repository import fetch_from_folder

    if folder is not None:
        return fetch_from_folder(folder)
    api = session.public_api

    async def fetch(name: str, limit: int) -> bytes:
        return await asyncio.to_thread(api.metadata, name, limit)

    return fetch
