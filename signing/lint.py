"""Rules that TUF clients do not enforce and we do, when publishing and again when verifying.

Each function is pure and returns every problem in words; an empty result means that the metadata may be
trusted as far as its own shape goes. Signatures are checked elsewhere.
"""

from collections.abc import Iterable, Mapping

from securesystemslib.signer import Key
from tuf.api.metadata import DelegatedRole, Role, Root, Targets

from signing.errors import VerificationFailed
from signing.holders import holder_problems
from signing.keys import key_material, keyid_of
from signing.policy import TrustPolicy
from signing.release import releases
from signing.roles import RESERVED, ROOT, RULES, SNAPSHOT, TARGETS, TIMESTAMP, VENDOR_RULE, vendor_paths


def refuse_if(problems: list[str], what: str) -> None:
    """Raise VerificationFailed that names every problem."""
    if problems:
        raise VerificationFailed(f"{what} breaks our rules: {'; '.join(problems)}.")


def root_problems(root: Root) -> list[str]:
    """Thresholds, alias keys, key ids, and online keys apart from people's and from each other."""
    problems = [] if root.consistent_snapshot else ["consistent snapshots are off"]
    for name, role in root.roles.items():
        problems += _keyholder_problems(name, role, root.keys, RULES[name].threshold)
    root_keys = len(_materials(root.roles[ROOT].keyids, root.keys))
    if root_keys < RULES[ROOT].keys:
        problems.append(f"root has {root_keys} keys, needs {RULES[ROOT].keys} (S1)")
    snapshot = _materials(root.roles[SNAPSHOT].keyids, root.keys)
    timestamp = _materials(root.roles[TIMESTAMP].keyids, root.keys)
    if snapshot & timestamp:
        problems.append("snapshot and timestamp share a key (S6)")
    for name in (ROOT, TARGETS):
        if _materials(root.roles[name].keyids, root.keys) & (snapshot | timestamp):
            problems.append(f"{name} can be signed by an online key (S5)")
    return problems


def targets_problems(targets: Targets, root: Root, policy: TrustPolicy) -> list[str]:
    """Delegations only, each bound to its path and terminating, and no online key among people's."""
    problems = ["targets lists files itself; it may only delegate"] if targets.targets else []
    online = online_materials(root)
    directive = {key_material(key) for key in policy.directive_keys.values()}
    problems += _keyid_problems("directive", policy.directive_keys)
    if directive & online:
        problems.append("the directive key is also a snapshot or timestamp key (S6)")
    if online & {key_material(one.key) for one in policy.approvers.values()}:
        problems.append("an approver's key is also a snapshot or timestamp key (S5)")
    if directive & _materials(root.roles[ROOT].keyids + root.roles[TARGETS].keyids, root.keys):
        problems.append("a root or targets key is also the directive key (S5)")
    if targets.delegations is None:
        return problems
    if targets.delegations.roles is None:
        return [*problems, "targets delegates to hash bins, which need online keys (S5)"]
    for role in targets.delegations.roles.values():
        problems += _delegation_problems(role, targets.delegations.keys, online | directive)
    return problems


def vendor_problems(name: str, targets: Targets) -> list[str]:
    """A vendor role lists its own releases and delegates to nobody (S7, S8); counters are unique."""
    problems = []
    if targets.delegations is not None:
        problems.append(f"{name} delegates further (S8)")
    if targets.unrecognized_fields:
        problems.append(f"{name} has unknown fields: {', '.join(sorted(targets.unrecognized_fields))}")
    try:
        counters = [release.release_counter for release in releases(name, targets).values()]
    except VerificationFailed as error:
        return [*problems, error.message]
    if len(set(counters)) != len(counters):
        problems.append(f"{name} uses one release counter twice (S25)")
    return problems


def online_materials(root: Root) -> set[bytes]:
    """The public keys of snapshot and timestamp."""
    return _materials(root.roles[SNAPSHOT].keyids + root.roles[TIMESTAMP].keyids, root.keys)


def _delegation_problems(role: DelegatedRole, keys: Mapping[str, Key], online: set[bytes]) -> list[str]:
    name = role.name
    problems = _keyholder_problems(name, role, keys, VENDOR_RULE.threshold)
    if name in RESERVED:
        problems.append(f"{name} is not a name for a vendor role")
    if role.paths != vendor_paths(name):
        problems.append(f"{name} is not bound to {vendor_paths(name)[0]} (S7)")
    if not role.terminating:
        problems.append(f"{name} is not terminating (S7)")
    if _materials(role.keyids, keys) & online:
        problems.append(f"{name} can be signed by an online key (S5)")
    return problems


def _keyholder_problems(name: str, role: Role, keys: Mapping[str, Key], threshold: int) -> list[str]:
    held = {keyid: keys[keyid] for keyid in role.keyids if keyid in keys}
    problems = [*_keyid_problems(name, held), *holder_problems(name, held.values())]
    distinct = len(_materials(held, keys))
    if distinct < len(role.keyids):
        problems.append(f"{name} lists one public key under several key ids, or an unknown key (S2)")
    if role.threshold < threshold:
        problems.append(f"{name} has threshold {role.threshold}, needs {threshold} (S1)")
    if distinct < role.threshold:
        problems.append(f"{name} has {distinct} keys for a threshold of {role.threshold}")
    return problems


def _keyid_problems(name: str, keys: Mapping[str, Key]) -> list[str]:
    return [
        f"{name} has key id {keyid[:12]} that is not the hash of its key (S3)"
        for keyid, key in keys.items()
        if keyid != keyid_of(key)
    ]


def _materials(keyids: Iterable[str], keys: Mapping[str, Key]) -> set[bytes]:
    return {key_material(keys[keyid]) for keyid in keyids if keyid in keys}
