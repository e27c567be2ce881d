"""Bringing many chargers in at once: each row stands on its own, and says what is wrong with it (F45)."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from pydantic import ValidationError

from api.acts import audit
from api.ports import ApiServices
from api.problems import describe
from api.schemas.provisioning import EnrolledReply, EnrolledRow, EnrolmentBody
from storage.access import Principal
from storage.asset_rules import asset_problems
from storage.charger import Charger, ChargerCredential
from storage.desired import DesiredChange
from storage.errors import AmpwaveError, EngineUnavailable
from storage.provisioning import Enrolment, Origin, ProvisioningStore
from storage.twin import Lifecycle
from storage.twin_schema import TERMS

PRICING = "pricing_policy"
_PATIENCE = timedelta(days=90)
_SHOWN = 1000
"""Problems that are counted apart."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row as it came. ``line`` is the file's."""

    line: int
    value: Any


@dataclass(frozen=True, slots=True)
class _Ground:
    """What rows are judged against."""

    sites: frozenset[str]
    templates: frozenset[str]


def store_of(services: ApiServices) -> ProvisioningStore:
    """Where enrolments are kept. Raises EngineUnavailable."""
    if services.enrolments is None:
        raise EngineUnavailable("Nobody is enrolled here.")
    return services.enrolments


class Enroller:
    """Enrols chargers in one person's name."""

    def __init__(self, services: ApiServices, actor: Principal) -> None:
        self._services = services
        self._actor = actor
        self._charger_ids: set[str] = set()
        self._owners: dict[tuple[str, str, str], str] = {}

    async def enrol(self, rows: Sequence[Row], *, dry_run: bool) -> EnrolledReply:
        """Judge every row, then take the good ones in unless this is a dry run."""
        ground = _Ground(
            frozenset(site.site_id for site in await self._services.chargers.sites()),
            frozenset(name for name, _ in await store_of(self._services).templates()),
        )
        results = [await self._row(row, ground, dry_run=dry_run) for row in rows]
        reply = _reply(results, dry_run=dry_run)
        if not dry_run:
            counts = {name: getattr(reply, name) for name in _WORDS}
            await audit(self._services, self._actor, "provisioning.imported", "fleet", **counts)
        return reply

    async def _row(self, row: Row, ground: _Ground, *, dry_run: bool) -> EnrolledRow:
        try:
            body = EnrolmentBody.model_validate(row.value)
        except ValidationError as error:
            problems = tuple(describe(dict(item)) for item in error.errors())
            named = row.value.get("charger_id") if isinstance(row.value, dict) else None
            charger_id = named if isinstance(named, str) and len(named) <= 48 else None
            return EnrolledRow(line=row.line, charger_id=charger_id, result="refused", problems=problems)
        problems = tuple(self._problems(body, ground))
        if problems:
            return EnrolledRow(line=row.line, charger_id=body.charger_id, result="refused", problems=problems)
        return await self._take_in(row, body, dry_run=dry_run)

    def _problems(self, body: EnrolmentBody, ground: _Ground) -> list[str]:
        here = self._services.environment
        problems = asset_problems(body.asset(body.installer))
        if body.site_id not in ground.sites:
            problems.append(f"site_id: there is no site {body.site_id!r}; create it first")
        if body.template is not None and body.template not in ground.templates:
            problems.append(f"template: there is no template {body.template!r}; write it first")
        if body.environment not in (None, here):
            problems.append(f"environment: this is {here!r}, not {body.environment!r}")
        if body.serial_number is None:
            problems.append("serial_number: it is how a charger is known, whatever it calls itself")
        if body.charger_id in self._charger_ids:
            problems.append("charger_id: an earlier row has it too")
        self._charger_ids.add(body.charger_id)
        for name, value in (("serial_number", body.serial_number), ("iccid", body.iccid)):
            scope = body.vendor if name == "serial_number" else ""
            if value and self._owners.setdefault((name, scope, value), body.charger_id) != body.charger_id:
                problems.append(f"{name}: an earlier row has it too")
        return problems

    async def _take_in(self, row: Row, body: EnrolmentBody, *, dry_run: bool) -> EnrolledRow:
        """By the store's own rules; a dry run meets the same, and leaves nothing."""
        now = self._services.clock()
        charger: Charger = replace(body.to_noun(now), lifecycle=Lifecycle.PROVISIONING)
        credential = None
        if body.password is not None:
            secret = self._services.hash_charger_secret(body.password.get_secret_value())
            credential = ChargerCredential(body.charger_id, secret, now)
        given = Enrolment(
            charger_id=body.charger_id,
            origin=Origin.BULK if credential else Origin.CLAIM,
            actor=self._actor.name,
            requested_at=now,
            deadline_at=now + _PATIENCE,
            environment=self._services.environment,
            template=body.template,
            parameters=body.parameters,
            profile=body.profile,
            waits_for="it has not connected yet" if credential else "an installer's claim",
            asset=body.asset(body.installer),
        )
        try:
            new = await store_of(self._services).enrol(charger, credential, given, dry_run=dry_run)
            if body.pricing_policy is not None and not dry_run:
                await self._price(body.charger_id, body.pricing_policy)
        except EngineUnavailable:
            raise
        except AmpwaveError as error:
            problem = error.diagnostics()
            return EnrolledRow(
                line=row.line, charger_id=body.charger_id, result="refused", problems=(problem,)
            )
        result = "enrolled" if new else "unchanged"
        return EnrolledRow(line=row.line, charger_id=body.charger_id, result=result)

    async def _price(self, charger_id: str, policy: str) -> None:
        """Its first reference to prices (F63). A repeated import brings no older one back."""
        twins = self._services.twins
        known = next(each for each in await twins.desired(charger_id) if each.section == TERMS)
        if PRICING in known.desired:
            return
        now, cause = self._services.clock(), f"enrolment/{charger_id}"
        body, actor = {PRICING: policy}, self._actor.name
        await twins.set_desired(DesiredChange(charger_id, TERMS, body, known.version, actor, cause, now))


def _reply(results: Sequence[EnrolledRow], *, dry_run: bool) -> EnrolledReply:
    count = {word: sum(row.result == word for row in results) for word in _WORDS}
    problems = Counter(problem for row in results for problem in row.problems)
    by_problem = dict(problems.most_common(_SHOWN))
    return EnrolledReply(dry_run=dry_run, rows=tuple(results), by_problem=by_problem, **count)


_WORDS = ("enrolled", "unchanged", "refused")
