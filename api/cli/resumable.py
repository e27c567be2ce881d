"""Uploading a large file in pieces: what breaks off goes on where it was, in this run or the next."""

import base64
from collections.abc import Iterator
from pathlib import Path

from api.cli.errors import CliError, Record, Refused, Unreachable
from api.cli.output import size
from api.cli.session import Session

PIECE = 64 * 1024 * 1024
"""Bytes a request: what a server that is replaced meanwhile costs at most."""
_CHUNK = 256 * 1024
_TRIES = 8
"""Failures in a row, with nothing sent in between, after which this run gives up."""
_LAST_TRIES = 4
_AGAIN = "The same command goes on from there within 24 hours."
_MEDIA_TYPE = "application/offset+octet-stream"


def upload_in_pieces(session: Session, file: Path, manifest: Record) -> Record:
    """The artifact. Raises CliError once the server stays away; the same command goes on later."""
    length = file.stat().st_size
    place, offset = _begun(session, length, str(manifest["sha256"]))
    if offset and not session.json:
        session.note(f"Going on at {size(offset)} of {size(length)}.")
    failures = 0
    while offset < length:
        try:
            offset, failures = _sent(session, place, file, offset), 0
        except KeyboardInterrupt:
            session.note(_AGAIN)
            raise
        except (Unreachable, Refused) as error:
            failures += 1
            if failures > _TRIES or not _is_passing(error):
                raise CliError(
                    f"The upload broke off at {size(offset)} of {size(length)}: {error}",
                    hint=_AGAIN,
                ) from error
            session.pause(min(30.0, 0.5 * 2**failures))
            offset = _asked(session, place, offset)
    return _finished(session, f"{place}/artifact", manifest)


def _finished(session: Session, place: str, manifest: Record) -> Record:
    """The last request may be repeated: it brings the artifact that an earlier one made unheard."""
    for again in range(1, _LAST_TRIES):
        try:
            return _made(session, place, manifest)
        except Unreachable:
            session.pause(2.0**again)
    return _made(session, place, manifest)


def _made(session: Session, place: str, manifest: Record) -> Record:
    artifact: Record = session.api.post(place, manifest, patience_s=900.0)
    return artifact


def _begun(session: Session, length: int, sha256: str) -> tuple[str, int]:
    named = base64.b64encode(sha256.encode()).decode()
    headers = {"Upload-Length": str(length), "Upload-Metadata": f"sha256 {named}"}
    answer = session.api.tus("POST", "/uploads", headers)
    return answer["location"].removeprefix("/api/v1"), int(answer["upload-offset"])


def _sent(session: Session, place: str, file: Path, offset: int) -> int:
    headers = {"Upload-Offset": str(offset), "Content-Type": _MEDIA_TYPE}
    answer = session.api.tus("PATCH", place, headers, _piece(file, offset))
    behind = int(answer["upload-offset"])
    if behind == offset and file.stat().st_size <= offset:
        raise CliError(f"{file} became shorter while it was uploaded.", hint="Upload it once it is complete.")
    return behind


def _asked(session: Session, place: str, offset: int) -> int:
    try:
        return int(session.api.tus("HEAD", place, {})["upload-offset"])
    except Unreachable:
        return offset


def _piece(file: Path, offset: int) -> Iterator[bytes]:
    with file.open("rb") as stream:
        stream.seek(offset)
        left = PIECE
        while left and (chunk := stream.read(min(_CHUNK, left))):
            left -= len(chunk)
            yield chunk


def _is_passing(error: CliError) -> bool:
    """Whether going on may help: nobody answered, or somebody was faster than we thought."""
    return isinstance(error, Unreachable) or (isinstance(error, Refused) and error.problem["status"] == 409)
