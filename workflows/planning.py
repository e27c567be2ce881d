"""What a plan would do to the fleet as it is: who gets it in which wave, who is left out and why. Pure.

The same plan over the same fleet gives the same waves and the same digest, on any machine (R6, R7, R15).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from activities.facts import ArtifactFacts, Situation, artifact_facts, situation_of
from storage.artifact import Artifact
from storage.campaign import CampaignPlan, Exclusion, Target
from storage.charger import Charger, ModelProfile
from storage.errors import InvalidInput
from storage.plan_digest import plan_digest
from storage.ports import ChargerView
from workflows.draw import Lot, draw, wave_sizes
from workflows.eligibility import mismatch
from workflows.plan_rules import (
    Cohort,
    Findings,
    check_artifacts,
    check_cohort,
    check_plan,
    check_proof,
    warn,
)

Models = Mapping[tuple[str, str], ModelProfile]


@dataclass(frozen=True, slots=True)
class Preview:
    """All that a plan means. With ``problems`` it must not be started."""

    problems: tuple[str, ...] = ()
    waves: tuple[tuple[Target, ...], ...] = ()
    """Targets by wave and ordinal; their ``campaign_id`` is empty until the campaign has one."""
    exclusions: tuple[Exclusion, ...] = ()
    warnings: tuple[str, ...] = ()
    plan_digest: str = ""
    """SHA-256 of plan and cohort: what approvals speak of."""

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
    views: Sequence[ChargerView],
    artifact: Artifact,
    rollback_artifact: Artifact | None,
    now: datetime,
    *,
    models: Models | None = None,
    released: Mapping[str, int] | None = None,
    proof_until: datetime | None = None,
) -> Preview:
    """Plan over ``views``, the chargers that the plan's filter matched.

    Args:
        plan: what the release manager asks for.
        views: the matching chargers with their twins.
        artifact: the plan's artifact.
        rollback_artifact: what it goes back to, if the plan names one and it exists.
        now: the instant of the preview.
        models: profiles by (vendor, model), so that signature schemes and waivers are looked at, too.
        released: release counters by version, so that a downgrade is left out.
        proof_until: when the first certificate expires that the artifact is signed under.
    """
    facts, found = artifact_facts(artifact), Findings()
    situations = {view.charger.charger_id: _situation(view, models, released, now) for view in views}
    exclusions = _exclusions(situations, facts)
    left_out = {exclusion.charger_id for exclusion in exclusions}
    fitting = {name: situation for name, situation in situations.items() if name not in left_out}
    sizes = wave_sizes(len(fitting), [wave.share for wave in plan.waves])
    cohort = Cohort(tuple(situations), fitting, tuple(sizes))
    check_plan(plan, now, found)
    check_proof(plan, now, proof_until, found)
    check_cohort(plan, cohort, found)
    check_artifacts(plan, facts, rollback_artifact, cohort, found)
    if found.problems:
        return Preview(tuple(found.problems), (), exclusions, tuple(found.warnings))
    warn(plan, cohort, found)
    targets = _targets(plan, facts, _draw(views, cohort, plan.seed))
    return Preview((), targets, exclusions, tuple(found.warnings), digest_of(plan, targets))


def digest_of(plan: CampaignPlan, waves: Iterable[Iterable[Target]]) -> str:
    """SHA-256 over plan and cohort together; any change of either voids an approval."""
    return plan_digest(plan, ([target.charger_id for target in wave] for wave in waves))


def _situation(
    view: ChargerView, models: Models | None, released: Mapping[str, int] | None, now: datetime
) -> Situation:
    charger, firmware = view.charger, view.twin.firmware
    profile = (models or {}).get((charger.vendor, charger.model))
    counter = (released or {}).get(firmware.version or "") if firmware else None
    return situation_of(view, profile, counter, now)


def _exclusions(situations: Mapping[str, Situation], facts: ArtifactFacts) -> tuple[Exclusion, ...]:
    skips = {name: mismatch(situation, facts) for name, situation in situations.items()}
    return tuple(Exclusion(name, skip.reason) for name, skip in skips.items() if skip)


def _draw(views: Sequence[ChargerView], cohort: Cohort, seed: int) -> list[list[ChargerView]]:
    lots = [
        Lot(view.charger.charger_id, _stratum(view.charger), view.charger.site_id, view)
        for view in views
        if view.charger.charger_id in cohort.fitting
    ]
    return draw(lots, cohort.sizes, seed)


def _stratum(charger: Charger) -> tuple[str, ...]:
    """What a gate compares within, so what a draw has to be even over."""
    return charger.vendor, charger.model, charger.hardware_revision or ""


def _targets(
    plan: CampaignPlan, facts: ArtifactFacts, waves: Sequence[Sequence[ChargerView]]
) -> tuple[tuple[Target, ...], ...]:
    return tuple(
        tuple(_target(plan, facts, view, (wave, ordinal)) for ordinal, view in enumerate(members))
        for wave, members in enumerate(waves)
    )


def _target(plan: CampaignPlan, facts: ArtifactFacts, view: ChargerView, place: tuple[int, int]) -> Target:
    return Target(
        campaign_id="",
        wave=place[0],
        ordinal=place[1],
        charger_id=view.charger.charger_id,
        site_id=view.charger.site_id,
        artifact_id=plan.artifact_id,
        from_version=view.twin.firmware.version if view.twin.firmware else None,
        to_version=facts.version,
    )
