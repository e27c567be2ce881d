"""Firmware passports at the doors: asked for, and handed out to who asks about that very charger."""

import base64
import binascii

import orjson

from api.ports import ApiServices
from storage.access import Principal
from storage.canonical import digest
from storage.errors import NotFound
from storage.passport import PassportOrder
from storage.retirement import PASSPORT, receipt_key

MOST_BYTES = 4 * 1024 * 1024


async def make_passport(
    services: ApiServices, caller: Principal, charger_id: str, reason: str, key: str | None
) -> str:
    """Have it signed; the SHA-256 of the document. The same key, charger and reason: the same document."""
    await services.chargers.get(charger_id)
    passport_id = digest(("passport", caller.name, charger_id, key or services.new_id(), reason))
    return await services.orchestrator.make_passport(
        PassportOrder(passport_id, charger_id, caller.name, reason)
    )


async def read_passport(services: ApiServices, charger_id: str, sha256: str) -> bytes:
    """The document, if it is a passport of this charger. Raises NotFound."""
    await services.chargers.get(charger_id)
    data, _ = await services.blobs.get(receipt_key(sha256), limit=MOST_BYTES)
    if _about(data) != (PASSPORT, charger_id):
        raise NotFound("passport of charger", charger_id, hint="Ask for one: ampwave charger passport.")
    return data


def _about(document: bytes) -> tuple[str, str] | None:
    """What we ourselves stored says of itself; who reads it checks the signature."""
    try:
        envelope = orjson.loads(document)
        said = orjson.loads(base64.b64decode(envelope["payload"]))
        return envelope["payloadType"], said["charger"]["charger_id"]
    except (orjson.JSONDecodeError, binascii.Error, KeyError, TypeError, ValueError):
        return None
