"""The desired side of twins. Every change locks the twin, takes its next revision and writes history."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Text, any_, bindparam, delete, func, select, update
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from storage.canonical import canonical_json
from storage.codec import apply_patch, decode, section_patch, to_json
from storage.desired import (
    Ack,
    AckStatus,
    Answers,
    DesiredChange,
    DesiredSection,
    SectionTooLarge,
    kept_acks,
    overall,
)
from storage.errors import Conflict, InvalidInput, NotFound, StaleVersion
from storage.postgres.engine import reading, transaction
from storage.postgres.prepared import Prepared
from storage.postgres.statements import EVENTS_CHANNEL
from storage.postgres.tables import charger, drift_judged, twin, twin_history, twin_section
from storage.twin import Lifecycle
from storage.twin_schema import DESIRABLE, MAX_SECTION_BYTES, desired_problems

_COLUMNS = twin_section.c
DESIRED_COLUMNS = (
    _COLUMNS.name,
    _COLUMNS.desired,
    _COLUMNS.desired_version,
    _COLUMNS.acks,
    _COLUMNS.acked_version,
    _COLUMNS.ack_status,
)


_VARIABLES = Prepared(
    select(_COLUMNS.charger_id, _COLUMNS.desired["values"].label("wanted")).where(
        _COLUMNS.desired.is_not(None),
        _COLUMNS.name == "configuration",
        _COLUMNS.charger_id == any_(bindparam("ids", type_=ARRAY(Text))),
    )
)


class PostgresDesiredStore:
    """See ``storage.twin_ports.DesiredStore``."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def desired(self, charger_id: str) -> Sequence[DesiredSection]:
        """Every section that has a desired side, by name."""
        known = select(twin.c.charger_id).where(twin.c.charger_id == charger_id)
        query = select(*DESIRED_COLUMNS).where(
            _COLUMNS.charger_id == charger_id, _COLUMNS.name.in_(DESIRABLE)
        )
        async with reading(self._engine) as connection:
            rows = {row.name: row for row in await connection.execute(query)}
            if not rows and (await connection.execute(known)).one_or_none() is None:
                raise NotFound("charger", charger_id)
        return [desired_section(charger_id, name, rows.get(name)) for name in DESIRABLE]

    async def desired_variables(self, charger_ids: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
        """By charger; those of whom nothing is desired are left out."""
        rows = await _VARIABLES.rows(self._engine, ids=list(charger_ids))
        return {charger_id: values for charger_id, values in rows if values}

    async def set_desired(self, change: DesiredChange) -> DesiredSection:
        """Under the twin's lock: compare, check, write, and history in the same transaction."""
        if change.section not in DESIRABLE:
            raise NotFound("desired section", change.section, hint=f"There are {', '.join(DESIRABLE)}.")
        async with transaction(self._engine) as connection:
            revision = await _locked(connection, change.charger_id)
            await _require_alive(connection, change.charger_id)
            before = await _section(connection, change.charger_id, change.section)
            if before.version != change.expected_version:
                raise StaleVersion(
                    f"Desired {change.section} of {change.charger_id} has version {before.version}, "
                    f"not {change.expected_version}.",
                    hint="Read it again, then decide again.",
                )
            desired = apply_patch(before.desired if change.merge else {}, dict(change.body))
            _check(change.section, desired)
            if desired == before.desired:
                return before
            acks = kept_acks(before, desired)
            after = _judged(replace(before, desired=desired, version=revision + 1, acks=acks))
            await _write(connection, after)
            patch = section_patch(before.desired, desired)
            origin = (change.actor, change.cause, change.at)
            await _record(connection, after, revision + 1, ("desired", patch), origin)
            return after

    async def answer(self, given: Answers) -> DesiredSection:
        """Note what a charger said; it is a mutation of the twin like any other."""
        async with transaction(self._engine) as connection:
            revision = await _locked(connection, given.charger_id)
            before = await _section(connection, given.charger_id, given.section)
            values = before.values
            fresh = {
                path: ack
                for path, ack in given.acks.items()
                if path in values and values[path] == given.sent.get(path)
            }
            after = _judged(replace(before, acks={**before.acks, **fresh}))
            patch = section_patch(to_json(before.acks), to_json(after.acks))
            if not patch:
                return before
            await _write(connection, after)
            latest = max(ack.at for ack in fresh.values())
            origin = (given.actor, given.cause, latest)
            await _record(connection, after, revision + 1, ("acknowledged", patch), origin)
            return after


def desired_section(charger_id: str, section: str, row: Row[*tuple[Any, ...]] | None) -> DesiredSection:
    """The noun from the columns; None: nothing is desired."""
    if row is None or row.desired_version is None:
        return DesiredSection(charger_id, section)
    return DesiredSection(
        charger_id,
        section,
        row.desired or {},
        row.desired_version,
        {path: decode(Ack, ack) for path, ack in (row.acks or {}).items()},
        row.acked_version,
        AckStatus(row.ack_status) if row.ack_status else None,
    )


def _judged(section: DesiredSection) -> DesiredSection:
    status = overall(section.values, section.acks)
    acked = section.version if status is not None else section.acked_version
    return replace(section, ack_status=status, acked_version=acked)


def _check(section: str, desired: dict[str, Any]) -> None:
    problems = desired_problems(section, desired)
    if problems:
        raise InvalidInput(f"Desired {section} breaks the schema.", problems, hint="docs/TWIN.md has it.")
    size = len(canonical_json(desired))
    if size > MAX_SECTION_BYTES:
        raise SectionTooLarge(
            f"Desired {section} would have {size} bytes, more than {MAX_SECTION_BYTES}.",
            hint="Desire fewer values, or shorter ones.",
        )


async def _locked(connection: AsyncConnection, charger_id: str) -> int:
    """The twin's revision, its row locked as the ingest locks it."""
    query = select(twin.c.revision).where(twin.c.charger_id == charger_id).with_for_update(key_share=True)
    revision: int | None = (await connection.execute(query)).scalar_one_or_none()
    if revision is None:
        raise NotFound("charger", charger_id)
    return revision


async def _require_alive(connection: AsyncConnection, charger_id: str) -> None:
    query = select(charger.c.lifecycle).where(charger.c.charger_id == charger_id)
    if (await connection.execute(query)).scalar_one() == Lifecycle.RETIRED:
        raise Conflict(f"Charger {charger_id!r} is retired.", hint="Nothing is desired of it any more.")


async def _section(connection: AsyncConnection, charger_id: str, section: str) -> DesiredSection:
    query = select(*DESIRED_COLUMNS).where(_COLUMNS.charger_id == charger_id, _COLUMNS.name == section)
    return desired_section(charger_id, section, (await connection.execute(query)).one_or_none())


async def _write(connection: AsyncConnection, after: DesiredSection) -> None:
    values = {
        "desired": after.desired,
        "desired_version": after.version,
        "acks": to_json(after.acks),
        "acked_version": after.acked_version,
        "ack_status": after.ack_status.value if after.ack_status else None,
    }
    # Whatever was judged before no longer holds.
    await connection.execute(delete(drift_judged).where(drift_judged.c.charger_id == after.charger_id))
    statement = insert(twin_section).values(charger_id=after.charger_id, name=after.section, **values)
    await connection.execute(
        statement.on_conflict_do_update(index_elements=["charger_id", "name"], set_=values)
    )


async def _record(
    connection: AsyncConnection,
    after: DesiredSection,
    revision: int,
    change: tuple[str, Any],
    origin: tuple[str, str, datetime],
) -> None:
    side, patch = change
    actor, cause, at = origin
    where = twin.c.charger_id == after.charger_id
    await connection.execute(update(twin).where(where).values(revision=revision))
    await connection.execute(
        insert(twin_history).values(
            charger_id=after.charger_id,
            revision=revision,
            section=after.section,
            side=side,
            patch=patch,
            actor=actor,
            cause=cause,
            observed_at=at,
            received_at=at,
        )
    )
    await connection.execute(select(func.pg_notify(EVENTS_CHANNEL, "")))
