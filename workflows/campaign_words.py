"""The sentences with which a campaign ends. Pure."""

from collections.abc import Sequence

from activities.campaigns import RollbackFacts

_TOLD_PASSED = 5
"""So many people's words stand in the sentence of a campaign that is through."""


def completed(passed: Sequence[str]) -> str:
    """Why it is through: its gates, and the people who let a wave pass that was held."""
    if not passed:
        return "every wave passed its gate"
    shown = "; ".join(map(open_end, passed[:_TOLD_PASSED]))
    more = len(passed) - _TOLD_PASSED
    told = f"{shown}; and {more} more (ampwave audit export)" if more > 0 else shown
    return f"every wave passed its gate, {len(passed)} of them by a person's word: {told}"


def left_behind(facts: RollbackFacts, version: str) -> str:
    """Who runs the stopped version although every round brought its chargers back."""
    named, more = ", ".join(facts.left), facts.left_count - len(facts.left)
    rest = f" and {more} more" if more > 0 else ""
    one = facts.left_count == 1
    return f"{named}{rest} {'runs' if one else 'run'} {version}, and {'needs' if one else 'need'} a person"


def open_end(sentence: str) -> str:
    """A sentence that goes on: without its full stop."""
    return sentence.removesuffix(".")
