"""Images that come in pieces and may break off: tus 1.0.0 (core, creation, termination, expiration).

Each request's bytes become an object of their own, whatever broke it off; the database knows which bytes
are here, so any process can go on. At the end they are read back, hashed and copied to the image's own key.
"""

import asyncio
import base64
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

import structlog
from fastapi import Request
from starlette.requests import ClientDisconnect

from api.errors import ImageTooLarge, TooLarge
from api.ports import ApiServices
from api.schemas.artifacts import ManifestBody
from api.shelf import Shelf, WrongBytes, same_upload
from storage.access import Principal
from storage.artifact import Artifact
from storage.errors import AmpwaveError, Conflict, InvalidInput, NotFound
from storage.transfer import INCOMING, Piece, Upload

_log = structlog.get_logger("api.uploads")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_WHOLE = re.compile(r"[0-9]{1,15}")
_ANEW = "What had come was given up: upload the image anew."
MEDIA_TYPE = "application/offset+octet-stream"


def announced(headers: Mapping[str, str], limit: int) -> tuple[int, str]:
    """(length, SHA-256) that a new upload announces. Raises InvalidInput or ImageTooLarge."""
    problems = []
    length = headers.get("upload-length", "")
    if not _WHOLE.fullmatch(length) or int(length) == 0:
        problems.append("Upload-Length: must be the image's length in bytes, and more than 0")
    elif int(length) > limit:
        raise ImageTooLarge(limit)
    sha256 = _metadata(headers.get("upload-metadata", "")).get("sha256", "")
    if not _SHA256.fullmatch(sha256):
        problems.append(
            "Upload-Metadata: needs `sha256 ` and base64 of the image's SHA-256 in lower-case hex"
        )
    if problems:
        raise InvalidInput("The upload cannot begin.", problems, hint="See tus.io, protocol 1.0.0.")
    return int(length), sha256


def _metadata(header: str) -> dict[str, str]:
    """tus: ``name base64, name base64``; what is unreadable is as if it were not there."""
    found = {}
    for pair in header.split(","):
        name, _, value = pair.strip().partition(" ")
        with suppress(ValueError):  # no base64, no ASCII, no UTF-8
            found[name] = base64.b64decode(value, validate=True).decode()
    return found


@dataclass(frozen=True, slots=True)
class Pieces:
    """The uploads of one person."""

    services: ApiServices
    actor: Principal

    async def begin(self, length: int, sha256: str) -> Upload:
        """A new upload, or the one of the same image that broke off."""
        now = self.services.clock()
        until = now + timedelta(hours=self.services.limits.upload_hours)
        wanted = Upload(self.services.new_id(), self.actor.name, length, sha256, now, until)
        return await self.services.uploads.create(wanted)

    async def get(self, upload_id: str) -> Upload:
        """Raise NotFound, also for somebody else's."""
        upload = await self.services.uploads.get(upload_id)
        if upload.actor != self.actor.name:
            raise NotFound("upload", upload_id)
        return upload

    async def add(self, upload_id: str, request: Request) -> Upload:
        """Take in what this request brings, also if it breaks off; the upload as it is then.

        Raises Conflict where the bytes begin elsewhere than the upload ends.
        """
        upload = await self.get(upload_id)
        offset = request.headers.get("upload-offset", "")
        if request.headers.get("content-type", "") != MEDIA_TYPE or not _WHOLE.fullmatch(offset):
            raise InvalidInput(f"A piece is {MEDIA_TYPE}, with Upload-Offset.")
        if int(offset) != upload.offset:
            raise _elsewhere(upload)
        body = _Body(request, upload.length - upload.offset, self.services.limits.upload_seconds)
        key = f"{INCOMING}{upload_id}/{self.services.new_id()}"
        await self.services.blobs.put_new(key, body.chunks())
        return await self._noted(upload, Piece(upload.offset, body.length, key))

    async def _noted(self, upload: Upload, piece: Piece) -> Upload:
        noted = False
        try:
            noted = piece.length > 0 and await self.services.uploads.add_piece(upload.upload_id, piece)
        finally:
            if not noted:
                await self._delete(piece.object_key)
        if not noted and piece.length:
            raise _elsewhere(await self.get(upload.upload_id))
        return await self.get(upload.upload_id)

    async def drop(self, upload_id: str) -> None:
        """Give it up."""
        await self._forget(await self.get(upload_id))

    async def finish(self, upload_id: str, manifest: ManifestBody) -> Artifact:
        """Make an image of it: read back, hashed, stored under its own key. Raises Conflict too early.

        Whoever asks again, because the answer was lost or two asked at once, gets the artifact that was made.
        """
        try:
            return await self._finished(await self.get(upload_id), manifest)
        except NotFound:
            if (made := await self._made(manifest)) is not None:
                return made
            raise

    async def _finished(self, upload: Upload, manifest: ManifestBody) -> Artifact:
        _check_finish(upload, manifest)
        wanted = manifest.to_noun(upload.sha256, upload.length, self.actor.name, self.services.clock())
        shelf = Shelf(self.services, self.actor, repeated=True)
        try:
            stored = await shelf.store(wanted, lambda: self._read_back(upload), came="pieces")
        except WrongBytes as error:
            # Kept, it would be offered to its sender again as all but finished, and refused again.
            await self._forget(upload)
            raise InvalidInput(error.message, error.problems, hint=_ANEW) from error
        except NotFound as error:
            await self._forget(await self.get(upload.upload_id))
            raise InvalidInput("Bytes of this upload are gone from the store.", hint=_ANEW) from error
        await self._forget(upload)
        return stored

    async def _made(self, manifest: ManifestBody) -> Artifact | None:
        """The artifact that this person made of the same manifest before."""
        known = await self.services.artifacts.by_version(manifest.vendor_role, manifest.version)
        if known is None or manifest.sha256 not in (None, known.artifact_id):
            return None
        same = manifest.to_noun(known.artifact_id, known.length, self.actor.name, known.uploaded_at)
        return known if same_upload(known, same) else None

    async def _forget(self, upload: Upload) -> None:
        await self.services.uploads.drop(upload.upload_id)
        await self._delete(*(piece.object_key for piece in upload.pieces))

    async def _read_back(self, upload: Upload) -> AsyncIterator[bytes]:
        for piece in upload.pieces:
            async for chunk in self.services.blobs.read(piece.object_key):
                yield chunk

    async def _delete(self, *keys: str) -> None:
        for key in keys:
            try:
                await self.services.blobs.delete(key)
            except AmpwaveError:  # The sweep finds it.
                _log.warning("a piece that nothing refers to was left behind", key=key)


@dataclass(slots=True)
class _Body:
    """The bytes of one request, until it ends or breaks off."""

    request: Request
    room: int
    seconds: float
    length: int = 0

    async def chunks(self) -> AsyncIterator[bytes]:
        """What came before a break is kept, and the sender goes on behind it.

        Raises TooLarge for more than was announced.
        """
        ends = asyncio.get_running_loop().time() + self.seconds
        stream = self.request.stream()
        while data := await _before(ends, stream):
            self.length += len(data)
            if self.length > self.room:
                raise TooLarge(self.room)
            yield data


async def _before(ends: float, stream: AsyncIterator[bytes]) -> bytes:
    """The next bytes; none where the request has ended, broke off, or took too long."""
    with suppress(ClientDisconnect, StopAsyncIteration, TimeoutError):
        async with asyncio.timeout_at(ends):
            while True:
                if data := await anext(stream):
                    return data
    return b""


def _check_finish(upload: Upload, manifest: ManifestBody) -> None:
    if manifest.sha256 not in (None, upload.sha256):
        raise InvalidInput(
            "The upload was refused; nothing was stored.",
            [f"manifest.sha256: is {manifest.sha256}, the upload was begun for {upload.sha256}"],
        )
    if not upload.whole:
        raise Conflict(
            f"{upload.length - upload.offset} bytes have not come yet.", hint="Send them, then finish."
        )


def _elsewhere(upload: Upload) -> Conflict:
    return Conflict(
        f"The upload has {upload.offset} of {upload.length} bytes.",
        hint="Ask with HEAD, and go on from there.",
    )
