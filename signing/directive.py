"""The rollout directive: who gets what and when, in a DSSE envelope of the directive key (S24).

The payload is the canonical JSON of ``storage.campaign.Directive``. Parsing is strict: what does not
encode back to the same bytes is refused. Checks are pure.
"""

import json
from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any, get_type_hints

from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import Key, Signer

from signing.approval import people_behind
from signing.dsse import parse_own, sign_payload
from signing.errors import (
    ApprovalRefused,
    DirectiveNotInTime,
    DirectiveRefused,
    DowngradeRefused,
    UnknownDirectiveKey,
)
from signing.policy import TrustPolicy
from signing.ports import DispatchRequest
from signing.release import Release
from signing.roles import MAX_DIRECTIVE_CHARGERS, MAX_DIRECTIVE_WINDOW
from storage.campaign import Approval, Directive, SignedDirective
from storage.canonical import canonical_json

PAYLOAD_TYPE = "application/vnd.ampwave.directive+json"
MAX_ENVELOPE = 256 * 1024
"""500 ids of 48 characters with ten signed approvals take a quarter of it."""
DOWNGRADE_APPROVALS = 2


def directive_payload(directive: Directive) -> bytes:
    """The bytes that are signed. An approval without evidence has no such field, as it never had."""
    said: dict[str, Any] = {field.name: getattr(directive, field.name) for field in fields(directive)}
    said["approvals"] = [
        {
            field.name: getattr(one, field.name)
            for field in fields(one)
            if field.name != "evidence" or one.evidence
        }
        for one in directive.approvals
    ]
    return canonical_json(said)


def sign_envelope(directive: Directive, signer: Signer) -> bytes:
    """The envelope (JSON bytes). Raises KeyUnavailable."""
    return sign_payload(directive_payload(directive), PAYLOAD_TYPE, signer)


def open_envelope(signed: SignedDirective, keys: Mapping[str, Key]) -> tuple[Directive, str]:
    """The directive and the key id that signed it.

    Raises:
        UnknownDirectiveKey: no signature is by a key that the signed policy lists.
        DirectiveRefused: the signature does not hold, or the content is not a directive.
    """
    envelope = _parse_envelope(signed.envelope)
    allowed = [key for keyid, key in keys.items() if keyid in envelope.signatures]
    if not allowed:
        raise UnknownDirectiveKey(
            f"Directive {signed.directive_id} is not signed by a listed directive key.",
            hint="The people of the targets role list that key; see the signed metadata.",
        )
    try:
        accepted = envelope.verify(allowed, 1)
    except (VerificationError, ValueError) as error:
        raise DirectiveRefused(f"The signature of directive {signed.directive_id} does not hold.") from error
    directive = parse_directive(envelope.payload)
    if (directive.directive_id, directive.campaign_id, directive.wave) != (
        signed.directive_id,
        signed.campaign_id,
        signed.wave,
    ):
        raise DirectiveRefused(f"Directive {signed.directive_id} was stored under another name.")
    return directive, next(iter(accepted))


def parse_directive(payload: bytes) -> Directive:
    """The dataclass from its canonical JSON. Raises DirectiveRefused."""
    try:
        raw = json.loads(payload)
        approvals = tuple(Approval(**(entry | {"at": _instant(entry["at"])})) for entry in raw["approvals"])
        directive = Directive(
            **raw
            | {
                "approvals": approvals,
                "charger_ids": tuple(raw["charger_ids"]),
                "compatible": tuple((vendor, model) for vendor, model in raw["compatible"]),
                "not_before": _instant(raw["not_before"]),
                "not_after": _instant(raw["not_after"]),
            }
        )
        same = directive_payload(directive) == payload
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DirectiveRefused("The envelope holds no directive.") from error
    if not same or not _well_typed(directive):
        raise DirectiveRefused("The directive is not in canonical form.")
    return directive


def shape_problems(directive: Directive) -> list[str]:
    """What is wrong with a directive whatever it is used for: size, window, approvals, nonce."""
    problems = []
    if not 1 <= len(directive.charger_ids) <= MAX_DIRECTIVE_CHARGERS:
        problems.append(
            f"it names {len(directive.charger_ids)} chargers, allowed are 1 to {MAX_DIRECTIVE_CHARGERS}"
        )
    if len(set(directive.charger_ids)) != len(directive.charger_ids):
        problems.append("it names a charger twice")
    if directive.not_after <= directive.not_before:
        problems.append("its window is empty")
    if directive.not_after - directive.not_before > MAX_DIRECTIVE_WINDOW:
        problems.append("its window is longer than 24 hours")
    if len(directive.nonce) < 16:
        problems.append("its nonce has fewer than 16 characters")
    if any(approval.plan_digest != directive.plan_digest for approval in directive.approvals):
        problems.append("an approval speaks of another plan")
    given, needed = len({approval.actor for approval in directive.approvals}), directive.required_approvals
    if given < max(1, needed):
        problems.append(f"it carries the approvals of {given} people, not of {max(1, needed)}")
    if directive.downgrade and (given < DOWNGRADE_APPROVALS or not directive.reason.strip()):
        problems.append(f"a downgrade needs {DOWNGRADE_APPROVALS} approvals and a reason (S25)")
    return problems


def check_directive(directive: Directive, request: DispatchRequest) -> None:
    """Whether it covers this charger, now.

    Raises:
        DirectiveNotInTime: nothing but the time is wrong.
        DirectiveRefused: anything else is.
    """
    problems = shape_problems(directive)
    if request.charger_id not in directive.charger_ids:
        problems.append(f"it does not name {request.charger_id}")
    if (request.vendor, request.model) not in directive.compatible:
        problems.append(f"it is not for {request.vendor} {request.model}")
    late = _not_in_time(directive, request.now)
    _refuse(directive, problems + late, DirectiveRefused if problems else DirectiveNotInTime)


def check_approvals(directive: Directive, policy: TrustPolicy, now: datetime) -> tuple[str, ...]:
    """The people whose own keys signed for it; () where the policy lists no approvers. Pure.

    Raises ApprovalRefused when fewer did than plan, policy and (for a way back) S25 ask for.
    """
    if not policy.approvers:
        return ()
    behind = people_behind(directive, policy.approvers, now)
    back = DOWNGRADE_APPROVALS if directive.downgrade else 1
    needed = max(back, directive.required_approvals, policy.approval_threshold)
    if len(behind.people) < needed:
        signed = ", ".join(behind.people) or "nobody"
        raise ApprovalRefused(
            f"Directive {directive.directive_id} carries the signed approvals of {signed}; "
            f"{needed} listed people have to sign (S24). {' '.join(behind.problems)}".rstrip(),
            hint="Approve the campaign with `ampwave campaign approve --key`.",
        )
    return behind.people


def check_progress(directive: Directive, installed: int | None, minimum: int) -> None:
    """Raise DowngradeRefused if the release counter goes back without authority, or below the minimum.

    Args:
        directive: What is to be sent.
        installed: The highest counter by which the installed version is known; None: it is not known.
        minimum: What people signed for the model; nothing goes below it, authorised or not (S25).
    """
    counter = directive.release_counter
    problems = []
    if installed is not None and counter < installed and not directive.downgrade:
        problems.append(
            f"release counter {counter} is below the installed {installed} and no downgrade is authorised"
        )
    if counter < minimum:
        problems.append(f"release counter {counter} is below the model's minimum of {minimum}")
    if problems:
        raise DowngradeRefused(
            f"Directive {directive.directive_id} is refused: {'; '.join(problems)} (S25).",
            hint="Release a newer version; a way back needs a campaign that names it and two approvals.",
        )


def _not_in_time(directive: Directive, now: datetime) -> list[str]:
    if now < directive.not_before:
        return [f"it is not valid before {directive.not_before:%Y-%m-%d %H:%M:%S}Z"]
    if now > directive.not_after:
        return [f"it expired at {directive.not_after:%Y-%m-%d %H:%M:%S}Z"]
    return []


def check_window(directive: Directive, now: datetime) -> None:
    """Raise DirectiveNotInTime unless it is valid now."""
    _refuse(directive, _not_in_time(directive, now), DirectiveNotInTime)


def payload_of(envelope: bytes) -> bytes:
    """What an envelope says, proven by nothing yet. Raises DirectiveRefused."""
    return _parse_envelope(envelope).payload


def check_release(directive: Directive, release: Release) -> None:
    """Raise DirectiveRefused unless directive and signed release agree on everything (S23)."""
    pairs = {(entry.vendor, entry.model) for entry in release.compatible}
    said = {
        "path": (directive.target_path, release.path),
        "sha256": (directive.sha256, release.sha256),
        "length": (directive.length, release.length),
        "version": (directive.version, release.version),
        "release counter": (directive.release_counter, release.release_counter),
        "compatible models": (set(directive.compatible), pairs),
    }
    problems = [
        f"its {name} is not the signed release's" for name, (ours, theirs) in said.items() if ours != theirs
    ]
    _refuse(directive, problems)


def _refuse(
    directive: Directive, problems: list[str], kind: type[DirectiveRefused] = DirectiveRefused
) -> None:
    if problems:
        raise kind(
            f"Directive {directive.directive_id} is refused: {'; '.join(problems)}.",
            hint="Have the campaign issue a new directive.",
        )


def _parse_envelope(data: bytes) -> Envelope:
    return parse_own(data, "a directive", PAYLOAD_TYPE, DirectiveRefused, limit=MAX_ENVELOPE)


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


_SCALARS: dict[str, type] = {
    name: kind for name, kind in get_type_hints(Directive).items() if kind in (str, int, bool)
}


def _well_typed(directive: Directive) -> bool:
    """JSON could hold a number where text belongs; canonical form alone would not notice."""
    values: dict[str, Any] = {field.name: getattr(directive, field.name) for field in fields(directive)}
    names = (*directive.charger_ids, *(part for pair in directive.compatible for part in pair))
    people = (
        part
        for approval in directive.approvals
        for part in (approval.actor, approval.plan_digest, approval.evidence)
    )
    return all(type(values[name]) is kind for name, kind in _SCALARS.items()) and all(
        type(name) is str for name in (*names, *people)
    )
