"""One visit to a charger on its way in: as far as it can go now, and what it waits for then (F42-F53).

The wait, which may be weeks, is in PostgreSQL; a visit lives minutes. Its id is the charger's lock, so
nothing else is done to it meanwhile. Each step may be repeated, and a crash leaves a state that a later
visit goes on from.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.commissioning import CommissioningActivities, ParkedOrder
    from activities.facts import RouteFacts
    from activities.provisioning import (
        EnrolmentFacts,
        Examined,
        Moved,
        Postponed,
        ProvisioningActivities,
        ValuesSet,
    )
    from csms.errors import NotConnectedHere
    from storage.errors import AmpwaveError
    from storage.provisioning import CheckResult, EnrolmentState
    from workflows.options import locally, on_node, remotely
    from workflows.provisioning_rules import (
        CheckFacts,
        LinkFacts,
        Move,
        advance,
        came_without,
        checklist,
        failed,
        look_again,
        proof_missing,
    )
    from workflows.signals import CHARGER_EVENT, ChargerSignal

BY_CERTIFICATE = 3
"""The security profile in which a charger proves itself by a certificate."""
STEPS = 40
"""More than the way in has, retries of a reconnect included."""
RETURNS = 8
"""So often it is looked whether a charger came back, within one visit."""


@dataclass(frozen=True, slots=True)
class ProvisioningInput:
    """Which charger; everything else of it is in the store."""

    charger_id: str
    return_seconds: float = 2.0
    """Between two looks whether it came back."""


@workflow.defn(failure_exception_types=[AmpwaveError])
class ProvisioningWorkflow:
    """One visit; id ``charger/{charger_id}``."""

    @workflow.init
    def __init__(self, given: ProvisioningInput) -> None:
        self._given = given
        self._waits_for = ""
        self._returns = 0
        self._restarted = False
        self._given_again = False

    @workflow.run
    async def run(self, given: ProvisioningInput) -> str:
        """The state in which it was left."""
        for _ in range(STEPS):
            facts = await locally(ProvisioningActivities.measure_enrolment, given.charger_id)
            if not facts.parked or facts.state in (EnrolmentState.ACTIVE, EnrolmentState.EXPIRED):
                return facts.state.value
            workflow.set_current_details(f"**{given.charger_id}** {facts.state.value}")
            if workflow.now() >= facts.deadline_at:
                await self._move(facts, Move.EXPIRE, "it was not done in time")
                return EnrolmentState.EXPIRED.value
            if not await self._step(facts):
                await self._postpone(facts)
                return facts.state.value
        return facts.state.value

    @workflow.signal(name=CHARGER_EVENT, description="An event of this charger was committed.")
    def charger_event(self, signal: ChargerSignal) -> None:
        """Nothing waits for hints: a visit looks for itself."""

    async def _step(self, facts: EnrolmentFacts) -> bool:
        """One step; False: it waits for something."""
        if facts.route is None:
            return self._wait("it is not connected")
        try:
            return await self._stepped(facts, facts.route)
        except ActivityError as error:
            cause = error.cause
            if isinstance(cause, ApplicationError) and cause.type != NotConnectedHere.__name__:
                return self._wait(cause.message)
            return self._wait("its node was lost, or its socket ended")

    async def _stepped(self, facts: EnrolmentFacts, route: RouteFacts) -> bool:
        match facts.state:
            case EnrolmentState.REGISTERED | EnrolmentState.CLAIMED:
                if not facts.booted:
                    return self._wait("it is connected, and has not said who it is")
                return await self._move(facts, Move.CONNECT)
            case EnrolmentState.PARKED:
                return await self._give(facts, route)
            case EnrolmentState.CREDENTIAL_PENDING:
                return await self._proof(facts, route)
            case EnrolmentState.PROVED:
                return await self._configure(facts, route)
            case EnrolmentState.CONFIGURED:
                return await self._check(facts, route)
        return await self._activate(facts, route)

    async def _give(self, facts: EnrolmentFacts, route: RouteFacts) -> bool:
        """After a crash in between it is given again, or its reconnect shows that it has it."""
        at, order = workflow.now(), self._order(facts, route)
        if facts.by_factory:
            # It shows a certificate, and who does is judged by it alone: it needs one of its own.
            order = replace(order, profile=BY_CERTIFICATE)
        said = await on_node(CommissioningActivities.give_credential, order, route)
        if not said.good:
            return self._wait(f"a credential of its own: {said.detail}")
        return await self._move(facts, Move.GIVE_CREDENTIAL, said.detail, credential_at=at)

    async def _proof(self, facts: EnrolmentFacts, route: RouteFacts) -> bool:
        link = LinkFacts(
            facts.route is not None,
            facts.booted,
            facts.since,
            facts.connected_profile,
            facts.credential_settled,
        )
        missing = proof_missing(link, facts.profile, facts.credential_at)
        if not missing:
            return await self._move(facts, Move.RECONNECT)
        if self._returns >= RETURNS:
            if came_without(link, facts.credential_at) and self._gives_again():
                return await self._give(facts, route)
            return self._wait(missing)
        self._returns += 1
        if self._returns == RETURNS // 2 and not self._restarted:
            self._restarted = True
            order = self._order(facts, route)
            await on_node(CommissioningActivities.restart_parked, order, route)
        await workflow.sleep(self._given.return_seconds, summary="until it comes back")
        return True

    def _gives_again(self) -> bool:
        """Once in a visit."""
        again, self._given_again = not self._given_again, True
        return again and workflow.patched("given-again")

    async def _configure(self, facts: EnrolmentFacts, route: RouteFacts) -> bool:
        order = self._order(facts, route)
        read = await on_node(CommissioningActivities.read_parked, order, route)
        if not read.good:
            return self._wait(f"it did not tell what it can be set to: {read.detail}")
        plan = await locally(ProvisioningActivities.plan_values, self._given.charger_id)
        if plan.problems:
            return self._wait(f"its template does not fit: {'; '.join(plan.problems)}")
        if plan.names:
            given = ParkedOrder(
                self._given.charger_id, route.session_epoch, facts.profile, plan.names, plan.values
            )
            end = await on_node(CommissioningActivities.set_parked, given, route)
            note = ValuesSet(self._given.charger_id, plan, end)
            if why := await locally(ProvisioningActivities.note_values, note):
                return self._wait(why)
        return await self._move(facts, Move.CONFIGURE)

    async def _check(self, facts: EnrolmentFacts, route: RouteFacts) -> bool:
        order = self._order(facts, route)
        questioned = await on_node(CommissioningActivities.question_parked, order, route)
        # What it was asked for comes after its answer.
        await workflow.sleep(1, summary="until what it was asked for has come")
        examined = await remotely(
            ProvisioningActivities.examine_charger, self._given.charger_id, "look at what it reported"
        )
        checks = checklist(_facts(examined, questioned.answers), workflow.now())
        why = failed(checks)
        if why:
            await self._moved(facts, facts.state, why, checks)
            return self._wait(why)
        return await self._move(facts, Move.PASS, checks=checks)

    async def _activate(self, facts: EnrolmentFacts, route: RouteFacts) -> bool:
        done = await self._move(facts, Move.ACTIVATE)
        try:
            await on_node(CommissioningActivities.welcome_charger, self._order(facts, route), route)
        except ActivityError:
            workflow.logger.info("%s hears at its next boot that it is accepted", self._given.charger_id)
        return done

    def _order(self, facts: EnrolmentFacts, route: RouteFacts) -> ParkedOrder:
        return ParkedOrder(self._given.charger_id, route.session_epoch, facts.profile)

    def _wait(self, reason: str) -> bool:
        self._waits_for = reason
        return False

    async def _move(
        self,
        facts: EnrolmentFacts,
        move: Move,
        waits_for: str = "",
        *,
        credential_at: datetime | None = None,
        checks: tuple[CheckResult, ...] | None = None,
    ) -> bool:
        after = advance(facts.state, move)
        if after is None:
            return self._wait(f"{move.value} is no move from {facts.state.value}")
        given = Moved(self._given.charger_id, facts.state, after, waits_for, credential_at, checks)
        await locally(ProvisioningActivities.move_enrolment, given)
        return True

    async def _moved(
        self, facts: EnrolmentFacts, state: EnrolmentState, why: str, checks: tuple[CheckResult, ...]
    ) -> None:
        given = Moved(self._given.charger_id, facts.state, state, why, checks=checks)
        await locally(ProvisioningActivities.move_enrolment, given)

    async def _postpone(self, facts: EnrolmentFacts) -> None:
        again = look_again(workflow.now(), facts.requested_at)
        given = Postponed(self._given.charger_id, self._waits_for, again)
        await locally(ProvisioningActivities.postpone_enrolment, given)


def _facts(examined: Examined, answers: tuple[tuple[str, str, float], ...]) -> CheckFacts:
    return CheckFacts(
        connected=examined.connected,
        vendor=examined.vendor,
        model=examined.model,
        serial_number=examined.serial_number,
        told_vendor=examined.told_vendor,
        told_model=examined.told_model,
        told_serial=examined.told_serial,
        profile=examined.profile,
        wanted_profile=examined.wanted_profile,
        clock_suspicious=examined.clock_suspicious,
        version=examined.version,
        connectors=examined.connectors,
        answers=answers,
        has_model=examined.has_model,
        takes_updates=examined.takes_updates,
        asset=examined.asset,
        attestations=examined.attestations,
        wanted_attestations=examined.wanted_attestations,
        link=examined.link,
    )
