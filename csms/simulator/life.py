"""A charger's life between its plug and the server, as a table."""

from enum import StrEnum

from csms.simulator.errors import IllegalMove


class Life(StrEnum):
    """Where a charger stands."""

    OFF = "off"
    CONNECTING = "connecting"
    REGISTERING = "registering"
    """The socket is open, BootNotification is not accepted yet."""
    OPERATING = "operating"
    DEAD = "dead"
    """The image killed it: it needs a visit."""


class Turn(StrEnum):
    """What happened to it."""

    POWER_ON = "power_on"
    BRICKED = "bricked"
    CONNECTED = "connected"
    RESUMED = "resumed"
    """Connected again without a restart: no BootNotification is due."""
    ACCEPTED = "accepted"
    LOST = "lost"
    POWER_OFF = "power_off"


LIVES: dict[tuple[Life, Turn], Life] = {
    (Life.OFF, Turn.POWER_ON): Life.CONNECTING,
    (Life.OFF, Turn.BRICKED): Life.DEAD,
    (Life.CONNECTING, Turn.CONNECTED): Life.REGISTERING,
    (Life.CONNECTING, Turn.RESUMED): Life.OPERATING,
    (Life.CONNECTING, Turn.LOST): Life.CONNECTING,
    (Life.CONNECTING, Turn.POWER_OFF): Life.OFF,
    (Life.REGISTERING, Turn.ACCEPTED): Life.OPERATING,
    (Life.REGISTERING, Turn.LOST): Life.CONNECTING,
    (Life.REGISTERING, Turn.POWER_OFF): Life.OFF,
    (Life.OPERATING, Turn.LOST): Life.CONNECTING,
    (Life.OPERATING, Turn.POWER_OFF): Life.OFF,
}


def live(life: Life, turn: Turn) -> Life:
    """Where a turn leads, or IllegalMove."""
    following = LIVES.get((life, turn))
    if following is None:
        raise IllegalMove(f"A charger that is {life.value} cannot be {turn.value}.")
    return following
