"""Reviewing and signing a staged release: the server hands out bytes, this machine judges them (S15)."""

import base64
from datetime import datetime
from typing import TYPE_CHECKING

from api.cli.errors import Record
from api.cli.http import Api

if TYPE_CHECKING:
    from signing.sign_off import Review


def review_staged(api: Api, artifact_id: str, trusted_root: bytes, now: datetime) -> "Review":
    """What the staged bytes really change, computed here from metadata verified by our own root.

    What another release came before is staged again at our request, and that is reviewed.

    Raises CliError when the server refuses, and what ``signing.sign_off.review`` raises.
    """
    import asyncio

    from signing.errors import StaleStage
    from signing.sign_off import collect_evidence, review

    path = f"/artifacts/{artifact_id}/staged"

    async def fetch(name: str, limit: int) -> bytes:
        return await asyncio.to_thread(api.metadata, name, limit)

    async def work(staged: Record) -> "Review":
        evidence = await collect_evidence(fetch, staged["role"])
        return await review(staged["role"], base64.b64decode(staged["payload"]), evidence, trusted_root, now)

    try:
        return asyncio.run(work(api.get(path)))
    except StaleStage:
        return asyncio.run(work(api.post(path)))


def sign_staged(
    api: Api, artifact_id: str, reviewed: "Review", address: str, keyid: str | None = None
) -> Record:
    """Sign what was reviewed with the key at ``address`` and hand the signature in."""
    from api.cli.credentials import load_settings
    from api.key_access import use_tokens
    from signing.sign_off import sign

    use_tokens(load_settings(), ask=True)
    signed_with, signature = sign(reviewed, address, keyid)
    body = {"staged_sha256": reviewed.sha256, "keyid": signed_with, "signature": signature}
    reply: Record = api.post(f"/artifacts/{artifact_id}/sign-offs", body)
    return reply
