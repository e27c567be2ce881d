"""Putting an image on the shelf: checked on its way, created once, on record, and on its way to people.

However it came in (a form, pieces, a vendor's address), it ends here. What fails leaves nothing that anybody
could take for an image: the object is complete and right or not there, and without its row nobody finds it.
"""

import hashlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from api.acts import audit
from api.errors import TooLarge
from api.ports import ApiServices
from storage.access import Principal
from storage.artifact import Artifact, ArtifactPhase
from storage.errors import AmpwaveError, Conflict, EngineUnavailable, InvalidInput, NotFound

Chunks = Callable[[], AsyncIterator[bytes]]
"""Begins to read the image, from its first byte, each time it is called."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """Stores the images of one person's request."""

    services: ApiServices
    actor: Principal
    repeated: bool
    """The request carries an Idempotency-Key: the same upload again is a repeat, not a conflict."""

    async def store(self, artifact: Artifact, chunks: Chunks, *, came: str = "upload") -> Artifact:
        """The artifact, stored and on its way; the one from before if this is a repeat. Raises Conflict."""
        known, rejected = await self._known(artifact)
        if known is None:
            await self._put(artifact, chunks)
            known = await self._on_record(artifact, came, rejected)
        if known.phase is ArtifactPhase.UPLOADED:
            await self.services.orchestrator.start_publication(known.artifact_id)
        return known

    async def _put(self, artifact: Artifact, chunks: Chunks) -> None:
        blobs, key, length = self.services.blobs, artifact.artifact_id, artifact.length
        if not await blobs.put_new(key, _checked(chunks(), key), length=length, keep=True):
            # Nobody knows it, so it is what a crash or another request left. A version of our own is written
            # over it: a sweep that is about to remove that other one does not take ours with it.
            await blobs.put_new(key, _checked(chunks(), key), length=length, keep=True, anew=True)

    async def _on_record(self, artifact: Artifact, came: str, rejected: Artifact | None) -> Artifact:
        try:
            await self.services.artifacts.add(artifact)
        except Conflict:  # Somebody else was faster.
            known, _ = await self._known(artifact)
            if known is None:
                raise
            return known
        before = {"rejected_before": rejected.reason} if rejected else {}
        await audit(
            self.services,
            self.actor,
            "artifact.uploaded",
            f"artifact/{artifact.artifact_id}",
            role_version=f"{artifact.vendor_role}/{artifact.version}",
            length=artifact.length,
            came=came,
            **before,
        )
        return artifact

    async def _known(self, artifact: Artifact) -> tuple[Artifact | None, Artifact | None]:
        """The same upload from before, None if it is new; Conflict if something else is in its place.

        The second is what these bytes were rejected as: what is mended since may let them pass as a new
        attempt. What was rejected under other bytes does not keep its version from the right ones.
        """
        bytes_known = await self._by_bytes(artifact)
        known = await self.services.artifacts.by_version(artifact.vendor_role, artifact.version)
        for one in (bytes_known, known):
            if one is None or one.phase is ArtifactPhase.REJECTED:
                continue
            unfinished = one.phase is ArtifactPhase.UPLOADED
            if same_upload(one, artifact) and (self.repeated or unfinished):
                return one, None
            raise _taken(one, artifact)
        return None, bytes_known

    async def _by_bytes(self, artifact: Artifact) -> Artifact | None:
        try:
            return await self.services.artifacts.get(artifact.artifact_id)
        except NotFound:
            return None


class WrongBytes(InvalidInput):
    """The bytes that were read back are not those that were announced."""


class Recorded:
    """What goes wrong while an image is taken in is on record, whoever is to blame."""

    def __init__(self, services: ApiServices, actor: Principal, came: str) -> None:
        self._services = services
        self._actor = actor
        self._came = came

    async def __aenter__(self) -> None:
        """Nothing yet."""

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """An entry in the audit log; a database that is away as well keeps nobody from seeing the error."""
        if isinstance(error, InvalidInput | Conflict | TooLarge | NotFound):
            await self._note("artifact.refused", error)
        elif isinstance(error, EngineUnavailable):
            with suppress(AmpwaveError):
                await self._note("artifact.upload_failed", error)

    async def _note(self, action: str, error: AmpwaveError) -> None:
        await audit(self._services, self._actor, action, self._came, why=error.diagnostics())


@contextmanager
def room_here() -> Iterator[None]:
    """A full disk of ours is said in words."""
    try:
        yield
    except OSError as error:
        raise EngineUnavailable(
            f"This machine has no room for the upload: {error.strerror}.",
            hint="Nothing was stored. Tell the operator; a resumable upload needs no room here.",
        ) from error


async def _checked(chunks: AsyncIterator[bytes], sha256: str) -> AsyncIterator[bytes]:
    """The same chunks; raises InvalidInput behind the last one if they are not what their key says (S41)."""
    seen = hashlib.sha256()
    async for chunk in chunks:
        seen.update(chunk)
        yield chunk
    if seen.hexdigest() != sha256:
        raise WrongBytes(
            "The image was refused; nothing was stored.",
            [f"file: its SHA-256 is {seen.hexdigest()}, not {sha256}: it was changed or cut on its way"],
        )


def same_upload(known: Artifact, artifact: Artifact) -> bool:
    """Whether this is what was uploaded before, by the same person under the same manifest."""
    as_known = replace(
        artifact,
        phase=known.phase,
        reason=known.reason,
        uploaded_at=known.uploaded_at,
        evidence=known.evidence,
    )
    return as_known == known


def _taken(known: Artifact, artifact: Artifact) -> AmpwaveError:
    name = f"{known.vendor_role} {known.version}"
    if known.artifact_id == artifact.artifact_id:
        return Conflict(
            f"These very bytes are there already, as {name} ({known.phase.value}).",
            hint=f"Look at it: ampwave artifact show {known.artifact_id[:12]}",
        )
    return Conflict(
        f"{name} is there already with other bytes (SHA-256 {known.artifact_id[:12]}...).",
        hint="A version is never replaced: give the new image a version of its own.",
    )
