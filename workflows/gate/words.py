"""Words, and how they compose: the worst decides, and an empty gate raises."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from storage.campaign import VerdictWord
from storage.canonical import ADDED
from storage.errors import AmpwaveError
from workflows.gate.judgement import Judgement

_ORDER = (VerdictWord.PROCEED, VerdictWord.HOLD, VerdictWord.ABORT)


class EmptyGate(AmpwaveError):
    """A gate without checks would pass everything; it is a mistake."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What one check says, in a word and a sentence."""

    name: str
    word: VerdictWord
    sentence: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """All checks together; ``reason`` is the sentence of the check that speaks for them."""

    word: VerdictWord
    reason: str
    checks: tuple[CheckResult, ...]
    health: Judgement | None = field(default=None, metadata=ADDED)
    """The numbers behind the check of health, where the plan asks for it."""


def worst(one: VerdictWord, other: VerdictWord) -> VerdictWord:
    """The more cautious of two words."""
    return max(one, other, key=_ORDER.index)


def combine(results: Iterable[CheckResult]) -> Verdict:
    """The worst word, with the sentence of a check that said it. Raises EmptyGate."""
    checks = tuple(results)
    if not checks:
        raise EmptyGate("A gate without checks never passes.", hint="Give it at least one check.")
    word = VerdictWord.PROCEED
    for check in checks:
        word = worst(word, check.word)
    telling = [check.sentence for check in checks if check.word is word]
    # Those that pass speak in the order of the gate, and the last one has the numbers.
    reason = telling[-1] if word is VerdictWord.PROCEED else telling[0]
    return Verdict(word, reason, checks)
