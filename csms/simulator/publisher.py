"""What makes a charger its site's local controller: one download for all, offered there (2.x L03, L04)."""

import asyncio
import hashlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import NoReturn

import httpx2

from csms.simulator.concurrency import cancel
from csms.simulator.download import Transfer, download
from csms.simulator.errors import DownloadFailed, IllegalMove
from csms.simulator.faults import FaultKind
from csms.simulator.ledger import ChargerLedger
from csms.simulator.pace import SimPace
from csms.simulator.shelf import Shelf
from csms.simulator.voice import Voice
from csms.simulator.wire import PublishRequest, UnpublishRequest
from csms.simulator.words import PublishWord as Word

NEXT: dict[Word, frozenset[Word]] = {
    Word.IDLE: frozenset({Word.DOWNLOAD_SCHEDULED, Word.DOWNLOADING}),
    Word.DOWNLOAD_SCHEDULED: frozenset({Word.DOWNLOADING, Word.DOWNLOAD_FAILED}),
    Word.DOWNLOADING: frozenset({Word.DOWNLOAD_PAUSED, Word.DOWNLOADED, Word.DOWNLOAD_FAILED}),
    Word.DOWNLOAD_PAUSED: frozenset({Word.DOWNLOADING, Word.DOWNLOAD_FAILED}),
    Word.DOWNLOADED: frozenset({Word.CHECKSUM_VERIFIED, Word.INVALID_CHECKSUM}),
    Word.CHECKSUM_VERIFIED: frozenset({Word.PUBLISHED, Word.PUBLISH_FAILED}),
    Word.DOWNLOAD_FAILED: frozenset(),
    Word.INVALID_CHECKSUM: frozenset(),
    Word.PUBLISHED: frozenset(),
    Word.PUBLISH_FAILED: frozenset(),
}
"""Which word may follow which, of one publication; every one of them is told (L03)."""
_SCHEMES = ("http://", "https://")


@dataclass(slots=True)
class Publication:
    """One image that is to be offered, and how far it is."""

    request: PublishRequest
    word: Word = Word.IDLE
    places: tuple[str, ...] = ()

    @property
    def over(self) -> bool:
        """Whether nothing more comes of it."""
        return not NEXT[self.word]

    def turn(self, word: Word) -> None:
        """What is told next."""
        if word not in NEXT[self.word]:
            raise IllegalMove(f"A publication that is {self.word.value} cannot become {word.value}.")
        self.word = word


@dataclass(frozen=True, slots=True)
class Press:
    """What a publisher works with; ``transfer``: how it fetches."""

    voice: Voice
    account: ChargerLedger
    http: httpx2.AsyncClient
    transfer: Transfer
    pace: SimPace
    faults: frozenset[FaultKind] = field(default_factory=frozenset)


class Publisher:
    """One image at a time; the others wait. What is offered outlives a restart, a download does not."""

    def __init__(self, press: Press) -> None:
        self._press = press
        self._shelf = Shelf(lambda _: press.account.counts.update(["image_served"]))
        self._known: dict[int, Publication] = {}
        self._last: Publication | None = None
        self._waiting: deque[Publication] = deque()
        self._task: asyncio.Task[None] | None = None

    def consider(self, request: PublishRequest) -> tuple[str, Callable[[], None] | None]:
        """Answer PublishFirmware: (status, what to do once the answer left)."""
        self._press.account.note("publish_requested", request=request.request_id)
        known = self._known.get(request.request_id)
        if known and self._stands(known):
            return "Accepted", lambda: self._tell(known)
        if not request.location.startswith(_SCHEMES):
            return "Rejected", None
        publication = self._known[request.request_id] = Publication(request)
        return "Accepted", lambda: self._begin(publication)

    def _stands(self, one: Publication) -> bool:
        """Whether it is under way or offered; what failed or was taken back begins anew when asked again."""
        offered = one.word is Word.PUBLISHED and one.request.checksum.lower() in self._shelf
        return offered or not one.over

    def withdraw(self, request: UnpublishRequest) -> str:
        """Answer UnpublishFirmware."""
        name = request.checksum.lower()
        fetches = any(not one.over and one.request.checksum.lower() == name for one in self._known.values())
        if fetches or self._shelf.fetched_now(name):
            return "DownloadOngoing"  # L04.FR.03
        if name not in self._shelf:
            return "NoFirmware"  # L04.FR.02
        self._shelf.withdraw(name)
        self._press.account.note("unpublished")
        return "Unpublished"

    def tell(self) -> None:
        """Answer a trigger."""
        if self._last is None:
            voice = self._press.voice
            voice.say_if(voice.wire.publish_status(Word.IDLE, None, ()))
        else:
            self._tell(self._last)

    async def power_lost(self) -> None:
        """The download is gone, and nothing is served."""
        self._shelf.powered = False
        if self._task:
            await cancel(self._task)
        self._waiting.clear()

    def booted(self) -> None:
        """What it had is offered again; what it was fetching failed."""
        self._shelf.powered = True
        for one in [each for each in self._known.values() if not each.over]:
            if one.word is Word.IDLE:
                del self._known[one.request.request_id]  # Never begun: it may be asked again.
            else:
                self._say(one, Word.DOWNLOAD_FAILED)

    async def close(self) -> None:
        """The simulation is over."""
        if self._task:
            await cancel(self._task)
        await self._shelf.close()

    def _begin(self, publication: Publication) -> None:
        self._waiting.append(publication)
        if self._task is not None and not self._task.done():
            self._say(publication, Word.DOWNLOAD_SCHEDULED)
            return
        self._task = asyncio.create_task(self._work())
        self._task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception():
            self._press.account.note("simulator_error", why=repr(task.exception()))

    async def _work(self) -> None:
        while self._waiting:
            await self._publish(self._waiting.popleft())

    async def _publish(self, one: Publication) -> None:
        image = await self._fetch(one)
        if image is None:
            return
        self._say(one, Word.DOWNLOADED)
        if hashlib.md5(image, usedforsecurity=False).hexdigest() != one.request.checksum.lower():
            self._say(one, Word.INVALID_CHECKSUM)
            return
        self._say(one, Word.CHECKSUM_VERIFIED)
        try:
            one.places = (self._offer(one.request.checksum.lower(), image),)
        except OSError as error:
            self._failed(one, Word.PUBLISH_FAILED, str(error))
            return
        self._press.account.note("published", request=one.request.request_id)
        self._say(one, Word.PUBLISHED)

    async def _fetch(self, one: Publication) -> bytes | None:
        press, request = self._press, one.request
        self._say(one, Word.DOWNLOADING)
        transfer = replace(
            press.transfer,
            url=request.location,
            retries=request.retries,
            retry_s=min(request.retry_s, press.pace.download_retry_s),
            limit=0 if FaultKind.FULL_DISK in press.faults else press.transfer.limit,
            keeps=True,
        )

        async def pause(seconds: float) -> None:
            self._say(one, Word.DOWNLOAD_PAUSED)
            await asyncio.sleep(seconds)
            self._say(one, Word.DOWNLOADING)

        try:
            image = (await download(press.http, transfer, pause)).body
        except DownloadFailed as error:
            self._failed(one, Word.DOWNLOAD_FAILED, error.message)
            return None
        return image[:-1] + b"?" if FaultKind.SPOILT_IMAGE in press.faults else image

    def _offer(self, name: str, image: bytes) -> str:
        if FaultKind.NO_FILE_SERVER in self._press.faults:
            _refuse()
        place = self._shelf.offer(name, image)
        return f"{place}.gone" if FaultKind.UNSERVED in self._press.faults else place

    def _failed(self, one: Publication, word: Word, why: str) -> None:
        self._press.account.note("publish_failed", request=one.request.request_id, why=why)
        self._say(one, word)

    def _say(self, one: Publication, word: Word) -> None:
        one.turn(word)
        self._last = one
        self._tell(one)

    def _tell(self, one: Publication) -> None:
        voice = self._press.voice
        voice.say_if(voice.wire.publish_status(one.word, one.request.request_id, one.places))


def _refuse() -> NoReturn:
    raise OSError("The file server does not start.")
