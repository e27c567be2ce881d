"""The update path of a charger, from the command to the proof that the image runs."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, replace

import httpx2
from cryptography import x509

from csms.simulator.concurrency import cancel
from csms.simulator.download import Fetched, Transfer, download
from csms.simulator.errors import DownloadFailed, ImageInvalid, RequestInvalid
from csms.simulator.firmware import Fate, Image, fate, read_image
from csms.simulator.flash import Boot, Flash
from csms.simulator.ledger import ChargerLedger, Ledger
from csms.simulator.outlet import Outlets
from csms.simulator.pace import SimPace
from csms.simulator.personality import Claim, Personality
from csms.simulator.signature import certificate_problem, signature_holds
from csms.simulator.stages import BUSY, CANCELLABLE, Stage, Step, advance
from csms.simulator.voice import Voice
from csms.simulator.wire import UpdateRequest
from csms.simulator.words import BootReason, FirmwareWord, SecurityWord

_SOON_S = 1.0
"""A retrieve time nearer than this is now."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What an update works on and with."""

    charger_id: str
    personality: Personality
    voice: Voice
    flash: Flash
    outlets: Outlets
    account: ChargerLedger
    ledger: Ledger
    pace: SimPace
    rng: random.Random
    http: httpx2.AsyncClient
    roots: tuple[x509.Certificate, ...]
    transfer: Transfer
    """How this charger fetches; the location comes with the command."""
    restart: Callable[[BootReason], None]
    reached: Callable[[Stage], None]
    """Told of every stage: faults strike there."""


class Updater:
    """One update at a time. The stage survives a restart, as it does in flash."""

    def __init__(self, parts: Parts) -> None:
        self.stage = Stage.IDLE
        self.request: UpdateRequest | None = None
        self.last_word = FirmwareWord.IDLE
        self._parts = parts
        self._task: asyncio.Task[None] | None = None
        self._late_word: FirmwareWord | None = None
        self._kept: tuple[UpdateRequest, Fetched] | None = None

    # The command.

    def consider(self, request: UpdateRequest) -> tuple[str, Callable[[], None] | None]:
        """Answer an update command: (status, what to do once the answer left)."""
        account = self._parts.account
        account.note("update_received", request=request.request_id, signed=int(request.signed))
        self._demand_signature(request)
        if self.stage in BUSY:
            if self.request and self.request.request_id == request.request_id:
                account.note("update_resent", request=request.request_id)
                return "Accepted", None
            self._note_overlap(request)
            if self.stage not in CANCELLABLE:
                return "Rejected", None  # L01.FR.27
        problem = self._certificate_problem(request)
        if problem:
            account.note("bad_certificate", request=request.request_id, why=problem)
            return "InvalidCertificate", lambda: self._alarm(SecurityWord.BAD_CERTIFICATE, problem)
        return self._take(request)

    def _demand_signature(self, request: UpdateRequest) -> None:
        if request.signed:
            return
        self._parts.account.note("unsigned_command", request=request.request_id)
        if not self._parts.voice.wire.takes_unsigned:
            raise RequestInvalid("NotSupported", "This charge point takes signed updates only.")

    def _note_overlap(self, request: UpdateRequest) -> None:
        same = self.request is not None and self.request.same_image(request)
        what = "same_image_while_updating" if same else "different_image_while_updating"
        self._parts.account.note(what, request=request.request_id)

    def _certificate_problem(self, request: UpdateRequest) -> str | None:
        if not request.signed or request.certificate is None:
            return None
        parts = self._parts
        return certificate_problem(
            request.certificate, parts.roots, parts.personality.scheme, parts.voice.now()
        )

    def _take(self, request: UpdateRequest) -> tuple[str, Callable[[], None]]:
        status = "Accepted"
        if self.stage in BUSY:
            status = "AcceptedCanceled"  # L01.FR.24
            if self._task:
                self._task.cancel()
            self._step(Step.CANCEL)
            self._parts.flash.settle()
            self._in_service()
        self.request = request
        self._step(Step.ACCEPT)
        return status, lambda: self._begin(request)

    def _begin(self, request: UpdateRequest) -> None:
        if self.request is request and self.stage is Stage.FETCHING:
            self._task = asyncio.create_task(self._update(request))
            self._task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception():
            self._parts.account.note("simulator_error", why=repr(task.exception()))

    # The work.

    async def _update(self, request: UpdateRequest) -> None:
        image = await self._fetch(request)
        if image and self._proved(request, image):
            self._kept = (request, image) if self._parts.personality.keeps_image else None
            await self._wait_for_install_time(request)
            await self._wait_for_sessions()
            await self._install(image)

    async def _fetch(self, request: UpdateRequest) -> Fetched | None:
        parts = self._parts
        wait_s = (request.retrieve_at - parts.voice.now()).total_seconds()
        if wait_s > _SOON_S:
            self._step(Step.POSTPONE)
            await asyncio.sleep(wait_s)
        if self._kept and request.signed and self._kept[0].same_image(request):
            self._step(Step.FETCHED)
            return self._kept[1]
        self._step(Step.FETCH)
        retry_s = min(request.retry_s, parts.pace.download_retry_s)
        transfer = replace(parts.transfer, url=request.location, retries=request.retries, retry_s=retry_s)
        try:
            fetched = await download(parts.http, transfer)
        except DownloadFailed as error:
            parts.account.note("download_failed", request=request.request_id, why=error.message)
            self._step(Step.FETCH_FAILED)
            return None
        parts.account.note("downloaded", request=request.request_id, requests=fetched.requests)
        self._step(Step.FETCHED)
        return fetched

    def _proved(self, request: UpdateRequest, image: Fetched) -> bool:
        certificate, signature = request.certificate, request.signature
        if not certificate or not signature:
            self._step(Step.UNSIGNED)
            return True
        if signature_holds(certificate, self._parts.personality.scheme, signature, image.sha256):
            self._step(Step.PROVED)
            return True
        self._parts.account.note("bad_signature", request=request.request_id)
        self._step(Step.DISPROVED)
        self._alarm(SecurityWord.BAD_SIGNATURE, f"request {request.request_id}")
        return False

    async def _wait_for_install_time(self, request: UpdateRequest) -> None:
        parts = self._parts
        if request.install_at is None or not parts.personality.waits_for_install_time:
            return
        wait_s = (request.install_at - parts.voice.now()).total_seconds()
        if wait_s > _SOON_S:
            self._step(Step.HOLD)
            await asyncio.sleep(wait_s)

    async def _wait_for_sessions(self) -> None:
        parts = self._parts
        if parts.personality.waits_for_session and parts.outlets.charging:
            self._step(Step.HOLD)
            parts.outlets.block(hidden=parts.personality.unavailable_while_installing)
            await parts.outlets.sessions_over()

    async def _install(self, fetched: Fetched) -> None:
        parts = self._parts
        parts.outlets.block(hidden=parts.personality.unavailable_while_installing)
        parts.ledger.away(parts.charger_id)
        self._step(Step.INSTALL)
        parts.outlets.cut("install")
        await asyncio.sleep(parts.rng.uniform(*parts.pace.install_s))
        image = self._unpack(fetched)
        if image is None:
            self._step(Step.INSTALL_FAILED)
            self._in_service()
            return
        parts.flash.write(image)
        self._step(Step.WRITE)
        await self._activate()

    def _unpack(self, fetched: Fetched) -> Image | None:
        parts = self._parts
        try:
            image = read_image(fetched.head)
        except ImageInvalid as error:
            parts.account.note("install_failed", why=error.message)
            return None
        if fate(image.script, parts.charger_id) is Fate.INSTALL_FAILURE:
            parts.account.note("install_failed", why="the image's script")
            return None
        return image

    async def _activate(self) -> None:
        parts = self._parts
        if parts.personality.claim is Claim.BEFORE_REBOOT or parts.personality.needs_reset:
            self._claim(parts.personality.claims)
        if parts.personality.needs_reset:
            parts.outlets.unblock()
            return
        self._step(Step.REBOOT)
        await parts.voice.outbox.flushed(parts.pace.flush_s)
        parts.restart(BootReason.FIRMWARE_UPDATE)

    # Restarts.

    async def power_lost(self) -> None:
        """The charger is off: whatever ran is gone, the stage is not."""
        if self._task:
            await cancel(self._task)
            self._task = None
        if self.stage in BUSY:
            move = advance(self.stage, Step.POWER_LOST)
            self.stage, self._late_word = move.to, move.word or self._late_word
        if self.stage is Stage.REBOOTING:
            # Until it is known which image runs, no car is served.
            self._parts.outlets.block(hidden=self._parts.personality.unavailable_while_installing)

    def booted(self, boot: Boot) -> None:
        """The server let the charger in after a start: say what became of the update."""
        if self._late_word:
            self._say(self._late_word)
            self._late_word = None
            self._in_service()
        if self.stage is not Stage.REBOOTING or boot is Boot.CRASHES:
            return
        if boot is Boot.FELL_BACK:
            self._fell_back()
        else:
            self._came_up(boot)
        self._parts.flash.settle()
        self._in_service()

    def _came_up(self, boot: Boot) -> None:
        personality = self._parts.personality
        if boot is Boot.LIES:
            self._claim(max(1, personality.claims))
        else:
            early = personality.claim is Claim.BEFORE_REBOOT or personality.needs_reset
            self._claim(0 if early else personality.claims)
            self._alarm(SecurityWord.FIRMWARE_UPDATED, self._parts.flash.running.version)
        self._step(Step.RUN)
        self.last_word = FirmwareWord.IDLE

    def _fell_back(self) -> None:
        self._parts.account.note("fell_back", version=self._parts.flash.running.version)
        if self._parts.personality.reports_fall_back:
            self._step(Step.FALL_BACK)
        else:
            self.stage = advance(self.stage, Step.FALL_BACK).to

    def _in_service(self) -> None:
        self._parts.outlets.unblock()
        self._parts.ledger.back(self._parts.charger_id)

    # Words.

    def _claim(self, times: int) -> None:
        for _ in range(times):
            self._step(Step.CLAIM)

    def _step(self, step: Step) -> None:
        move = advance(self.stage, step)
        self.stage = move.to
        if move.word:
            self._say(move.word)
        self._parts.reached(self.stage)

    def _say(self, word: FirmwareWord) -> None:
        self.last_word = word
        self._parts.voice.firmware(word, self.request.request_id if self.request else None)

    def _alarm(self, word: SecurityWord, detail: str) -> None:
        self._parts.voice.security(word, detail)

    def tell(self) -> None:
        """Answer a trigger: the last status, or Idle after a success (L01.FR.25, FR.26)."""
        done = self.last_word is FirmwareWord.INSTALLED
        word = FirmwareWord.IDLE if done else self.last_word
        request_id = self.request.request_id if self.request else None
        self._parts.voice.say(self._parts.voice.wire.firmware_status(word, request_id))
