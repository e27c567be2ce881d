"""A site's local controller: it fetches an image once and offers it to the chargers behind it (L03, L04).

It is no authority. What it offers may be missing, or be something else than it was asked to offer.
"""

import asyncio
from dataclasses import dataclass, field

from csms.commands import AnswerStatus, Command, CommandAnswer, PublishFirmware, UnpublishFirmware
from storage.reports import PublishStatus, PublishStatusReported
from tests.safety.station import OTHER_BYTES, Station

GOOD, FAILS, SILENT, EMPTY, LIES, NO = "good", "fails", "silent", "empty", "other bytes", "refuses"
MOODS = (GOOD, GOOD, GOOD, FAILS, SILENT, EMPTY, LIES, NO)


@dataclass
class Controller(Station):
    """One of them; ``mood`` is what it makes of an image."""

    mood: str = GOOD
    offers: dict[str, str | None] = field(default_factory=dict)
    """What is behind each of its addresses now; None: it answers nobody."""
    announced: dict[str, str] = field(default_factory=dict)
    """By address: the version that it was asked to offer there."""
    _places: dict[str, str] = field(default_factory=dict)

    def obey(self, command: Command) -> CommandAnswer:
        """Publishes, and publishes no more."""
        if isinstance(command, PublishFirmware):
            return self._asked_to_publish(command)
        if isinstance(command, UnpublishFirmware):
            place = self._places.pop(command.checksum, None)
            self.offers.pop(place or "", None)
            return CommandAnswer(AnswerStatus.ACCEPTED if place else AnswerStatus.NOT_FOUND)
        return CommandAnswer(AnswerStatus.NOT_IMPLEMENTED)

    def _asked_to_publish(self, command: PublishFirmware) -> CommandAnswer:
        if self.mood == NO:
            return CommandAnswer(AnswerStatus.REJECTED)
        if self.mood != SILENT:
            self._loop().create_task(self._publish(command))
        return CommandAnswer(AnswerStatus.ACCEPTED)

    async def _publish(self, command: PublishFirmware) -> None:
        await asyncio.sleep(self.rng.uniform(2, 60))
        version = self.version_of(command)
        if version is None or self.mood == FAILS:
            self._report(PublishStatus.DOWNLOAD_FAILED, command.request_id)
            return
        place = f"http://192.0.2.1/{self.name}/{command.request_id}"
        given = {EMPTY: None, LIES: OTHER_BYTES}
        self.offers[place], self.announced[place] = given.get(self.mood, version), version
        self._places[command.checksum] = place
        self.watch("published", self, version)
        self._report(PublishStatus.PUBLISHED, command.request_id, place)

    def _report(self, status: PublishStatus, request_id: int, *places: str) -> None:
        self.say(PublishStatusReported(status, request_id, places), keep=True)
