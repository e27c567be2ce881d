"""Asking OCSP responders: anew every few seconds, since an answer of yesterday closes no socket in time.

While a responder gives nothing, its last answer counts until it runs out, a week at most.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import httpx2
from cryptography import x509

from csms.pki.ocsp import OcspAnswer, OcspQuestion, OcspUnusable, judge_response, request_for
from csms.pki.path import CertificatePath
from storage.clock import Clock

MAX_RESPONSE_BYTES = 64 * 1024
RETRY_AFTER = timedelta(seconds=15)
"""How soon a responder that gave nothing is asked again: it must not be flooded by a reconnect storm."""
MAX_ANSWERS = 50_000
MAX_RESPONDERS = 1_000
_HEADERS = {
    "Content-Type": "application/ocsp-request",
    "Accept": "application/ocsp-response",
    "Accept-Encoding": "identity",
}


_Key = tuple[x509.Certificate, int]


@dataclass(frozen=True, slots=True)
class OcspOptions:
    """Whom to ask. A certificate's own address is followed only where that is allowed."""

    url: str | None = None
    from_certificates: bool = False
    deadline_s: float = 5.0
    fresh_s: float = 20.0
    """How old an answer may be before the responder is asked again."""

    @property
    def on(self) -> bool:
        """Whether anybody is asked at all."""
        return self.url is not None or self.from_certificates


@dataclass(frozen=True, slots=True)
class _Kept:
    answer: OcspAnswer | OcspUnusable
    asked: datetime
    again: datetime
    """When to ask again."""

    def is_fresh(self, at: datetime) -> bool:
        # A clock that was set back must not keep an old answer alive.
        return self.asked <= at < self.again


@dataclass(frozen=True, slots=True)
class _Silence:
    reason: str
    for_all: bool = True
    """Whether it says that the responder is best left alone for a while."""


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
        self._silent_since: OrderedDict[str, datetime] = OrderedDict()
        self._asking: dict[_Key, asyncio.Task[OcspAnswer | OcspUnusable]] = {}

    async def about(self, path: CertificatePath) -> OcspAnswer | OcspUnusable:
        """What is known of this certificate now."""
        key = (path.issuers[0], path.serial_number)
        kept = self._kept.get(key)
        if kept is not None and kept.is_fresh(self._clock()):
            return kept.answer
        task = self._asking.get(key)
        if task is None:
            task = asyncio.create_task(self._ask(key, path))
            self._asking[key] = task
            task.add_done_callback(lambda _: self._asking.pop(key, None))
        # Whoever stops waiting must not stop the others.
        return await asyncio.shield(task)

    async def _ask(self, key: _Key, path: CertificatePath) -> OcspAnswer | OcspUnusable:
        asked = self._clock()
        answer = await self._answer(path)
        now, fresh = self._clock(), timedelta(seconds=self._options.fresh_s)
        if isinstance(answer, OcspUnusable):
            answer, fresh = self._last(key, now) or answer, RETRY_AFTER
        again = min(now + fresh, answer.until) if isinstance(answer, OcspAnswer) else now + fresh
        self._kept[key] = _Kept(answer, asked, again)
        self._kept.move_to_end(key)
        while len(self._kept) > MAX_ANSWERS:
            self._kept.popitem(last=False)
        return answer

    def _last(self, key: _Key, at: datetime) -> OcspAnswer | None:
        """What the responder said before, if that still counts."""
        kept = self._kept.get(key)
        if kept is None or not isinstance(kept.answer, OcspAnswer) or kept.answer.until <= at:
            return None
        return kept.answer

    async def _answer(self, path: CertificatePath) -> OcspAnswer | OcspUnusable:
        url = self._options.url or (path.ocsp_url if self._options.from_certificates else None)
        if url is None or not url.startswith(("http://", "https://")):
            return OcspUnusable("neither a setting nor the certificate names a responder to ask")
        silent_since = self._silent_since.get(url)
        if silent_since is not None and silent_since <= self._clock() < silent_since + RETRY_AFTER:
            return OcspUnusable("the responder did not answer a moment ago")
        question = OcspQuestion(path.issuers[0], path.serial_number, self._random(16))
        try:
            async with asyncio.timeout(self._options.deadline_s):
                reply = await self._post(url, request_for(question))
        except TimeoutError:
            reply = _Silence(f"the responder did not answer within {self._options.deadline_s:g} s")
        except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
            # ValueError: an address in a certificate may be one that no URL is.
            reply = _Silence(f"the responder cannot be asked: {type(error).__name__}")
        if isinstance(reply, bytes):
            return judge_response(reply, question, self._clock())
        if reply.for_all:
            self._be_silent(url)
        return OcspUnusable(reply.reason)

    def _be_silent(self, url: str) -> None:
        # One silence for all, or a fleet would queue up behind a dead responder's deadlines.
        self._silent_since[url] = self._clock()
        self._silent_since.move_to_end(url)
        while len(self._silent_since) > MAX_RESPONDERS:
            self._silent_since.popitem(last=False)

    async def _post(self, url: str, request: bytes) -> bytes | _Silence:
        """The body, or what is wrong with the reply. Redirects are not followed, nothing is unpacked."""
        async with self._http.stream("POST", url, content=request, headers=_HEADERS) as reply:
            if reply.status_code != 200:
                # A 4xx is about this one question; a charger must not silence the responder for all others.
                for_all = not 400 <= reply.status_code < 500 or reply.status_code == 429
                return _Silence(f"the responder answered with HTTP {reply.status_code}", for_all)
            body = b""
            async for chunk in reply.aiter_raw():
                body += chunk
                if len(body) > MAX_RESPONSE_BYTES:
                    return _Silence(f"the responder sent more than {MAX_RESPONSE_BYTES} bytes")
        return body

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.aclose()
