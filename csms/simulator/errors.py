"""What can go wrong inside a simulated charger.

SimulatorError
├── IllegalMove      the table of stages has no such move: a bug of the simulator
├── ImageInvalid     the bytes are no image this hardware can run
├── DownloadFailed   the image could not be fetched whole
├── LinkLost         the socket went away, or no answer came in time
├── CallRefused      the server answered a call with a CALLERROR
└── RequestInvalid   the server's call lacks what its action needs; answered with a CALLERROR
"""

from storage.errors import AmpwaveError


class SimulatorError(AmpwaveError):
    """The root of what can go wrong inside a simulated charger."""


class IllegalMove(SimulatorError):
    """The table of stages has no such move: a bug of the simulator."""


class ImageInvalid(SimulatorError):
    """The bytes are no image this hardware can run."""


class DownloadFailed(SimulatorError):
    """The image could not be fetched whole."""


class LinkLost(SimulatorError):
    """The socket went away, or no answer came in time."""


class CallRefused(SimulatorError):
    """The server answered a call with a CALLERROR."""

    def __init__(self, action: str, code: str, description: str) -> None:
        super().__init__(f"The server answered {action} with CALLERROR {code}: {description}")
        self.code = code


class RequestInvalid(SimulatorError):
    """The server's call lacks what its action needs; ``code`` is the OCPP-J error code to answer with."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__(description)
        self.code = code
