"""Charging sessions in the operation section, because "is it charging?" decides who may be updated.

The open sessions are a function of the facts, whatever order they came in: what was heard of each
transaction, when the charger last booted, and what its connectors said since (F82, F83, F85).
"""

from dataclasses import replace
from datetime import datetime

from storage.events import ConnectorStatus
from storage.twin import Gap, OpenTransaction, OperationSection, TransactionSequence

KEPT_ENDED = 50
MAX_GAPS = 100
"""A charger that counts in leaps must not make its twin grow without end."""
MAX_GAPS_IN_ALL = 300
"""Of all sessions together. One that counts for two EVSEs at once leaves a gap behind every message; were its
section to pass the limit of its size, nothing that happens from then on would reach the twin.
"""
MAX_OPEN = 200
"""More open sessions than any charger has EVSEs for; one is enough to be busy."""


def session_seen(
    operation: OperationSection,
    transaction_id: str,
    at: datetime,
    place: tuple[int, int],
    charging_state: str | None = None,
) -> OperationSection:
    """A start, an update or a reading of a transaction was observed; opens it unless it has ended.

    ``place`` is (EVSE, connector), 0 where it is not known. An update whose start was never heard
    opens the session as well: unknown counts as busy.
    """
    known = operation.transactions.get(transaction_id)
    if transaction_id in operation.ended or (known is None and len(operation.transactions) >= MAX_OPEN):
        return operation
    if known is None:
        seen = OpenTransaction(transaction_id, *place, at, at, charging_state)
    else:
        newest = at >= known.updated_at
        seen = replace(
            known,
            evse_id=known.evse_id or place[0],
            connector_id=known.connector_id or place[1],
            started_at=min(known.started_at, at),
            updated_at=max(known.updated_at, at),
            charging_state=(newest and charging_state) or known.charging_state or charging_state,
        )
    return replace(operation, transactions={**operation.transactions, transaction_id: seen})


def session_ended(operation: OperationSection, transaction_id: str) -> OperationSection:
    """A transaction ended; a start that comes later will not open it again (F83)."""
    open_now = {name: open_ for name, open_ in operation.transactions.items() if name != transaction_id}
    others = tuple(name for name in operation.ended if name != transaction_id)
    return replace(operation, transactions=open_now, ended=(*others, transaction_id)[-KEPT_ENDED:])


def sequence_seen(
    operation: OperationSection, transaction_id: str, seq_no: int | None, *, begun: bool, ended: bool
) -> OperationSection:
    """A message with this number came; whatever order they come in, the gaps are the same.

    2.0.1 TransactionEventRequest.seqNo: consecutive within a session, wherever it starts.
    """
    known = operation.sequences.get(transaction_id)
    if seq_no is None or (known is None and transaction_id in operation.ended):
        return operation
    seen = _with(known or TransactionSequence(seq_no, seq_no), seq_no)
    seen = replace(seen, begun=seen.begun or begun, ended=seen.ended or ended)
    alive = {*operation.transactions, *operation.ended}
    kept = {name: each for name, each in operation.sequences.items() if name in alive}
    kept.pop(transaction_id, None)
    if not (seen.begun and seen.ended) or seen.missing:
        kept[transaction_id] = seen
    return replace(operation, sequences=_bounded(kept, operation.ended))


def _bounded(
    sequences: dict[str, TransactionSequence], ended: tuple[str, ...]
) -> dict[str, TransactionSequence]:
    """Gaps of the sessions that ended first are forgotten first; in an order that the store keeps."""
    count = sum(len(each.missing) for each in sequences.values())
    for name in ended:
        if count <= MAX_GAPS_IN_ALL:
            return sequences
        if name in sequences:
            count -= len(sequences.pop(name).missing)
    share = MAX_GAPS_IN_ALL // max(1, len(sequences))
    if count <= MAX_GAPS_IN_ALL:
        return sequences
    return {name: replace(each, missing=each.missing[:share]) for name, each in sequences.items()}


def _with(seen: TransactionSequence, number: int) -> TransactionSequence:
    if number > seen.last:
        missing = (*seen.missing, *_between(seen.last, number))
        return replace(seen, last=number, missing=missing[:MAX_GAPS])
    if number < seen.first:
        missing = (*_between(number, seen.first), *seen.missing)
        return replace(seen, first=number, missing=missing[:MAX_GAPS])
    missing = tuple(part for gap in seen.missing for part in _without(gap, number))
    return replace(seen, missing=missing[:MAX_GAPS])


def _between(low: int, high: int) -> tuple[Gap, ...]:
    return (Gap(low + 1, high - 1),) if low + 1 <= high - 1 else ()


def _without(gap: Gap, number: int) -> tuple[Gap, ...]:
    if not gap.first <= number <= gap.last:
        return (gap,)
    return (*_between(gap.first - 1, number), *_between(number, gap.last + 1))


def session_heard(operation: OperationSection, transaction_id: str, at: datetime) -> OperationSection:
    """A word of it came in just now: whatever was thought of it, it is not stuck."""
    known = operation.transactions.get(transaction_id)
    if known is None or (known.heard_at is not None and known.heard_at >= at):
        return operation
    heard = replace(known, heard_at=at, stuck=None)
    return replace(operation, transactions={**operation.transactions, transaction_id: heard})


def session_abandoned(
    operation: OperationSection, transaction_id: str, as_of: datetime | None
) -> OperationSection:
    """We hold it to be over. It is not among the ended: heard of again, it opens again (F84)."""
    known = operation.transactions.get(transaction_id)
    if known is None or (as_of and known.heard_at and known.heard_at > as_of):
        return operation
    kept = {name: open_ for name, open_ in operation.transactions.items() if name != transaction_id}
    return replace(operation, transactions=kept)


def reconcile(operation: OperationSection, booted_at: datetime | None) -> OperationSection:
    """Mark sessions in doubt, and let go of those in doubt whose EVSE is free since the boot.

    In doubt is a session that was not heard of since the charger booted. It stays a session until
    its end comes or its connectors say Available; if it is heard of again, it was alive.
    """
    if booted_at is None or not operation.transactions:
        return operation
    kept: dict[str, OpenTransaction] = {}
    for name, session in operation.transactions.items():
        suspect = session.updated_at < booted_at
        if not (suspect and _free_since(session, operation, booted_at)):
            kept[name] = session if session.suspect == suspect else replace(session, suspect=suspect)
    return replace(operation, transactions=kept)


def _free_since(session: OpenTransaction, operation: OperationSection, booted_at: datetime) -> bool:
    """Every connector it may use said Available, to us after the boot and on its clock after the session."""
    connectors = [
        state
        for state in operation.connectors.values()
        if state.evse_id > 0 and session.evse_id in (0, state.evse_id)
    ]
    return bool(connectors) and all(
        state.status is ConnectorStatus.AVAILABLE
        and state.since >= session.updated_at
        and state.reported_at is not None
        and state.reported_at >= booted_at
        for state in connectors
    )
