"""Asking OCSP responders, each question once: answers are kept until their next update, a week at most."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import httpx2
from cryptography import x509

from csms.pki.ocsp import OcspAnswer, OcspQuestion, OcspUnusable, judge_response, request_for
from csms.pki.path import CertificatePath
from storage.clock import Clock

MAX_RESPONSE_BYTES = 64 * 1024
RETRY_AFTER = timedelta(seconds=15)
"""How soon a responder that gave nothing is asked again: it must not be flooded by a reconnect storm."""
MAX_ANSWERS = 50_000
_HEADERS = {"Content-Type": "application/ocsp-request", "Accept": "application/ocsp-response"}


_Key = tuple[x509.Certificate, int]


@dataclass(frozen=True, slots=True)
class OcspOptions:
    """Whom to ask. A certificate's own address is followed only where that is allowed."""

    url: str | None = None
    from_certificates: bool = False
    deadline_s: float = 5.0

    @property
    def on(self) -> bool:
        """Whether anybody is asked at all."""
        return self.url is not None or self.from_certificates


@dataclass(frozen=True, slots=True)
class _Kept:
    answer: OcspAnswer | OcspUnusable
    until: datetime


class OcspClient:
    """Answers about charger certificates, from the cache or from their responder."""

    def __init__(
        self, http: httpx2.AsyncClient, options: OcspOptions, clock: Clock, random: Callable[[int], bytes]
    ) -> None:
        self._http = http
        self._options = options
        self._clock = clock
        self._random = random
        self._kept: OrderedDict[_Key, _Kept] = OrderedDict()
        self._silent_until: dict[str, datetime] = {}
        self._asking: dict[_Key, asyncio.Task[OcspAnswer | OcspUnusable]] = {}

    async def about(self, path: CertificatePath) -> OcspAnswer | OcspUnusable:
        """What is known of this certificate now."""
        key = (path.issuers[0], path.serial_number)
        kept = self._kept.get(key)
        if kept is not None and self._clock() < kept.until:
            return kept.answer
        task = self._asking.get(key)
        if task is None:
            task = asyncio.create_task(self._ask(key, path))
            self._asking[key] = task
            task.add_done_callback(lambda _: self._asking.pop(key, None))
        # Whoever stops waiting must not stop the others.
        return await asyncio.shield(task)

    async def _ask(self, key: _Key, path: CertificatePath) -> OcspAnswer | OcspUnusable:
        answer = await self._answer(path)
        until = answer.until if isinstance(answer, OcspAnswer) else self._clock() + RETRY_AFTER
        self._kept[key] = _Kept(answer, until)
        self._kept.move_to_end(key)
        while len(self._kept) > MAX_ANSWERS:
            self._kept.popitem(last=False)
        return answer

    async def _answer(self, path: CertificatePath) -> OcspAnswer | OcspUnusable:
        url = self._options.url or (path.ocsp_url if self._options.from_certificates else None)
        if url is None or urlsplit(url).scheme not in ("http", "https"):
            return OcspUnusable("neither a setting nor the certificate names a responder to ask")
        silent_until = self._silent_until.get(url)
        if silent_until is not None and self._clock() < silent_until:
            return OcspUnusable("the responder did not answer a moment ago")
        question = OcspQuestion(path.issuers[0], path.serial_number, self._random(16))
        try:
            async with asyncio.timeout(self._options.deadline_s):
                body = await self._post(url, request_for(question))
        except TimeoutError:
            body = f"the responder did not answer within {self._options.deadline_s:g} s"
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            body = f"the responder cannot be asked: {type(error).__name__}"
        if isinstance(body, str):
            # One silence for all, or a fleet would queue up behind a dead responder's deadlines.
            self._silent_until[url] = self._clock() + RETRY_AFTER
            return OcspUnusable(body)
        return judge_response(body, question, self._clock())

    async def _post(self, url: str, request: bytes) -> bytes | str:
        """The body, or what is wrong with the reply. Redirects are not followed."""
        async with self._http.stream("POST", url, content=request, headers=_HEADERS) as reply:
            if reply.status_code != 200:
                return f"the responder answered with HTTP {reply.status_code}"
            body = b""
            async for chunk in reply.aiter_bytes():
                body += chunk
                if len(body) > MAX_RESPONSE_BYTES:
                    return f"the responder sent more than {MAX_RESPONSE_BYTES} bytes"
        return body

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.aclose()
