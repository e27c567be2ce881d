"""A charger's two banks of flash: what runs, what ran before, and the image on trial."""

from dataclasses import dataclass
from enum import StrEnum

from csms.simulator.firmware import Fate, Image, fate


class Boot(StrEnum):
    """What came of switching the charger on."""

    RUNS = "runs"
    CRASHES = "crashes"
    """On the new image, and not for long."""
    FELL_BACK = "fell_back"
    """On the previous image: the boot loader gave the new one up."""
    LIES = "lies"
    """On the previous image, and it says that the new one was installed."""
    SILENT = "silent"
    """Not at all."""


@dataclass(slots=True)
class Flash:
    """``trial`` is set from the writing of an image until it is known what runs."""

    charger_id: str
    running: Image
    previous: Image | None = None
    trial: Image | None = None
    boots: int = 0
    """Starts on the image on trial."""

    def write(self, image: Image) -> None:
        """Put an image on the other bank; the next start tries it."""
        self.previous, self.trial, self.boots = self.running, image, 0

    def start(self) -> Boot:
        """Switch on: choose the bank to run."""
        if self.trial is None or self.previous is None:
            return Boot.RUNS
        self.boots += 1
        doom = fate(self.trial.script, self.charger_id)
        if doom is Fate.SILENT:
            return Boot.SILENT
        if doom is Fate.LIE:
            return Boot.LIES
        if doom is Fate.BOOT_LOOP and self.boots > self.trial.script.boot_loops:
            self.running = self.previous
            return Boot.FELL_BACK
        self.running = self.trial
        return Boot.CRASHES if doom is Fate.BOOT_LOOP else Boot.RUNS

    def settle(self) -> None:
        """It is known what runs: the trial is over."""
        self.trial = None
