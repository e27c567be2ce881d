"""What people asked of one charger, beyond campaigns, and what became of it."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from storage.ids import command_workflow_id


class CommandState(StrEnum):
    """Where a person's command is. All but the first are ends."""

    REQUESTED = "requested"
    ANSWERED = "answered"
    """The charger answered, whatever it said."""
    OFFLINE = "offline"
    """It is not connected; nothing was sent."""
    BUSY = "busy"
    """A session is open, or one may be; nothing was sent."""
    HELD = "held"
    """Other work has the charger, or its site has no room; nothing was sent."""
    REFUSED = "refused"
    """A rule of ours forbids it; nothing was sent."""
    FAILED = "failed"
    """The charger answered with a CALLERROR."""
    SILENT = "silent"
    """No answer came in time: what the charger did is unknown."""
    UNSUPPORTED = "unsupported"
    """This charger has no such command."""


@dataclass(frozen=True, slots=True)
class CommandEnd:
    """How a command ended. ``status`` is the charger's own word."""

    state: CommandState
    reason: str
    status: str | None = None
    returned: dict[str, Any] = field(default_factory=dict)
    """What the charger gave back besides, JSON-ready: values, certificates, a file name."""


@dataclass(frozen=True, slots=True)
class CommandRecord:
    """One command of one person. ``parameters`` are without secrets."""

    command_id: str
    charger_id: str
    command: str
    parameters: dict[str, Any]
    request_sha256: str
    """Of who asked for what, whole: tells a repeat from another request under the same key."""
    actor: str
    requested_at: datetime
    deadline_at: datetime
    end: CommandEnd | None = None
    finished_at: datetime | None = None

    @property
    def state(self) -> CommandState:
        """Where it is."""
        return self.end.state if self.end else CommandState.REQUESTED

    @property
    def workflow_id(self) -> str:
        """Who carries it out."""
        return command_workflow_id(self.command_id)
