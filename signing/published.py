"""Gathering the published files that a ceremony, a backup or an alarm needs."""

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from tuf.api.metadata import Root, Targets

from signing.bundle import Bundle, write_bundle
from signing.errors import RepositoryUnreachable, VerificationFailed
from signing.expiry import RoleExpiry
from signing.metadata import decode_verified
from signing.present import delegated, follow_roots, present_in
from signing.roles import ROOT, SNAPSHOT, TARGETS, TIMESTAMP, metadata_file, rule_for
from signing.trust_source import MAX_ROOT_ROTATIONS, Fetch
from storage.errors import InvalidInput, NotFound

STAMP = metadata_file(TIMESTAMP, 0)


async def collect_published(fetch: Fetch) -> dict[str, bytes]:
    """Every root, and what the timestamp leads to: snapshot, targets, every role. Nothing is verified.

    Raises:
        NotFound: there is no repository.
        RepositoryUnreachable: the timestamp lists what is not there; see ``collect_signed``.
    """
    files = await _roots(fetch)
    files[STAMP] = await fetch(STAMP, rule_for(TIMESTAMP).max_bytes)
    try:
        listed = dict(_listed(files[STAMP]))[SNAPSHOT]
        name = metadata_file(SNAPSHOT, listed)
        files[name] = await fetch(name, rule_for(SNAPSHOT).max_bytes)
        for role, version in _listed(files[name]):
            file = metadata_file(role, version)
            files[file] = await fetch(file, rule_for(role).max_bytes)
    except (NotFound, InvalidInput, KeyError) as error:
        raise RepositoryUnreachable(
            "The timestamp leads to files that are not there.",
            hint="Its keys may be stolen: prepare the ceremony with --without-timestamp.",
        ) from error
    return files


async def collect_signed(fetch: Fetch, trusted_root: bytes) -> dict[str, bytes]:
    """Every root, and the latest of what people signed, found by counting; no word of the online keys.

    Raises VerificationFailed: the roots do not follow from one's own.
    """
    files = await _roots(fetch)
    root = follow_roots(files, trusted_root)
    targets = await _latest(fetch, TARGETS, root, files)
    for role in delegated(targets) if targets else ():
        await _latest(fetch, role, targets or root, files)
    return files


async def read_expiries(fetch: Fetch, trusted_root: bytes) -> tuple[RoleExpiry, ...]:
    """Every role, verified but for its expiry. Nothing where there is no repository yet.

    Raises:
        VerificationFailed, RepositoryUnreachable: the repository does not hold, or cannot be read.
    """
    try:
        files = await collect_published(fetch)
    except NotFound:
        return ()
    present = present_in(files, trusted_root)
    if present.targets is None or present.timestamp is None or present.snapshot is None:
        raise VerificationFailed("The published metadata is not whole.")
    signed = {
        ROOT: present.root,
        TARGETS: present.targets,
        SNAPSHOT: present.snapshot,
        TIMESTAMP: present.timestamp,
        **present.roles,
    }
    return tuple(RoleExpiry(role, each.version, each.expires) for role, each in signed.items())


async def _roots(fetch: Fetch) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for version in range(1, MAX_ROOT_ROTATIONS + 1):
        name = metadata_file(ROOT, version)
        try:
            files[name] = await fetch(name, rule_for(ROOT).max_bytes)
        except NotFound:
            break
    return files


async def _latest(
    fetch: Fetch, role: str, delegator: Root | Targets, files: dict[str, bytes]
) -> Targets | None:
    """The newest file that the role's people signed; files of others may lie beyond it."""
    version = 0
    with suppress(NotFound):
        while True:
            await fetch(metadata_file(role, version + 1), rule_for(role).max_bytes)
            version += 1
    for candidate in range(version, 0, -1):
        name = metadata_file(role, candidate)
        data = await fetch(name, rule_for(role).max_bytes)
        with suppress(VerificationFailed):
            signed = decode_verified(Targets, data, delegator, role).signed
            files[name] = data
            return signed
    return None


def _signed(data: bytes) -> dict[str, Any]:
    try:
        signed: dict[str, Any] = dict(json.loads(data)["signed"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise RepositoryUnreachable("A published file is not TUF metadata.") from error
    return signed


def _listed(data: bytes) -> Iterator[tuple[str, int]]:
    """(role, version) as a timestamp or a snapshot lists them."""
    for name, meta in _signed(data).get("meta", {}).items():
        role, version = str(name).removesuffix(".json"), meta.get("version")
        if "/" not in role and isinstance(version, int):
            yield role, version


def write_backup(files: dict[str, bytes]) -> bytes:
    """A ceremony file that asks for no signature: ``ampwave tuf restore`` brings its files back."""
    return write_bundle(Bundle({}, files))
