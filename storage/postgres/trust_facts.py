"""What a judgement of trust rests on, for many chargers in three queries."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Text, any_, cast, func, or_, select, text
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from storage.campaign import goes_back
from storage.codec import decode, decode_twin
from storage.events import StoredEvent
from storage.fall_back import EVIDENCE, Trial, fell_back
from storage.identifiers import CHARGER_SAYS, SERIAL, charger_subject, serial_value
from storage.postgres.charger_rows import charger_of
from storage.postgres.events import STORED, stored_event
from storage.postgres.execution_tables import parked_image
from storage.postgres.tables import campaign_target, event, identifier, trust_memory
from storage.trust import Memory, Proved, TrustFacts, fell_to, on_trial
from storage.twin import TwinState

# A target whose command never left, and that updated nothing, proves nothing and explains nothing.
_FACTS = text("""
    SELECT c.*, t.revision,
           (SELECT jsonb_object_agg(name, reported) FROM twin_section s
            WHERE s.charger_id = c.charger_id AND s.reported IS NOT NULL
              AND s.name IN ('identity', 'firmware', 'security'))::text AS sections,
           coalesce((SELECT jsonb_exists(s.desired, 'version') FROM twin_section s
                     WHERE s.charger_id = c.charger_id AND s.name = 'firmware'), false) AS firmware_desired,
           EXISTS (SELECT FROM site_lease l WHERE l.charger_id = c.charger_id
                   AND l.kind IN ('update', 'rollback') AND l.expires_at > now()) AS updating,
           (SELECT coalesce(jsonb_agg(jsonb_build_array(
                g.to_version, g.outcome, g.finished_at, g.campaign_id, g.wave, g.from_version,
                g.dispatched_at, g.request_id, g.fell_back_to, g.reason) ORDER BY g.finished_at), '[]')
            FROM campaign_target g
            WHERE g.charger_id = c.charger_id AND g.finished_at IS NOT NULL
              AND (g.dispatched_at IS NOT NULL OR g.outcome IN ('already_current', 'updated'))
           )::text AS proved
    FROM charger c JOIN twin t USING (charger_id)
    WHERE c.charger_id = ANY(:ids) AND c.lifecycle <> 'retired'
    ORDER BY c.charger_id
""")
_ATTESTED = frozenset({"updated", "already_current"})
_C = identifier.c


async def trust_facts(connection: AsyncConnection, ids: Sequence[str]) -> dict[str, TrustFacts]:
    """Of those of these chargers that are in service. Their memories stay locked to the transaction's end."""
    rows = (await connection.execute(_FACTS, {"ids": list(ids)})).all()
    memories = await _memories(connection, ids)
    twins = {row.charger_id: _twin(row) for row in rows}
    owners, first = await _serials(connection, rows, twins)
    return {
        row.charger_id: TrustFacts(
            charger=charger_of(row),
            twin=twins[row.charger_id],
            memory=memories.get(row.charger_id, Memory()),
            proved=tuple(_proved(*each) for each in orjson.loads(row.proved)),
            updating=row.updating,
            serial_owner=owners.get(_told_serial(row, twins[row.charger_id])),
            first_serial=first.get(row.charger_id),
            firmware_desired=row.firmware_desired,
        )
        for row in rows
    }


def _proved(  # noqa: PLR0913 - the columns of one row
    version: str,
    outcome: str,
    finished_at: str,
    campaign_id: str,
    wave: int,
    before: str | None,
    sent_at: str | None,
    request_id: int | None,
    fell_back_to: str | None,
    reason: str,
) -> Proved:
    at = datetime.fromisoformat(finished_at)
    if fell_back_to is not None:
        return Proved(
            fell_back_to,
            attested=True,
            finished_at=at,
            settled=f"campaign {campaign_id} ended with it: {reason}",
            left=version,
        )
    if outcome not in _ATTESTED or sent_at is None or goes_back(wave):
        return Proved(version, outcome in _ATTESTED, at)
    trial = Trial(campaign_id, version, before, datetime.fromisoformat(sent_at), request_id)
    return Proved(version, attested=True, finished_at=at, trial=trial)


async def fell(connection: AsyncConnection, facts: TrustFacts) -> str:
    """How it went back from what it proved last, by its own boots; "": they do not show that it did."""
    trial = on_trial(facts)
    if trial is None:
        return ""
    found = fell_back(trial, await _boots(connection, facts.charger.charger_id, trial.sent_at))
    return fell_to(facts, found) if found else ""


async def _boots(connection: AsyncConnection, charger_id: str, since: datetime) -> list[StoredEvent]:
    columns = event.c
    query = select(*STORED).where(
        columns.charger_id == charger_id,
        columns.received_at >= since,
        columns.kind.in_([kind.value for kind in EVIDENCE]),
    )
    return [stored_event(row) for row in await connection.execute(query)]


async def attempts(connection: AsyncConnection, ids: Sequence[str]) -> dict[str, tuple[Proved, ...]]:
    """Versions that were sent and whose attempts are not over, such as one that waits for its next try."""
    target = campaign_target.c
    query = select(target.charger_id, target.to_version, target.dispatched_at).where(
        target.charger_id == any_(cast(list(ids), ARRAY(Text))),
        target.finished_at.is_(None),
        target.dispatched_at.is_not(None),
    )
    found: dict[str, tuple[Proved, ...]] = {}
    for name, version, at in await connection.execute(query):
        found[name] = (*found.get(name, ()), Proved(version, attested=False, finished_at=at))
    return found


async def fetched_ahead(connection: AsyncConnection, facts: Mapping[str, TrustFacts]) -> dict[str, Proved]:
    """What they fetched to install later, since they last proved a version: not all of them wait with it."""
    image, found = parked_image.c, {}
    query = select(image.charger_id, image.version, image.since).where(
        image.charger_id == any_(cast(list(facts), ARRAY(Text)))
    )
    for name, version, since in await connection.execute(query):
        if all(since > each.finished_at for each in facts[name].proved if each.attested):
            found[name] = Proved(version, attested=False, finished_at=since)
    return found


async def _memories(connection: AsyncConnection, ids: Sequence[str]) -> dict[str, Memory]:
    columns = trust_memory.c
    query = (
        select(columns.charger_id, columns.memory)
        .where(columns.charger_id == any_(cast(list(ids), ARRAY(Text))))
        .order_by(columns.charger_id)
        .with_for_update()
    )
    return {name: decode(Memory, memory) for name, memory in await connection.execute(query)}


async def _serials(
    connection: AsyncConnection, rows: Sequence[Any], twins: dict[str, TwinState]
) -> tuple[dict[str | None, str], dict[str, str]]:
    """Whose the serial numbers are that these chargers report, and what each told first.

    The first one that a charger without a registered one tells is its own from then on, if it is nobody's.
    """
    told = {row.charger_id: _told_serial(row, twins[row.charger_id]) for row in rows}
    subjects = {charger_subject(row.charger_id): row for row in rows}
    known = await _known(connection, told.values(), subjects)
    claimed = {each.subject for each in known}
    new = [
        {"namespace": SERIAL, "value": told[row.charger_id], "subject": subject, "actor": CHARGER_SAYS}
        for subject, row in subjects.items()
        if row.serial_number is None and told[row.charger_id] is not None and subject not in claimed
    ]
    if new:
        statement = insert(identifier).values({"since": func.now()}).on_conflict_do_nothing()
        await connection.execute(statement, new)
        known = await _known(connection, told.values(), subjects)
    owners = {each.value: each.subject.partition("/")[2] for each in known}
    first = {
        each.subject.partition("/")[2]: each.value.removeprefix(f"{subjects[each.subject].vendor}/")
        for each in known
        if each.actor == CHARGER_SAYS and each.subject in subjects
    }
    return dict(owners), first


async def _known(connection: AsyncConnection, values: Any, subjects: Any) -> Sequence[Any]:
    wanted = [value for value in values if value is not None]
    query = select(_C.value, _C.subject, _C.actor).where(
        _C.namespace == SERIAL,
        or_(
            _C.value == any_(cast(wanted, ARRAY(Text))),
            _C.subject == any_(cast(list(subjects), ARRAY(Text))),
        ),
    )
    return (await connection.execute(query)).all()


def _told_serial(row: Any, twin: TwinState) -> str | None:
    serial = twin.identity.serial_number if twin.identity else None
    return serial_value(row.vendor, serial) if serial else None


def _twin(row: Any) -> TwinState:
    return decode_twin(row.charger_id, row.revision, orjson.loads(row.sections or "{}"))
