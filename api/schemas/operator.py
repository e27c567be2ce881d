"""What the doors answer about people's commands and logs, and what a request for a log looks like."""

from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import Field, model_validator

from api.schemas.common import Body, Instant, Reply
from storage.command import CommandRecord, CommandState
from storage.log import LogRequest, LogSort, LogState


class AnswerReply(Reply):
    """What a charger answered."""

    status: str = Field(examples=["Accepted", "Rejected"], description="The charger's own word.")
    returned: dict[str, Any] = Field(
        description="What it gave back: values, items, certificates, file_name, list_version, data."
    )


class CommandReply(Reply):
    """One command of a person to one charger."""

    command_id: str
    charger_id: str
    command: str
    parameters: dict[str, Any] = Field(description="Without secrets.")
    actor: str
    requested_at: datetime
    deadline_at: datetime
    state: CommandState = Field(description="`requested` goes on; all others are ends.")
    reason: str
    answer: AnswerReply | None
    finished_at: datetime | None

    @classmethod
    def of(cls, record: CommandRecord, now: datetime) -> "CommandReply":
        """The command as read at ``now``."""
        end = record.end
        answer = AnswerReply(status=end.status, returned=end.returned) if end and end.status else None
        return cls(
            command_id=record.command_id,
            charger_id=record.charger_id,
            command=record.command,
            parameters=record.parameters,
            actor=record.actor,
            requested_at=record.requested_at,
            deadline_at=record.deadline_at,
            state=record.state,
            reason=end.reason if end else _waiting(record, now),
            answer=answer,
            finished_at=record.finished_at,
        )


# Beyond the charger's time: two more routes to try, and the books to write.
_SLACK = timedelta(seconds=60)


def _waiting(record: CommandRecord, now: datetime) -> str:
    if now <= record.deadline_at + _SLACK:
        return "it is on its way"
    return "it did not end in time; the same request under the same Idempotency-Key takes it up again"


class LogBody(Body):
    """A log to retrieve."""

    kind: LogSort = LogSort.DIAGNOSTICS
    since: Instant | None = Field(default=None, description="The oldest entry wanted.")
    until: Instant | None = Field(default=None, description="The latest entry wanted.")
    deadline_seconds: Annotated[
        float, Field(ge=30, le=86_400, description="How long the charger may take to upload it.")
    ] = 900.0

    @model_validator(mode="after")
    def _in_order(self) -> "LogBody":
        if self.since is not None and self.until is not None and self.since >= self.until:
            raise ValueError("since must lie before until")
        return self


class UploadReply(Reply):
    """What arrived."""

    filename: str
    length: int
    sha256: str
    received_at: datetime
    removed_at: datetime | None = Field(
        default=None, description="When its bytes had had their time; they are gone."
    )


class LogReply(Reply):
    """One log that somebody asked for."""

    log_id: int
    charger_id: str
    kind: LogSort
    since: datetime | None
    until: datetime | None
    actor: str
    requested_at: datetime
    deadline_at: datetime
    state: LogState = Field(description="`requested` and `asked` go on; all others are ends.")
    reason: str
    finished_at: datetime | None
    upload: UploadReply | None

    @classmethod
    def of(cls, request: LogRequest) -> "LogReply":
        """The reply for a request."""
        return cls(
            log_id=request.request_id,
            charger_id=request.charger_id,
            kind=request.kind,
            since=request.since,
            until=request.until,
            actor=request.actor,
            requested_at=request.requested_at,
            deadline_at=request.deadline_at,
            state=request.state,
            reason=request.reason,
            finished_at=request.finished_at,
            upload=UploadReply.model_validate(request.upload) if request.upload else None,
        )
