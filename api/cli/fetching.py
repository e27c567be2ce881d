"""Metadata files from a public address: bounded, and with no redirect, cookie or account."""

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import httpx2

from api.cli.errors import WrongUse
from api.cli.repository import fetch_from_folder
from storage.errors import EngineUnavailable, InvalidInput, NotFound

if TYPE_CHECKING:
    from signing.trust_source import Fetch

_PLAIN = {"Accept-Encoding": "identity"}
_TIMEOUT = httpx2.Timeout(10.0)


def fetch_from_url(url: str) -> "Fetch":
    """Files under an ``http(s)://`` or ``file://`` address. Only 404 means that there is none (S20).

    Raises WrongUse for another kind of address. The fetch raises EngineUnavailable for every other answer;
    how long it may take in all is the caller's to say (``signing.trust_source.within``).
    """
    parts = urlsplit(url)
    if parts.scheme == "file" and not parts.netloc:
        return fetch_from_folder(Path(unquote(parts.path)))
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise WrongUse(
            f"{url!r} is not the address of a repository.",
            hint="Write it as in https://bucket.example/tuf/metadata or file:///mnt/mirror/metadata.",
        )

    async def fetch(name: str, limit: int) -> bytes:
        try:
            async with (
                httpx2.AsyncClient(timeout=_TIMEOUT, headers=_PLAIN, follow_redirects=False) as http,
                http.stream("GET", f"{url.rstrip('/')}/{name}") as answer,
            ):
                return await _body(answer, name, limit)
        except httpx2.TransportError as error:
            raise EngineUnavailable(f"{parts.hostname} does not answer: {type(error).__name__}") from error

    return fetch


async def _body(answer: httpx2.Response, name: str, limit: int) -> bytes:
    if answer.status_code == httpx2.codes.NOT_FOUND:
        raise NotFound("metadata file", name)
    if answer.status_code != httpx2.codes.OK:
        raise EngineUnavailable(
            f"the answer was {answer.status_code}",
            hint="403 for a file that is not there: the bucket must let its readers list it.",
        )
    data = bytearray()
    async for piece in answer.aiter_raw():
        data += piece
        if len(data) > limit:
            raise InvalidInput(f"{name} is longer than {limit} bytes.")
    return bytes(data)
