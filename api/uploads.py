"""Taking a firmware image in: multipart to a bounded temporary file, hashed, then create-only to the store.

Memory stays constant whatever the image's size. Every problem of an upload is reported at once, and
nothing is stored while there is one. Nothing is ever unpacked: an image is bytes to us, so what would burst
when it is opened cannot burst here.
"""

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from fastapi import Request
from pydantic import ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from api.ports import ApiServices
from api.problems import describe
from api.schemas.artifacts import ManifestBody
from api.shelf import Recorded, Shelf, room_here
from storage.access import Principal
from storage.artifact import Artifact
from storage.errors import InvalidInput

CHUNK = 1024 * 1024
_MANIFEST_BYTES = 256 * 1024
_HINT = "Send multipart/form-data with `file` (the image) and `manifest` (JSON)."


@dataclass(frozen=True, slots=True)
class Intake:
    """Takes one upload of one person from the wire to the store."""

    services: ApiServices
    actor: Principal
    repeated: bool

    async def take(self, request: Request) -> Artifact:
        """The artifact, stored and on its way; a refusal is recorded in the audit log and raised."""
        async with Recorded(self.services, self.actor, "upload"):
            return await self._taken(request)

    async def _taken(self, request: Request) -> Artifact:
        if not request.headers.get("content-type", "").startswith("multipart/form-data"):
            raise InvalidInput("The upload is not a multipart form.", hint=_HINT)
        try:
            with room_here():
                form = await request.form(max_files=2, max_fields=2, max_part_size=_MANIFEST_BYTES)
        except ClientDisconnect:
            raise InvalidInput("The upload broke off; nothing was stored.") from None
        except HTTPException as error:  # what the parser of forms says of a form that is none
            raise InvalidInput(
                "The upload is not a form that can be read; nothing was stored.",
                [f"body: {error.detail}"],
                hint=_HINT,
            ) from None
        try:
            return await self._from_form(form)
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
        shelf = Shelf(self.services, self.actor, self.repeated)
        return await shelf.store(artifact, lambda: _chunks(file))


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
