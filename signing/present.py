"""What is signed now, verified from somebody's own root out of published files; no I/O, and no clock.

Unlike ``signing.trust`` it does not ask whether anything has expired: what has expired is what people come
together to sign anew. Signatures, thresholds and versions count as ever.
"""

from collections.abc import Mapping

from tuf.api.metadata import Root, Snapshot, Targets, Timestamp

from signing.errors import VerificationFailed
from signing.layout import Present
from signing.metadata import decode, decode_verified, refusing
from signing.roles import ROOT, SNAPSHOT, TARGETS, TIMESTAMP, metadata_file

Files = Mapping[str, bytes]


def present_in(files: Files, trusted_root: bytes) -> Present:
    """Follow the roots from one's own; then what the timestamp lists, or else what people signed last.

    Raises:
        VerificationFailed: a file does not hold.
    """
    root = follow_roots(files, trusted_root)
    if "timestamp.json" in files:
        return _listed(files, root)
    return _found(files, root)


def follow_roots(files: Files, trusted_root: bytes) -> Root:
    """The newest root, each signed by the thresholds of the one before and its own (S4)."""
    own = decode(Root, trusted_root, "your own root").signed
    root = decode_verified(Root, trusted_root, own, ROOT).signed
    while data := files.get(metadata_file(ROOT, root.version + 1)):
        root = next_root(root, data)
    return root


def next_root(root: Root, data: bytes) -> Root:
    """The root after this one. Raises VerificationFailed."""
    following = decode_verified(Root, data, root, ROOT).signed
    decode_verified(Root, data, following, ROOT)
    if following.version != root.version + 1:
        raise VerificationFailed(f"Root {root.version + 1} calls itself {following.version}.")
    return following


def _listed(files: Files, root: Root) -> Present:
    timestamp = decode_verified(Timestamp, files["timestamp.json"], root, TIMESTAMP).signed
    listed = timestamp.snapshot_meta
    data = _need(files, metadata_file(SNAPSHOT, listed.version))
    with refusing(SNAPSHOT):
        listed.verify_length_and_hashes(data)
    snapshot = decode_verified(Snapshot, data, root, SNAPSHOT).signed
    versions = {name.removesuffix(".json"): meta.version for name, meta in snapshot.meta.items()}
    targets = _role(files, TARGETS, snapshot, root)
    roles = {role: _role(files, role, snapshot, targets) for role in delegated(targets) if role in versions}
    return Present(root, targets, roles, versions, timestamp, snapshot)


def _role(files: Files, role: str, snapshot: Snapshot, delegator: Root | Targets) -> Targets:
    listed = snapshot.meta[f"{role}.json"]
    data = _need(files, metadata_file(role, listed.version))
    with refusing(role):
        listed.verify_length_and_hashes(data)
    return decode_verified(Targets, data, delegator, role).signed


def _found(files: Files, root: Root) -> Present:
    """Without a timestamp that holds: the latest that people signed. No thief of online keys forges it."""
    targets = _latest(files, TARGETS, root)
    if targets is None:
        return Present(root)
    found = {role: _latest(files, role, targets) for role in delegated(targets)}
    roles = {role: metadata for role, metadata in found.items() if metadata is not None}
    versions = {TARGETS: targets.version, **{role: metadata.version for role, metadata in roles.items()}}
    return Present(root, targets, roles, versions)


def _latest(files: Files, role: str, delegator: Root | Targets) -> Targets | None:
    names = sorted((int(name.partition(".")[0]), name) for name in files if _is_of(name, role))
    for _, name in reversed(names):
        try:
            return decode_verified(Targets, files[name], delegator, role).signed
        except VerificationFailed:
            continue
    return None


def _is_of(name: str, role: str) -> bool:
    number, dot, rest = name.partition(".")
    return bool(dot) and number.isdigit() and rest == f"{role}.json"


def delegated(targets: Targets) -> tuple[str, ...]:
    """Names of the vendor roles."""
    delegations = targets.delegations
    return tuple(delegations.roles) if delegations and delegations.roles else ()


def _need(files: Files, name: str) -> bytes:
    if name not in files:
        raise VerificationFailed(f"{name} is listed and missing.", hint="Fetch all of the metadata again.")
    return files[name]
