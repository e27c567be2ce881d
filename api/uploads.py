"""Taking a firmware image in: multipart to a bounded temporary file, hashed, then create-only to the store.

Memory stays constant whatever the image's size. Every problem of an upload is reported at once, and
nothing is stored while there is one.
"""

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

from fastapi import Request
from pydantic import ValidationError
from starlette.datastructures import FormData, UploadFile

from api.acts import audit
from api.ports import ApiServices
from api.problems import describe
from api.schemas.artifacts import ManifestBody
from storage.access import Principal
from storage.artifact import Artifact, ArtifactPhase
from storage.errors import AmpwaveError, Conflict, InvalidInput, NotFound

CHUNK = 1024 * 1024
_MANIFEST_BYTES = 256 * 1024
_HINT = "Send multipart/form-data with `file` (the image) and `manifest` (JSON)."


@dataclass(frozen=True, slots=True)
class Intake:
    """Takes one upload of one person from the wire to the store."""

    services: ApiServices
    actor: Principal
    repeated: bool
    """The request carries an Idempotency-Key: the same upload again is a repeat, not a conflict."""

    async def take(self, request: Request) -> Artifact:
        """The artifact, stored and on its way; a refusal is recorded in the audit log and raised."""
        if not request.headers.get("content-type", "").startswith("multipart/form-data"):
            raise InvalidInput("The upload is not a multipart form.", hint=_HINT)
        form = await request.form(max_files=2, max_fields=2, max_part_size=_MANIFEST_BYTES)
        try:
            return await self._from_form(form)
        except (InvalidInput, Conflict) as error:
            await audit(self.services, self.actor, "artifact.refused", "upload", why=error.diagnostics())
            raise
        finally:
            await form.close()

    async def _from_form(self, form: FormData) -> Artifact:
        problems: list[str] = []
        manifest = await _manifest(form, problems)
        file, sha256, length = await _file(form, problems)
        if manifest and manifest.sha256 and length and manifest.sha256 != sha256:
            problems.append(
                f"file: its SHA-256 is {sha256}, the manifest says {manifest.sha256}: "
                "the file was changed or cut on its way"
            )
        if problems or manifest is None or file is None:
            raise InvalidInput("The upload was refused; nothing was stored.", problems, hint=_HINT)
        artifact = manifest.to_noun(sha256, length, self.actor.name, self.services.clock())
        return await self._store(artifact, file)

    async def _store(self, artifact: Artifact, file: UploadFile) -> Artifact:
        known = await self._known(artifact)
        if known is None:
            await self.services.blobs.put_new(artifact.artifact_id, _chunks(file), length=artifact.length)
            await self.services.artifacts.add(artifact)
            await audit(
                self.services,
                self.actor,
                "artifact.uploaded",
                f"artifact/{artifact.artifact_id}",
                role_version=f"{artifact.vendor_role}/{artifact.version}",
                length=artifact.length,
            )
        stored = known or artifact
        if stored.phase is ArtifactPhase.UPLOADED:
            await self.services.orchestrator.start_publication(stored.artifact_id)
        return stored

    async def _known(self, artifact: Artifact) -> Artifact | None:
        """The same upload from before, None if it is new; Conflict if something else is in its place."""
        known: Artifact | None
        try:
            known = await self.services.artifacts.get(artifact.artifact_id)
        except NotFound:
            known = await self.services.artifacts.by_version(artifact.vendor_role, artifact.version)
        if known is None:
            return None
        unfinished = known.phase is ArtifactPhase.UPLOADED
        if _same_upload(known, artifact) and (self.repeated or unfinished):
            return known
        raise _taken(known, artifact)


def _same_upload(known: Artifact, artifact: Artifact) -> bool:
    as_known = replace(artifact, phase=known.phase, reason=known.reason, uploaded_at=known.uploaded_at)
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


async def _manifest(form: FormData, problems: list[str]) -> ManifestBody | None:
    given = form.get("manifest")
    if isinstance(given, UploadFile):
        text: bytes | str = await given.read(_MANIFEST_BYTES + 1)
    elif given is None:
        problems.append("manifest: the part is missing")
        return None
    else:
        text = given
    if len(text) > _MANIFEST_BYTES:
        problems.append(f"manifest: longer than {_MANIFEST_BYTES} bytes")
        return None
    try:
        return ManifestBody.model_validate_json(text)
    except ValidationError as error:
        problems.extend(f"manifest.{describe(dict(item))}" for item in error.errors())
        return None


async def _file(form: FormData, problems: list[str]) -> tuple[UploadFile | None, str, int]:
    given = form.get("file")
    if not isinstance(given, UploadFile):
        problems.append("file: the part is missing, or it is a field and not a file")
        return None, "", 0
    seen, length = hashlib.sha256(), 0
    async for chunk in _chunks(given):
        seen.update(chunk)
        length += len(chunk)
    if length == 0:
        problems.append("file: it is empty")
    return given, seen.hexdigest(), length


async def _chunks(file: UploadFile) -> AsyncIterator[bytes]:
    await file.seek(0)
    while chunk := await file.read(CHUNK):
        yield chunk
