"""Bringing values to many chargers: what needs no socket.

The step that sends is the one of people's commands.
"""

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from temporalio import activity

from activities.errors import mapped
from activities.facts import RouteFacts
from activities.stores import Stores
from storage.command import CommandEnd
from storage.configuration import (
    MOST_ATTEMPTS,
    ConfigurationLine,
    JobState,
    LineState,
    judge_line,
)
from storage.desired import Answers, DesiredChange, DesiredSection
from storage.errors import AmpwaveError, Conflict, InvalidInput, NotFound, StaleVersion
from storage.twin_schema import VARIABLES

SECTION = "configuration"
_TRIES = 5


@dataclass(frozen=True, slots=True)
class DeliveryPage:
    """Which lines of a job come next."""

    configuration_id: str
    after: int
    limit: int


class Delivery(NamedTuple):
    """One charger that can be sent its values now."""

    ordinal: int
    charger_id: str
    route: RouteFacts
    desired_version: int
    names: tuple[str, ...]
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Delivered:
    """What one attempt brought."""

    configuration_id: str
    ordinal: int
    desired_version: int
    names: tuple[str, ...]
    values: tuple[str, ...]
    end: CommandEnd


@dataclass(frozen=True, slots=True)
class JobFacts:
    """How far a job is."""

    running: bool
    waiting: int
    deadline_at: datetime


class ConfigurationActivities:
    """On any worker."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    @activity.defn
    @mapped
    async def desire_values(self, configuration_id: str) -> int:
        """Desire a job's values of up to two hundred chargers; how many there were."""
        job = await self._stores.twins.configuration(configuration_id)
        lines = await self._stores.twins.undesired(configuration_id)
        for line in lines:
            await self._stores.twins.move_line(await self._desired(line, job.values, job.actor))
        return len(lines)

    @activity.defn
    @mapped
    async def find_deliverable(self, given: DeliveryPage) -> tuple[Delivery, ...]:
        """The next chargers that are connected and in no maintenance. A page may be empty of routes."""
        job = await self._stores.twins.configuration(given.configuration_id)
        lines = await self._stores.twins.deliverable(
            given.configuration_id, after=given.after, limit=given.limit
        )
        routes = await asyncio.gather(*(self._stores.routes.resolve(line.charger_id) for line in lines))
        names, values = tuple(job.values), tuple(job.values.values())
        return tuple(
            Delivery(
                line.ordinal,
                line.charger_id,
                RouteFacts(route.node_id, route.boot_id, route.session_epoch),
                line.desired_version or 0,
                names,
                values,
            )
            for line, route in zip(lines, routes, strict=True)
            if route is not None
        )

    @activity.defn
    @mapped
    async def note_delivery(self, given: Delivered) -> str:
        """Write down what a charger said; returns the state of its line."""
        stores, now = self._stores, self._stores.clock()
        line = await stores.twins.configuration_line(given.configuration_id, given.ordinal)
        sent = {f"{VARIABLES}.{name}": value for name, value in zip(given.names, given.values, strict=True)}
        verdict = judge_line(sent, given.end, given.desired_version, now)
        cause = f"configuration/{given.configuration_id}"
        if verdict.acks:
            job = await stores.twins.configuration(given.configuration_id)
            version, acks = given.desired_version, verdict.acks
            await stores.twins.answer(
                Answers(line.charger_id, SECTION, version, sent, acks, job.actor, cause)
            )
        moved = replace(line, attempts=line.attempts + 1, state=verdict.state, reason=verdict.reason)
        if moved.state is LineState.WAITING and moved.attempts >= MOST_ATTEMPTS:
            moved = replace(moved, state=LineState.FAILED)
        if moved.state is not LineState.WAITING:
            moved = replace(moved, finished_at=now)
        await stores.twins.move_line(moved)
        return moved.state.value

    @activity.defn
    @mapped
    async def measure_job(self, configuration_id: str) -> JobFacts:
        """How far it is."""
        job = await self._stores.twins.configuration(configuration_id)
        waiting = job.counts.get(LineState.WAITING.value, 0)
        return JobFacts(job.state is JobState.RUNNING, waiting, job.deadline_at)

    @activity.defn
    @mapped
    async def close_job(self, configuration_id: str) -> None:
        """Every charger has its result, or its time is over."""
        twins, now = self._stores.twins, self._stores.clock()
        if await twins.close_configuration(configuration_id, JobState.DONE, LineState.EXPIRED, now):
            job = await twins.configuration(configuration_id)
            subject = f"configuration/{configuration_id}"
            await self._stores.record(job.actor, "configuration.done", subject, **job.counts)

    async def _desired(
        self, line: ConfigurationLine, values: dict[str, str], actor: str
    ) -> ConfigurationLine:
        """The line once its values are desired, whoever else writes meanwhile; or why they cannot be."""
        cause = f"configuration/{line.configuration_id}"
        for _ in range(_TRIES):
            try:
                known = await self._section(line.charger_id)
                after = await self._stores.twins.set_desired(
                    DesiredChange(
                        line.charger_id,
                        SECTION,
                        {"values": values},
                        known.version,
                        actor,
                        cause,
                        self._stores.clock(),
                    )
                )
            except StaleVersion:
                continue
            except (Conflict, InvalidInput, NotFound) as error:
                return self._refused(line, error)
            return replace(line, desired_version=after.version)
        return line

    async def _section(self, charger_id: str) -> DesiredSection:
        sections = await self._stores.twins.desired(charger_id)
        return next(each for each in sections if each.section == SECTION)

    def _refused(self, line: ConfigurationLine, error: AmpwaveError) -> ConfigurationLine:
        now = self._stores.clock()
        return replace(line, state=LineState.REFUSED, reason=error.message, finished_at=now)
