"""Gathering the published files that a ceremony, a backup or an alarm needs."""

import json
from contextlib import suppress
from typing import Any

from tuf.api.metadata import Root, Targets

from signing.bundle import Bundle, write_bundle
from signing.counting import newest_first
from signing.errors import RepositoryUnreachable, VerificationFailed
from signing.expiry import RoleExpiry
from signing.metadata import decode_verified
from signing.present import delegated, follow_roots, present_in
from signing.roles import ROOT, SNAPSHOT, TARGETS, TIMESTAMP, metadata_file, rule_for
from signing.trust_source import MAX_ROOT_ROTATIONS, Fetch
from storage.errors import InvalidInput, NotFound

STAMP = metadata_file(TIMESTAMP, 0)
_AGAIN = "Get the metadata again from where it is published; if it stays so, look into the bucket."


async def collect_published(fetch: Fetch) -> dict[str, bytes]:
    """Every root, and what the timestamp leads to: snapshot, targets, every role. Nothing is verified.

    Raises:
        NotFound: there is no repository.
        RepositoryUnreachable: the timestamp lists what is not there; see ``collect_signed``.
    """
    files = await _roots(fetch)
    files[STAMP] = await fetch(STAMP, rule_for(TIMESTAMP).max_bytes)
    try:
        listed = _listed(await _take(fetch, files, SNAPSHOT, _listed(files[STAMP])[SNAPSHOT]))
        targets = await _take(fetch, files, TARGETS, listed[TARGETS])
        for role in _delegated_in(targets):
            if role in listed:  # What left is listed on, and a restored bucket has no file of it.
                await _take(fetch, files, role, listed[role])
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
    root, hints = follow_roots(files, trusted_root), await _hints(fetch)
    targets = await _latest(fetch, (TARGETS, hints.get(TARGETS, 0)), root, files)
    for role in delegated(targets) if targets else ():
        await _latest(fetch, (role, hints.get(role, 0)), targets or root, files)
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


async def _take(fetch: Fetch, files: dict[str, bytes], role: str, version: int) -> bytes:
    name = metadata_file(role, version)
    files[name] = await fetch(name, rule_for(role).max_bytes)
    return files[name]


async def _hints(fetch: Fetch) -> dict[str, int]:
    """Versions that online keys vouch for. They may lie, so they only say where to look besides."""
    try:
        version = _listed(await fetch(STAMP, rule_for(TIMESTAMP).max_bytes))[SNAPSHOT]
        return _listed(await fetch(metadata_file(SNAPSHOT, version), rule_for(SNAPSHOT).max_bytes))
    except (NotFound, InvalidInput, KeyError, RepositoryUnreachable):
        return {}


async def _latest(
    fetch: Fetch, wanted: tuple[str, int], delegator: Root | Targets, files: dict[str, bytes]
) -> Targets | None:
    """The newest file that the role's people signed; files of others may lie beyond it."""
    role, hint = wanted
    limit = rule_for(role).max_bytes

    async def there(version: int) -> bool:
        try:
            await fetch(metadata_file(role, version), limit)
        except NotFound:
            return False
        except InvalidInput:
            pass  # Too long to be theirs, and there.
        return True

    async for candidate in newest_first(there, hint):
        name = metadata_file(role, candidate)
        with suppress(VerificationFailed, InvalidInput):
            data = await fetch(name, limit)
            signed = decode_verified(Targets, data, delegator, role).signed
            files[name] = data
            return signed
    return None


def _signed(data: bytes) -> dict[str, Any]:
    try:
        signed: dict[str, Any] = dict(json.loads(data)["signed"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise RepositoryUnreachable("A published file is not TUF metadata.", hint=_AGAIN) from error
    return signed


def _listed(data: bytes) -> dict[str, int]:
    """Versions by role, as a timestamp or a snapshot lists them."""
    try:
        versions = {
            str(name).removesuffix(".json"): meta["version"] for name, meta in _signed(data)["meta"].items()
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise RepositoryUnreachable("A published file lists nothing.", hint=_AGAIN) from error
    return {role: version for role, version in versions.items() if type(version) is int and "/" not in role}


def _delegated_in(targets: bytes) -> tuple[str, ...]:
    """Names of the vendor roles, proven by nothing yet."""
    try:
        return tuple(str(role["name"]) for role in _signed(targets)["delegations"]["roles"])
    except (KeyError, TypeError):
        return ()


def write_backup(files: dict[str, bytes]) -> bytes:
    """A ceremony file that asks for no signature: ``ampwave tuf restore`` brings its files back."""
    return write_bundle(Bundle({}, files))
