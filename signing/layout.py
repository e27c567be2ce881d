"""The layout that people want: who holds which key of which role. And the metadata that says so.

A ceremony starts from a layout, and so does every rotation: change the layout, and what has to be signed
follows from comparing it with what is signed now. Pure; nothing here has seen a private key.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from securesystemslib.signer import Key
from tuf.api.metadata import DelegatedRole, Delegations, Role, Root, Signed, Snapshot, Targets, Timestamp

from signing.errors import VerificationFailed
from signing.holders import spoken
from signing.lint import root_problems, targets_problems
from signing.policy import APPROVAL_FIELDS, FIELD, Approver, TrustPolicy, read_policy, write_policy
from signing.roles import (
    ROOT,
    RULES,
    SNAPSHOT,
    TARGETS,
    TIMESTAMP,
    VENDOR_RULE,
    check_vendor_role,
    rule_for,
    vendor_paths,
)
from storage.errors import Conflict, InvalidInput


@dataclass(frozen=True, slots=True)
class Holders:
    """The keys of a role, each with its holder's name signed into it, and how many must agree."""

    threshold: int
    keys: tuple[Key, ...]

    @property
    def keyids(self) -> list[str]:
        """In the order of the layout."""
        return [key.keyid for key in self.keys]


@dataclass(frozen=True, slots=True)
class VendorLayout:
    """A vendor role, and the manufacturer's root certificates (PEM) that its firmware must chain to."""

    holders: Holders
    manufacturer_roots: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Approvers:
    """Who may approve campaigns with a key of their own, and how many of them must, whatever a plan says."""

    threshold: int
    people: tuple[Approver, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """All of it. ``directive`` is no TUF role: its keys are listed in what the targets people sign."""

    root: Holders
    targets: Holders
    snapshot: Holders
    timestamp: Holders
    directive: Holders
    vendors: Mapping[str, VendorLayout] = field(default_factory=dict)
    approvers: Approvers | None = None
    """None: as they are now; nobody where none were ever listed."""
    policy: Mapping[str, Any] | None = None
    """What else the targets people sign, as it is written in their metadata; None: as it is now."""

    def top_level(self) -> dict[str, Holders]:
        """The roles that root names."""
        return {
            ROOT: self.root,
            TARGETS: self.targets,
            SNAPSHOT: self.snapshot,
            TIMESTAMP: self.timestamp,
        }


@dataclass(frozen=True, slots=True)
class Present:
    """What is signed now, verified from somebody's own root."""

    root: Root
    targets: Targets | None = None
    roles: Mapping[str, Targets] = field(default_factory=dict)
    versions: Mapping[str, int] = field(default_factory=dict)
    """Of every role that a snapshot ever listed; a role that comes back goes on from there."""
    timestamp: Timestamp | None = None
    """None: no timestamp vouches that this is the newest state."""
    snapshot: Snapshot | None = None

    @property
    def seen_until(self) -> datetime | None:
        """Until when the timestamp says that this is current."""
        return self.timestamp.expires if self.timestamp else None


@dataclass(frozen=True, slots=True)
class Wishes:
    """What to sign although the layout alone does not ask for it."""

    renew: Collection[str] = ()
    """Roles to sign anew, with later expiry."""
    withdraw: Collection[str] = ()
    """Paths of releases to leave out of the next version of their role."""


def first_metadata(layout: Layout, now: datetime) -> dict[str, Root | Targets]:
    """Root, targets and every vendor role in version 1, by role.

    Raises:
        InvalidInput: the layout breaks a rule; all problems are listed.
    """
    _check_repeats(layout)
    root = _root(layout, 1, now)
    targets = _targets(layout, 1, now, {})
    _check(layout, root, targets)
    vendors = {role: _vendor(role, 1, None, now) for role in layout.vendors}
    return {ROOT: root, TARGETS: targets, **vendors}


def next_metadata(
    layout: Layout, present: Present, wishes: Wishes, now: datetime
) -> dict[str, Root | Targets]:
    """Whatever must be signed to get from what is signed now to the layout, by role.

    Raises:
        InvalidInput: the layout or a wish breaks a rule; all problems are listed.
        Conflict: nothing differs, and nothing nears its expiry.
    """
    _check_repeats(layout)
    root = _root(layout, present.root.version + 1, now)
    targets = _targets(layout, _version(present, TARGETS) + 1, now, other_policy(present.targets))
    _check(layout, root, targets)
    _check_wishes(layout, present, wishes)
    parts: dict[str, Root | Targets] = {}
    if _asks(wishes, ROOT, present.root, now) or _shape(root) != _shape(present.root):
        parts[ROOT] = root
    if _asks(wishes, TARGETS, present.targets, now) or _must_sign_targets(present, root, targets):
        parts[TARGETS] = targets
    for role in layout.vendors:
        current = present.roles.get(role)
        withdrawn = {path for path in wishes.withdraw if path.partition("/")[0] == role}
        if _asks(wishes, role, current, now) or withdrawn or _other_holders(present, targets, role):
            parts[role] = _vendor(role, _version(present, role) + 1, current, now, withdrawn)
    if not parts:
        raise Conflict(
            "There is nothing to sign: the layout is what is signed now, and nothing nears its expiry.",
            hint="Change the layout, or name roles to sign anew with --renew.",
        )
    return parts


def _version(present: Present, role: str) -> int:
    current = present.targets if role == TARGETS else present.roles.get(role)
    return max(present.versions.get(role, 0), current.version if current else 0)


def _asks(wishes: Wishes, role: str, current: Signed | None, now: datetime) -> bool:
    return role in wishes.renew or current is None or rule_for(role).is_due(current.expires, now)


def _must_sign_targets(present: Present, root: Root, targets: Targets) -> bool:
    """Other content, or other people who have to vouch for it."""
    old = present.targets
    return (
        old is None
        or _shape(targets) != _shape(old)
        or _seats(root, TARGETS) != _seats(present.root, TARGETS)
    )


def _other_holders(present: Present, targets: Targets, role: str) -> bool:
    """Whoever holds a role now has not vouched for what others signed before."""
    old = present.targets
    delegated = (old.delegations.roles or {}) if old and old.delegations else {}
    if role not in delegated:
        return True
    new = targets.get_delegated_role(role)
    return (set(delegated[role].keyids), delegated[role].threshold) != (set(new.keyids), new.threshold)


def _seats(root: Root, role: str) -> tuple[set[str], int]:
    return set(root.roles[role].keyids), root.roles[role].threshold


def _shape(signed: Signed) -> dict[str, Any]:
    """All that a version says but its number and its expiry; the order of keys says nothing."""
    document: dict[str, Any] = signed.to_dict()
    for name in ("version", "expires", "spec_version"):
        document.pop(name)
    roles = document.get("roles", {}).values() or (document.get("delegations") or {}).get("roles", [])
    for role in roles:
        role["keyids"] = sorted(role["keyids"])
    if "delegations" in document:
        document["delegations"]["roles"] = sorted(roles, key=lambda role: str(role["name"]))
    return document


def _check_repeats(layout: Layout) -> None:
    """One key under two names would be two people to a threshold, and TUF cannot even write it down."""
    roles = {
        **layout.top_level(),
        **{role: vendor.holders for role, vendor in layout.vendors.items()},
        "directive": layout.directive,
    }
    problems = [
        f"{role} lists one key twice: {', '.join(map(spoken, holders.keys))} (S2)"
        for role, holders in roles.items()
        if len(set(holders.keyids)) < len(holders.keys)
    ]
    if layout.approvers and len({one.key.keyid for one in layout.approvers.people}) < len(
        layout.approvers.people
    ):
        problems.append("approvers lists one key twice (S2)")
    if problems:
        raise InvalidInput("This layout breaks our rules.", problems, hint="Change the layout.")


def _root(layout: Layout, version: int, now: datetime) -> Root:
    held = {key.keyid: key for holders in layout.top_level().values() for key in holders.keys}
    roles = {name: Role(holders.keyids, holders.threshold) for name, holders in layout.top_level().items()}
    return Root(version, expires=now + RULES[ROOT].lifetime, keys=held, roles=roles, consistent_snapshot=True)


def other_policy(targets: Targets | None) -> dict[str, Any]:
    """What targets say beside delegations, directive keys and manufacturers' roots."""
    written = targets.unrecognized_fields.get(FIELD) if targets else None
    known = write_policy(TrustPolicy({}))
    return {name: value for name, value in (written or {}).items() if name not in known}


def _targets(layout: Layout, version: int, now: datetime, policy_now: Mapping[str, Any]) -> Targets:
    delegated = {
        role: DelegatedRole(
            role, vendor.holders.keyids, vendor.holders.threshold, terminating=True, paths=vendor_paths(role)
        )
        for role, vendor in layout.vendors.items()
    }
    held = {key.keyid: key for vendor in layout.vendors.values() for key in vendor.holders.keys}
    roots = {
        role: vendor.manufacturer_roots
        for role, vendor in layout.vendors.items()
        if vendor.manufacturer_roots
    }
    return Targets(
        version,
        expires=now + RULES[TARGETS].lifetime,
        delegations=Delegations(held, delegated),
        unrecognized_fields={FIELD: _written_policy(layout, roots, policy_now)},
    )


def _written_policy(
    layout: Layout, roots: Mapping[str, tuple[str, ...]], policy_now: Mapping[str, Any]
) -> dict[str, Any]:
    """What the layout says has its own place in it; nothing written as ``policy`` can say it differently."""
    wanted = layout.approvers or Approvers(1, ())
    policy = TrustPolicy(
        {key.keyid: key for key in layout.directive.keys},
        roots,
        {one.key.keyid: one for one in wanted.people},
        wanted.threshold,
    )
    rest = dict(policy_now if layout.policy is None else layout.policy)
    for name in APPROVAL_FIELDS:
        rest.pop(name, None)
        if layout.approvers is None and name in policy_now:
            rest[name] = policy_now[name]
    return rest | write_policy(policy)


def _vendor(
    role: str, version: int, current: Targets | None, now: datetime, withdrawn: Collection[str] = ()
) -> Targets:
    check_vendor_role(role)
    listed = {
        path: target for path, target in (current.targets if current else {}).items() if path not in withdrawn
    }
    return Targets(version, expires=now + VENDOR_RULE.lifetime, targets=listed)


def _check(layout: Layout, root: Root, targets: Targets) -> None:
    for role in layout.vendors:
        check_vendor_role(role)
    try:
        policy = read_policy(targets)
    except VerificationFailed as error:
        raise InvalidInput("This layout breaks our rules.", [error.message], hint="Change it.") from error
    problems = [*root_problems(root), *targets_problems(targets, root, policy)]
    problems += [
        f"{role} has {len(vendor.holders.keys)} keys, needs {VENDOR_RULE.keys} (S1)"
        for role, vendor in layout.vendors.items()
        if len(vendor.holders.keys) < VENDOR_RULE.keys
    ]
    if len(layout.targets.keys) < RULES[TARGETS].keys:
        problems.append(f"targets has {len(layout.targets.keys)} keys, needs {RULES[TARGETS].keys} (S1)")
    if problems:
        raise InvalidInput("This layout breaks our rules.", problems, hint="Change the layout.")


def _check_wishes(layout: Layout, present: Present, wishes: Wishes) -> None:
    known = {ROOT, TARGETS, *layout.vendors}
    problems = [f"there is no role {role!r} to sign anew" for role in wishes.renew if role not in known]
    for path in wishes.withdraw:
        role = present.roles.get(path.partition("/")[0])
        if role is None or path not in role.targets:
            problems.append(f"{path!r} is not released")
    if problems:
        raise InvalidInput("This cannot be signed.", problems)
