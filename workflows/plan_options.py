"""What may be wrong with the options of a plan and its waves by themselves, in sentences. Pure."""

from storage.campaign import CampaignPlan, Edge, Ramp, WavePlan
from storage.errors import InvalidInput
from storage.query.checker import condition_of
from storage.windows import window_problems
from workflows.partial import broken, where_read

MAX_WINDOW = 200
MOST_WINDOWS = 50
MOST_EDGES = 50
MOST_PRIORITY = 1000


def option_problems(plan: CampaignPlan) -> list[str]:
    """Windows, edges, links, priority, price, ramp."""
    rules = {
        "windows must not be empty: leave it out to allow any time": lambda: plan.windows != (),
        f"windows must be at most {MOST_WINDOWS}": lambda: len(plan.windows or ()) <= MOST_WINDOWS,
        f"edges must be at most {MOST_EDGES}": lambda: len(plan.edges or ()) <= MOST_EDGES,
        "links must not be empty: leave it out to allow any": lambda: plan.links != (),
        f"priority must be from 0 to {MOST_PRIORITY}": lambda: 0 <= plan.rank <= MOST_PRIORITY,
        "max_price must be a number": lambda: plan.max_price is None or abs(plan.max_price) < float("inf"),
    }
    found = broken(rules)
    with where_read():
        for place, window in enumerate(plan.windows or (), 1):
            found += [f"windows, the {place}. one: {problem}" for problem in window_problems(window)]
    with where_read():
        for place, edge in enumerate(plan.edges or (), 1):
            found += [f"edges, the {place}. one: {problem}" for problem in _edge_problems(edge)]
    with where_read():
        if plan.targets.query is not None:
            found += [f"targets.query: {problem}" for problem in query_problems(plan.targets.query)]
    with where_read():
        found += _ramp_problems(plan.pace.ramp) if plan.pace.ramp else []
    return found


def wave_problems(wave: WavePlan) -> list[str]:
    """One wave by itself, but for who is in it."""
    rules = {
        "soak_seconds must not be negative": lambda: wave.soak_seconds >= 0,
        f"window must be from 1 to {MAX_WINDOW}": lambda: (
            wave.window is None or 1 <= wave.window <= MAX_WINDOW
        ),
        "max_failure_share must be from 0 to below 1": lambda: (
            wave.max_failure_share is None or 0 <= wave.max_failure_share < 1
        ),
        "min_attempts must be at least 1": lambda: wave.min_attempts is None or wave.min_attempts >= 1,
        "early_stop_failures must be at least 1": lambda: (
            wave.early_stop_failures is None or wave.early_stop_failures >= 1
        ),
        "approvals must be from 1 to 10": lambda: wave.approvals is None or 1 <= wave.approvals <= 10,
    }
    found = broken(rules)
    with where_read():
        found += query_problems(wave.query) if wave.query is not None else []
    return found


def query_problems(query: str) -> list[str]:
    """Why nobody can ask this, or nothing."""
    try:
        condition_of(query)
    except InvalidInput as error:
        return [" ".join(f"{error.message} {error.hint}".split())]
    return []


def _edge_problems(edge: Edge) -> list[str]:
    rules = {
        "from_version must not be empty: * is any version": lambda: bool(edge.from_version.strip()),
        "it says nothing: give via, or risk": lambda: edge.via is not None or edge.risk is not None,
        "give via or risk, not both": lambda: edge.via is None or edge.risk is None,
    }
    found = broken(rules)
    return found if edge.risk is None else [*found, *(f"risk: {one}" for one in query_problems(edge.risk))]


def _ramp_problems(ramp: Ramp) -> list[str]:
    rules = {
        f"pace.ramp.start must be from 1 to {MAX_WINDOW}": lambda: 1 <= ramp.start <= MAX_WINDOW,
        "pace.ramp.factor must be above 1 and at most 10": lambda: 1 < ramp.factor <= 10,
        "pace.ramp.every must be at least 1": lambda: ramp.every >= 1,
    }
    return broken(rules)
