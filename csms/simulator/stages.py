"""The update path of a charger as a table: where it stands, what happened, where it goes, what it says."""

from dataclasses import dataclass
from enum import StrEnum

from csms.simulator.errors import IllegalMove
from csms.simulator.words import FirmwareWord


class Stage(StrEnum):
    """Where a charger stands in an update."""

    IDLE = "idle"
    FETCHING = "fetching"
    CHECKING = "checking"
    WAITING = "waiting"
    INSTALLING = "installing"
    WRITTEN = "written"
    """The image is on the other bank; the old one still runs."""
    REBOOTING = "rebooting"
    """Restarting into the new image, until it is known which image runs."""


class Step(StrEnum):
    """What happened."""

    ACCEPT = "accept"
    POSTPONE = "postpone"
    FETCH = "fetch"
    FETCHED = "fetched"
    FETCH_FAILED = "fetch_failed"
    PROVED = "proved"
    UNSIGNED = "unsigned"
    DISPROVED = "disproved"
    HOLD = "hold"
    INSTALL = "install"
    INSTALL_FAILED = "install_failed"
    WRITE = "write"
    CLAIM = "claim"
    REBOOT = "reboot"
    RUN = "run"
    FALL_BACK = "fall_back"
    CANCEL = "cancel"
    POWER_LOST = "power_lost"


@dataclass(frozen=True, slots=True)
class Move:
    """Where a step leads, and the status that announces it, if any."""

    to: Stage
    word: FirmwareWord | None = None


TABLE: dict[tuple[Stage, Step], Move] = {
    (Stage.IDLE, Step.ACCEPT): Move(Stage.FETCHING),
    (Stage.FETCHING, Step.POSTPONE): Move(Stage.FETCHING, FirmwareWord.DOWNLOAD_SCHEDULED),
    (Stage.FETCHING, Step.FETCH): Move(Stage.FETCHING, FirmwareWord.DOWNLOADING),
    (Stage.FETCHING, Step.FETCHED): Move(Stage.CHECKING, FirmwareWord.DOWNLOADED),
    (Stage.FETCHING, Step.FETCH_FAILED): Move(Stage.IDLE, FirmwareWord.DOWNLOAD_FAILED),
    (Stage.FETCHING, Step.CANCEL): Move(Stage.IDLE),  # OCPP 2.0.1 L01.FR.24
    (Stage.FETCHING, Step.POWER_LOST): Move(Stage.IDLE, FirmwareWord.DOWNLOAD_FAILED),
    (Stage.CHECKING, Step.PROVED): Move(Stage.WAITING, FirmwareWord.SIGNATURE_VERIFIED),
    (Stage.CHECKING, Step.UNSIGNED): Move(Stage.WAITING),  # OCPP 2.0.1 L02
    (Stage.CHECKING, Step.DISPROVED): Move(Stage.IDLE, FirmwareWord.INVALID_SIGNATURE),
    (Stage.CHECKING, Step.CANCEL): Move(Stage.IDLE),
    (Stage.CHECKING, Step.POWER_LOST): Move(Stage.IDLE, FirmwareWord.DOWNLOAD_FAILED),
    (Stage.WAITING, Step.HOLD): Move(Stage.WAITING, FirmwareWord.INSTALL_SCHEDULED),  # L01.FR.06, FR.34
    (Stage.WAITING, Step.INSTALL): Move(Stage.INSTALLING, FirmwareWord.INSTALLING),
    (Stage.WAITING, Step.CANCEL): Move(Stage.IDLE),
    (Stage.WAITING, Step.POWER_LOST): Move(Stage.IDLE, FirmwareWord.INSTALLATION_FAILED),
    (Stage.INSTALLING, Step.INSTALL_FAILED): Move(Stage.IDLE, FirmwareWord.INSTALLATION_FAILED),
    (Stage.INSTALLING, Step.WRITE): Move(Stage.WRITTEN),
    (Stage.INSTALLING, Step.POWER_LOST): Move(Stage.IDLE, FirmwareWord.INSTALLATION_FAILED),
    (Stage.WRITTEN, Step.CLAIM): Move(Stage.WRITTEN, FirmwareWord.INSTALLED),  # L01.FR.32 (b)
    (Stage.WRITTEN, Step.CANCEL): Move(Stage.IDLE),
    (Stage.WRITTEN, Step.REBOOT): Move(Stage.REBOOTING, FirmwareWord.INSTALL_REBOOTING),
    (Stage.WRITTEN, Step.POWER_LOST): Move(Stage.REBOOTING),
    (Stage.REBOOTING, Step.POWER_LOST): Move(Stage.REBOOTING),
    (Stage.REBOOTING, Step.CLAIM): Move(Stage.REBOOTING, FirmwareWord.INSTALLED),
    (Stage.REBOOTING, Step.RUN): Move(Stage.IDLE),
    (Stage.REBOOTING, Step.FALL_BACK): Move(Stage.IDLE, FirmwareWord.INSTALLATION_FAILED),
}

CANCELLABLE = frozenset(stage for stage, step in TABLE if step is Step.CANCEL)
"""Stages in which another command may take over; from the others it is refused (L01.FR.27)."""

BUSY = frozenset(Stage) - {Stage.IDLE}


def advance(stage: Stage, step: Step) -> Move:
    """The move for a step, or IllegalMove."""
    move = TABLE.get((stage, step))
    if move is None:
        raise IllegalMove(f"A charger that is {stage.value} cannot {step.value}.")
    return move
