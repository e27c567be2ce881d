"""Doubts about chargers: a projection of the event log, judged by ``storage.trust``, kept as drifts.

An event only says whom to look at; what is judged is how things stand. So nothing hangs on the order of
events, and whoever is looked at twice is judged the same.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from storage.audit import AuditEntry
from storage.codec import to_json
from storage.drift import DriftState
from storage.errors import Conflict, InvalidInput, NotFound
from storage.events import EventKind, StoredEvent
from storage.fall_back import EVIDENCE
from storage.incident import IncidentChange, IncidentKind
from storage.postgres.audit import append_entry
from storage.postgres.engine import transaction
from storage.postgres.incidents import apply_changes
from storage.postgres.projections import BUSY, Tail, step
from storage.postgres.quarantine import set_aside_within
from storage.postgres.tables import anomaly, charger, drift, projection, trust_memory
from storage.postgres.trust_facts import attempts, fell, fetched_ahead, trust_facts
from storage.quarantine import QuarantineAct, rule_of
from storage.trust import (
    ACCEPTABLE,
    BASELINE,
    CONCERNS,
    SERIAL_PATH,
    VERSION_PATH,
    Acceptance,
    Doubt,
    Memory,
    TrustFacts,
    accepted,
    judge,
    on_trial,
    remembered,
    settled,
    settled_by,
)
from storage.twin import Lifecycle
from storage.twin_schema import Severity
from storage.watching import Progress

NAME = "trust"
ACTOR = "trust"
_DRIFT = drift.c
_ALONE = select(projection.c.sequence).where(projection.c.name == NAME).with_for_update()
"""Memories are read and written by one at a time: whoever has the projection's row."""
_NOW = text("SELECT clock_timestamp()")
_IN_SERVICE = (Lifecycle.REGISTERED.value, Lifecycle.PROVISIONING.value, Lifecycle.ACTIVE.value)


class PostgresTrustStore:
    """See ``storage.registry_ports.TrustStore``. ``quarantine``: put whoever looks broken into aside."""

    def __init__(self, engine: AsyncEngine, *, quarantine: bool = False, tail: Tail | None = None) -> None:
        self._engine = engine
        self._tail = tail
        self._quarantine = quarantine

    async def advance_trust(self, *, limit: int = 1000) -> Progress:
        """One step of the projection."""
        async with step(self._engine, NAME, limit, CONCERNS, self._tail) as taken:
            if taken is None:
                return BUSY
            if taken.events:
                await _Look(taken.connection, quarantine=self._quarantine).at(taken.events)
            return taken.progress

    async def recheck(self, *, limit: int = 500) -> int:
        """A version that was proved, or an identity that was changed, is told by no event of a charger."""
        doubted = select(_DRIFT.charger_id).where(_DRIFT.desired_version == BASELINE, _OPEN)
        # Any of them, so that none waits for ever where there are more than one round takes.
        doubted = doubted.group_by(_DRIFT.charger_id).order_by(func.random())
        async with transaction(self._engine) as connection:
            await connection.execute(_ALONE)
            ids = list((await connection.execute(doubted.limit(limit))).scalars())
            return await _Look(connection, quarantine=self._quarantine).judge(ids) if ids else 0


async def accept(engine: AsyncEngine, given: Acceptance) -> Sequence[str]:
    """A person holds what is reported to be right; audited in the same transaction."""
    if wrong := sorted(set(given.paths) - ACCEPTABLE):
        raise InvalidInput(
            "These values cannot be accepted.",
            [f"{path}: not one of {', '.join(sorted(ACCEPTABLE))}" for path in wrong],
            hint="Another serial number, vendor or model is registered: ampwave charger reidentify.",
        )
    async with transaction(engine) as connection:
        await connection.execute(_ALONE)
        known = await trust_facts(connection, [given.charger_id])
        if given.charger_id not in known:
            raise NotFound("charger in service", given.charger_id)
        facts = known[given.charger_id]
        doubted = [doubt.path for doubt in judge(facts) if doubt.path in given.paths]
        if not doubted:
            raise Conflict(f"Nothing of this is in doubt: {', '.join(given.paths)}.")
        await _remember(connection, {given.charger_id: accepted(facts, given)})
        detail = {"paths": doubted, "reason": given.reason}
        subject = f"charger/{given.charger_id}"
        await append_entry(connection, AuditEntry(given.at, given.actor, "charger.accepted", subject, detail))
        await _Look(connection, why=f"accepted by {given.actor}: {given.reason}").judge([given.charger_id])
    return doubted


async def look(connection: AsyncConnection, charger_id: str, why: str) -> None:
    """Judge one charger anew within a transaction that changed what is on record of it."""
    await _Look(connection, why=why).judge([charger_id])


async def alone(connection: AsyncConnection) -> None:
    """Whoever calls ``look`` later in its transaction begins with this, so that nobody waits in a circle."""
    await connection.execute(_ALONE)


_OPEN = _DRIFT.state == DriftState.OPEN.value


class _Look:
    """One look at some chargers, within a transaction."""

    def __init__(self, connection: AsyncConnection, *, quarantine: bool = False, why: str = "") -> None:
        self._connection = connection
        self._quarantine = quarantine
        self._why = why or "it is as our records say again"
        self._now = datetime.min.replace(tzinfo=UTC)

    async def at(self, events: Sequence[StoredEvent]) -> None:
        """Everybody whom events are about."""
        by_charger: dict[str, list[StoredEvent]] = defaultdict(list)
        for event in events:
            by_charger[event.charger_id].append(event)
        await self.judge(sorted(by_charger), by_charger)

    async def judge(self, ids: Sequence[str], events: dict[str, list[StoredEvent]] | None = None) -> int:
        """Look at chargers as they are now; how many doubts opened or closed."""
        self._now = (await self._connection.execute(_NOW)).scalar_one()
        facts = await trust_facts(self._connection, ids)
        given, memories = events or {}, {}
        for charger_id, known in facts.items():
            memory = known.memory
            for event in given.get(charger_id, ()):
                memory = remembered(memory, event)
            memory = settled(replace(known, memory=memory))
            if memory != known.memory:
                memories[charger_id] = memory
                facts[charger_id] = replace(known, memory=memory)
        await _remember(self._connection, memories)
        open_now = await self._open(ids)
        facts |= await self._with_attempts(facts, given, open_now)
        found = {name: {doubt.path: doubt for doubt in judge(known)} for name, known in facts.items()}
        await self._hold([name for name, doubts in found.items() if any(map(_grave, doubts.values()))])
        moved = 0
        for charger_id, known in facts.items():
            doubts = found[charger_id]
            moved += await self._write(known, doubts, open_now[charger_id])
            if booted := [
                each for each in given.get(charger_id, ()) if each.kind is EventKind.CHARGER_BOOTED
            ]:
                await self._note(known, list(doubts.values()), booted[-1])
        return moved

    async def _hold(self, ids: Sequence[str]) -> None:
        """Chargers are locked before the audit log's head is, as everybody does who sets one aside."""
        if self._quarantine and ids:
            query = select(charger.c.charger_id).where(charger.c.charger_id.in_(ids))
            query = query.order_by(charger.c.charger_id).with_for_update()
            await self._connection.execute(query)

    async def _with_attempts(
        self,
        facts: dict[str, TrustFacts],
        given: dict[str, list[StoredEvent]],
        open_now: dict[str, dict[str, Any]],
    ) -> dict[str, TrustFacts]:
        """What is on its way to those whose firmware would be in doubt, and what their boots tell.

        Nobody else is looked up.
        """
        doubted = [
            name for name, known in facts.items() if any(each.path == VERSION_PATH for each in judge(known))
        ]
        if not doubted:
            return {}
        sent = await attempts(self._connection, doubted)
        for name, one in (await fetched_ahead(self._connection, {n: facts[n] for n in doubted})).items():
            sent[name] = (*sent.get(name, ()), one)
        found = {}
        for name in doubted:
            known = replace(facts[name], proved=facts[name].proved + sent.get(name, ()))
            row = open_now[name].get(VERSION_PATH)
            found[name] = replace(known, fell=await self._fell(known, given.get(name, ()), row))
        return found

    async def _fell(self, known: TrustFacts, told: Sequence[StoredEvent], row: Any) -> str:
        """Its boots are read again only once there is one more: a year has many events to pass over."""
        runs = known.twin.firmware.version if known.twin.firmware else None
        if row is None or row.reported != to_json(runs) or any(each.kind in EVIDENCE for each in told):
            return await fell(self._connection, known)
        explained = row.severity == Severity.WARNING.value and on_trial(known) is not None
        return str(row.reason) if explained else ""

    async def _open(self, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        query = select(drift).where(_DRIFT.charger_id.in_(ids), _DRIFT.desired_version == BASELINE, _OPEN)
        found: dict[str, dict[str, Any]] = defaultdict(dict)
        for row in await self._connection.execute(query):
            found[row.charger_id][row.path] = row
        return found

    async def _write(self, facts: TrustFacts, doubts: dict[str, Doubt], known: dict[str, Any]) -> int:
        charger_id = facts.charger.charger_id
        opened = [
            doubt
            for path, doubt in doubts.items()
            if path not in known and await self._opened(charger_id, doubt)
        ]
        turned = [
            doubts[path]
            for path in sorted(doubts.keys() & known.keys())
            if await self._follow(charger_id, known[path], doubts[path])
        ]
        over = [row for path, row in known.items() if path not in doubts]
        for row in over:
            why = (settled_by(facts) if row.path == VERSION_PATH else "") or self._why
            closing = {"state": DriftState.CLOSED.value, "closed_at": self._now, "reason": why}
            where = _DRIFT.drift_id == row.drift_id
            await self._connection.execute(update(drift).where(where).values(judged_at=self._now, **closing))
            await self._tell(charger_id, "charger.drift_closed", path=row.path, reason=why)
        if opened or over or turned:
            await apply_changes(self._connection, self._incidents(charger_id, list(doubts.values())))
        if self._quarantine and any(map(_grave, new := [*opened, *turned])):
            await self._set_aside(charger_id, next(each for each in new if _grave(each)))
        return len(opened) + len(over)

    async def _opened(self, charger_id: str, doubt: Doubt) -> bool:
        values = {
            "severity": doubt.severity.value,
            "desired": to_json(doubt.expected),
            "reported": to_json(doubt.reported),
            "desired_version": BASELINE,
            "state": DriftState.OPEN.value,
            "first_seen": self._now,
            "judged_at": self._now,
            "opened_at": self._now,
            "differing_s": 0.0,
            "suspicion": doubt.suspicion,
            "reason": doubt.cause,
        }
        statement = insert(drift).values(charger_id=charger_id, path=doubt.path, **values)
        if not (await self._connection.execute(statement.on_conflict_do_nothing())).rowcount:
            return False  # The same path left what is desired: that drift tells it already.
        told = {name: values[name] for name in ("severity", "desired", "reported", "suspicion", "reason")}
        await self._tell(charger_id, "charger.drift_opened", path=doubt.path, **told)
        return True

    async def _follow(self, charger_id: str, row: Any, doubt: Doubt) -> bool:
        """What is on record, as it is now; whether it became another thing, or another severity."""
        new = {
            "severity": doubt.severity.value,
            "reported": to_json(doubt.reported),
            "suspicion": doubt.suspicion,
            "reason": doubt.cause,
        }
        changed = {name for name, value in new.items() if getattr(row, name) != value}
        if not changed:
            return False
        where = _DRIFT.drift_id == row.drift_id
        await self._connection.execute(update(drift).where(where).values(judged_at=self._now, **new))
        if "severity" not in changed:
            return False
        await self._tell(charger_id, "charger.drift_judged_anew", path=row.path, **new)
        return True

    def _incidents(self, charger_id: str, doubts: Sequence[Doubt]) -> list[IncidentChange]:
        """What looks like somebody's doing, and what is known to be an update's: each opened, or closed."""
        grave = [doubt for doubt in doubts if _grave(doubt)]
        known = [doubt for doubt in doubts if doubt.cause]
        kinds = (
            (IncidentKind.SUSPECTED_INTRUSION, grave, [doubt.suspicion for doubt in grave]),
            (IncidentKind.UPDATE_FELL_BACK, known, [doubt.cause for doubt in known]),
        )
        return [
            IncidentChange(
                kind,
                f"charger/{charger_id}",
                self._now,
                f"{charger_id}: {'; '.join(words)}",
                {"paths": [doubt.path for doubt in found]},
                close=not found,
            )
            for kind, found, words in kinds
        ]

    async def _note(self, facts: TrustFacts, doubts: Sequence[Doubt], event: StoredEvent) -> None:
        """What a boot said of itself and nobody can believe stays on record, however it ends."""
        me = facts.charger.charger_id
        for doubt in doubts:
            if not doubt.path.startswith("identity."):
                continue
            elsewhere = doubt.path == SERIAL_PATH and facts.serial_owner not in (None, me)
            row = insert(anomaly).values(
                charger_id=me,
                kind="serial_elsewhere" if elsewhere else "identity_changed",
                path=doubt.path,
                reason=doubt.suspicion,
                cause=f"event/{event.sequence}",
                first_seen=event.received_at,
                last_seen=event.received_at,
            )
            again = {name: row.excluded[name] for name in ("reason", "cause", "last_seen")}
            await self._connection.execute(
                row.on_conflict_do_update(
                    index_elements=["charger_id", "kind", "path"],
                    set_={**again, "times": anomaly.c.times + 1},
                )
            )

    async def _set_aside(self, charger_id: str, doubt: Doubt) -> None:
        query = select(charger.c.lifecycle).where(charger.c.charger_id == charger_id).with_for_update()
        lifecycle = (await self._connection.execute(query)).scalar_one()
        if lifecycle in _IN_SERVICE:
            signal = rule_of(doubt.path).signal
            given = QuarantineAct(charger_id, ACTOR, doubt.suspicion, self._now, signal)
            await set_aside_within(self._connection, given, lifecycle)

    async def _tell(self, charger_id: str, action: str, **detail: Any) -> None:
        entry = AuditEntry(self._now, ACTOR, action, f"charger/{charger_id}", detail)
        await append_entry(self._connection, entry)


def _grave(doubt: Doubt) -> bool:
    return doubt.severity is Severity.CRITICAL


async def _remember(connection: AsyncConnection, memories: dict[str, Memory]) -> None:
    if not memories:
        return
    rows = [{"charger_id": name, "memory": to_json(memory)} for name, memory in memories.items()]
    statement = insert(trust_memory)
    await connection.execute(
        statement.on_conflict_do_update(
            index_elements=["charger_id"], set_={"memory": statement.excluded.memory}
        ),
        rows,
    )
