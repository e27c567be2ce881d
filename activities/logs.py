"""Logs that chargers upload to our store: ask for one, look whether it came, close its books (F77).

The leave to upload is made in the step that sends it, and leaves no trace but its hash (S43).
"""

from dataclasses import dataclass
from datetime import datetime

from temporalio import activity

from activities.errors import beating, mapped
from activities.orders import Node
from activities.stores import Stores
from csms.commands import AnswerStatus, CommandAnswer, GetLog, LogKind
from csms.errors import CallFailed, CommandTimeout, NotAccepted, Unsupported
from storage.errors import InvalidInput
from storage.events import NO_SESSION_EPOCH, EventKind, EventRecord
from storage.log import LOG_OPEN, LogRequest, LogSort, LogState
from storage.reports import LogStatus, LogUploaded
from storage.twin import TwinState

HEARTBEAT_S = 2.0
RETRIES, RETRY_INTERVAL_S = 3, 20
_KINDS = {LogSort.DIAGNOSTICS: LogKind.DIAGNOSTICS, LogSort.SECURITY: LogKind.SECURITY}
_ACCEPTED = frozenset({AnswerStatus.ACCEPTED, AnswerStatus.ACCEPTED_CANCELED})
_SAYS_NOTHING = LogStatus.IDLE.value


@dataclass(frozen=True, slots=True)
class LogOrder:
    """Which request, over which session; everything else of it is in the store."""

    request_id: int
    charger_id: str
    session_epoch: int


@dataclass(frozen=True, slots=True)
class LogEnd:
    """Where a request for a log is, in a sentence."""

    request_id: int
    state: LogState
    reason: str


@dataclass(frozen=True, slots=True)
class LogFacts:
    """What the store knows of a request."""

    uploaded: bool
    status: LogStatus | None = None
    """The latest that the charger said of it."""
    status_at: datetime | None = None


class LogSender:
    """On the node that holds the charger's socket."""

    def __init__(self, node: Node) -> None:
        self._node = node

    @activity.defn
    @mapped
    async def request_log(self, given: LogOrder) -> LogEnd:
        """Ask for the upload. What the charger says is an answer; raises NotConnectedHere only."""
        logs = self._node.stores.logs
        async with beating(HEARTBEAT_S):
            request = await logs.get(given.request_id)
            if request.state not in LOG_OPEN:
                return LogEnd(given.request_id, request.state, request.reason)
            end = await self._ask(given, await self._command(request))
        if end.state is LogState.ASKED:
            await logs.set_state(given.request_id, end.state, end.reason, None)
        return end

    async def _command(self, request: LogRequest) -> GetLog:
        location = await self._node.office.mint_upload(self._node.stores.logs, request)
        return GetLog(
            request_id=request.request_id,
            location=location,
            kind=_KINDS[request.kind],
            oldest=request.since,
            latest=request.until,
            retries=RETRIES,
            retry_interval_s=RETRY_INTERVAL_S,
        )

    async def _ask(self, given: LogOrder, command: GetLog) -> LogEnd:
        node, state = self._node, LogState.FAILED
        try:
            answer = await node.sender.send(
                given.charger_id, given.session_epoch, command, deadline_s=node.command_seconds
            )
            state, reason = _judged(answer)
        except CommandTimeout as error:
            state, reason = LogState.ASKED, f"{error.message} It may upload all the same."
        except CallFailed as error:
            reason = error.message
        except Unsupported as error:
            state, reason = LogState.UNSUPPORTED, error.message
        except (InvalidInput, NotAccepted) as error:
            reason = error.diagnostics()
        return LogEnd(given.request_id, state, reason)


def _judged(answer: CommandAnswer) -> tuple[LogState, str]:
    said = f"it answered {answer.status.value}" + (f": {answer.detail}" if answer.detail else "")
    if answer.status in _ACCEPTED:
        file = f", and will upload {answer.file_name}" if answer.file_name else ""
        return LogState.ASKED, f"{said}{file}"
    if answer.status is AnswerStatus.EMPTY_RESULT_SET:
        return LogState.FAILED, "it has nothing to upload for this time"
    if answer.status is AnswerStatus.NOT_IMPLEMENTED:
        return LogState.UNSUPPORTED, said
    return LogState.FAILED, said


class LogActivities:
    """On any worker."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    @activity.defn
    @mapped
    async def reconcile_log(self, request_id: int) -> LogFacts:
        """Everything the store knows of a request; hints are only hints."""
        request = await self._stores.logs.get(request_id)
        if request.upload is not None:
            return LogFacts(uploaded=True)
        kinds = (EventKind.LOG_STATUS_REPORTED.value,)
        events = await self._stores.events.since(request.charger_id, request.requested_at, kinds)
        # 1.6 diagnostics have no request id; elsewhere it is ours or another's.
        ours = [one for one in events if one.body.get("request_id") in (None, request_id)]
        told = [one for one in ours if one.body["status"] != _SAYS_NOTHING]
        if not told:
            return LogFacts(uploaded=False)
        return LogFacts(
            uploaded=False, status=LogStatus(told[-1].body["status"]), status_at=told[-1].received_at
        )

    @activity.defn
    @mapped
    async def conclude_log(self, given: LogEnd) -> LogEnd:
        """Take the leave back, then write how it ended; what arrived until then counts."""
        logs = self._stores.logs
        await logs.revoke(given.request_id)
        request = await logs.get(given.request_id)
        if request.state not in LOG_OPEN:
            return LogEnd(given.request_id, request.state, request.reason)
        end = given
        if request.upload is not None:
            end = LogEnd(given.request_id, LogState.UPLOADED, f"{request.upload.filename} arrived")
            await self._tell(request)
        await self._audit(request, end)
        await logs.set_state(given.request_id, end.state, end.reason, self._stores.clock())
        return end

    async def _tell(self, request: LogRequest) -> None:
        """On the charger's timeline, once."""
        upload = request.upload
        if upload is None:
            return
        event = LogUploaded(
            request.request_id, request.kind.value, upload.filename, upload.length, upload.sha256
        )
        at = upload.received_at
        key = f"log:{request.request_id}"
        record = EventRecord(request.charger_id, event, at, at, NO_SESSION_EPOCH, key)
        await self._stores.ingest.commit([], [record], _unchanged)

    async def _audit(self, request: LogRequest, end: LogEnd) -> None:
        upload = request.upload
        await self._stores.record(
            request.actor,
            "log.retrieved" if upload else "log.not_retrieved",
            f"charger/{request.charger_id}",
            request_id=request.request_id,
            log=request.kind.value,
            state=end.state.value,
            reason=end.reason,
            filename=upload.filename if upload else None,
            length=upload.length if upload else None,
            sha256=upload.sha256 if upload else None,
        )


def _unchanged(twin: TwinState, record: EventRecord) -> TwinState:  # noqa: ARG001 - the projector's shape
    """A log tells nothing of the twin."""
    return twin
