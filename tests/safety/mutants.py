# long-file: one table of planted bugs, each beside what it changes
"""Deliberate bugs. Each breaks one rule of the engine; a simulation that lets one pass proves nothing.

``caught_by`` names the rules of the referee of which at least one must speak up.
"""

import itertools
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from unittest.mock import patch

import activities.availability
import activities.chargers
import activities.circumstances
import activities.dispatch
import activities.fallen
import activities.fetching
import activities.fleet
import activities.proving
import activities.sending
import storage.site_budget
import workflows.attest
import workflows.charger_update
import workflows.gate
import workflows.gate.outcomes
import workflows.steady
from activities.campaigns import CampaignActivities
from activities.local_images import LocalImageSender
from activities.orders import DispatchKind
from activities.sending import Sending
from csms.commands import ChangeAvailability
from signing.ledger import UseLedger
from storage.campaign import Campaign, Outcome, TargetPhase, VerdictWord
from storage.events import FirmwareStatus
from storage.fall_back import FallBack, Trial
from storage.upkeep import Before
from storage.windows import Opening
from tests.safety.controller import GOOD
from tests.safety.scenario import HOUR, Act, Odds, Scenario, draw, former
from tests.safety.simulation import LONGEST
from tests.safety.station import AT_ONCE, Habit, Nature
from tests.safety.stores import Campaigns
from workflows.absence import Patience, Say
from workflows.attest import Finding, Judgement
from workflows.campaign import FirmwareCampaignWorkflow
from workflows.charger_fetch import ChargerFetchWorkflow
from workflows.gate.words import CheckResult
from workflows.housekeeping import HousekeepingWorkflow
from workflows.shard import ShardWorkflow

Change = tuple[Any, str, Any]


LOST_BOOT = 2823
"""A seed in which a connection breaks before its charger could tell that it booted."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One bug: what is changed, and who must notice."""

    name: str
    changes: Callable[[], list[Change]]
    caught_by: frozenset[str]
    stage: Callable[[Scenario], Scenario] = lambda scenario: scenario
    """What has to happen for it to show."""
    seed: int = 0
    """The first campaign to try."""
    longest: float = LONGEST
    """When a campaign that has not ended never will, simulated seconds."""

    def scenario(self, seed: int) -> Scenario:
        """The campaign of a seed, with what has to happen."""
        return self.stage(former(seed))

    @contextmanager
    def alive(self) -> Iterator[None]:
        """The engine with this bug."""
        patches = [patch.object(owner, name, new) for owner, name, new in self.changes()]
        for each in patches:
            each.start()
        try:
            yield
        finally:
            for each in patches:
                each.stop()


def _never_busy() -> list[Change]:
    return [(activities.sending, "busy_reason", lambda *_: None)]


def _answer_ignored() -> list[Change]:
    async def make(self: Sending, command: ChangeAvailability, *, anew: bool) -> None:
        self._drained = True
        await self._command(command)

    return [*_never_busy(), (Sending, "_make_inoperative", make)]


def _not_drained() -> list[Change]:
    async def drain(self: Sending, order: Any) -> Any:
        view = await self._look()
        self._require_fit(view, order)
        return view

    return [(Sending, "_drain", drain)]


def _no_lease() -> list[Change]:
    async def lease(self: Sending, *given: Any) -> None:
        return None

    return [(Sending, "_lease", lease)]


def _generous_site() -> list[Change]:
    take = activities.sending.Sending._lease

    async def lease(self: Sending, *given: Any) -> None:
        leases = self._stores.leases._target  # type: ignore[attr-defined]
        before = dict(leases.max_down)
        leases.max_down = dict.fromkeys(before, 99)
        try:
            await take(self, *given)
        finally:
            leases.max_down = before

    return [(Sending, "_lease", lease)]


def _not_put_back() -> list[Change]:
    async def put_back(*_: Any) -> bool:
        return False

    return [(activities.dispatch, "put_back", put_back), (activities.sending, "put_back", put_back)]


def _all_put_back() -> list[Change]:
    def restoring(_operation: Any, _out: Any) -> list[ChangeAvailability]:
        whole = ChangeAvailability(operative=True)
        return [whole, *(ChangeAvailability(operative=True, evse_id=each, connector_id=1) for each in (1, 2))]

    return [(activities.availability, "_restoring", restoring)]


def _installed_is_enough() -> list[Change]:
    before = workflows.attest._judge_status

    def judge(sighting: Any) -> Judgement | None:
        if sighting.status is FirmwareStatus.INSTALLED:
            return Judgement(Finding.UPDATED, "it said so")
        return before(sighting)

    return [(workflows.attest, "_judge_status", judge)]


def _silence_is_fine() -> list[Change]:
    def judge(*_: Any) -> Judgement:
        return Judgement(Finding.UPDATED, "nothing was heard against it")

    return [(workflows.charger_update, "judge_deadline", judge)]


def _old_boot_counts() -> list[Change]:
    def relevant(_attempt: Any, sightings: Any) -> list[Any]:
        return list(sightings)

    def boot(attempt: Any, seen: Any, *, installed: bool) -> Judgement | None:
        return Judgement(Finding.UPDATED, "it booted")

    return [(workflows.attest, "_relevant", relevant), (workflows.attest, "_judge_boot", boot)]


def _abort_not_read() -> list[Change]:
    mark = Campaigns.mark_dispatched

    async def careless(
        self: Campaigns, target: Any, _while_in: Any, subjects: Any = (), after: Any = None
    ) -> bool:
        return await mark(self, target, self.rows[target.campaign_id].phase, subjects, after)

    async def wanted(self: Sending) -> Any:
        given = self._given
        campaign = await self._stores.campaigns.get(given.campaign_id)
        self._plan, self._pace = campaign.plan, campaign.plan.pace
        return await self._stores.campaigns.target(given.campaign_id, given.wave, given.charger_id)

    def over(_self: ShardWorkflow) -> str:
        return ""

    return [
        (Campaigns, "mark_dispatched", careless),
        (Sending, "_wanted", wanted),
        (ShardWorkflow, "_over", over),
    ]


def _halt_not_read() -> list[Change]:
    async def standing(*_: Any) -> None:
        return None

    from tests.support.memory_halts import MemoryHalts

    return [(MemoryHalts, "standing", standing)]


def _withdrawal_not_read() -> list[Change]:
    async def nothing(*_: Any) -> Any:
        return ()

    async def none(*_: Any) -> None:
        return None

    from tests.support.memory_withdrawals import MemoryWithdrawals

    return [(activities.proving, "withdrawn_by", none), (MemoryWithdrawals, "in_force", nothing)]


def _new_number() -> list[Change]:
    async def number(self: Sending, _target: Any) -> int:
        return await self._stores.campaigns.next_request_id()

    async def used(*_: Any) -> bool:
        return True  # Or the single use of directives would hide it.

    return [(Sending, "_number", number), (Campaigns, "use_directive", used), (UseLedger, "use", used)]


def _no_signature() -> list[Change]:
    update = Sending._update

    async def bare(self: Sending, *given: Any) -> Any:
        return replace(await update(self, *given), signature=None, signing_certificate=None)

    return [(Sending, "_update", bare)]


def _no_sample_needed() -> list[Change]:
    def fine(_policy: Any, _facts: Any) -> CheckResult:
        return CheckResult("sample", VerdictWord.PROCEED, "Fine.")

    checks = tuple(
        fine if check.__name__ == "sample" else check for check in workflows.gate.outcomes.WAVE_GATE.checks
    )
    changed = workflows.gate.outcomes.AllOf(checks)
    return [(workflows.gate.outcomes, "WAVE_GATE", changed)]


def _record_differs() -> list[Change]:
    judged = workflows.gate.judged

    def tampered(*given: Any) -> Any:
        record, verdict = judged(*given)
        return replace(record, reason=f"{record.reason} Really."), verdict

    return [(workflows.gate, "judged", tampered)]


def _reads_chance() -> list[Change]:
    chance = random.Random(1)
    settle = ShardWorkflow._startable

    def startable(self: ShardWorkflow) -> Any:
        found = settle(self)
        return found[: chance.randint(0, len(found))]

    return [(ShardWorkflow, "_startable", startable)]


def _left_open() -> list[Change]:
    async def close(_self: CampaignActivities, _given: Any) -> int:
        return 0

    from temporalio import activity

    named = activity.defn(name="close_targets")(close)
    named.__name__ = "close_targets"
    return [(CampaignActivities, "close_targets", named)]


def _rollback_forgets_one() -> list[Change]:
    affected = CampaignActivities._affected

    async def all_but_one(self: CampaignActivities, given: Any, *, ahead: bool) -> Any:
        return (await affected(self, given, ahead=ahead))[1:]

    return [(CampaignActivities, "_affected", all_but_one)]


def _last_word_wins() -> list[Change]:
    async def finish(
        self: Campaigns, campaign_id: str, wave: int, charger_id: str, outcome: Any, reason: str, at: Any
    ) -> None:
        row = self.target_rows[campaign_id, wave, charger_id]
        self.target_rows[campaign_id, wave, charger_id] = replace(
            row, phase=TargetPhase.DONE, outcome=Outcome.CANCELLED if row.outcome else outcome, reason=reason
        )

    return [(Campaigns, "finish_target", finish)]


def _all_fell_back() -> list[Change]:
    """Whoever did well counts as fallen back when its campaign ends."""

    async def gone(self: Campaigns, campaign_id: str) -> list[Any]:
        rows = [row for row in self.target_rows.values() if row.campaign_id == campaign_id]
        return [row for row in rows if row.outcome is Outcome.UPDATED and row.dispatched_at is not None]

    def fell(trial: Trial, _events: Any) -> FallBack:
        return FallBack(trial.campaign_id, trial.version, trial.before or "", 1, trial.sent_at)

    return [
        (Campaigns, "gone_back", gone),
        (activities.fallen, "_there", lambda *_: True),
        (activities.fallen, "fell_back", fell),
    ]


def _lost_is_sent_anew() -> list[Change]:
    """A command whose answer was lost counts as never sent, and the next attempt begins at once."""
    learn = workflows.charger_update.ChargerUpdateWorkflow._learn

    def forget(self: Any, answer: Any) -> None:
        learn(self, answer)
        if answer.kind is DispatchKind.ACCEPTED:
            self._since = self._since.replace(year=2020)

    async def watch(self: Any) -> Any:
        raise RuntimeError("it forgot what it waits for")

    return [
        (workflows.charger_update.ChargerUpdateWorkflow, "_learn", forget),
        (workflows.charger_update.ChargerUpdateWorkflow, "_watch", watch),
    ]


def _never_ends() -> list[Change]:
    async def calm(self: FirmwareCampaignWorkflow, _seconds: float, _what: str) -> None:
        from temporalio import workflow

        await workflow.wait_condition(lambda: self._ending is not None)

    return [(FirmwareCampaignWorkflow, "_calm", calm)]


def _no_rehearsal() -> list[Change]:
    async def rehearse(*_: Any) -> None:
        return None

    return [(FirmwareCampaignWorkflow, "_rehearse", rehearse)]


def _no_end() -> list[Change]:
    async def keep(*_: Any) -> None:
        return None

    mark = Campaigns.mark_dispatched

    async def late(
        self: Campaigns, target: Any, while_in: Any, subjects: Any = (), after: Any = None
    ) -> bool:
        row = self.rows[target.campaign_id]
        self.rows[target.campaign_id] = replace(row, ends_at=None)
        try:
            return await mark(self, target, while_in, subjects, after)
        finally:
            self.rows[target.campaign_id] = replace(self.rows[target.campaign_id], ends_at=row.ends_at)

    return [
        (FirmwareCampaignWorkflow, "_keep_to_end", keep),
        (Campaign, "over", lambda *_: False),
        (Campaigns, "mark_dispatched", late),
    ]


def _rehearsed(scenario: Scenario) -> Scenario:
    changes: dict[str, Any] = {"acts": (), "odds": Odds(), "rival": False, "needs_approval": False}
    natures = tuple(Nature(nature.name, nature.site) for nature in scenario.natures)
    more: dict[str, Any] = {
        "waves": 2,
        "rollback": True,
        "rehearse": 1,
        "min_attempts": 1,
        "end_seconds": 0.0,
    }
    return replace(scenario, natures=natures, **changes, **more)


def _soon_over(scenario: Scenario) -> Scenario:
    return replace(_rehearsed(scenario), rehearse=0, window=1, end_seconds=120.0, end_behaviour="stop")


def _halted(scenario: Scenario) -> Scenario:
    return replace(scenario, acts=(Act(5.0, "halt", "", 1500.0),))


def _unheard(scenario: Scenario) -> Scenario:
    quiet = tuple(replace(nature, habits=(Habit.SAYS_NOTHING,)) for nature in scenario.natures)
    return replace(scenario, natures=quiet, odds=replace(scenario.odds, answer_lost=0.4))


def _half_bad(scenario: Scenario) -> Scenario:
    """Every other charger cannot install it, so the others go back."""
    habits = itertools.cycle([(Habit.GOOD,), (Habit.INSTALL_FAILS, Habit.GOOD)])
    natures = tuple(
        Nature(nature.name, nature.site, habits=habit)
        for nature, habit in zip(scenario.natures, habits, strict=False)
    )
    changes: dict[str, Any] = {"natures": natures, "acts": (), "odds": Odds(), "rival": False}
    return replace(scenario, rollback=True, max_failure_share=0.05, early_stop=50, **changes)


def _short(scenario: Scenario) -> Scenario:
    return replace(
        scenario, waves=1, wave_seconds=0.25 * HOUR, acts=(), odds=Odds(), rollback=False, rival=False
    )


def _busy_street(scenario: Scenario) -> Scenario:
    """A car comes to everybody while its update is on its way."""
    natures = tuple(
        Nature(nature.name, nature.site, visits=((80.0, 2000.0, 1),)) for nature in scenario.natures
    )
    return replace(scenario, natures=natures, acts=(), odds=Odds(), rival=False)


def _replies_lost(scenario: Scenario) -> Scenario:
    return replace(scenario, odds=replace(scenario.odds, reply_lost=0.2))


def _installs_soon() -> list[Change]:
    """An order to fetch that says when to install."""
    update = activities.fetching._Fetching._update

    async def soon(self: Any, *given: Any) -> Any:
        command = await update(self, *given)
        return replace(command, install_at=command.retrieve_at)

    return [(activities.fetching._Fetching, "_update", soon)]


def _fetched_is_free() -> list[Change]:
    """A car keeps nobody from an install whose image is there."""
    look, glance, make = Sending._look, Sending._glance, Sending._make_inoperative

    async def has_it(self: Sending) -> bool:
        return await self._stores.parked.get(self._given.charger_id) is not None

    async def careless(self: Sending) -> Any:
        if not await has_it(self):
            return await look(self)
        return await self._stores.chargers.get(self._given.charger_id)

    async def last_look_too(self: Sending) -> None:
        if not await has_it(self):
            await glance(self)

    async def whatever_it_says(self: Sending, command: ChangeAvailability, *, anew: bool) -> None:
        if not await has_it(self):
            return await make(self, command, anew=anew)
        self._drained = True
        await self._command(command)
        return None

    return [
        (Sending, "_look", careless),
        (Sending, "_glance", last_look_too),
        (Sending, "_make_inoperative", whatever_it_says),
    ]


def _window_not_asked() -> list[Change]:
    """Neither the look at a shard nor the step that sends asks whether a site is open."""

    async def leave(*_: Any) -> None:
        return None

    def opening(*_: Any) -> Opening:
        return Opening()

    return [
        (activities.sending, "no_leave", leave),
        (activities.circumstances, "opening_of", opening),
    ]


def _hasty_forgotten() -> list[Change]:
    affected = CampaignActivities._affected

    async def sent_only(self: CampaignActivities, given: Any, *, ahead: bool) -> Any:
        del ahead
        return await affected(self, given, ahead=False)

    return [(CampaignActivities, "_affected", sent_only)]


def _left_parked() -> list[Change]:
    async def call_back(*_: Any) -> None:
        return None

    return [(HousekeepingWorkflow, "_call_back", call_back)]


def _feeder_never_full() -> list[Change]:
    return [(storage.site_budget, "feeder_refusal", lambda *_: None)]


def _nobody_first() -> list[Change]:
    def standings(self: Campaigns, after: str) -> dict[str, Before]:
        return {name: Before(after, "updated") for _, _, name in self.target_rows}

    return [(Campaigns, "standings", standings)]


def _any_address() -> list[Change]:
    async def invented(*_: Any) -> str:
        return "http://192.0.2.9/image"

    return [(activities.sending, "local_address", invented)]


def _controller_not_stopped() -> list[Change]:
    async def leave(*_: Any) -> str:
        return ""

    return [(LocalImageSender, "_no_leave", leave)]


def _ahead(scenario: Scenario) -> Scenario:
    """A site that is closed for a while, and everybody fetches meanwhile."""
    natures = tuple(Nature(nature.name, nature.site) for nature in scenario.natures)
    changes: dict[str, Any] = {"natures": natures, "acts": (), "odds": Odds(), "rival": False, "chain": False}
    return replace(scenario, ahead_seconds=300.0, closed_seconds=900.0, frozen=False, rehearse=0, **changes)


def _ahead_and_busy(scenario: Scenario) -> Scenario:
    """Everybody has the image, and a car comes just when it is to be installed."""
    ahead = _ahead(scenario)
    natures = tuple(replace(nature, worst_moment="before drain") for nature in ahead.natures)
    return replace(ahead, natures=natures)


def _ahead_and_hasty(scenario: Scenario) -> Scenario:
    """One is updated while the others wait for their site, fetch and do not wait with the install.

    Somebody stops it and takes all of them back.
    """
    names = [nature.name for nature in scenario.natures]
    natures = tuple(
        Nature(name, "site-0", haste=AT_ONCE if place else "") for place, name in enumerate(names)
    )
    acts = (Act(240.0, "abort and roll back"),)
    changes: dict[str, Any] = {
        "rollback": True,
        "early_stop": 50,
        "waves": 1,
        "max_down": 1,
        "natures": natures,
    }
    return replace(_ahead(scenario), acts=acts, ahead_seconds=900.0, closed_seconds=0.0, **changes)


def _ahead_and_stopped(scenario: Scenario) -> Scenario:
    return replace(_ahead(scenario), acts=(Act(600.0, "abort"),))


def _fed(scenario: Scenario) -> Scenario:
    natures = tuple(
        Nature(nature.name, f"site-{place}", power_kw=22.0) for place, nature in enumerate(scenario.natures)
    )
    return replace(scenario, natures=natures, feeder_kw=30.0, acts=(), window=200)


def _chained(scenario: Scenario) -> Scenario:
    return replace(scenario, rival=False, chain=True)


def _local(scenario: Scenario) -> Scenario:
    return replace(scenario, controller=GOOD, odds=Odds(), acts=())


def _local_and_paused(scenario: Scenario) -> Scenario:
    """The controllers are away when the campaign begins, and come back after somebody paused it."""
    acts = (Act(0.0, "freeze node-1", "", 120.0), Act(0.0, "freeze node-2", "", 120.0), Act(4.0, "pause"))
    return replace(_local(scenario), acts=acts, waves=1)


def _one_boot_is_enough() -> list[Change]:
    async def at_once(*_: Any) -> None:
        return None

    async def never(*_: Any) -> bool:
        return False

    return [
        (workflows.steady.Vigil, "lasted", lambda *_: True),
        (activities.dispatch, "stays_up_until", at_once),
        (activities.dispatch, "restless", never),
    ]


def _the_node_says_nothing() -> list[Change]:
    """Neither that the session has gone that had lasted, nor what was told over it."""

    async def fine(*_: Any) -> None:
        return None

    return [(activities.dispatch.DispatchActivities, "_require_stay", fine)]


def _restless_is_fine() -> list[Change]:
    async def never(*_: Any) -> bool:
        return False

    return [(activities.dispatch, "restless", never), (activities.chargers, "restless", never)]


def _there_is_enough() -> list[Change]:
    async def nobody(*_: Any) -> tuple[()]:
        return ()

    return [(activities.fleet, "staying", nobody)]


def _own_install_counts_at_once() -> list[Change]:
    async def proven(self: ChargerFetchWorkflow, found: Any, reason: str) -> Any:
        return self._end(reason, found, Outcome.UPDATED)

    return [(ChargerFetchWorkflow, "_proven", proven)]


def _freeze_asked_once() -> list[Change]:
    """By the order to fetch, and not when it is written."""
    asked: set[int] = set()
    leave, reserve = activities.fetching.no_leave_to_fetch, activities.fetching._Fetching._reserve

    async def at_first(self: Any, *given: Any) -> Any:
        asked.clear()
        return await reserve(self, *given)

    async def once(*given: Any) -> Any:
        if asked:
            return None
        asked.add(1)
        return await leave(*given)

    return [
        (activities.fetching._Fetching, "_reserve", at_first),
        (activities.fetching, "no_leave_to_fetch", once),
    ]


def _loops_on(scenario: Scenario) -> Scenario:
    """Everybody loops for longer than an attempt may take."""
    natures = tuple(
        Nature(one.name, one.site, habits=(Habit.LOOPS_THEN_RUNS,), loops=40) for one in scenario.natures
    )
    return replace(scenario, natures=natures, acts=(), odds=Odds(), steady_seconds=60.0)


def _proves_late(scenario: Scenario) -> Scenario:
    """Everybody boots with it about when its attempt is over."""
    natures = tuple(Nature(one.name, one.site, slow=150.0) for one in scenario.natures)
    changes: dict[str, Any] = {"natures": natures, "acts": (), "odds": Odds(), "max_attempts": 2}
    return replace(scenario, attempt_seconds=300.0, steady_seconds=120.0, **changes)


def _hasty_and_steady(scenario: Scenario) -> Scenario:
    natures = tuple(Nature(one.name, one.site, haste=AT_ONCE) for one in scenario.natures)
    return replace(_ahead(scenario), natures=natures, steady_seconds=60.0)


def _shut_meanwhile(scenario: Scenario) -> Scenario:
    """A slow store, and sites that people freeze again and again."""
    acts = tuple(Act(float(at), "shut", seconds=25.0) for at in range(10, 600, 45))
    return replace(_ahead(scenario), acts=acts, odds=Odds(store_slow=0.5))


def _loops(scenario: Scenario) -> Scenario:
    """Everybody loops for a while, and cars come all the time."""
    visits = tuple((float(at), 2.0, 1) for at in range(100, 900, 3))
    natures = tuple(
        Nature(one.name, one.site, habits=(Habit.LOOPS_THEN_RUNS,), visits=visits) for one in scenario.natures
    )
    return replace(scenario, natures=natures, acts=(), odds=Odds(), steady_seconds=60.0)


def _nobody_is_missed() -> list[Change]:
    def due(_term: Any, _breaks: Any, _since: Any, now: datetime) -> Patience:
        return Patience(Say.DUE, now)

    return [(workflows.charger_update, "patience", due)]


def _switched_off(scenario: Scenario) -> Scenario:
    """In the middle of it, for longer than an attempt may take."""
    off = Act(40.0, "switch off", seconds=2 * scenario.attempt_seconds)
    return replace(scenario, acts=(off,), odds=Odds())


def _rules(*names: str) -> frozenset[str]:
    return frozenset(names)


MUTANTS = (
    Mutant(
        "the sending step does not read the session again", _never_busy, _rules("sent while busy"), seed=29
    ),
    Mutant(
        "the answer to the drain is ignored",
        _answer_ignored,
        _rules("update under a session", "session cut", "sent while busy"),
        seed=4,
    ),
    Mutant("no drain", _not_drained, _rules("session cut"), _busy_street),
    Mutant("no site lease", _no_lease, _rules("sent without its lease", "site below its floor")),
    Mutant("a site that never says no", _generous_site, _rules("site below its floor"), seed=16),
    Mutant("availability is not put back", _not_put_back, _rules("availability not restored")),
    Mutant("everything is put into service", _all_put_back, _rules("availability not restored")),
    Mutant("Installed is success", _installed_is_enough, _rules("success without a boot"), seed=6),
    Mutant(
        "silence is success", _silence_is_fine, _rules("success without a boot", "success without a command")
    ),
    Mutant(
        "any boot is success",
        _old_boot_counts,
        _rules("success without a boot", "success without a command"),
        seed=1,
    ),
    Mutant("an abort is not read", _abort_not_read, _rules("sent after the stop was acknowledged"), seed=3),
    Mutant("a halt is not read", _halt_not_read, _rules("sent under a halt"), _halted),
    Mutant("a withdrawal is not read", _withdrawal_not_read, _rules("sent what was withdrawn"), seed=16),
    Mutant(
        "a new number for every try", _new_number, _rules("one attempt under two numbers"), _unheard, seed=5
    ),
    Mutant("the vendor signature is left out", _no_signature, _rules("sent without vendor signature")),
    Mutant("no sample is enough", _no_sample_needed, _rules("passed without data"), seed=8),
    Mutant("the record is not the verdict", _record_differs, _rules("verdict not recomputable")),
    Mutant("a rule reads chance", _reads_chance, _rules("replay differs"), seed=3),
    Mutant(
        "targets are left open",
        _left_open,
        _rules("lost charger", "campaign without an end"),
        _short,
        longest=2 * HOUR,
    ),
    Mutant(
        "a rollback forgets one", _rollback_forgets_one, _rules("rolled back, and it still runs"), _half_bad
    ),
    Mutant("who did well fell back", _all_fell_back, _rules("an outcome changed")),
    Mutant("the last outcome wins", _last_word_wins, _rules("an outcome changed"), _replies_lost),
    Mutant(
        "a workflow task breaks", _lost_is_sent_anew, _rules("workflow task failed"), _short, longest=2 * HOUR
    ),
    Mutant("a rehearsal is left out", _no_rehearsal, _rules("sent before its rehearsal"), _rehearsed),
    Mutant("an end is not kept", _no_end, _rules("sent after its end"), _soon_over),
    Mutant(
        "an order to fetch says when to install",
        _installs_soon,
        _rules("told to install too soon"),
        _ahead,
    ),
    Mutant(
        "a car keeps nobody from an install whose image is there",
        _fetched_is_free,
        _rules("sent while busy", "update under a session"),
        _ahead_and_busy,
    ),
    Mutant("a closed site is not asked", _window_not_asked, _rules("sent while its site is closed"), _ahead),
    Mutant(
        "who installed by itself is not taken back",
        _hasty_forgotten,
        _rules("rolled back, and it still runs"),
        _ahead_and_hasty,
    ),
    Mutant("an image stays parked", _left_parked, _rules("an image is left behind"), _ahead_and_stopped),
    Mutant("a feeder that never says no", _feeder_never_full, _rules("feeder above its budget"), _fed),
    Mutant("the second does not wait", _nobody_first, _rules("sent before its predecessor"), _chained),
    Mutant(
        "an address that nobody offered",
        _any_address,
        _rules("sent to an address that nobody offered"),
        _local,
    ),
    Mutant(
        "a controller is not asked whether it may",
        _controller_not_stopped,
        _rules("sent after the stop was acknowledged"),
        _local_and_paused,
    ),
    Mutant("a first boot is enough", _one_boot_is_enough, _rules("crashed after it had stayed up"), _loops),
    Mutant(
        "the node does not say who stayed up",
        _the_node_says_nothing,
        _rules("counted before it stayed up"),
        lambda _: draw(LOST_BOOT),
    ),
    Mutant(
        "a charger in a loop is put back",
        _restless_is_fine,
        _rules("put back before it stayed up"),
        _loops_on,
    ),
    Mutant(
        "a retry counts what is there", _there_is_enough, _rules("counted before it stayed up"), _proves_late
    ),
    Mutant(
        "an image that installs itself counts at its first boot",
        _own_install_counts_at_once,
        _rules("counted before it stayed up"),
        _hasty_and_steady,
    ),
    Mutant(
        "a freeze is asked once", _freeze_asked_once, _rules("sent while its site is closed"), _shut_meanwhile
    ),
    Mutant(
        "a deadline passes while we are away",
        _nobody_is_missed,
        _rules("charged for our own absence"),
        _switched_off,
    ),
    Mutant(
        "a campaign waits for ever", _never_ends, _rules("campaign without an end"), _short, longest=2 * HOUR
    ),
)
