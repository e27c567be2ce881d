"""Registering chargers, one or many: the site must exist, the same charger again changes nothing."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from pydantic import ValidationError

from api.acts import audit
from api.ports import ApiServices
from api.problems import describe
from api.schemas.chargers import ChargerBody, ImportReply, RowResult
from storage.access import Principal
from storage.charger import Charger, ChargerCredential
from storage.errors import Conflict, InvalidInput
from storage.ports import ChargerView

_ONLY_BY_PROVISIONING = "only provisioning brings chargers into service here"
_HINT = (
    "Bring it in: ampwave provisioning import FILE. A fleet that serves already: set"
    " AMPWAVE_UNSAFE_DIRECT_REGISTRATION for as long as it is being entered."
)


@dataclass(frozen=True, slots=True)
class Registrar:
    """Registers chargers in one person's name."""

    services: ApiServices
    actor: Principal

    async def register(self, body: ChargerBody) -> ChargerView:
        """Register one. Raises InvalidInput (no such site) or Conflict (the identity is taken)."""
        problems = _site_problems(body, await self._site_ids())
        if problems:
            raise InvalidInput(f"{body.charger_id} was not registered.", problems)
        if not self.services.direct_registration and not await self._known([body.charger_id]):
            raise Conflict(f"{body.charger_id} was not registered: {_ONLY_BY_PROVISIONING}.", hint=_HINT)
        await self._put(body)
        view = await self.services.chargers.get(body.charger_id)
        await audit(
            self.services,
            self.actor,
            "charger.registered",
            f"charger/{body.charger_id}",
            site_id=body.site_id,
        )
        return view

    async def import_rows(self, rows: Sequence[Any], *, dry_run: bool) -> ImportReply:
        """Judge every row, then register the good ones unless this is a dry run."""
        bodies = [_parse(row) for row in rows]
        sites = await self._site_ids()
        known = await self._known([body.charger_id for body in bodies if isinstance(body, ChargerBody)])
        results: list[RowResult] = []
        seen: set[str] = set()
        serials: dict[tuple[str, str], str] = {}
        for number, body in enumerate(bodies, start=1):
            result = _same_serial(_judge(number, body, sites, known, seen), body, serials)
            if result.result == "registered" and not self.services.direct_registration:
                result = result.model_copy(
                    update={"result": "refused", "problems": (f"charger_id: {_ONLY_BY_PROVISIONING}",)}
                )
            if result.result == "registered" and not dry_run and isinstance(body, ChargerBody):
                result = await self._try(result, body)
            results.append(result)
        reply = _reply(results, dry_run=dry_run)
        if not dry_run:
            counts = {name: getattr(reply, name) for name in ("registered", "unchanged", "refused")}
            await audit(self.services, self.actor, "charger.imported", "fleet", **counts)
        return reply

    async def _try(self, result: RowResult, body: ChargerBody) -> RowResult:
        try:
            await self._put(body)
        except Conflict as error:  # somebody registered it in the meantime
            return result.model_copy(update={"result": "refused", "problems": (error.diagnostics(),)})
        return result

    async def _put(self, body: ChargerBody) -> None:
        now = self.services.clock()
        credential = None
        if body.password is not None:
            secret = self.services.hash_charger_secret(body.password.get_secret_value())
            credential = ChargerCredential(body.charger_id, secret, now)
        await self.services.chargers.register(body.to_noun(now), credential)

    async def _site_ids(self) -> frozenset[str]:
        return frozenset(site.site_id for site in await self.services.chargers.sites())

    async def _known(self, charger_ids: Sequence[str]) -> dict[str, Charger]:
        views = await self.services.chargers.views(charger_ids)
        return {view.charger.charger_id: view.charger for view in views}


def _parse(row: object) -> ChargerBody | tuple[str, ...]:
    try:
        return ChargerBody.model_validate(row)
    except ValidationError as error:
        return tuple(describe(dict(item)) for item in error.errors())


def _judge(
    number: int,
    body: ChargerBody | tuple[str, ...],
    sites: frozenset[str],
    known: dict[str, Charger],
    seen: set[str],
) -> RowResult:
    if not isinstance(body, ChargerBody):
        return RowResult(row=number, charger_id=None, result="refused", problems=body)
    problems = _site_problems(body, sites)
    if body.charger_id in seen:
        problems.append("charger_id: an earlier row has it too")
    seen.add(body.charger_id)
    there = known.get(body.charger_id)
    if there is not None and not _is_same(there, body):
        problems.append(
            "charger_id: registered already, with other values; what belongs to its place changes by"
            " ampwave charger move"
        )
    result = "refused" if problems else "unchanged" if there else "registered"
    return RowResult(row=number, charger_id=body.charger_id, result=result, problems=tuple(problems))


def _same_serial(
    result: RowResult, body: ChargerBody | tuple[str, ...], serials: dict[tuple[str, str], str]
) -> RowResult:
    """Two chargers of one vendor cannot have one serial number (F20)."""
    if not isinstance(body, ChargerBody) or body.serial_number is None:
        return result
    owner = serials.setdefault((body.vendor, body.serial_number), body.charger_id)
    if owner == body.charger_id:
        return result
    problem = f"serial_number: {owner} in an earlier row has it too"
    return result.model_copy(update={"result": "refused", "problems": (*result.problems, problem)})


def _is_same(there: Charger, body: ChargerBody) -> bool:
    if there.registered_at is None:
        return False
    if body.security_floor > there.security_floor:
        return False
    asked = body.to_noun(there.registered_at)
    kept = {name: getattr(there, name) for name in _KEPT}
    # What is left out is not said to be nothing.
    owned = {name: value for name, value in asdict(asked.ownership).items() if value is not None}
    return replace(asked, **kept, ownership=replace(there.ownership, **owned)) == there


def _site_problems(body: ChargerBody, sites: frozenset[str]) -> list[str]:
    if body.site_id in sites:
        return []
    return [f"site_id: there is no site {body.site_id!r}; create it first"]


def _reply(results: Sequence[RowResult], *, dry_run: bool) -> ImportReply:
    count = {word: sum(1 for row in results if row.result == word) for word in _WORDS}
    return ImportReply(dry_run=dry_run, rows=tuple(results), **count)


_KEPT = ("lifecycle", "security_floor", "identity_version", "ownership_version")
_WORDS = ("registered", "unchanged", "refused")
