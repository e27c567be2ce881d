"""Sentences about one: ``1 attempt is enough``, not ``1 attempts are``. Pure.

Applied to a whole verdict from the rules ``gate-7`` on. The checks write as they always did, so that the
records of earlier rules are computed again to the very bytes that were stored.
"""

import re
from dataclasses import replace

from workflows.gate.words import Verdict

_ALONE = r"(?<![\d.,])1 "
"""A one that is no part of another number."""
_OF_ONE: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(wrong), right)
    for wrong, right in (
        (r"\bAll 1 chargers have an", "The one charger has an"),
        (r"\bAll 1 updated chargers are", "The one updated charger is"),
        (r"\bAll 1 who rehearse made", "The one that rehearses made"),
        (r"\bthe 1 updated ones with", "the one updated with"),
        (_ALONE + r"of its chargers were", "1 of its chargers was"),
        (_ALONE + r"of (\d+) ((?:updated )?chargers(?: not updated(?: yet)?)?) are", r"1 of \1 \2 is"),
        (_ALONE + r"of (\d+) ((?:updated )?chargers(?: not updated(?: yet)?)?) were", r"1 of \1 \2 was"),
        (r"\bof 1 ((?:updated )?)chargers((?: not updated(?: yet)?)?) are", r"of 1 \1charger\2 is"),
        (r"\bof 1 ((?:updated )?)chargers((?: not updated(?: yet)?)?) were", r"of 1 \1charger\2 was"),
        (_ALONE + r"chargers have", "1 charger has"),
        (_ALONE + r"(charger|attempt)s are", r"1 \1 is"),
        (_ALONE + r"stop a wave", "1 stops a wave"),
        (_ALONE + r"((?:updated )?)(charger|attempt|other|wave)s\b", r"1 \1\2"),
    )
)
"""In the order in which they are applied: verbs first, what is left then."""


def of_one(sentence: str) -> str:
    """The sentence, with every noun and verb that belongs to a one in the singular."""
    for wrong, right in _OF_ONE:
        sentence = wrong.sub(right, sentence)
    return sentence


def in_numbers(verdict: Verdict) -> Verdict:
    """The same verdict in right numbers: no word of it changes, only sentences."""
    health = verdict.health
    if health is not None:
        said = tuple(replace(one, sentence=of_one(one.sentence)) for one in health.comparisons)
        health = replace(health, reason=of_one(health.reason), comparisons=said)
    checks = tuple(replace(check, sentence=of_one(check.sentence)) for check in verdict.checks)
    return replace(verdict, reason=of_one(verdict.reason), checks=checks, health=health)
