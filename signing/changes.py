"""What a ceremony would change, in words, computed from what is signed now and what is to be signed (S15).

Every difference has a line. What no line can explain is a flag, and a flag means: do not sign.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from securesystemslib.signer import Key
from tuf.api.metadata import Role, Root, Signed, Targets

from signing.bundle import Bundle
from signing.errors import VerificationFailed
from signing.holders import HOLDER_FIELD, spoken
from signing.layout import Present, other_policy
from signing.lint import root_problems, targets_problems, vendor_problems
from signing.policy import APPROVAL_FIELDS, FIELD, Approver, TrustPolicy, read_policy
from signing.present import delegated
from signing.release import from_target
from signing.roles import ROOT, SNAPSHOT, TARGETS, TIMESTAMP, check_vendor_role, rule_for
from signing.vendor_signature import certificate_fingerprint
from storage.errors import InvalidName

_EXPIRY_SLACK = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Changes:
    """For reading before signing."""

    lines: tuple[str, ...]
    flags: tuple[str, ...]
    """Reasons not to sign. Empty: every difference has its line."""


def changes(bundle: Bundle, present: Present | None, now: datetime) -> Changes:
    """Compare what is to be signed with what is signed now; None: nothing is, this is the first."""
    lines: list[str] = []
    flags: list[str] = []
    root = bundle.root() or (present.root if present else None)
    targets = bundle.targets(TARGETS) or (present.targets if present else None)
    if root is None:
        return Changes((), ("it holds no root, and there is none yet",))
    for role in _in_order(bundle):
        signed, current = bundle.parts[role].signed, _current(present, role)
        lines.append(f"{role} version {signed.version}, valid until {signed.expires:%Y-%m-%d}")
        flags += _frame_flags(role, signed, _last_version(present, role, current), now)
        if isinstance(signed, Root):
            lines += _root_lines(signed, current if isinstance(current, Root) else None)
            flags += _root_flags(signed)
        elif role == TARGETS:
            before = current if isinstance(current, Targets) else None
            flags += _targets_flags(signed, root)
            lines += _targets_lines(signed, before)
        else:
            before = current if isinstance(current, Targets) else None
            flags += _vendor_flags(role, signed, before, targets)
            lines += _vendor_lines(role, signed, before)
    flags += _missing(bundle, present, targets)
    return Changes(tuple(lines), tuple(flags))


def _in_order(bundle: Bundle) -> list[str]:
    top = [role for role in (ROOT, TARGETS) if role in bundle.parts]
    return top + sorted(set(bundle.parts) - set(top))


def _current(present: Present | None, role: str) -> Signed | None:
    if present is None:
        return None
    if role in {ROOT, TARGETS}:
        return present.root if role == ROOT else present.targets
    return present.roles.get(role)


def _last_version(present: Present | None, role: str, current: Signed | None) -> int:
    listed = present.versions.get(role, 0) if present else 0
    return max(listed, current.version if current else 0)


def _frame_flags(role: str, signed: Signed, last: int, now: datetime) -> Iterator[str]:
    if signed.version != last + 1:
        yield f"{role} is version {signed.version}; after {last} comes only the next (S4)"
    if signed.expires <= now:
        yield f"{role} has expired already"
    if signed.expires > now + rule_for(role).lifetime + _EXPIRY_SLACK:
        yield f"{role} would expire only at {signed.expires:%Y-%m-%d}, later than allowed (S64)"
    if signed.spec_version.split(".")[0] != "1":
        yield f"{role} is of TUF specification {signed.spec_version}"


def _root_flags(root: Root) -> Iterator[str]:
    yield from root_problems(root)
    named = {keyid for role in root.roles.values() for keyid in role.keyids}
    yield from _key_flags(ROOT, root.keys, named)
    if root.unrecognized_fields:
        yield f"root has unknown fields: {', '.join(sorted(root.unrecognized_fields))}"


def _targets_flags(targets: Targets, root: Root) -> Iterator[str]:
    try:
        policy = read_policy(targets)
    except VerificationFailed as error:
        yield error.message
        return
    yield from targets_problems(targets, root, policy)
    if set(targets.unrecognized_fields) != {FIELD}:
        yield "targets has unknown fields"
    roles = delegated(targets)
    for role in roles:
        yield from _name_flags(role)
    yield from (
        f"{role} has manufacturer roots and is no vendor role"
        for role in policy.manufacturer_roots
        if role not in roles
    )
    if targets.delegations is not None:
        named = {keyid for role in roles for keyid in targets.get_delegated_role(role).keyids}
        yield from _key_flags(TARGETS, targets.delegations.keys, named)


def _name_flags(role: str) -> Iterator[str]:
    """A role's name becomes part of file names and paths."""
    try:
        check_vendor_role(role)
    except InvalidName as error:
        yield error.message


def _key_flags(where: str, keys: Mapping[str, Key], named: set[str]) -> Iterator[str]:
    for keyid, key in keys.items():
        if keyid not in named:
            yield f"{where} holds key {keyid[:12]}, which no role names"
        if set(key.unrecognized_fields) - {HOLDER_FIELD}:
            yield f"key {keyid[:12]} in {where} has unknown fields"


def _vendor_flags(
    role: str, signed: Targets, before: Targets | None, targets: Targets | None
) -> Iterator[str]:
    yield from vendor_problems(role, signed)
    yield from _name_flags(role)
    old = before.targets if before else {}
    for path, target in signed.targets.items():
        if old.get(path) != target:
            yield f"it adds or changes {path}: a release is signed by itself, not in a ceremony"
    if targets is None or role not in delegated(targets):
        yield f"nobody delegates to {role}"


def _missing(bundle: Bundle, present: Present | None, targets: Targets | None) -> Iterator[str]:
    """Whoever holds a role from now on has to vouch for what is in it, in the same ceremony."""
    if targets is None:
        yield "it holds no targets, and there are none yet"
        return
    before = present.targets if present else None
    for role in delegated(targets):
        if role in bundle.parts:
            continue
        if before is None or role not in delegated(before):
            yield f"the first version of {role} is missing"
        elif _seat(before.get_delegated_role(role)) != _seat(targets.get_delegated_role(role)):
            yield f"{role} changes hands, and its next version is missing"


def _seat(role: Role) -> tuple[set[str], int]:
    return set(role.keyids), role.threshold


def _root_lines(root: Root, before: Root | None) -> Iterator[str]:
    for name in (ROOT, TARGETS, SNAPSHOT, TIMESTAMP):
        old = before.roles[name] if before else None
        yield from _role_lines(name, root.roles[name], root.keys, old, before.keys if before else {})


def _role_lines(
    name: str, role: Role, keys: Mapping[str, Key], old: Role | None, old_keys: Mapping[str, Key]
) -> Iterator[str]:
    """Who holds a role, and how many of them are needed: what is new, gone or another number."""
    seats = f"{role.threshold} of {len(role.keyids)}"
    if old is None:
        yield f"  + {name} needs {seats}:"
    elif (role.threshold, len(role.keyids)) != (old.threshold, len(old.keyids)):
        yield f"  ~ {name} needs {seats}; so far {old.threshold} of {len(old.keyids)}"
    before = set(old.keyids) if old else set()
    yield from (f"  + {name}: {_spoken(keyid, keys)}" for keyid in role.keyids if keyid not in before)
    gone = [keyid for keyid in (old.keyids if old else ()) if keyid not in role.keyids]
    yield from (f"  - {name}: {_spoken(keyid, old_keys)}" for keyid in gone)
    for keyid in set(role.keyids) & before:
        if keyid in keys and keyid in old_keys and spoken(keys[keyid]) != spoken(old_keys[keyid]):
            yield f"  ~ {name}: {spoken(old_keys[keyid])} is now called {spoken(keys[keyid])}"


def _spoken(keyid: str, keys: Mapping[str, Key]) -> str:
    return spoken(keys[keyid]) if keyid in keys else f"key {keyid[:12]}"


def _targets_lines(targets: Targets, before: Targets | None) -> Iterator[str]:
    old = before.delegations if before else None
    for name in delegated(targets):
        role = (targets.delegations.roles or {})[name] if targets.delegations else None
        if role is None:
            continue
        was = before.get_delegated_role(name) if before and name in delegated(before) else None
        if was is None:
            yield f"  + vendor role {name}, which may list {', '.join(role.paths or [])}"
        keys = targets.delegations.keys if targets.delegations else {}
        yield from _role_lines(name, role, keys, was, old.keys if old else {})
    if before is not None:
        gone = [name for name in delegated(before) if name not in delegated(targets)]
        yield from (f"  - vendor role {name}: nothing of it can be sent any more" for name in gone)
    yield from _policy_lines(_policy(targets), _policy(before) if before else None)
    yield from _other_lines(other_policy(targets), other_policy(before))


def _policy(targets: Targets) -> TrustPolicy:
    try:
        return read_policy(targets)
    except VerificationFailed:
        return TrustPolicy({})


def _policy_lines(policy: TrustPolicy, before: TrustPolicy | None) -> Iterator[str]:
    old = before or TrustPolicy({})
    yield from _words(
        "directive key", map(spoken, policy.directive_keys.values()), map(spoken, old.directive_keys.values())
    )
    yield from _approver_lines(policy, old)
    for role in dict.fromkeys((*policy.manufacturer_roots, *old.manufacturer_roots)):
        yield from _words(
            f"manufacturer root of {role}:",
            map(_fingerprint, policy.roots_of(role)),
            map(_fingerprint, old.roots_of(role)),
        )


def _approver_lines(policy: TrustPolicy, old: TrustPolicy) -> Iterator[str]:
    yield from _words(
        "approver", map(_approver, policy.approvers.values()), map(_approver, old.approvers.values())
    )
    yield from _words("approvals by approvers:", _needed(policy), _needed(old))
    if old.approvers and not policy.approvers:
        yield "! Nobody approves campaigns with a key of their own any more: whoever writes the database can."


def _approver(approver: Approver) -> str:
    return f"{approver.name} (key {approver.key.keyid[:12]}, {approver.key.scheme})"


def _needed(policy: TrustPolicy) -> list[str]:
    count = len({one.name for one in policy.approvers.values()})
    return [f"{policy.approval_threshold} of {count}"] if policy.approvers else []


def _other_lines(policy: Mapping[str, Any], before: Mapping[str, Any]) -> Iterator[str]:
    """Whatever else these people sign, as it is written: it decides, so it is shown."""
    for name in sorted({*policy, *before} - set(APPROVAL_FIELDS)):
        if policy.get(name) != before.get(name):
            if name in before:
                yield f"  - {name}: {_written(before[name])}"
            if name in policy:
                yield f"  + {name}: {_written(policy[name])}"


def _written(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _words(what: str, now: Iterable[str], before: Iterable[str]) -> Iterator[str]:
    new, old = list(now), list(before)
    yield from (f"  + {what} {word}" for word in new if word not in old)
    yield from (f"  - {what} {word}" for word in old if word not in new)


def _fingerprint(pem: str) -> str:
    try:
        return f"certificate {certificate_fingerprint(pem)}"
    except VerificationFailed:
        return "that cannot be read as a certificate"


def _vendor_lines(role: str, signed: Targets, before: Targets | None) -> Iterator[str]:
    old = before.targets if before else {}
    for path, target in signed.targets.items():
        if path in old and old[path] == target:
            continue
        try:
            release = from_target(role, target)
            words = f"{path}: version {release.version}, sha256 {release.sha256}, {release.length} bytes"
        except VerificationFailed:
            words = f"{path}: not a release"
        yield f"  {'~' if path in old else '+'} {words}"
    yield from (f"  - {path}: it can be sent no more" for path in old if path not in signed.targets)
    kept = sum(path in old and old[path] == target for path, target in signed.targets.items())
    if before is not None:
        yield f"  = {kept} releases as before"
