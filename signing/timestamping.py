"""RFC 3161 time stamps over checkpoints: an outside authority's word that a checkpoint was there by then.

Optional. Without it our own signer says when; with it even whoever holds the signer's key cannot date back.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime

from cryptography.x509 import Certificate
from rfc3161_client import (
    TimestampRequestBuilder,
    TimeStampResponse,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)

from signing.errors import RepositoryUnreachable, VerificationFailed

MAX_STAMP = 64 * 1024
Post = Callable[[bytes], Awaitable[bytes]]
"""Sends a query (DER) to the authority; its answer. Raises RepositoryUnreachable."""


def stamp_key(sequence: int) -> str:
    """Where the time stamp of a checkpoint lies in the bucket."""
    return f"audit/timestamp/{sequence:08d}.tsr"


async def fetch_stamp(document: bytes, post: Post) -> bytes:
    """The authority's answer over a document, for exactly what was asked. Raises RepositoryUnreachable."""
    query = TimestampRequestBuilder().data(document).nonce(nonce=True).cert_request(cert_request=True).build()
    answer = await post(query.as_bytes())
    try:
        response = _decode(answer)
        same = response.tst_info.message_imprint.message == query.message_imprint.message
        if response.status == 0 and same and response.tst_info.nonce == query.nonce:
            return answer
    except VerificationFailed as error:
        raise RepositoryUnreachable(f"The time stamp authority answered nonsense: {error.message}") from error
    raise RepositoryUnreachable("The time stamp authority answered another question, or refused.")


def check_stamp(stamp: bytes, document: bytes, roots: Sequence[Certificate]) -> datetime:
    """When the document was there, by an authority below ``roots``. Raises VerificationFailed."""
    response = _decode(stamp)
    builder = VerifierBuilder()
    for root in roots:
        builder = builder.add_root_certificate(root)
    try:
        builder.build().verify_message(response, document)
    except (VerificationError, ValueError) as error:
        raise VerificationFailed(f"The time stamp does not hold: {error}.") from error
    return response.tst_info.gen_time.astimezone(UTC)


def _decode(data: bytes) -> TimeStampResponse:
    if len(data) > MAX_STAMP:
        raise VerificationFailed(f"A time stamp has at most {MAX_STAMP} bytes.")
    try:
        response = decode_timestamp_response(data)
        _ = response.tst_info  # absent in a refusal
    except (ValueError, TypeError) as error:
        raise VerificationFailed("This is not a time stamp.") from error
    return response
