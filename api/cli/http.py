"""A thin client of ``/api/v1``: bearer token, problem+json, idempotency keys, cursor paging."""

import hashlib
import json
import ssl
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import httpx2

from api.cli.errors import CliError, Record, Refused, Unreachable, WrongUse

PREFIX = "/api/v1"
_BUSY = (502, 503, 504)
_LISTS = ("artifact", "campaign", "charger", "site", "token")


class Api:
    """One connection to the api. Every method returns parsed JSON or raises a CliError."""

    def __init__(
        self,
        base_url: str,
        token: str,
        *,
        token_source: str = "",
        idempotency_key: str | None = None,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        self.base_url = base_url
        self.idempotency_key: str | None = None
        """The key of the last POST, once there was one."""
        self._wanted_key = idempotency_key
        self._token_source = token_source
        self._http = httpx2.Client(
            base_url=base_url + PREFIX,
            headers={"Accept": "application/json", **_bearer(token)},
            timeout=httpx2.Timeout(30.0, read=60.0, write=300.0),
            verify=_trust(base_url),
            transport=transport,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def get(self, path: str, **params: str | int | bool | None) -> Any:
        """GET; parameters that are None are left out."""
        given = {name: value for name, value in params.items() if value is not None}
        return self._send("GET", path, params=given)

    def get_slowly(self, path: str, patience_s: float, params: Mapping[str, int]) -> Any:
        """GET what takes long before its first byte."""
        return self._send("GET", path, params=dict(params), **_patient(patience_s))

    def post(
        self,
        path: str,
        body: Any = None,
        *,
        params: Mapping[str, str] | None = None,
        patience_s: float | None = None,
        if_match: str | None = None,
    ) -> Any:
        """POST JSON with an Idempotency-Key, so that the same command may be sent again safely."""
        headers = self._key() if if_match is None else {**self._key(), "If-Match": if_match}
        return self._send("POST", path, json=body, params=params, headers=headers, **_patient(patience_s))

    def tus(
        self, method: str, path: str, headers: Mapping[str, str], content: Iterable[bytes] | None = None
    ) -> Mapping[str, str]:
        """One request of a resumable upload; the headers of its answer."""
        given = {"Tus-Resumable": "1.0.0", **headers}
        try:
            response = self._http.request(method, path.removeprefix(PREFIX), headers=given, content=content)
        except httpx2.TransportError as error:
            raise Unreachable(
                f"{self.base_url} does not answer: {_said(error)}", hint=self._after_silence(method)
            ) from error
        if not response.is_success:
            self._parsed(response)
        return response.headers

    def put(self, path: str, body: Any) -> Any:
        """PUT JSON."""
        return self._send("PUT", path, json=body)

    def patch(self, path: str, body: Any, *, if_match: str) -> Any:
        """PATCH JSON against the version that was read."""
        return self._send("PATCH", path, json=body, headers={"If-Match": if_match})

    def delete(self, path: str, **params: str) -> Any:
        """DELETE."""
        return self._send("DELETE", path, params=params)

    def post_bytes(self, path: str, content: bytes, media_type: str, **params: str) -> Any:
        """POST a document as it is."""
        headers = {**self._key(), "Content-Type": media_type}
        return self._send("POST", path, content=content, params=params, headers=headers)

    def put_bytes(self, path: str, content: bytes, media_type: str) -> Any:
        """PUT a document as it is."""
        return self._send("PUT", path, content=content, headers={"Content-Type": media_type})

    def upload(self, path: str, file: Path, manifest: Record) -> Any:
        """POST a file, streamed from disk, with its manifest as multipart form data."""
        with file.open("rb") as stream:
            return self._send(
                "POST",
                path,
                files={"file": (str(manifest["filename"]), stream, "application/octet-stream")},
                data={"manifest": json.dumps(manifest)},
                headers=self._key(),
            )

    def metadata(self, name: str, limit: int) -> bytes:
        """One file of the TUF repository, at most ``limit`` bytes; NotFound when there is none."""
        from storage.errors import InvalidInput, NotFound

        data = bytearray()
        try:
            with self._http.stream("GET", f"{self.base_url}/tuf/metadata/{name}") as response:
                if response.status_code == 404:
                    raise NotFound("metadata file", name)
                if not response.is_success:
                    raise CliError(f"{self.base_url} did not hand out {name} ({response.status_code}).")
                for piece in response.iter_bytes():
                    data += piece
                    if len(data) > limit:
                        raise InvalidInput(f"{name} is longer than {limit} bytes.")
        except httpx2.TransportError as error:
            raise Unreachable(
                f"{self.base_url} does not answer: {_said(error)}", hint=self._after_silence("GET")
            ) from error
        return bytes(data)

    def get_bytes(self, path: str, *, limit: int) -> bytes:
        """GET a document as it is, at most ``limit`` bytes. Raises CliError."""
        data = bytearray()
        try:
            with self._http.stream("GET", path) as response:
                if not response.is_success:
                    response.read()
                    self._parsed(response)
                for piece in response.iter_bytes():
                    data += piece
                    if len(data) > limit:
                        raise CliError(f"{path} is longer than {limit} bytes.")
        except httpx2.TransportError as error:
            raise Unreachable(
                f"{self.base_url} does not answer: {_said(error)}", hint=self._after_silence("GET")
            ) from error
        return bytes(data)

    def download(self, path: str, file: Path, *, sha256: str) -> None:
        """GET bytes into a file, which is there only once it is whole. Raises CliError if they differ."""
        part = file.with_name(f"{file.name}.part")
        seen = hashlib.sha256()
        try:
            with self._http.stream("GET", path) as response, part.open("wb") as out:
                if not response.is_success:
                    response.read()
                    self._parsed(response)
                for piece in response.iter_bytes():
                    seen.update(piece)
                    out.write(piece)
            if seen.hexdigest() != sha256:
                raise CliError(f"{path} came with other bytes than the server has on record.")
            part.replace(file)
        except httpx2.TransportError as error:
            raise Unreachable(
                f"{self.base_url} does not answer: {_said(error)}", hint=self._after_silence("GET")
            ) from error
        except OSError as error:
            raise WrongUse(f"{file} cannot be written: {error.strerror}.") from error
        finally:
            part.unlink(missing_ok=True)

    def pages(
        self, path: str, limit: int, *, start: str | None = None, **params: str | int | bool | None
    ) -> Iterator[Record]:
        """The items of a listing after the cursor ``start``, page after page, at most ``limit`` of them."""
        cursor = start
        left = limit
        while left > 0:
            page = self.get(path, limit=min(left, 500), cursor=cursor, **params)
            items = page["items"][:left]
            yield from items
            left -= len(items)
            cursor = page.get("next_cursor")
            if cursor is None or not items:
                return

    def post_pages(self, path: str, body: Any, limit: int) -> Iterator[Record]:
        """The items of a listing that is asked for by a POST which changes nothing."""
        cursor: str | None = None
        left = limit
        while left > 0:
            params = {"limit": str(min(left, 500)), **({"cursor": cursor} if cursor else {})}
            page = self._send("POST", path, json=body, params=params)
            yield from page["items"][:left]
            left -= len(page["items"])
            cursor = page.get("next_cursor")
            if cursor is None:
                return

    def _key(self) -> dict[str, str]:
        """A key given on the command line belongs to the first POST; later ones get their own."""
        self.idempotency_key = self._wanted_key or uuid4().hex
        self._wanted_key = None
        return {"Idempotency-Key": self.idempotency_key}

    def _send(self, method: str, path: str, **request: Any) -> Any:
        try:
            response = self._http.request(method, path, **request)
        except (httpx2.InvalidURL, httpx2.UnsupportedProtocol) as error:
            raise CliError(f"{self.base_url} is not an address of an api: {error}") from error
        except (httpx2.TransportError, ssl.SSLError) as error:
            raise Unreachable(
                f"{self.base_url} does not answer: {_said(error)}", hint=self._after_silence(method)
            ) from error
        return self._parsed(response)

    def _after_silence(self, method: str) -> str:
        start = (
            "Is it running? `ampwave up` starts everything on this machine; --url points to another server."
        )
        if method != "POST":
            return start
        again = f"--idempotency-key {self.idempotency_key}"
        return (
            f"{start}\nThe server may have acted all the same: repeat with {again}, which never acts twice."
        )

    def _parsed(self, response: httpx2.Response) -> Any:
        if response.status_code == 204:
            return {}
        document = _json(response)
        if response.is_success and document is not None:
            return document
        if not isinstance(document, dict):
            raise _not_ours(self.base_url, response)
        problem = {"status": response.status_code, **document}
        if response.status_code in _BUSY:
            raise Unreachable(_sentence(problem), hint="Try again in a moment.")
        raise Refused(problem, hint=self._hint(response))

    def _hint(self, response: httpx2.Response) -> str:
        """What only this side knows: whence the token came, which command lists, which request it was."""
        if response.status_code == 401 and self._token_source:
            return f"The token came from {self._token_source}."
        noun = response.request.url.path.removeprefix(PREFIX).strip("/").partition("/")[0].removesuffix("s")
        if response.status_code == 404 and noun in _LISTS:
            return f"`ampwave {noun} list` shows what there is."
        request_id = response.headers.get("X-Request-ID")
        if response.status_code >= 500 and request_id:
            return f"Tell the operator: request {request_id}."
        return ""


def _patient(seconds: float | None) -> dict[str, Any]:
    """For what takes the api longer than its usual answers."""
    return {"timeout": httpx2.Timeout(30.0, read=seconds)} if seconds else {}


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}


def _trust(base_url: str) -> ssl.SSLContext | bool:
    """The machine's authorities, read only where TLS is spoken: reading them takes 70 ms."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if base_url.startswith("http:") else True


def _json(response: httpx2.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return None


def _sentence(problem: Record) -> str:
    return str(problem.get("detail") or problem.get("title") or f"The server answered {problem['status']}.")


def _said(error: Exception) -> str:
    if isinstance(error, httpx2.TimeoutException):
        return "no answer in time."
    return f"{error}." if str(error) else f"{type(error).__name__}."


def _not_ours(base_url: str, response: httpx2.Response) -> CliError:
    """An answer without JSON comes from something else, or from a proxy in front of a dead api."""
    kind = Unreachable if response.status_code in _BUSY else CliError
    return kind(
        f"{base_url} answered {response.status_code} without JSON, so it is not the Ampwave api.",
        hint="Check --url or AMPWAVE_PUBLIC_URL.",
    )
