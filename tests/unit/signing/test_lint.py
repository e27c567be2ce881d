from collections.abc import Callable

import pytest
from securesystemslib.signer import CryptoSigner, SSlibKey
from tuf.api.metadata import DelegatedRole, Delegations, Root, SuccinctRoles, TargetFile, Targets

from signing.errors import VerificationFailed
from signing.keys import keyid_of
from signing.lint import root_problems, targets_problems, vendor_problems
from signing.metadata import decode
from signing.policy import FIELD, TrustPolicy, read_policy


def the_root(bench) -> Root:
    return decode(Root, bench.root, "root").signed


def alias_of(key: SSlibKey) -> SSlibKey:
    """The same key under another id that is nevertheless its own hash."""
    twin = SSlibKey("", key.keytype, key.scheme, {"public": key.keyval["public"].upper()})
    twin.keyid = keyid_of(twin)
    return twin


async def test_the_ceremony_satisfies_its_own_rules(bench) -> None:
    root = the_root(bench)
    targets = bench.targets()
    assert root_problems(root) == []
    assert targets_problems(targets, root, read_policy(targets)) == []


def enrol_twice(root: Root) -> None:
    first, second, _ = root.roles["root"].keyids
    twin = alias_of(root.keys[first])
    root.keys[twin.keyid] = twin
    root.roles["root"].keyids = [first, twin.keyid, second]


def forge_keyid(root: Root) -> None:
    first = root.roles["root"].keyids[0]
    root.keys["0" * 64] = root.keys[first]
    root.roles["root"].keyids[0] = "0" * 64


def lend_online_key(root: Root) -> None:
    root.roles["targets"].keyids[0] = root.roles["snapshot"].keyids[0]


def share_online_key(root: Root) -> None:
    root.roles["snapshot"].keyids = list(root.roles["timestamp"].keyids)


def one_of_three(root: Root) -> None:
    root.roles["root"].threshold = 1


def two_keys(root: Root) -> None:
    root.roles["root"].keyids.pop()


def lose_key(root: Root) -> None:
    del root.keys[root.roles["targets"].keyids[0]]


@pytest.mark.requirement("S1", "S2", "S3", "S5", "S6")
@pytest.mark.parametrize(
    ("attack", "words"),
    [
        (enrol_twice, "S2"),
        (forge_keyid, "S3"),
        (lend_online_key, "S5"),
        (share_online_key, "S6"),
        (one_of_three, "threshold 1"),
        (two_keys, "root has 2 keys"),
        (lose_key, "unknown key"),
    ],
)
async def test_a_root_that_tuf_would_accept_is_refused(
    bench, attack: Callable[[Root], None], words: str
) -> None:
    root = the_root(bench)
    attack(root)
    assert any(words in problem for problem in root_problems(root))


def role_of(targets: Targets) -> DelegatedRole:
    assert targets.delegations
    assert targets.delegations.roles
    return targets.delegations.roles["acme"]


def delegate_alias(targets: Targets, root: Root) -> None:
    keyids = role_of(targets).keyids
    twin = alias_of(targets.delegations.keys[keyids[0]])
    targets.delegations.keys[twin.keyid] = twin
    keyids[1] = twin.keyid


def delegate_online(targets: Targets, root: Root) -> None:
    keyid = root.roles["timestamp"].keyids[0]
    targets.delegations.keys[keyid] = root.keys[keyid]
    role_of(targets).keyids[0] = keyid


def delegate_directive(targets: Targets, root: Root) -> None:
    keyid, key = next(iter(read_policy(targets).directive_keys.items()))
    targets.delegations.keys[keyid] = key
    role_of(targets).keyids[0] = keyid


def any_path(targets: Targets, root: Root) -> None:
    role_of(targets).paths = ["*/*/*"]


def other_path(targets: Targets, root: Root) -> None:
    role_of(targets).paths = ["acme/*/*", "bolt/*/*"]


def not_terminating(targets: Targets, root: Root) -> None:
    role_of(targets).terminating = False


def threshold_one(targets: Targets, root: Root) -> None:
    role_of(targets).threshold = 1


def too_few_keys(targets: Targets, root: Root) -> None:
    role_of(targets).threshold = 4


def own_file(targets: Targets, root: Root) -> None:
    targets.targets["acme/1/x"] = TargetFile(1, {"sha256": "0" * 64}, "acme/1/x")


def hash_bins(targets: Targets, root: Root) -> None:
    keys = targets.delegations.keys
    targets.delegations = Delegations(keys, None, SuccinctRoles(list(keys), 2, 4, "bin"))


def directive_is_timestamp(targets: Targets, root: Root) -> None:
    keyid = root.roles["timestamp"].keyids[0]
    targets.unrecognized_fields[FIELD]["directive_keys"] = {keyid: root.keys[keyid].to_dict()}


def approve_by_timestamp(targets: Targets, root: Root) -> None:
    keyid = root.roles["timestamp"].keyids[0]
    approver = {"name": "ada", "key": root.keys[keyid].to_dict()}
    targets.unrecognized_fields[FIELD]["approvers"] = {keyid: approver}


@pytest.mark.requirement("S2", "S5", "S6", "S7", "S8")
@pytest.mark.parametrize(
    ("attack", "words"),
    [
        (approve_by_timestamp, "approver's key is also"),
        (delegate_alias, "S2"),
        (delegate_online, "S5"),
        (delegate_directive, "S5"),
        (any_path, "S7"),
        (other_path, "S7"),
        (not_terminating, "S7"),
        (threshold_one, "threshold 1"),
        (too_few_keys, "threshold of 4"),
        (own_file, "only delegate"),
        (hash_bins, "hash bins"),
        (directive_is_timestamp, "S6"),
    ],
)
async def test_a_delegation_that_tuf_would_accept_is_refused(
    bench, attack: Callable[[Targets, Root], None], words: str
) -> None:
    root, targets = the_root(bench), bench.targets()
    attack(targets, root)
    problems = targets_problems(targets, root, read_policy(targets))
    assert any(words in problem for problem in problems)


@pytest.mark.requirement("S8")
async def test_a_vendor_role_lists_its_own_releases_and_nothing_else(bench) -> None:
    await bench.release(await bench.upload())
    good = bench.targets("acme")
    assert vendor_problems("acme", good) == []
    assert vendor_problems("bolt", good)
    good.delegations = Delegations({}, {})
    good.unrecognized_fields["more"] = 1
    path = next(iter(good.targets))
    good.targets["acme/1.2/firmware.bin"] = TargetFile(
        1,
        {"sha256": "0" * 64},
        "acme/1.2/firmware.bin",
        {"custom": good.targets[path].custom | {"version": "1.2"}},
    )
    problems = " ".join(vendor_problems("acme", good))
    assert "delegates further" in problems
    assert "unknown fields" in problems
    assert "counter twice" in problems


async def test_targets_without_a_directive_key_are_refused(bench) -> None:
    targets = bench.targets()
    policy = read_policy(targets)
    assert isinstance(policy, TrustPolicy)
    assert policy.roots_of("acme")
    assert policy.roots_of("bolt") == ()
    for broken in ({}, {"directive_keys": {}, "manufacturer_roots": {}}, {"directive_keys": 3}):
        targets.unrecognized_fields[FIELD] = broken
        with pytest.raises(VerificationFailed):
            read_policy(targets)


def test_a_key_we_cannot_compare_is_refused() -> None:
    signer = CryptoSigner.generate_ed25519()
    key = SSlibKey(signer.public_key.keyid, "ed25519", "ed25519", {"public": "00"})
    policy = TrustPolicy({key.keyid: key})
    with pytest.raises(VerificationFailed):
        targets_problems(Targets(), Root(), policy)
