"""How the signer reaches a time stamp authority: one bounded POST, no redirects, no proxy."""

import httpx2

from signing.errors import RepositoryUnreachable
from signing.timestamping import MAX_STAMP, Post

_SECONDS = 10.0


def poster(url: str) -> Post:
    """Sends queries to the authority at ``url`` (RFC 3161 section 3.4)."""

    async def post(query: bytes) -> bytes:
        headers = {"Content-Type": "application/timestamp-query"}
        try:
            async with (
                httpx2.AsyncClient(timeout=_SECONDS, follow_redirects=False, trust_env=False) as http,
                http.stream("POST", url, content=query, headers=headers) as response,
            ):
                answer = b""
                async for piece in response.aiter_bytes():
                    answer += piece
                    if len(answer) > MAX_STAMP:
                        raise RepositoryUnreachable("The time stamp authority answers without an end.")
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise RepositoryUnreachable(
                f"The time stamp authority does not answer: {type(error).__name__}.",
                hint="Check AMPWAVE_AUDIT_TIMESTAMP_URL; it is tried again.",
            ) from error
        if response.status_code != 200:
            raise RepositoryUnreachable(f"The time stamp authority answered {response.status_code}.")
        return answer

    return post
