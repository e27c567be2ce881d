"""Whether a release's evidence is what its policy asks: pure, and the same on any machine (S49 to S52)."""

from collections.abc import Iterable, Mapping

from signing.errors import VerificationFailed
from signing.evidence_policy import ANY, EvidencePolicy, EvidenceRule
from signing.ports import Judgement
from signing.provenance import provenance_problems
from signing.sbom import Sbom, read_sbom
from signing.strict_json import capital
from signing.vex import excused
from storage.artifact import Compatible
from storage.canonical import sha256_hex
from storage.errors import InvalidInput
from storage.evidence import SUPPLIED, EvidenceKind

Pieces = Mapping[EvidenceKind, bytes]
_MOST_EXPLOITED = 100
_NAMES = {EvidenceKind.SBOM: "an SBOM", EvidenceKind.PROVENANCE: "provenance", EvidenceKind.VEX: "a VEX"}


def judge(
    image_sha256: str, models: Iterable[Compatible], pieces: Pieces, policy: EvidencePolicy
) -> Judgement:
    """Everything that is wrong, at once. What nobody asked for is still held to what it says."""
    rules = policy.rules_for(models)
    problems = _missing(rules, pieces)
    sbom: Sbom | None = None
    if EvidenceKind.SBOM in pieces:
        try:
            sbom = read_sbom(pieces[EvidenceKind.SBOM], image_sha256)
        except InvalidInput as error:
            problems += [f"SBOM: {why}" for why in error.problems or (error.message.rstrip("."),)]
    if EvidenceKind.PROVENANCE in pieces:
        data = pieces[EvidenceKind.PROVENANCE]
        for rule in rules or (EvidenceRule("*", "*"),):
            problems += [f"Provenance: {why}" for why in _provenance(data, image_sha256, rule)]
    waived, why_not = _waived(image_sha256, pieces, rules)
    problems += why_not
    if policy.exploited is not None and sbom is not None:
        problems += _exploited([name for name in policy.exploited.in_parts(sbom) if name not in waived])
    return Judgement(tuple(dict.fromkeys(problems)), policy.sha256, _inputs(pieces, policy))


def _exploited(names: list[str]) -> list[str]:
    """Bounded: the verdict is signed with its problems in it, and has to be readable again."""
    found = [
        f"{name} is known to be exploited and is in the SBOM: mend it, or have a signed VEX say why it"
        " does not matter in this image"
        for name in names[:_MOST_EXPLOITED]
    ]
    left = len(names) - len(found)
    return [*found, f"the SBOM has {left} more that are known to be exploited"] if left else found


def _missing(rules: Iterable[EvidenceRule], pieces: Pieces) -> list[str]:
    return [
        f"{capital(_NAMES[kind])} is required for {_who(rule)}, and there is none"
        for rule in rules
        for kind in SUPPLIED
        if kind in rule.require and kind not in pieces
    ]


def _who(rule: EvidenceRule) -> str:
    vendor = "any vendor's" if rule.vendor == ANY else rule.vendor
    return f"every {vendor} model" if rule.model == ANY else f"{vendor} {rule.model}"


def _provenance(data: bytes, image_sha256: str, rule: EvidenceRule) -> list[str]:
    try:
        return provenance_problems(data, image_sha256, rule.builders)
    except InvalidInput as error:
        return [error.message.rstrip(".")]


def _waived(
    image_sha256: str, pieces: Pieces, rules: tuple[EvidenceRule, ...]
) -> tuple[frozenset[str], list[str]]:
    """What everybody who is named excuses: a VEX that one rule does not trust excuses nothing."""
    if EvidenceKind.VEX not in pieces:
        return frozenset(), []
    waived: frozenset[str] | None = None
    problems = []
    for rule in rules or (EvidenceRule("*", "*"),):
        try:
            found = excused(pieces[EvidenceKind.VEX], image_sha256, rule.vex_keys)
        except (VerificationFailed, InvalidInput) as error:
            problems.append(f"VEX: {error.message.rstrip('.')}")
            continue
        waived = found if waived is None else waived & found
    return (waived or frozenset()) if not problems else frozenset(), problems


def _inputs(pieces: Pieces, policy: EvidencePolicy) -> tuple[tuple[str, str], ...]:
    inputs = [(kind.value, sha256_hex(pieces[kind])) for kind in SUPPLIED if kind in pieces]
    if policy.exploited is not None:
        inputs.append(("known-exploited", policy.exploited.sha256))
    return tuple(inputs)
