"""What a plan would do to the fleet as it is: who gets it when, in which wave, who is left out, why. Pure.

The same plan over the same fleet gives the same waves and the same digest, on any machine (R6, R7, R15).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from activities.circumstances import Outlook, circumstances_of
from activities.facts import ArtifactFacts, SiteFacts, Situation, artifact_facts, situation_of
from storage.artifact import Artifact
from storage.campaign import CampaignPlan, Exclusion, Target
from storage.charger import Charger, ModelProfile, Site
from storage.errors import InvalidInput
from storage.health_time import REAL, HealthTime
from storage.plan_digest import plan_digest
from storage.ports import ChargerView
from storage.windows import Closure
from workflows.draw import Lot
from workflows.eligibility import RULES, ChargerFacts, Skip, first_of
from workflows.partial import is_whole, where_read
from workflows.plan_calendar import Timetable
from workflows.plan_rules import (
    Begin,
    Cohort,
    Findings,
    check_cohort,
    check_direction,
    check_end,
    check_lists,
    check_order,
    check_pair,
    check_plan,
    check_proof,
    check_released,
    check_targets,
    check_way_back,
    warn,
)
from workflows.wave_split import Split, split

Models = Mapping[tuple[str, str], ModelProfile]
_FINAL = tuple(rule for rule in RULES if rule.answer == "skip")


@dataclass(frozen=True, slots=True)
class Ground:
    """What else is known when one plans, beside the plan, the fleet and the images."""

    outlook: Outlook | None = None
    """People's words, rivals, doubts, sites; None: nothing of the kind."""
    closures: tuple[Closure, ...] = ()
    matches: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Who matches, by the query of a wave."""
    stopped: Mapping[str, str] = field(default_factory=dict)
    """Why an image must not be sent, by artifact: somebody withdrew it."""
    shut: frozenset[str] = frozenset()
    """Chargers whose load group may miss nobody (F33)."""
    first_rank: int | None = None
    """The priority of the campaign that the plan comes after, while that is not over."""
    nothing_first: bool = False
    """There is no campaign of the name that the plan comes after."""
    time: HealthTime = REAL
    """How long the hours are that a gate demands."""
    whole: bool = True
    """False: what surrounds the chargers depends on a field of the plan that could not be read."""

    @property
    def sites(self) -> Mapping[str, Site]:
        """The sites as they are stored."""
        return (self.outlook.sites if self.outlook else None) or {}


@dataclass(frozen=True, slots=True)
class Preview:
    """All that a plan means. With ``problems`` it must not be started."""

    problems: tuple[str, ...] = ()
    waves: tuple[tuple[Target, ...], ...] = ()
    """Targets by wave and ordinal; their ``campaign_id`` is empty until the campaign has one, and their
    ``reason`` says when they can begin at the earliest, and what they wait for."""
    exclusions: tuple[Exclusion, ...] = ()
    warnings: tuple[str, ...] = ()
    plan_digest: str = ""
    """SHA-256 of plan and cohort: what approvals speak of."""
    earliest: Mapping[str, datetime] = field(default_factory=dict)
    """When each charger can begin, if all goes well; one that waits for somebody's word has no time."""
    begins: tuple[datetime, ...] = ()
    """When the first charger of each wave can begin at the earliest."""

    @property
    def cohort_size(self) -> int:
        """How many chargers it would touch."""
        return sum(map(len, self.waves))

    def check(self) -> None:
        """Raise InvalidInput with every problem, if there is any."""
        if self.problems:
            raise InvalidInput(
                "This plan cannot run.", self.problems, hint="Change the plan and preview it again."
            )


def preview(  # noqa: PLR0913 - the api's planner port names the first five; the rest is optional knowledge
    plan: CampaignPlan,
    views: Sequence[ChargerView] | None,
    artifact: Artifact | None,
    rollback_artifact: Artifact | None,
    now: datetime,
    *,
    models: Models | None = None,
    released: Mapping[str, int] | None = None,
    proof_until: datetime | None = None,
    ground: Ground | None = None,
) -> Preview:
    """Plan over ``views``, the chargers that the plan's filter matched.

    Of a plan that is not whole (``workflows.partial``), or whose artifact or chargers are not known, it says
    the reasons against it that hold whatever is missing, and draws nothing.

    Args:
        plan: what the release manager asks for.
        views: the matching chargers with their twins; None: nobody can tell.
        artifact: the plan's artifact, if there is one.
        rollback_artifact: what it goes back to, if the plan names one and it exists.
        now: the instant of the preview.
        models: profiles by (vendor, model), so that signature schemes and waivers are looked at, too.
        released: release counters by version, so that a downgrade is left out.
        proof_until: when the first certificate expires that the artifact is signed under.
        ground: what people, other campaigns and calendars say.
    """
    ground, found = ground or Ground(), Findings()
    with where_read():
        if artifact is None:
            found.problems.append(f"there is no artifact {plan.artifact_id} (ampwave artifact list)")
    back = None
    with where_read():
        if rollback_artifact is not None and rollback_artifact.artifact_id == plan.rollback_artifact_id:
            back = _facts(rollback_artifact, ground)
    check_plan(plan, now, found)
    with where_read():
        check_proof(plan, now, proof_until, found, time=ground.time)
    _check_ground(plan, views, ground, found)
    facts = _facts(artifact, ground) if artifact is not None else None
    if facts is not None:
        check_released(facts, found)
    with where_read():
        check_way_back(plan, back, found)
    if facts is not None and back is not None:
        check_direction(facts, back, found)
    situations: dict[str, Situation] | None = None
    if views is not None and ground.whole:
        with where_read():
            situations = {
                view.charger.charger_id: _situation(view, models, released, now, ground) for view in views
            }
    if facts is None or views is None or situations is None:
        _check_rest(plan, views, ground, now, found)
        return Preview(tuple(found.problems), warnings=tuple(found.warnings))
    exclusions = _exclusions(situations, facts, now)
    left_out = {exclusion.charger_id: exclusion.reason for exclusion in exclusions}
    fitting = {name: situation for name, situation in situations.items() if name not in left_out}
    cohort = Cohort(tuple(situations), fitting)
    check_cohort(cohort, found)
    check_pair(plan, facts, back, cohort, found)
    drawn: Split[ChargerView] | None = None
    with where_read():
        drawn = split(plan, _lots(views, cohort, ground), ground.matches, left_out) if plan.waves else None
    if drawn is None:
        _check_rest(plan, views, ground, now, found)
        return Preview(tuple(found.problems), (), exclusions, tuple(found.warnings))
    found.problems += drawn.problems
    chargers = [[view.charger for view in wave] for wave in drawn.waves]
    timetable = Timetable(plan, ground.sites, ground.closures, now, chargers, time=ground.time)
    with where_read():
        found.problems += timetable.problems(chargers)
    _check_end(plan, timetable, now, found)
    if found.problems or not is_whole(plan):
        return Preview(tuple(found.problems), (), exclusions, tuple(found.warnings))
    warn(plan, cohort, [len(wave) for wave in drawn.waves], found)
    found.warnings += timetable.warnings(chargers)
    found.warnings += _worries(ground, cohort)
    targets, earliest = _targets(plan, facts, drawn.waves, situations, timetable)
    return Preview(
        waves=targets,
        exclusions=exclusions,
        warnings=tuple(found.warnings),
        plan_digest=digest_of(plan, targets),
        earliest=earliest,
        begins=tuple(timetable.first(wave) for wave in range(len(plan.waves))),
    )


def _check_ground(
    plan: CampaignPlan, views: Sequence[ChargerView] | None, ground: Ground, found: Findings
) -> None:
    """What the plan names is there, whichever image it brings."""
    if views is not None:
        sites = ground.outlook.sites if ground.outlook else None
        with where_read():
            check_targets(plan, {view.charger.charger_id for view in views}, sites, found)
    with where_read():
        check_order(plan, ground.first_rank, found, there=not ground.nothing_first)


def _check_rest(
    plan: CampaignPlan,
    views: Sequence[ChargerView] | None,
    ground: Ground,
    now: datetime,
    found: Findings,
) -> None:
    """Where nobody can be drawn: whom waves name, and the end, which no cohort can make later."""
    if views is not None:
        with where_read():
            check_lists(plan, {view.charger.charger_id for view in views}, found)
    _check_end(plan, Timetable(plan, ground.sites, ground.closures, now, time=ground.time), now, found)


def _check_end(plan: CampaignPlan, timetable: Timetable, now: datetime, found: Findings) -> None:
    begins = None
    with where_read():
        begins = [Begin(timetable.first(wave), timetable.last(wave)) for wave in range(len(plan.waves))]
    with where_read():
        check_end(plan, now, begins, found)


def digest_of(plan: CampaignPlan, waves: Iterable[Iterable[Target]]) -> str:
    """SHA-256 over plan and cohort together; any change of either voids an approval."""
    return plan_digest(plan, ([target.charger_id for target in wave] for wave in waves))


def _facts(artifact: Artifact, ground: Ground) -> ArtifactFacts:
    return replace(artifact_facts(artifact), stopped=ground.stopped.get(artifact.artifact_id, ""))


def _situation(
    view: ChargerView,
    models: Models | None,
    released: Mapping[str, int] | None,
    now: datetime,
    ground: Ground,
) -> Situation:
    charger, firmware = view.charger, view.twin.firmware
    profile = (models or {}).get((charger.vendor, charger.model))
    counter = (released or {}).get(firmware.version or "") if firmware else None
    around = circumstances_of(view, ground.outlook, profile) if ground.outlook else None
    return situation_of(view, profile, counter, now, around)


def _exclusions(
    situations: Mapping[str, Situation], facts: ArtifactFacts, now: datetime
) -> tuple[Exclusion, ...]:
    found = []
    for name, situation in situations.items():
        answer = first_of(_FINAL, ChargerFacts(situation, facts, SiteFacts("", 0, 1)), now)
        if isinstance(answer, Skip):
            found.append(Exclusion(name, answer.reason))
    return tuple(found)


def _lots(views: Sequence[ChargerView], cohort: Cohort, ground: Ground) -> list[Lot[ChargerView]]:
    return [
        Lot(view.charger.charger_id, _stratum(view, ground.sites), view.charger.site_id, view)
        for view in views
        if view.charger.charger_id in cohort.fitting
    ]


def _stratum(view: ChargerView, sites: Mapping[str, Site]) -> tuple[str, ...]:
    """What a gate compares within, so what a draw has to be even over (R7)."""
    charger, firmware = view.charger, view.twin.firmware
    site = sites.get(charger.site_id)
    return (
        charger.vendor,
        charger.model,
        charger.hardware_revision or "",
        (site.rules.kind if site else None) or "",
        (firmware.version if firmware else None) or "",
    )


def _worries(ground: Ground, cohort: Cohort) -> list[str]:
    """Who is in the cohort and will wait for somebody, in one line a reason."""
    if ground.outlook is None:
        return []
    said, found = ground.outlook.surrounding, []
    rivals: dict[str, int] = {}
    for name in cohort.fitting:
        if rival := said.rivals.get(name):
            rivals[rival.campaign_id] = rivals.get(rival.campaign_id, 0) + 1
    found += [
        f"{_chargers(count)} also in campaign {campaign}, which goes first."
        for campaign, count in sorted(rivals.items())
    ]
    wifi = sum(
        upkeep.link is not None and upkeep.link.value == "wifi"
        for name, upkeep in said.upkeep.items()
        if name in cohort.fitting
    )
    held = sum(name in said.upkeep and said.upkeep[name].held(ground.outlook.now) for name in cohort.fitting)
    doubtful = sum(name in said.doubts for name in cohort.fitting)
    shut = len(ground.shut & cohort.fitting.keys())
    if shut:
        found.append(
            f"{_chargers(shut)} in a load group that lets nobody away, and will be waited for in vain"
            " (ampwave site group GROUP --max-down N)."
        )
    if wifi:
        found.append(f"{_chargers(wifi)} connected by Wi-Fi, where downloads break more often.")
    if held:
        found.append(f"{_chargers(held)} on hold, and will be waited for.")
    found += _spent(cohort)
    if doubtful:
        found.append(f"{_chargers(doubtful)} not what they should be (ampwave charger drift).")
    return found


def _spent(cohort: Cohort) -> list[str]:
    """Who has too little left of its uptime obligation's downtime, and until when at the most (X13)."""
    around = [each.around for each in cohort.fitting.values() if each.around is not None]
    never = sum(each.downtime_never for each in around)
    frees = [each.downtime_frees for each in around if each.downtime_frees is not None]
    found = []
    if never:
        found.append(
            f"{_chargers(never)} under an uptime floor that never allows an update that long, and will be "
            "waited for in vain (pace.attempt_deadline; ampwave site show SITE)."
        )
    if frees:
        found.append(
            f"{_chargers(len(frees))} short of planned downtime, by an uptime obligation, and will be waited "
            f"for until {max(frees):%Y-%m-%d %H:%M} UTC at the latest, if nothing more is spent."
        )
    return found


def _chargers(count: int) -> str:
    return "1 charger is" if count == 1 else f"{count} chargers are"


def _targets(
    plan: CampaignPlan,
    facts: ArtifactFacts,
    waves: Sequence[Sequence[ChargerView]],
    situations: Mapping[str, Situation],
    timetable: Timetable,
) -> tuple[tuple[tuple[Target, ...], ...], dict[str, datetime]]:
    earliest: dict[str, datetime] = {}
    targets = []
    for wave, members in enumerate(waves):
        row = []
        for ordinal, view in enumerate(members):
            name = view.charger.charger_id
            situation = situations[name]
            takes = plan.pace.attempt_deadline_seconds
            given = ChargerFacts(situation, facts, SiteFacts(view.charger.site_id, 0, 1), takes=takes)
            slot = timetable.slot(wave, given)
            if slot.begins is not None:
                earliest[name] = slot.begins
            row.append(_target(plan, facts, view.charger, (wave, ordinal), situation, slot.says))
        targets.append(tuple(row))
    return tuple(targets), earliest


def _target(
    plan: CampaignPlan,
    facts: ArtifactFacts,
    charger: Charger,
    place: tuple[int, int],
    situation: Situation,
    says: str,
) -> Target:
    return Target(
        campaign_id="",
        wave=place[0],
        ordinal=place[1],
        charger_id=charger.charger_id,
        site_id=charger.site_id,
        artifact_id=plan.artifact_id,
        from_version=situation.version,
        to_version=facts.version,
        reason=says,
    )
