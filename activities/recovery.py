"""Sessions in doubt: find them, ask their charger on the node that holds its socket, write down the find.

Measures and acts; ``workflows.session_rules`` judges. That asking is slow costs nobody anything: until
something is settled, the session counts as one.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from temporalio import activity

from activities.errors import beating, mapped
from activities.facts import RouteFacts
from csms.commands import AnswerStatus, CommandAnswer, GetTransactionStatus, TriggerKind, TriggerMessage
from csms.errors import CallFailed, CommandTimeout, NotAccepted, Unsupported
from csms.ports import CommandSender, FindingKeeper
from storage.clock import Clock
from storage.events import ConnectorStatus
from storage.findings import Finding, SessionAbandoned, SessionFinding, SessionQuestioned, SessionStuck
from storage.ports import ChargerStore
from storage.twin import OpenTransaction, OperationSection
from storage.watching import SessionStore

HEARTBEAT_S = 2.0
_LOOK_EVERY_S = 0.25
_MOST_TRIGGERS = 6


@dataclass(frozen=True, slots=True)
class DoubtQuery:
    """Which sessions to look for."""

    quiet: timedelta
    again_after: timedelta
    limit: int


@dataclass(frozen=True, slots=True)
class Doubt:
    """One session in doubt."""

    charger_id: str
    transaction_id: str
    route: RouteFacts
    doubt: str
    asked: int
    """Before now, in this doubt."""
    since: datetime
    told: bool
    """A person was told that it is stuck."""


@dataclass(frozen=True, slots=True)
class QuestionInput:
    """Which session to ask about, and how long what it triggers may take."""

    charger_id: str
    transaction_id: str
    session_epoch: int
    doubt: str
    answer_seconds: float
    deadline_seconds: float = 10.0


@dataclass(frozen=True, slots=True)
class Found:
    """What asking brought to light, and the instant up to which everything was considered."""

    finding: SessionFinding
    as_of: datetime
    detail: str


@dataclass(frozen=True, slots=True)
class ResolveInput:
    """What was decided. ``abandon`` False: a person is to be told."""

    charger_id: str
    transaction_id: str
    session_epoch: int
    abandon: bool
    reason: str
    as_of: datetime


class DoubtActivities:
    """On any worker."""

    def __init__(self, sessions: SessionStore, clock: Clock) -> None:
        self._sessions = sessions
        self._clock = clock

    @activity.defn
    @mapped
    async def find_doubtful_sessions(self, given: DoubtQuery) -> tuple[Doubt, ...]:
        """Open sessions in doubt whose charger is connected."""
        found = await self._sessions.doubtful(
            self._clock(), given.quiet, again_after=given.again_after, limit=given.limit
        )
        return tuple(
            Doubt(
                each.session.charger_id,
                each.session.transaction_id,
                RouteFacts(each.route.node_id, each.route.boot_id, each.route.session_epoch),
                each.doubt,
                each.session.asked,
                each.session.doubt_since or each.session.free_since or each.session.heard_at,
                each.session.stuck_since is not None,
            )
            for each in found
        )


class RecoveryActivities:
    """On the node that holds the charger's socket."""

    def __init__(
        self, chargers: ChargerStore, sender: CommandSender, keeper: FindingKeeper, clock: Clock
    ) -> None:
        self._chargers = chargers
        self._sender = sender
        self._keeper = keeper
        self._clock = clock

    @activity.defn
    @mapped
    async def question_session(self, given: QuestionInput) -> Found:
        """Ask the charger about a session, and put what was found on the timeline.

        Raises NotConnectedHere, with nothing found.
        """
        async with beating(HEARTBEAT_S):
            asked_at = self._clock()
            before = await self._operation(given)
            if given.transaction_id not in before.transactions:
                # The twin judges boots and connectors at once; the record follows.
                return await self._found(given, SessionFinding.GONE, "the twin holds it no longer", asked_at)
            try:
                finding, detail = await self._look(given, before, asked_at)
            except CommandTimeout:
                finding, detail = SessionFinding.UNKNOWN, "it did not answer"
            return await self._found(given, finding, detail, asked_at)

    async def _look(
        self, given: QuestionInput, before: OperationSection, asked_at: datetime
    ) -> tuple[SessionFinding, str]:
        """Its own word where it has one, else what it can be made to show."""
        answer = await self._ask(given, GetTransactionStatus(given.transaction_id))
        finding, detail = _said(answer)
        return (finding, detail) if finding else await self._provoked(given, before, asked_at)

    async def _found(
        self, given: QuestionInput, finding: SessionFinding, detail: str, asked_at: datetime
    ) -> Found:
        found = SessionQuestioned(given.transaction_id, given.doubt, finding, detail)
        await self._keeper.keep(given.charger_id, given.session_epoch, found)
        return Found(finding, asked_at, detail)

    async def _operation(self, given: QuestionInput) -> OperationSection:
        """As it is with everything that the charger told before now."""
        await self._sender.settle(given.charger_id, given.session_epoch)
        view = await self._chargers.get(given.charger_id)
        return view.twin.operation or OperationSection()

    async def _ask(
        self, given: QuestionInput, command: GetTransactionStatus | TriggerMessage
    ) -> CommandAnswer | None:
        """The answer; None: it has no words for the question. Raises CommandTimeout."""
        try:
            return await self._sender.send(
                given.charger_id, given.session_epoch, command, deadline_s=given.deadline_seconds
            )
        except (CallFailed, NotAccepted, Unsupported):
            return None

    async def _provoked(
        self, given: QuestionInput, before: OperationSection, asked_at: datetime
    ) -> tuple[SessionFinding, str]:
        """Have it say what it does, and look at what came of that."""
        session = before.transactions[given.transaction_id]
        accepted = 0
        for command in islice(_triggers(session, before), _MOST_TRIGGERS):
            answer = await self._ask(given, command)
            accepted += answer is not None and answer.status is AnswerStatus.ACCEPTED
        loop = asyncio.get_running_loop()
        end = loop.time() + given.answer_seconds * (accepted > 0)
        while True:
            operation = await self._operation(given)
            seen = evidence(operation, given.transaction_id, asked_at)
            if seen is not SessionFinding.UNKNOWN or loop.time() >= end:
                return seen, f"{accepted} messages were triggered"
            await asyncio.sleep(_LOOK_EVERY_S)

    @activity.defn
    @mapped
    async def resolve_session(self, given: ResolveInput) -> None:
        """Write down what was decided. An abandonment that was overtaken by the charger's word is void."""
        finding: Finding = SessionStuck(given.transaction_id, given.reason)
        if given.abandon:
            finding = SessionAbandoned(given.transaction_id, given.reason, given.as_of)
        await self._keeper.keep(given.charger_id, given.session_epoch, finding)


def _said(answer: CommandAnswer | None) -> tuple[SessionFinding | None, str]:
    """What GetTransactionStatus settled, if it did. With messages still queued, the end is on its way."""
    if answer is None or answer.status is not AnswerStatus.ACCEPTED or answer.ongoing is None:
        return None, ""
    if answer.ongoing:
        return SessionFinding.ONGOING, "it says so"
    if answer.queued:
        return SessionFinding.UNKNOWN, "it is over, and its messages still wait to be sent"
    return SessionFinding.GONE, "it says so"


def _triggers(session: OpenTransaction, operation: OperationSection) -> Iterable[TriggerMessage]:
    """A reading and (2.x) the transaction, then the status of every connector that it may use."""
    place = session.evse_id or None
    yield TriggerMessage(TriggerKind.TRANSACTION, place)
    yield TriggerMessage(TriggerKind.METER_VALUES, place)
    for state in operation.connectors.values():
        if state.evse_id > 0 and session.evse_id in (0, state.evse_id):
            yield TriggerMessage(TriggerKind.STATUS, state.evse_id, state.connector_id)


def evidence(operation: OperationSection, transaction_id: str, asked_at: datetime) -> SessionFinding:
    """What the twin shows of a session after its charger was asked."""
    session = operation.transactions.get(transaction_id)
    if session is None:
        return SessionFinding.GONE
    if session.heard_at is not None and session.heard_at > asked_at:
        return SessionFinding.ONGOING
    if _free(operation, session, asked_at):
        return SessionFinding.FREE
    others = (each for name, each in operation.transactions.items() if name != transaction_id)
    if any(_later(each, session) for each in others):
        return SessionFinding.DISPLACED
    return SessionFinding.UNKNOWN


def _free(operation: OperationSection, session: OpenTransaction, asked_at: datetime) -> bool:
    """Every connector that it may use told that it is Available, again when it was asked."""
    states = [
        state
        for state in operation.connectors.values()
        if state.evse_id > 0 and session.evse_id in (0, state.evse_id)
    ]
    return bool(states) and all(
        state.status is ConnectorStatus.AVAILABLE
        and state.reported_at is not None
        and state.reported_at >= asked_at
        for state in states
    )


def _later(other: OpenTransaction, session: OpenTransaction) -> bool:
    return (
        0 < other.evse_id == session.evse_id and not other.suspect and other.started_at > session.updated_at
    )
