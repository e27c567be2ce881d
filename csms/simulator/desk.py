"""Answering the server's calls: what the charger does with each request it understands."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from csms.simulator.asks import Ask
from csms.simulator.errors import RequestInvalid
from csms.simulator.holdings import SIGN_TRIGGERS, Holdings
from csms.simulator.link import Reply
from csms.simulator.logbook import Logbook
from csms.simulator.outlet import Outlets
from csms.simulator.publisher import Publisher
from csms.simulator.stages import BUSY, Stage
from csms.simulator.updater import Updater
from csms.simulator.voice import Voice
from csms.simulator.wire import (
    Answer,
    AvailabilityRequest,
    LogRequest,
    Payload,
    PublishRequest,
    Reading,
    ReadRequest,
    ReportRequest,
    Request,
    ResetRequest,
    TriggerRequest,
    UnpublishRequest,
    UpdateRequest,
)
from csms.simulator.words import BootReason, PlugWord

Deed = Callable[[], None] | None


@dataclass(frozen=True, slots=True)
class Reach:
    """What the desk acts on."""

    voice: Voice
    outlets: Outlets
    updater: Updater
    logbook: Logbook
    holdings: Holdings
    publisher: Publisher | None
    """None: it is no local controller."""
    lacks: frozenset[str]
    """Actions that it does not know, although its dialect has them."""
    report_from: int
    """The number of a report's first part."""
    boot_again: Callable[[], None]
    restart: Callable[[BootReason], None]


class Desk:
    """Reads a call, decides, answers; deeds follow once the answer has left."""

    def __init__(self, reach: Reach) -> None:
        self._at = reach
        self._waiting: asyncio.Task[None] | None = None

    def answer(self, action: str, payload: Payload) -> Reply:
        """The reply to one call of the server; never raises."""
        wire = self._at.voice.wire
        try:
            if action in self._at.lacks:
                raise RequestInvalid("NotImplemented", f"{action} is not implemented here.")
            request = wire.read(action, payload)
            answer, then = self._decide(request)
            return Reply(wire.answer(request, answer), then=then)
        except RequestInvalid as error:
            return Reply({}, error=(wire.error_code(error.code), error.message))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            return Reply({}, error=(wire.error_code("FormatViolation"), f"{action}: {error!r}"))

    def _decide(self, request: Request) -> tuple[Answer, Deed]:
        match request:
            case UpdateRequest():
                status, then = self._at.updater.consider(request)
                return Answer(status), then
            case ResetRequest():
                return self._reset(request)
            case AvailabilityRequest():
                return self._availability(request), None
            case TriggerRequest():
                return self._trigger(request)
            case LogRequest():
                return self._at.logbook.consider(request)
            case PublishRequest() | UnpublishRequest():
                return self._offer(request)
            case ReportRequest():
                return Answer("Accepted"), lambda: self._report(request)
            case _:
                return self._about_itself(request)

    def _about_itself(self, request: ReadRequest | Ask) -> tuple[Answer, Deed]:
        if isinstance(request, ReadRequest):
            return self._at.holdings.read(request), None
        return self._at.holdings.consider(request)

    def _offer(self, request: PublishRequest | UnpublishRequest) -> tuple[Answer, Deed]:
        publisher = self._at.publisher
        if publisher is None:
            raise RequestInvalid("NotSupported", "This is no local controller.")
        if isinstance(request, UnpublishRequest):
            return Answer(publisher.withdraw(request)), None
        status, then = publisher.consider(request)
        return Answer(status), then

    def _availability(self, request: AvailabilityRequest) -> Answer:
        chosen = self._at.outlets.chosen(request.evse_id)
        if not chosen:
            return Answer("Rejected")
        at_once = [outlet.set_operative(operative=request.operative) for outlet in chosen]
        return Answer("Accepted" if all(at_once) else "Scheduled")

    def _reset(self, request: ResetRequest) -> tuple[Answer, Deed]:
        # B11.FR.06: not in the middle of an update; an image that waits for the reset is no middle.
        if self._at.updater.stage in BUSY - {Stage.WRITTEN}:
            return Answer("Rejected"), None
        if request.on_idle and self._at.outlets.charging:
            self._at.outlets.block(hidden=False)
            return Answer("Scheduled"), self._reset_when_idle
        return Answer("Accepted"), lambda: self._at.restart(BootReason.REMOTE_RESET)

    def _reset_when_idle(self) -> None:
        async def wait() -> None:
            await self._at.outlets.sessions_over()
            self._at.outlets.unblock()
            self._at.restart(BootReason.REMOTE_RESET)

        self._waiting = asyncio.create_task(wait())

    def power_lost(self) -> None:
        """A reset that waited is not waited for any more."""
        if self._waiting:
            self._waiting.cancel()
            self._waiting = None
        self._at.logbook.power_lost()

    def _trigger(self, request: TriggerRequest) -> tuple[Answer, Deed]:
        deeds: dict[str, Callable[[], None]] = {
            "BootNotification": self._at.boot_again,
            "Heartbeat": lambda: self._at.voice.say(self._at.voice.wire.heartbeat()),
            "FirmwareStatusNotification": self._at.updater.tell,
            "LogStatusNotification": self._at.logbook.tell,
            "StatusNotification": lambda: self.show_all(request.evse_id),
            "MeterValues": lambda: self._meter(request.evse_id),
            "TransactionEvent": lambda: self._sessions(request.evse_id),
        }
        if self._at.publisher is not None:
            deeds["PublishFirmwareStatusNotification"] = self._at.publisher.tell
        if request.message in SIGN_TRIGGERS:
            return Answer("Accepted"), lambda: self._at.holdings.request_certificate(request.message)
        deed = deeds.get(request.message)
        return (Answer("Accepted"), deed) if deed else (Answer("NotImplemented"), None)

    def show_all(self, evse_id: int | None = None) -> None:
        """Report what the outlets show, and the charger itself."""
        voice = self._at.voice
        if evse_id is None:
            operative = any(outlet.operative for outlet in self._at.outlets)
            voice.station(PlugWord.AVAILABLE if operative else PlugWord.UNAVAILABLE)
        for outlet in self._at.outlets.chosen(evse_id):
            voice.plug(outlet.plug())

    def _meter(self, evse_id: int | None) -> None:
        voice = self._at.voice
        for outlet in self._at.outlets.chosen(evse_id):
            reading = Reading(voice.timestamp(), outlet.meter_wh, 0)
            voice.say(voice.wire.sampled(outlet.evse_id, reading))

    def _sessions(self, evse_id: int | None) -> None:
        for outlet in self._at.outlets.chosen(evse_id):
            if outlet.session:
                self._at.voice.metered(outlet.session)

    def _report(self, request: ReportRequest) -> None:
        voice = self._at.voice
        entries = self._at.holdings.entries(settings_only=request.settings_only)
        parts = voice.wire.report(request.request_id, voice.timestamp(), entries, self._at.report_from)
        for message in parts:
            voice.say(message)
