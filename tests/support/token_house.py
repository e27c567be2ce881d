"""A whole signer's surroundings on real engines, with its online keys on a software token."""

import asyncio
import hashlib
import itertools
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from securesystemslib.signer import Key, Signer
from tuf.api.metadata import Root

from api import bootstrap
from api.development import ensure_secrets
from api.settings import Settings
from api.stack import role_environment
from signing.ceremony import DevelopmentCeremony
from signing.development import DevelopmentManufacturer
from signing.head import online_keys
from signing.keys import file_address, open_signer, public_of
from signing.roles import DIRECTIVE, SNAPSHOT, TIMESTAMP
from signing.sign_off import collect_evidence, review, sign
from signing.tokens import create_on_token
from signing.trust_source import fetch_from
from storage.artifact import Artifact, ArtifactPhase, Compatible, SignOff, StagedRelease
from storage.charger import SignatureScheme
from storage.clock import system_clock
from storage.ports import BlobStore
from tests.support.softhsm import PIN, SoftHsm

ROLE = "acme"
_numbers = itertools.count(1000)


class TokenCeremony(DevelopmentCeremony):
    """The development ceremony, with online keys that are on a token."""

    def __init__(self, blobs: BlobStore, folder: Path, addresses: dict[str, str]) -> None:
        super().__init__(blobs, folder, system_clock)
        self.addresses = addresses

    def _ensure_keys(self, vendor_roles: Any) -> dict[str, list[Key]]:
        online = {role: [public_of(address)] for role, address in self.addresses.items()}
        return super()._ensure_keys(vendor_roles) | online

    def _signers(self, keys: dict[str, list[Key]], role: str, count: int) -> list[Signer]:
        if role in self.addresses:
            return [open_signer(self.addresses[role], keys[role])]
        return super()._signers(keys, role, count)

    def _online_signer(self, root: Root, name: str) -> Signer:
        return open_signer(self.addresses[name], online_keys(root, name))


def token_keys() -> dict[str, str]:
    """Three new keys on the token ``ampwave``, by role."""
    made = {}
    for role in (SNAPSHOT, TIMESTAMP, DIRECTIVE):
        made[role] = f"hsm:{next(_numbers)}?label=ampwave"
        create_on_token(made[role], role)
    return made


@dataclass
class TokenHouse:
    """Settings, stores and people around one repository."""

    settings: Settings
    stores: bootstrap.Stores
    maker: DevelopmentManufacturer
    keys: dict[str, str]
    counters: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def root(self) -> bytes:
        return self.settings.trusted_root_path.read_bytes()

    async def upload(self) -> Artifact:
        """The role's next image, in the bucket and on record."""
        counter = next(self.counters)
        image = f"firmware {counter}".encode() * 100
        leaf = self.maker.leaf(SignatureScheme.ECDSA_P256, system_clock())
        artifact = Artifact(
            artifact_id=hashlib.sha256(image).hexdigest(),
            vendor_role=ROLE,
            version=f"1.{counter}",
            release_counter=counter,
            length=len(image),
            compatible=(Compatible("Acme", "Volt"),),
            vendor_signatures=(leaf.sign(image),),
            phase=ArtifactPhase.UPLOADED,
            uploaded_by="rita",
            uploaded_at=system_clock(),
        )
        await self.stores.blobs.put_bytes(artifact.artifact_id, image)
        await self.stores.artifacts.add(artifact)
        return artifact

    async def sign_off(self, staged: StagedRelease) -> tuple[SignOff, ...]:
        """Two people look, and sign on their own machines."""
        evidence = await collect_evidence(fetch_from(self.stores.blobs), ROLE)
        reviewed = await review(ROLE, staged.payload, evidence, self.root, system_clock())
        return tuple(
            SignOff(
                staged.artifact_id,
                staged.sha256,
                *sign(reviewed, file_address(self.settings.keys / f"{ROLE}-{who}.pem")),
                who,
                system_clock(),
            )
            for who in ("release", "qa")
        )

    def start_signer(self, log: Path) -> subprocess.Popen[bytes]:
        """``ampwave signer``, a process of its own."""
        with log.open("ab") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "api.cli.main", "signer"],
                env=role_environment(self.settings, os.environ, signer=True),
                stdout=output,
                stderr=subprocess.STDOUT,
            )


def kill(process: subprocess.Popen[bytes], number: int = signal.SIGKILL) -> int:
    """End it, the hard way unless told otherwise; its exit code."""
    process.send_signal(number)
    return process.wait(timeout=60)


@asynccontextmanager
async def token_house(
    token: SoftHsm, folder: Path, s3: Any, database: str, temporal: Any
) -> AsyncIterator[TokenHouse]:
    """A repository whose root lists the token's keys; nothing of theirs is in a file."""
    keys = await asyncio.to_thread(token_keys)
    settings = Settings(
        data_dir=folder,
        database_url=SecretStr(database),
        s3_endpoint=s3.endpoint,
        s3_bucket=s3.bucket,
        s3_region=s3.region,
        s3_access_key=SecretStr(s3.access_key),
        s3_secret_key=SecretStr(s3.secret_key),
        temporal_address=temporal.address,
        temporal_namespace=temporal.namespace,
        signer_snapshot=keys[SNAPSHOT],
        signer_timestamp=keys[TIMESTAMP],
        signer_directive=keys[DIRECTIVE],
        pkcs11_module=token.module,
        pkcs11_pin=SecretStr(PIN),
        log_json=True,
    )
    ensure_secrets(settings)
    maker = DevelopmentManufacturer.create(ROLE, system_clock())
    async with bootstrap.open_stores(settings) as stores:
        ceremony = TokenCeremony(stores.blobs, settings.keys, keys)
        await ceremony.ensure([ROLE], manufacturer_roots={ROLE: (maker.root,)})
        for role in keys:
            (settings.keys / f"{role}.pem").unlink(missing_ok=True)
        yield TokenHouse(settings, stores, maker, keys)
