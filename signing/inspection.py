"""Looking at an upload before people are asked to sign: everything wrong with it, at once (S32-S35, S41)."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from signing.errors import NotInRelease, VendorSignatureBad
from signing.ports import Inspection
from signing.release import Release, release_of, release_problems
from signing.revocation import certificate_subjects
from signing.step import addition_problems
from signing.trust import Trust
from signing.trust_source import TrustSource
from signing.vendor_signature import location_problems, vendor_signature_problems
from storage.artifact import Artifact
from storage.charger import ModelProfile
from storage.clock import Clock
from storage.errors import EngineUnavailable, NotFound
from storage.ports import BlobStore
from storage.withdrawal import Withdrawal, artifact_subject

ModelLookup = Callable[[str, str], Awaitable[ModelProfile | None]]
"""(vendor, model) -> profile; ``ChargerStore.model``."""
GRACE_S = 60.0
_SLOWEST = 100_000.0
"""Bytes a second: a store that hands out an image more slowly is as good as away (S30)."""


WithdrawalLookup = Callable[[Sequence[str]], Awaitable[Sequence[Withdrawal]]]
"""Subjects -> those withdrawn; ``WithdrawalStore.in_force``."""


@dataclass(frozen=True, slots=True)
class _ReadBack:
    """What the store really holds, in one pass and constant memory (S39, S41)."""

    sha256: bytes
    length: int


class Inspector:
    """``signing.ports.ArtifactInspector``: reads the bytes back and checks what was said about them."""

    def __init__(
        self,
        blobs: BlobStore,
        source: TrustSource,
        models: ModelLookup,
        clock: Clock,
        *,
        withdrawn: WithdrawalLookup | None = None,
        location: str = "",
    ) -> None:
        self.grace_s = GRACE_S
        self._blobs = blobs
        self._source = source
        self._models = models
        self._clock = clock
        self._withdrawn = withdrawn
        self._location = location
        """A download address as chargers will get it; "" where none is known."""

    async def inspect(self, artifact: Artifact) -> Inspection:
        """All problems at once; empty when people may be asked to sign.

        Raises RepositoryUnreachable or EngineUnavailable when it could not look.
        """
        now = self._clock()
        release = release_of(artifact)
        found = await self._read_back(artifact)
        problems = list(_file_problems(artifact, found))
        trust = await self._source.current(now)
        if release.role not in trust.roles():
            trust = await self._source.newer(trust, now) or trust
        problems += await self._role_problems(trust, release)
        problems += await self._model_problems(release)
        if found is not None:
            problems += _vendor_problems(release, found.sha256, now, trust.policy.roots_of(release.role))
        problems += await self._withdrawal_problems(release) + location_problems(self._location)
        return Inspection(
            sha256=found.sha256.hex() if found else "",
            length=found.length if found else 0,
            problems=tuple(dict.fromkeys(_sentence(problem) for problem in problems)),
        )

    async def _read_back(self, artifact: Artifact) -> _ReadBack | None:
        """Bounded in bytes and in time (S30): what is longer than announced is not read to its end."""
        digest, length = hashlib.sha256(), 0
        seconds = self.grace_s + artifact.length / _SLOWEST
        try:
            reading = cast("AsyncGenerator[bytes]", self._blobs.read(artifact.artifact_id))
            async with asyncio.timeout(seconds), aclosing(reading) as chunks:
                async for chunk in chunks:
                    digest.update(chunk)
                    length += len(chunk)
                    if length > artifact.length:
                        break
        except NotFound:
            return None
        except TimeoutError:
            raise EngineUnavailable(
                f"The image could not be read back within {seconds:.0f} s.", hint="Look at the object store."
            ) from None
        return _ReadBack(digest.digest(), length)

    async def _role_problems(self, trust: Trust, release: Release) -> list[str]:
        """Against what the role has released already (from signed metadata, not from our database)."""
        if release.role not in trust.roles():
            known = ", ".join(trust.roles()) or "none yet"
            return [
                *release_problems(release),
                f"there is no vendor role {release.role!r} in the signed metadata (there are: {known})",
            ]
        try:
            await self._source.role(trust, release.role)
        except NotInRelease as error:
            return [*release_problems(release), error.message]
        return addition_problems(release.role, trust.role(release.role), release)

    async def _withdrawal_problems(self, release: Release) -> list[str]:
        """Neither the image nor a certificate it comes with may be withdrawn (S36, S66)."""
        if self._withdrawn is None:
            return []
        subjects = [artifact_subject(release.sha256)]
        for proof in release.vendor_signatures:
            with suppress(VendorSignatureBad):  # said already
                subjects += certificate_subjects(proof.certificate)
        return [found.sentence() for found in await self._withdrawn(subjects)]

    async def _model_problems(self, release: Release) -> list[str]:
        """Each model must be known, and have a signature under its own scheme or a waiver (S33, S37)."""
        problems = []
        for entry in release.compatible:
            profile = await self._models(entry.vendor, entry.model)
            if profile is None:
                problems.append(
                    f"model {entry.vendor} {entry.model} is not known; say what holds for it"
                    " (`ampwave model set`) or correct the list"
                )
            elif not release.signature_for(profile.signature_scheme) and not profile.unsafe_unsigned_waiver:
                problems.append(
                    f"{entry.vendor} {entry.model} needs a {profile.signature_scheme.value} vendor signature"
                )
        return problems


def _file_problems(artifact: Artifact, found: _ReadBack | None) -> list[str]:
    if found is None:
        return ["the uploaded bytes are not in the store; upload the file again"]
    if found.length == 0:
        return ["the file is empty"]
    problems = []
    if found.length != artifact.length:
        problems.append(f"the file has {found.length} bytes, the manifest says {artifact.length}")
    if found.sha256.hex() != artifact.artifact_id:
        problems.append(f"the file's SHA-256 is {found.sha256.hex()}, not {artifact.artifact_id}")
    return problems


def _vendor_problems(release: Release, digest: bytes, now: datetime, roots: tuple[str, ...]) -> list[str]:
    return [
        f"{proof.scheme.value} vendor signature: {problem}"
        for proof in release.vendor_signatures
        for problem in vendor_signature_problems(proof, digest, now, roots)
    ]


def _sentence(problem: str) -> str:
    return f"{problem[:1].upper()}{problem[1:]}."
