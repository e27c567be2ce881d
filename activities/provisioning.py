"""The books of chargers on their way in: what is measured, what was decided, what they are to be set to."""

from dataclasses import dataclass
from datetime import datetime

from temporalio import activity

from activities.errors import mapped
from activities.facts import RouteFacts
from activities.stores import Stores
from csms.capabilities import of_charger
from storage.codec import decode
from storage.command import CommandEnd
from storage.configuration import LineState, judge_line
from storage.desired import Answers, DesiredChange, DesiredSection
from storage.errors import NotFound, StaleVersion
from storage.ports import ChargerView
from storage.provisioning import (
    Advance,
    Asset,
    Attestation,
    CheckResult,
    Enrolment,
    EnrolmentState,
    LinkTest,
    ProvisioningStore,
)
from storage.templates import Rendered, Template, render
from storage.twin import Lifecycle, TwinState, own_profile
from storage.twin_schema import VARIABLES

SECTION = "configuration"
ACTOR = "provisioning"
_TRIES = 5


@dataclass(frozen=True, slots=True)
class EnrolmentFacts:
    """One enrolment and the socket that its charger has now."""

    state: EnrolmentState
    parked: bool
    """Its lifecycle is still that of one on its way in."""
    requested_at: datetime
    deadline_at: datetime
    profile: int
    credential_at: datetime | None
    route: RouteFacts | None
    booted: bool
    since: datetime | None
    connected_profile: int
    credential_settled: bool
    by_factory: bool = False
    """It comes by what its factory gave it: a client certificate, so that no password takes its place."""


@dataclass(frozen=True, slots=True)
class Moved:
    """A move to be written down."""

    charger_id: str
    expected: EnrolmentState
    state: EnrolmentState
    waits_for: str = ""
    credential_at: datetime | None = None
    checks: tuple[CheckResult, ...] | None = None


@dataclass(frozen=True, slots=True)
class Postponed:
    """Nothing moved."""

    charger_id: str
    waits_for: str
    again_at: datetime


@dataclass(frozen=True, slots=True)
class ValuePlan:
    """What a charger is to be set to, or why it cannot be."""

    names: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    version: int = 0
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ValuesSet:
    """What it said to its values."""

    charger_id: str
    plan: ValuePlan
    end: CommandEnd


@dataclass(frozen=True, slots=True)
class Examined:
    """Facts for the checklist that come from the store."""

    vendor: str
    model: str
    serial_number: str | None
    told_vendor: str | None
    told_model: str | None
    told_serial: str | None
    profile: int
    wanted_profile: int
    clock_suspicious: bool
    version: str | None
    connectors: tuple[tuple[int, int, str], ...]
    has_model: bool
    takes_updates: bool
    connected: bool
    asset: Asset
    attestations: tuple[Attestation, ...]
    wanted_attestations: tuple[str, ...]
    link: LinkTest | None = None


def _own_profile(twin: TwinState) -> int:
    return own_profile(twin.security.profile, twin.security.certificate_serial) if twin.security else 0


def _by_factory(twin: TwinState) -> bool:
    return twin.security is not None and _own_profile(twin) < twin.security.profile


class ProvisioningActivities:
    """On any worker."""

    def __init__(self, stores: Stores, enrolments: ProvisioningStore) -> None:
        self._stores = stores
        self._enrolments = enrolments

    @activity.defn
    @mapped
    async def find_enrolments(self, limit: int) -> tuple[str, ...]:
        """Chargers that may move now."""
        return tuple(await self._enrolments.due(limit=limit))

    @activity.defn
    @mapped
    async def measure_enrolment(self, charger_id: str) -> EnrolmentFacts:
        """Where it is, and the socket it has."""
        stores = self._stores
        found = await self._enrolments.get(charger_id)
        view = await stores.chargers.get(charger_id)
        route = await stores.routes.resolve(charger_id)
        credential = await stores.chargers.credential(charger_id)
        link, firmware = view.twin.connectivity, view.twin.firmware
        return EnrolmentFacts(
            state=found.state,
            parked=view.charger.lifecycle is Lifecycle.PROVISIONING,
            requested_at=found.requested_at,
            deadline_at=found.deadline_at,
            profile=found.profile,
            credential_at=found.credential_at,
            route=RouteFacts(route.node_id, route.boot_id, route.session_epoch) if route else None,
            booted=firmware is not None and firmware.booted_at is not None,
            since=link.since if link and link.online else None,
            connected_profile=_own_profile(view.twin),
            credential_settled=credential is None or credential.pending is None,
            by_factory=_by_factory(view.twin),
        )

    @activity.defn
    @mapped
    async def move_enrolment(self, given: Moved) -> bool:
        """Write a move down; False: somebody else moved it, or it is no more on its way in."""
        now = self._stores.clock()
        return await self._enrolments.advance(
            Advance(
                given.charger_id,
                given.expected,
                given.state,
                now,
                given.waits_for,
                given.credential_at,
                given.checks,
            )
        )

    @activity.defn
    @mapped
    async def postpone_enrolment(self, given: Postponed) -> None:
        """Say what it waits for, and when it is looked at again."""
        await self._enrolments.looked(given.charger_id, given.again_at, given.waits_for)

    @activity.defn
    @mapped
    async def plan_values(self, charger_id: str) -> ValuePlan:
        """What its template makes of it and its site; desired of it from now on."""
        found = await self._enrolments.get(charger_id)
        if found.template is None:
            return ValuePlan()
        view = await self._stores.chargers.get(charger_id)
        rendered = await self._rendered(found, view)
        if rendered.problems or not rendered.values:
            return ValuePlan(problems=rendered.problems)
        version = await self._desire(charger_id, dict(rendered.values))
        return ValuePlan(tuple(rendered.values), tuple(rendered.values.values()), version)

    async def _rendered(self, found: Enrolment, view: ChargerView) -> Rendered:
        template = decode(Template, dict(await self._enrolments.template(found.template or "")))
        allowed = await self._enrolments.constraints(view.charger.site_id)
        configuration, link = view.twin.configuration, view.twin.connectivity
        return render(
            template,
            link.dialect or "" if link else "",
            found.parameters,
            allowed.values if allowed else None,
            configuration.values if configuration else None,
        )

    async def _desire(self, charger_id: str, values: dict[str, str]) -> int:
        twins, cause = self._stores.twins, f"enrolment/{charger_id}"
        for _ in range(_TRIES):
            known = await self._section(charger_id)
            change = DesiredChange(
                charger_id, SECTION, {"values": values}, known.version, ACTOR, cause, self._stores.clock()
            )
            try:
                return (await twins.set_desired(change)).version
            except StaleVersion:
                continue
        raise StaleVersion(f"What is desired of {charger_id} changes all the time.", hint="Try again later.")

    async def _section(self, charger_id: str) -> DesiredSection:
        sections = await self._stores.twins.desired(charger_id)
        return next(each for each in sections if each.section == SECTION)

    @activity.defn
    @mapped
    async def note_values(self, given: ValuesSet) -> str:
        """Write down what it said to its values; why they are not in force, or empty."""
        plan, now = given.plan, self._stores.clock()
        sent = {f"{VARIABLES}.{name}": value for name, value in zip(plan.names, plan.values, strict=True)}
        verdict = judge_line(sent, given.end, plan.version, now)
        if verdict.acks:
            cause = f"enrolment/{given.charger_id}"
            answers = Answers(given.charger_id, SECTION, plan.version, sent, verdict.acks, ACTOR, cause)
            await self._stores.twins.answer(answers)
        good = verdict.state in (LineState.ACCEPTED, LineState.RESTART)
        return "" if good else f"its values: {verdict.state.value}, {verdict.reason}"

    @activity.defn
    @mapped
    async def examine_charger(self, charger_id: str) -> Examined:
        """What its checklist needs to know."""
        found = await self._enrolments.get(charger_id)
        view = await self._stores.chargers.get(charger_id)
        charger, twin = view.charger, view.twin
        profile = await self._stores.chargers.model(charger.vendor, charger.model)
        operation, link, told = twin.operation, twin.connectivity, twin.identity
        connectors = operation.connectors.values() if operation else ()
        updates = of_charger(charger, twin, profile).known.updates
        return Examined(
            vendor=charger.vendor,
            model=charger.model,
            serial_number=charger.serial_number,
            told_vendor=told.vendor if told else None,
            told_model=told.model if told else None,
            told_serial=told.serial_number if told else None,
            profile=_own_profile(twin),
            wanted_profile=found.profile,
            clock_suspicious=link is not None and link.clock_suspicious,
            version=twin.firmware.version if twin.firmware else None,
            connectors=tuple((each.evse_id, each.connector_id, each.status.value) for each in connectors),
            has_model=profile is not None,
            takes_updates=updates is not False,
            connected=await self._stores.routes.resolve(charger_id) is not None,
            asset=found.asset,
            attestations=found.attestations,
            wanted_attestations=await self._attestations(found),
            link=LinkTest(link.tls if link else None, await self._log_at(found)),
        )

    async def _log_at(self, found: Enrolment) -> datetime | None:
        """An upload needs its DNS, its way out and our host, as the fetching of an image does."""
        logs = await self._stores.logs.latest(found.charger_id)
        came = [each.upload.received_at for each in logs if each.upload is not None]
        return max((at for at in came if at >= found.requested_at), default=None)

    async def _attestations(self, found: Enrolment) -> tuple[str, ...]:
        if found.template is None:
            return ()
        try:
            return decode(Template, dict(await self._enrolments.template(found.template))).attestations
        except NotFound:
            return ()
