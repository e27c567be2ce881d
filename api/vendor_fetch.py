"""Fetching an image from a vendor's address, and never from our own network (S45).

A name is resolved once, every address it has must be public, and the connection goes to the very address that
was looked at, so that a second answer of the resolver changes nothing (DNS rebinding). Each redirect is a new
address and passes the same rules. Size and time are bounded; proxies of the environment are not used.
"""

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urljoin

import httpx2

from api.errors import ImageTooLarge
from api.pinned import Allowed, NotAllowed, Resolve, UnknownName, netloc, pinned, resolve
from api.vendor_url import Address, VendorUrl, is_public, parse_vendor_url
from storage.errors import InvalidInput

MAX_REDIRECTS = 5
_MOVED = (301, 302, 303, 307, 308)
_CHUNK = 256 * 1024
_SILENT_S = 30.0


@dataclass(frozen=True, slots=True)
class VendorFetch:
    """How addresses are looked up, which are allowed, and whose certificates count."""

    resolve: Resolve = resolve
    allowed: Allowed = is_public
    trust: Callable[[], ssl.SSLContext] = ssl.create_default_context

    @asynccontextmanager
    async def open(self, text: str, limit: int) -> AsyncIterator[AsyncIterator[bytes]]:
        """The bytes at this address, behind redirects. Raises InvalidInput or ImageTooLarge."""
        url = parse_vendor_url(text)
        timeout = httpx2.Timeout(_SILENT_S, connect=10.0)
        async with httpx2.AsyncClient(verify=self.trust(), trust_env=False, timeout=timeout) as http:
            for _ in range(MAX_REDIRECTS + 1):
                try:
                    response = await http.send(await self._request(http, url), stream=True)
                except (httpx2.HTTPError, ssl.SSLError) as error:
                    raise _unreachable(url, type(error).__name__) from error
                try:
                    if response.status_code not in _MOVED:
                        yield _bounded(url, response, limit)
                        return
                    url = _moved(url, response)
                finally:
                    await response.aclose()
        raise InvalidInput(f"The address redirects more than {MAX_REDIRECTS} times.")

    async def _request(self, http: httpx2.AsyncClient, url: VendorUrl) -> httpx2.Request:
        address = await self._pinned(url)
        return http.build_request(
            "GET",
            f"https://{netloc(address, url.port)}{url.target}",
            headers={
                "Host": url.host if url.port == 443 else f"{url.host}:{url.port}",
                "Accept": "application/octet-stream, */*",
                "Accept-Encoding": "identity",
                "User-Agent": "ampwave",
            },
            # The certificate must be the name's, though we connect to the address.
            extensions={"sni_hostname": url.host},
        )

    async def _pinned(self, url: VendorUrl) -> Address:
        try:
            return await pinned(url.host, url.port, self.resolve, self.allowed)
        except UnknownName as error:
            raise _unreachable(url, "its name is not known") from error
        except NotAllowed:
            raise InvalidInput(
                "This address is not fetched.",
                [f"url: {url.host} leads to an address that is not public"],
                hint="An image is fetched from the open network only; download it yourself and upload it.",
            ) from None


def _moved(url: VendorUrl, response: httpx2.Response) -> VendorUrl:
    place = response.headers.get("location", "")
    try:
        return parse_vendor_url(urljoin(url.text, place))
    except ValueError as error:
        raise _unreachable(url, "its redirect cannot be read") from error
    except InvalidInput as error:
        raise InvalidInput(
            f"{url.host} redirects to an address that is not fetched.", error.problems, hint=error.hint
        ) from None


async def _bounded(url: VendorUrl, response: httpx2.Response, limit: int) -> AsyncIterator[bytes]:
    if response.status_code != 200:
        raise _unreachable(url, f"it answered {response.status_code}")
    if response.headers.get("content-encoding", "identity") != "identity":
        raise _unreachable(url, "it sends the image compressed, which was not asked for")
    declared = response.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        raise ImageTooLarge(limit)
    seen = 0
    try:
        async for chunk in response.aiter_raw(_CHUNK):
            seen += len(chunk)
            if seen > limit:
                raise ImageTooLarge(limit)
            yield chunk
    except httpx2.HTTPError as error:
        raise _unreachable(url, f"it broke off after {seen} bytes ({type(error).__name__})") from error
    if declared.isdigit() and seen != int(declared):
        raise _unreachable(url, f"{seen} of {declared} bytes came")


def _unreachable(url: VendorUrl, why: str) -> InvalidInput:
    return InvalidInput(
        f"The image could not be fetched from {url.host}: {why}.",
        hint="Nothing was stored. Try again, or download it yourself and upload it.",
    )
