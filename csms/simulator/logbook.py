"""Logs on request: the charger writes down what it remembers and uploads it, telling how it goes."""

import asyncio
from collections.abc import Callable

import httpx2
import orjson

from csms.simulator.ledger import ChargerLedger
from csms.simulator.pace import SimPace
from csms.simulator.personality import LogStyle
from csms.simulator.voice import Voice
from csms.simulator.wire import Answer, LogRequest
from csms.simulator.words import LogWord

_SECURITY = "SecurityLog"
_LATEST = 500
_TIMEOUT_S = 60.0


class Logbook:
    """One upload at a time; a newer request takes the place of an older one (2.x N01.FR.12)."""

    def __init__(
        self,
        style: LogStyle,
        voice: Voice,
        account: ChargerLedger,
        http: httpx2.AsyncClient,
        pace: SimPace,
    ) -> None:
        self._style = style
        self._voice = voice
        self._account = account
        self._http = http
        self._pace = pace
        self._request: LogRequest | None = None
        self._word = LogWord.IDLE
        self._task: asyncio.Task[None] | None = None

    def consider(self, request: LogRequest) -> tuple[Answer, Callable[[], None]]:
        """Answer a request: it is always accepted, and begun once the answer has left."""
        self._account.note("log_requested", request=request.request_id, kind=request.kind)
        busy = self._task is not None and not self._task.done()
        status = "AcceptedCanceled" if busy else "Accepted"
        return Answer(status, file_name=self._name(request)), lambda: self._begin(request)

    def tell(self) -> None:
        """Answer a trigger."""
        self._voice.say_if(self._voice.wire.log_status(self._word, self._request_id()))

    def power_lost(self) -> None:
        """An upload does not survive that."""
        if self._task is not None:
            self._task.cancel()
        self._request, self._word = None, LogWord.IDLE

    def _request_id(self) -> int | None:
        return self._request.request_id if self._request else None

    def _begin(self, request: LogRequest) -> None:
        if self._task is not None and not self._task.done():
            self._task.cancel()
            self._say(LogWord.CANCELED)
        self._request = request
        self._task = asyncio.create_task(self._upload(request))

    def _say(self, word: LogWord) -> None:
        self._word = word
        self.tell()

    async def _upload(self, request: LogRequest) -> None:
        self._say(LogWord.UPLOADING)
        for attempt in range(request.retries + 1):
            if attempt:
                await asyncio.sleep(min(request.retry_s, self._pace.upload_retry_s))
            problem = await self._attempt(request)
            if problem is None:
                self._account.note("log_uploaded", request=request.request_id, kind=request.kind)
                self._say(LogWord.UPLOADED)
                return
            self._account.note("log_upload_failed", request=request.request_id, why=problem)
        self._say(LogWord.FAILED)

    async def _attempt(self, request: LogRequest) -> str | None:
        """Why it did not work, or None."""
        text, name, place = self._text(request), self._name(request), request.location
        try:
            match self._style:
                case LogStyle.PUT:
                    answer = await self._http.put(place, content=text, timeout=_TIMEOUT_S)
                case LogStyle.PUT_NAMED:
                    answer = await self._http.put(
                        f"{place.rstrip('/')}/{name}", content=text, timeout=_TIMEOUT_S
                    )
                case LogStyle.FORM:
                    file = (name, text, "application/octet-stream")
                    answer = await self._http.post(place, files={"file": file}, timeout=_TIMEOUT_S)
        except httpx2.HTTPError as error:
            return type(error).__name__
        return None if answer.is_success else f"the server answered {answer.status_code}"

    def _name(self, request: LogRequest) -> str:
        word = "security" if request.kind == _SECURITY else "diagnostics"
        return f"{self._account.charger_id}-{word}.log"

    def _text(self, request: LogRequest) -> bytes:
        """What the charger remembers, one line of JSON each; of security, only what concerns it."""
        rows = [*self._account.versions, *self._account.events]
        if request.kind == _SECURITY:
            rows = [row for row in rows if "security" in row.get("what", "") or "cause" in row]
        rows.sort(key=lambda row: row["at"])
        return b"".join(orjson.dumps(row) + b"\n" for row in rows[-_LATEST:])
