"""The development ceremony at the command line: straight into the bucket, with keys on this machine."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import SecretStr

from api import bootstrap
from api.cli.credentials import load_settings
from api.cli.errors import Record, WrongUse
from api.settings import Settings
from signing.ceremony import CeremonyResult, DevelopmentCeremony, key_names
from signing.policy import TrustPolicy, write_policy
from signing.roles import TARGETS
from signing.trust_source import fetch_from, load_trust
from storage.clock import system_clock


def make_repository(roles: Sequence[str], manufacturer_roots: Sequence[str]) -> Record:
    """Have a repository with these vendor roles; returns what there is now and where its keys lie."""
    settings = bucket_settings(load_settings())
    roots = read_roots(manufacturer_roots)
    if unknown := sorted(set(roots) - set(roles)):
        raise WrongUse(f"--manufacturer-root names {', '.join(unknown)}, which no --role names.")
    result = asyncio.run(_ensure(settings, roles, roots))
    return {
        "created": result.created,
        "vendor_roles": list(result.vendor_roles),
        "keys": str(settings.keys.absolute()),
        "trusted_root": str((settings.keys / "root.json").absolute()),
    }


def change_policy(change: Callable[[TrustPolicy], TrustPolicy] | None) -> Record:
    """The signed policy, after this change if there is one, signed with the keys on this machine."""
    settings = load_settings()
    if change is not None and not (settings.keys / f"{key_names([])[TARGETS][0]}.pem").exists():
        raise WrongUse(
            f"There are no keys FOR DEVELOPMENT in {settings.keys}, so nothing was changed.",
            hint="People sign this: approvers and policy in the layout, then ampwave tuf rotate.",
        )
    settings = bucket_settings(settings)
    return write_policy(asyncio.run(_changed(settings, change)))


async def _changed(settings: Settings, change: Callable[[TrustPolicy], TrustPolicy] | None) -> TrustPolicy:
    async with bootstrap.open_blobs(settings) as blobs:
        root = settings.trusted_root_path.read_bytes()
        if change is not None:
            await DevelopmentCeremony(blobs, settings.keys, system_clock, change=change).ensure([])
        return (await load_trust(fetch_from(blobs), root, system_clock())).policy


async def _ensure(
    settings: Settings, roles: Sequence[str], roots: dict[str, tuple[str, ...]]
) -> CeremonyResult:
    async with bootstrap.open_blobs(settings) as blobs:
        ceremony = DevelopmentCeremony(blobs, settings.keys, system_clock)
        return await ceremony.ensure(roles, manufacturer_roots=roots)


def bucket_settings(settings: Settings) -> Settings:
    """The settings with a bucket: the one they name, or the one that ``up`` serves from this data folder."""
    if settings.s3_endpoint is not None:
        return settings
    home = settings.data_dir / "s3"
    try:
        access, secret = ((home / name).read_text().strip() for name in ("access-key", "secret-key"))
    except OSError as error:
        raise WrongUse(
            "There is no bucket to put the repository into.",
            hint="Set AMPWAVE_S3_ENDPOINT and its keys, or start `ampwave up` in another terminal first.",
        ) from error
    return settings.model_copy(
        update={
            "s3_endpoint": f"http://127.0.0.1:{settings.s3_port}",
            "s3_access_key": SecretStr(access),
            "s3_secret_key": SecretStr(secret),
        }
    )


def read_roots(given: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """``ROLE:FILE`` words as PEM certificates by role."""
    roots: dict[str, tuple[str, ...]] = {}
    for text in given:
        role, colon, file = text.partition(":")
        if not (role and colon and file):
            raise WrongUse(f"--manufacturer-root: {text!r} is not ROLE:FILE.")
        try:
            pem = Path(file).read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError) as error:
            raise WrongUse(f"{file} cannot be read as PEM.") from error
        if "-----BEGIN CERTIFICATE-----" not in pem:
            raise WrongUse(f"{file} is not a PEM certificate.")
        roots[role] = (*roots.get(role, ()), pem)
    return roots
