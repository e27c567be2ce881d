"""What ``ampwave gate simulate`` was asked for, as a trial, and its running on all processors."""

import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields, replace
from math import isfinite
from multiprocessing import get_context
from pathlib import Path

from api.cli.documents import nearest, number
from api.cli.errors import CliError, Record, WrongUse
from api.cli.http import Api
from api.cli.planfile import parse_model, read_plan
from api.schemas.campaigns import GateBody, WaveBody
from storage.campaign import GatePolicy, WavePlan
from storage.health_policy import HealthPolicy
from workflows.gate import POLICIES
from workflows.gate.policies import problems_of
from workflows.trial import HARMS, FleetShape, Harm, Model, PlanShape
from workflows.trial.fleet import Charger, Fleet
from workflows.trial.many import PolicyScore, Trial, scores, simulate, worlds
from workflows.trial.rule import Outcomes
from workflows.trial.world import Track

_SHAPE: dict[str, tuple[str, float, float]] = {
    "chargers": ("chargers", 20, 20_000),
    "sites": ("sites", 1, 20_000),
    "sessions": ("sessions", 0.1, 50),
    "failures": ("session_failures", 0.001, 0.5),
    "alike": ("alike", 0, 0.9),
    "outages": ("backend_outages", 2, 10_000),
}
"""What may be said of a fleet: the field, and from where to where."""
_PER_SITE = 10
_PATIENCE_S = 1800.0
"""Weeks of hours of a large fleet are read before the first byte of the answer."""
_NO_SHARE = ("charger_ids", "query", "count")


@dataclass(frozen=True, slots=True)
class Given:
    """As typed."""

    plan: Path | None
    fleet: str
    models: str | None
    harm: str


def kinds() -> list[Record]:
    """Every harm with what it does."""
    return [{"name": name, "does": _does(harm)} for name, harm in HARMS.items()]


def trial_of(given: Given, campaigns: int, seed: int) -> Trial:
    """Check what was typed; raises WrongUse with everything that is wrong with a plan or a policy."""
    shape = _shape(given)
    waves, gate = _plan(given.plan)
    shares = tuple(wave.share for wave in waves)
    policies = dict(POLICIES)
    outcomes = Outcomes()
    if gate is not None and gate.health is not None:
        policies = {_own_name(gate.health): gate.health, **POLICIES}
        outcomes = Outcomes(replace(gate, health=None), waves)
        if problems := problems_of(gate.health):
            raise WrongUse("The plan's policy cannot work.", problems)
    if len(shares) < 2:
        raise WrongUse("A policy compares with chargers of later waves.", hint="Name at least two waves.")
    plan = PlanShape(shares)
    return Trial(policies, shape, plan, _harm(given.harm, shape), campaigns, seed, outcomes)


def with_fleet(trial: Trial, api: Api, fleet: str, models: str | None) -> Trial:
    """The same on chargers of the user's own. Raises WrongUse if a fleet is described besides."""
    named = [part.partition("=")[0].strip() for part in fleet.split(",") if part.strip()]
    if models is not None or any(name != "chargers" for name in named):
        raise WrongUse(
            "--from-fleet has its own sites, models and rates.", hint="Only --fleet chargers=N goes."
        )
    count = min(max(trial.shape.chargers, 20), 2000)
    found = api.get_slowly("/fleet/recording", _PATIENCE_S, {"chargers": count, "seed": trial.seed})
    if not found["chargers"]:
        raise CliError("This fleet has no charger to try a policy on.", hint="Leave out --from-fleet.")
    own = Fleet(found["weeks"], [_charger(each) for each in found["chargers"]])
    sites = len({each.site for each in own.chargers})
    shape = replace(trial.shape, chargers=len(own.chargers), sites=sites)
    names = sorted({each.model for each in own.chargers})
    harm = replace(trial.harm, model=names[-1]) if trial.harm.model else trial.harm
    return replace(trial, fleet=own, shape=shape, harm=harm)


def _charger(found: Record) -> Charger:
    tracks = {
        name: Track(each["hits"], each["cases"], each["per_hour"], each["once"])
        for name, each in found["tracks"].items()
    }
    return Charger(found["name"], found["model"], found["hardware"], found["site"], tracks, found["kind"])


def carry_out(trial: Trial, tell: Callable[[int, int], None]) -> dict[str, PolicyScore]:
    """All campaigns, on every processor of this machine; the result does not depend on how many there are."""
    tasks = worlds(trial)
    step = max(len(tasks) // 4, 1)
    done = []
    with ProcessPoolExecutor(min(os.cpu_count() or 1, len(tasks)), get_context("spawn")) as pool:
        for count, (task, outcomes) in enumerate(zip(tasks, pool.map(simulate, tasks), strict=True), start=1):
            done.append((task, outcomes))
            if count % step == 0:
                tell(count, len(tasks))
    return scores(trial, done)


def _own_name(policy: HealthPolicy) -> str:
    shipped = POLICIES.get(policy.name)
    return policy.name if shipped is None or shipped == policy else f"{policy.name} (the plan's)"


def _plan(path: Path | None) -> tuple[tuple[WavePlan, ...], GatePolicy | None]:
    if path is None:
        usual = enumerate(PlanShape().shares, start=1)
        return tuple(WavePlan(f"wave {place}", share) for place, share in usual), None
    body = read_plan(path).body
    try:
        gate = GateBody.model_validate(body.get("gate", {})).to_noun()
        planned = tuple(WaveBody.model_validate(wave).to_noun() for wave in body["waves"])
    except ValueError as error:
        raise WrongUse(f"{path}: gate or waves cannot be read.", [str(error)]) from error
    if gate.health is None:
        raise WrongUse(f"{path} names no policy of health.", hint="Add one: gate: {health: balanced}")
    waves = body["waves"]
    if other := [str(wave["name"]) for wave in waves if "share" not in wave or set(_NO_SHARE) & set(wave)]:
        raise WrongUse(
            f"{path}: {', '.join(other)} are not shares, and simulated fleets have no other waves.",
            hint="Write shares instead, or ask for a forecast: ampwave campaign plan FILE --simulate",
        )
    return planned, gate


def _shape(given: Given) -> FleetShape:
    values: dict[str, float] = {}
    for part in filter(None, (part.strip() for part in given.fleet.split(","))):
        name, _, text = part.partition("=")
        if name not in _SHAPE:
            raise WrongUse(f"--fleet: {name!r} says nothing of a fleet. {nearest(name, _SHAPE)}")
        values[name] = _within(name, text)
    chargers = int(values.get("chargers", FleetShape().chargers))
    values.setdefault("sites", max(chargers // _PER_SITE, 1))
    if "outages" in values:
        values["outages"] = 1 / values["outages"]
    whole = {item.name for item in fields(FleetShape) if item.type in (int, "int")}
    known = {_SHAPE[name][0]: value for name, value in values.items()}
    shape = FleetShape(**{name: int(value) if name in whole else value for name, value in known.items()})  # type: ignore[arg-type]  # by the field's own type
    return replace(shape, models=_models(given.models)) if given.models is not None else shape


def _within(name: str, text: str) -> float:
    _, low, high = _SHAPE[name]
    try:
        value = number(text)
    except ValueError:
        value = float("nan")
    if not isfinite(value) or not low <= value <= high:
        raise WrongUse(f"--fleet: {name}={text} should be a number from {low:g} to {high:g}.")
    return value


def _models(text: str) -> tuple[Model, ...]:
    found = []
    for part in text.split(","):
        name, _, share = part.strip().rpartition(":")
        try:
            found.append(Model("/".join(parse_model(name)), number(share)))
        except ValueError as error:
            raise WrongUse(
                f"--models: {part.strip()!r} is not VENDOR/MODEL:SHARE.", hint="As in Acme/AC22:70%."
            ) from error
    if not abs(sum(model.share for model in found) - 1) < 1e-6 or any(model.share <= 0 for model in found):
        raise WrongUse("--models: the shares have to be more than 0 and add up to 100 %.")
    return tuple(found)


def _harm(name: str, shape: FleetShape) -> Harm:
    harm = HARMS.get(name)
    if harm is None:
        raise WrongUse(f"--harm: {name!r} is not known. {nearest(name, HARMS)}", hint="--harm list")
    names = [model.name for model in shape.models]
    return replace(harm, model=names[-1]) if harm.model and harm.model not in names else harm


def _does(harm: Harm) -> str:
    parts = [
        (harm.sessions, f"{harm.sessions * 100:g} points more of the sessions fail"),
        (harm.offline, f"{harm.offline * 100:g} points more of the hours offline"),
        (harm.faults, f"{harm.faults:g} more faults per charger and day"),
        (harm.boot_loops, f"{harm.boot_loops:g} boot loops per charger and day"),
        (harm.installs, f"{harm.installs * 100:g} points more of the attempts fail"),
        (harm.model, "on one model"),
        (harm.after_hours, "from 20:00 to 6:00"),
    ]
    return ", ".join(text for applies, text in parts if applies)


def about(trial: Trial) -> str:
    """What is simulated, before it takes its time."""
    shares = ", ".join(f"{share * 100:g}" for share in trial.plan.shares)
    own = f" of your own, {trial.fleet.weeks} recorded weeks," if trial.fleet else ","
    return (
        f"{trial.campaigns} good and {trial.campaigns} bad campaigns "
        f"({trial.harm.name}: {_does(trial.harm)}) "
        f"on {trial.shape.chargers} chargers at {trial.shape.sites} sites{own} waves of {shares} %, "
        f"under {', '.join(trial.policies)}."
    )
