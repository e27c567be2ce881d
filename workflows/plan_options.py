"""What may be wrong with the options of a plan and its waves by themselves, in sentences. Pure."""

from collections.abc import Iterable

from storage.campaign import CampaignPlan, Edge, Ramp, WavePlan
from storage.errors import InvalidInput
from storage.query.checker import condition_of
from storage.windows import window_problems

MAX_WINDOW = 200
MOST_WINDOWS = 50
MOST_EDGES = 50
MOST_PRIORITY = 1000


def option_problems(plan: CampaignPlan) -> list[str]:
    """Windows, edges, links, priority, price, ramp."""
    windows, edges = plan.windows or (), plan.edges or ()
    rules = {
        "windows must not be empty: leave it out to allow any time": plan.windows != (),
        f"windows must be at most {MOST_WINDOWS}": len(windows) <= MOST_WINDOWS,
        f"edges must be at most {MOST_EDGES}": len(edges) <= MOST_EDGES,
        "links must not be empty: leave it out to allow any": plan.links != (),
        f"priority must be from 0 to {MOST_PRIORITY}": 0 <= plan.rank <= MOST_PRIORITY,
        "max_price must be a number": plan.max_price is None or abs(plan.max_price) < float("inf"),
    }
    found = _broken(rules)
    for place, window in enumerate(windows, 1):
        found += [f"windows, the {place}. one: {problem}" for problem in window_problems(window)]
    for place, edge in enumerate(edges, 1):
        found += [f"edges, the {place}. one: {problem}" for problem in _edge_problems(edge)]
    if plan.targets.query is not None:
        found += [f"targets.query: {problem}" for problem in query_problems(plan.targets.query)]
    return found + (_ramp_problems(plan.pace.ramp) if plan.pace.ramp else [])


def wave_problems(wave: WavePlan) -> list[str]:
    """One wave by itself, but for who is in it."""
    share = wave.max_failure_share
    rules = {
        "soak_seconds must not be negative": wave.soak_seconds >= 0,
        f"window must be from 1 to {MAX_WINDOW}": wave.window is None or 1 <= wave.window <= MAX_WINDOW,
        "max_failure_share must be from 0 to below 1": share is None or 0 <= share < 1,
        "min_attempts must be at least 1": wave.min_attempts is None or wave.min_attempts >= 1,
        "early_stop_failures must be at least 1": (wave.early_stop_failures or 1) >= 1
        and wave.early_stop_failures != 0,
        "approvals must be from 1 to 10": wave.approvals is None or 1 <= wave.approvals <= 10,
    }
    found = _broken(rules)
    return found if wave.query is None else [*found, *query_problems(wave.query)]


def query_problems(query: str) -> list[str]:
    """Why nobody can ask this, or nothing."""
    try:
        condition_of(query)
    except InvalidInput as error:
        return [" ".join(error.message.split())]
    return []


def _edge_problems(edge: Edge) -> list[str]:
    rules = {
        "from_version must not be empty: * is any version": bool(edge.from_version.strip()),
        "it says nothing: give via, or risk": edge.via is not None or edge.risk is not None,
        "give via or risk, not both": edge.via is None or edge.risk is None,
    }
    found = _broken(rules)
    return found if edge.risk is None else [*found, *(f"risk: {one}" for one in query_problems(edge.risk))]


def _ramp_problems(ramp: Ramp) -> list[str]:
    rules: dict[str, bool] = {
        f"pace.ramp.start must be from 1 to {MAX_WINDOW}": 1 <= ramp.start <= MAX_WINDOW,
        "pace.ramp.factor must be above 1 and at most 10": 1 < ramp.factor <= 10,
        "pace.ramp.every must be at least 1": ramp.every >= 1,
    }
    return _broken(rules)


def _broken(rules: dict[str, bool]) -> list[str]:
    pairs: Iterable[tuple[str, bool]] = rules.items()
    return [rule for rule, holds in pairs if not holds]
