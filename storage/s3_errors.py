"""What boto3 and S3 servers raise, in our words. No text of theirs is passed on: it may name credentials."""

from collections.abc import Callable
from typing import TypeVar

import urllib3.exceptions
from botocore.exceptions import BotoCoreError, ClientError

from storage.errors import AmpwaveError, EngineUnavailable, InvalidInput, NotFound, StaleVersion

T = TypeVar("T")

_MISSING = {"404", "NoSuchKey", "NotFound", "NoSuchUpload"}
_REFUSED = {"412", "PreconditionFailed"}
_FORBIDDEN = {"403", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch"}
_FULL = {"507", "InsufficientStorage", "XMinioStorageFull", "QuotaExceeded", "EntityTooLarge"}
_DAMAGED = {"BadDigest", "XAmzContentSHA256Mismatch", "InvalidDigest", "XAmzContentChecksumMismatch"}


def translated(key: str, function: Callable[[], T]) -> T:
    """Call it; what goes wrong with this key leaves as one of ``storage.errors``."""
    try:
        return function()
    except ClientError as error:
        raise _ours(key, error) from error
    except (BotoCoreError, urllib3.exceptions.HTTPError, OSError) as error:
        raise EngineUnavailable(
            f"The S3 server did not answer: {type(error).__name__}.",
            hint="It is safe to try again; check that it is up and AMPWAVE_S3_ENDPOINT is right.",
        ) from error


def _ours(key: str, error: ClientError) -> AmpwaveError:
    code = error.response["Error"].get("Code", "")
    if code in _MISSING:
        return NotFound("object", key)
    if code in _REFUSED:
        return StaleVersion(f"Object {key!r} is not in the state that was expected.")
    if code == "InvalidRange":
        return InvalidInput(f"The range lies outside object {key!r}.")
    if code in _DAMAGED:
        return EngineUnavailable(
            f"The S3 server got other bytes than we sent: {error.operation_name} ended with {code}.",
            hint="Nothing was stored. It is safe to try again; if it lasts, look at the network and proxies.",
        )
    if code in _FULL:
        return EngineUnavailable(
            f"The S3 server has no room for it: {error.operation_name} ended with {code}.",
            hint="Nothing was stored. Make room or raise its quota, then try again.",
        )
    if code in _FORBIDDEN:
        return EngineUnavailable(
            f"The S3 server refused {error.operation_name}: {code}.",
            hint="Check the bucket, the credentials and their rights.",
        )
    return EngineUnavailable(
        f"The S3 server could not do {error.operation_name}: {code}.", hint="It is safe to try again."
    )
